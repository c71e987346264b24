"""Sweeps against a run with hooks by hand; choices and scores on sweeps with known entries; bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.steering import SteeringVector, steered_logits
from helpers.steering.scores import (
    Arm,
    Sweep,
    TaskPrompt,
    Trial,
    best_trial,
    encode_questions,
    plain_surprise,
    random_arms,
    run_sweep,
    score_choice,
    steered_continuations,
    trials,
)
from tests.steering.conftest import D_MODEL, D_VOCAB, HOOK


@pytest.fixture(scope="module")
def arm() -> Arm:
    vector = np.random.default_rng(4).normal(size=D_MODEL)
    return Arm("found", "model", SteeringVector(vector, HOOK, "m", "made up", residual_norm=2.0))


class FewWords:
    """Token ids of a tiny vocabulary as words: "t7" is token 7."""

    bos_token_id, eos_token_id, unk_token_id, all_special_ids = 0, 0, 1, (0, 1)

    def __call__(self, text, *, add_special_tokens: bool):
        assert not add_special_tokens
        one = isinstance(text, str)
        rows = [
            [int(word[1:]) if word[1:].isdigit() else 0 for word in each.split()] for each in ([text] if one else text)
        ]
        return {"input_ids": rows[0] if one else rows}

    def decode(self, ids) -> str:
        return " ".join(f"t{token}" for token in ids)


def questions(*rows: tuple[str, str, str]):
    asked = [
        TaskPrompt(text, (before,) if before else (), (after,) if after else (), form=i % 2)
        for i, (text, before, after) in enumerate(rows)
    ]
    return encode_questions(FewWords(), asked, d_vocab=D_VOCAB)


@pytest.fixture
def asked():
    return questions(("t5 t9 t11", "t3", "t4"), ("t21 t8 t30 t12", "t3", "t6"), ("t17", "t7", "t8"))


@pytest.fixture
def controls():
    return questions(("t40 t2", "", ""), ("t33 t31 t30", "", ""))


def by_hand(model, text: str, arm: Arm, strength: float) -> np.ndarray:
    """Logits after one prompt, unpadded, with a forward hook at its last token."""
    step = torch.from_numpy(strength * 2.0 * arm.vector.vector / arm.vector.norm).float()

    def push(tensor, hook):
        changed = tensor.clone()
        changed[:, -1] += step
        return changed

    ids = torch.tensor([[0, *(int(word[1:]) for word in text.split())]])
    with torch.no_grad():
        return model.run_with_hooks(ids, fwd_hooks=[(HOOK, push)], prepend_bos=False)[0, -1].numpy()


def test_every_trial_is_what_a_hook_by_hand_gives(model, arm, asked, controls):
    strengths = [0.5, 3.0]
    sweep = run_sweep(model, asked, controls, trials([arm], strengths))
    for trial, strength in enumerate(strengths):
        for row, text in enumerate(asked.texts):
            logits = by_hand(model, text, arm, strength)
            answer = int(logits.argmax())
            assert sweep.hits[trial, row] == bool(asked.after[row, answer])
            share = np.exp(logits - logits.max())
            assert sweep.probability[trial, row] == pytest.approx(
                (share * asked.after[row]).sum() / share.sum(), abs=1e-5
            )
        for row, text in enumerate(controls.texts):
            same = by_hand(model, text, arm, strength).argmax() == by_hand(model, text, arm, 0.0).argmax()
            assert sweep.unchanged[trial, row] == same
    plain = [int(by_hand(model, text, arm, 0.0).argmax()) for text in asked.texts]
    assert sweep.known.tolist() == [bool(asked.before[row, answer]) for row, answer in enumerate(plain)]
    assert sweep.layers.tolist() == [1, 1] and sweep.strengths.tolist() == strengths


def test_a_push_to_an_answer_wins_and_the_plain_answer_counts_as_known(model, controls, arm):
    """Questions whose right answers are read off the model itself: success and known are then 1."""
    texts = ["t5 t9 t11", "t17"]
    rows = [
        (text, f"t{by_hand(model, text, arm, 0.0).argmax()}", f"t{by_hand(model, text, arm, 30.0).argmax()}")
        for text in texts
    ]
    sweep = run_sweep(model, questions(*rows), controls, [Trial(arm, 30.0)])
    assert sweep.success.tolist() == [1.0] and sweep.known.all()


def test_strength_zero_changes_nothing_at_all(model, arm, asked, controls):
    sweep = run_sweep(model, asked, controls, trials([arm], [0.0]))
    assert np.array_equal(sweep.hits[0], sweep.plain_hits) and sweep.kept.tolist() == [1.0]


def test_the_model_is_left_as_it_was(model, arm, asked, controls):
    before = steered_logits(model, asked.prompts, [()])
    run_sweep(model, asked, controls, trials([arm], [5.0]))
    with pytest.raises(ValueError, match="overflow at strength|not finite"):
        run_sweep(model, asked, controls, [Trial(arm, 1e30)])
    assert np.array_equal(steered_logits(model, asked.prompts, [()]), before)


def test_bad_input_is_named(model, arm, asked, controls):
    with pytest.raises(ValueError, match="expected at least one trial; got none"):
        run_sweep(model, asked, controls, [])
    with pytest.raises(ValueError, match="every question has an answer expected under steering; got one without"):
        run_sweep(model, controls, asked, [Trial(arm, 1.0)])
    wide = Arm("wide", "model", replace(arm.vector, vector=np.ones(D_MODEL + 1)))
    with pytest.raises(ValueError, match=f"{D_MODEL + 1}"):
        run_sweep(model, asked, controls, [Trial(wide, 1.0)])
    nowhere = Arm("nowhere", "model", replace(arm.vector, hook_name="blocks.9.hook_resid_post"))
    with pytest.raises(ValueError, match=r"blocks\.9"):
        run_sweep(model, asked, controls, [Trial(nowhere, 1.0)])
    long = questions((" ".join(["t5"] * 40), "t3", "t4"))
    with pytest.raises(ValueError, match="positions"):
        run_sweep(model, long, controls, [Trial(arm, 1.0)])


def test_random_directions_are_as_long_as_the_vector_and_differ(arm):
    drawn = random_arms(arm.vector, n=5, seed=1)
    assert np.allclose([each.vector.norm for each in drawn], arm.vector.norm, rtol=1e-12)
    assert len({each.name for each in drawn}) == 5 and len({each.vector.vector[0] for each in drawn}) == 5
    again = random_arms(arm.vector, n=5, seed=1)
    assert all(np.array_equal(a.vector.vector, b.vector.vector) for a, b in zip(drawn, again, strict=True))
    lengths = {float(np.linalg.norm(trial.intervention.step)) for trial in trials([arm, drawn[0]], [0.5])}
    assert np.allclose(list(lengths), 2.0)


def sweep_of(success: dict[tuple[str, str, float], tuple[list[int], list[int]]]) -> Sweep:
    """A sweep with these hits and unchanged controls: (arm, space, strength) -> lists of 0 and 1."""
    keys = list(success)
    hits = np.array([success[key][0] for key in keys], bool)
    return Sweep(
        arms=np.array([key[0] for key in keys]),
        spaces=np.array([key[1] for key in keys]),
        ways=np.array(["where due" if "where due" in key[0] else "always" for key in keys]),
        hook_names=np.array([f"blocks.{len(key[0]) % 3}.hook_resid_post" for key in keys]),
        strengths=np.array([key[2] for key in keys]),
        hits=hits,
        probability=hits.astype(np.float32),
        exact=np.zeros((len(keys), 0), bool),
        unchanged=np.array([success[key][1] for key in keys], bool),
        plain_hits=np.zeros(hits.shape[1], bool),
        known=np.ones(hits.shape[1], bool),
        forms=np.arange(hits.shape[1]) % 2,
    )


def test_the_most_success_among_the_harmless_is_chosen():
    sweep = sweep_of(
        {
            ("x", "model", 1.0): ([1, 1, 0, 0], [1, 1, 1, 1]),
            ("x", "model", 2.0): ([1, 1, 1, 0], [1, 1, 1, 0]),
            ("x", "model", 3.0): ([1, 1, 1, 1], [1, 0, 0, 0]),  # the trap: most success, and it breaks the controls
            ("z", "model", 1.5): ([1, 1, 1, 0], [1, 1, 1, 1]),
            ("lucky", "random", 1.0): ([1, 1, 1, 1], [1, 1, 1, 1]),  # a baseline is never chosen
        }
    )
    found = best_trial(sweep, min_kept=0.75)
    assert (found.arm, found.strength, found.success, found.kept, found.is_harmless) == ("z", 1.5, 0.75, 1.0, True)
    surer = sweep_of({("x", "model", 1.0): ([1, 0], [1, 1, 1]), ("x", "model", 2.0): ([1, 0], [1, 1, 0])})
    surer = replace(surer, probability=np.array([[0.6, 0.1], [0.9, 0.2]], np.float32))
    assert best_trial(surer, min_kept=0.6).strength == 2.0  # of equals the surest, whatever else it changes
    only = best_trial(sweep, min_kept=0.75, among=["x"])
    assert (only.arm, only.strength) == ("x", 2.0)
    with pytest.raises(ValueError, match="expected arms of the sweep to choose from"):
        best_trial(sweep, min_kept=0.75, among=["w"])


def test_a_share_that_is_just_enough_is_enough():
    """The trap: 0.9 + 0.05 is 0.9500000000000001, and 19 of 20 controls are 0.95."""
    sweep = sweep_of({("x", "model", 1.0): ([1, 0], [1] * 20), ("x", "model", 2.0): ([1, 1], [1] * 19 + [0])})
    assert 19 / 20 < 0.9 + 0.05
    found = best_trial(sweep, min_kept=0.9 + 0.05)
    assert found.is_harmless and found.strength == 2.0
    assert best_trial(sweep, min_kept=0.951).strength == 1.0


def test_where_nothing_is_harmless_the_least_harmful_that_works_is_chosen_and_says_so():
    sweep = sweep_of(
        {
            ("x", "model", 1.0): ([0, 0], [1, 1, 1, 0]),
            ("x", "model", 2.0): ([1, 0], [1, 1, 0, 0]),
            ("x", "model", 3.0): ([1, 1], [1, 0, 0, 0]),
        }
    )
    found = best_trial(sweep, min_kept=0.9)
    assert found.strength == 2.0 and not found.is_harmless


def test_a_choice_is_scored_beside_its_baselines():
    chosen = best_trial(sweep_of({("x", "model", 1.0): ([1, 0], [1, 1])}), min_kept=0.9)
    held_out = sweep_of(
        {
            ("x", "model", 1.0): ([1, 1, 1, 0], [1, 1, 1, 1, 0]),
            ("r0", "random", 1.0): ([1, 0, 0, 0], [1, 1, 1, 1, 1]),
            ("r1", "random", 1.0): ([0, 0, 0, 0], [1, 1, 1, 1, 1]),
            ("r2", "random", 1.0): ([1, 1, 1, 0], [1, 1, 1, 1, 1]),  # as good as the choice, by luck
        }
    )
    score = score_choice(held_out, chosen, task="t", baselines="random")
    assert score.success.value == 0.75 and score.kept.value == 0.8 and score.exact is None
    assert score.worst_form == 0.5  # forms 0, 1, 0, 1: the second has one hit of two
    assert score.null is not None and score.null.value == pytest.approx(4 / 12) and score.null_max == 0.75
    assert score.p == pytest.approx((1 + 1) / (1 + 3))
    with pytest.raises(ValueError, match="no shuffled directions"):
        score_choice(held_out, chosen, task="t", baselines="shuffled")
    longer = sweep_of({("x", "model", 1.0): ([1, 0], [1, 1]), ("s0", "shuffled", 2.0): ([1, 1], [1, 1])})
    with pytest.raises(
        ValueError, match="no shuffled directions at strength 1"
    ):  # of another length: no baseline of it
        score_choice(longer, chosen, task="t", baselines="shuffled")
    other_way = sweep_of({("x", "model", 1.0): ([1, 0], [1, 1]), ("r0, where due", "random", 1.0): ([1, 1], [1, 1])})
    with pytest.raises(ValueError, match="no random directions at strength 1.0, added always"):
        score_choice(other_way, chosen, task="t", baselines="random")
    with pytest.raises(ValueError, match="no trial of 'x' at strength 7"):
        score_choice(held_out, replace(chosen, strength=7.0), task="t")
    with pytest.raises(ValueError, match="unknown arm 'w'; this sweep has x, r0, r1, r2"):
        held_out.of_arm("w")


def test_a_sweep_is_saved_and_read_back(tmp_path):
    sweep = sweep_of({("x", "model", 1.0): ([1, 0], [1, 1]), ("r0", "random", 2.0): ([0, 0], [1, 0])})
    sweep.save(tmp_path / "s.npz")
    again = Sweep.load(tmp_path / "s.npz")
    assert all(np.array_equal(getattr(sweep, name), getattr(again, name)) for name in vars(sweep))
    with pytest.raises(ValueError, match="found no such file; run 13_steering again"):
        Sweep.load(tmp_path / "none.npz")
    (tmp_path / "s.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="cannot be read as a sweep"):
        Sweep.load(tmp_path / "s.npz")
    np.savez(tmp_path / "new.npz", format_version=99)
    with pytest.raises(ValueError, match="format 99 is newer"):
        Sweep.load(tmp_path / "new.npz")


def test_surprise_is_that_of_the_plain_model_token_by_token(model, asked):
    """Unpadded rows, one at a time; with steering the surprise is still the plain model's."""
    texts = np.array([[3, 9, 4], [7, 7, 7], [11, 2, 30]])
    found = plain_surprise(model, asked.prompts, texts)
    for row, text in enumerate(asked.texts):
        start = [0, *(int(word[1:]) for word in text.split())]
        ids = torch.tensor([[*start, *texts[row]]])
        with torch.no_grad():
            logprobs = model(ids, prepend_bos=False)[0].double().log_softmax(-1).numpy()
        expected = [-logprobs[len(start) - 1 + i, token] for i, token in enumerate(texts[row])]
        assert np.allclose(found[row], expected, atol=1e-4)  # float32 logits of about 10


def test_perplexity_leaves_the_steered_answer_out(model, asked, arm):
    settings = [(), arm.vector.add(strength=4.0, unit="residual_norm", at="last")]
    found = steered_continuations(model, asked.prompts, settings, n_new=4, seed=2)
    assert found.tokens.shape == found.surprise.shape == (2, 3, 4)
    assert np.allclose(found.surprise[1], plain_surprise(model, asked.prompts, found.tokens[1]))
    assert np.allclose(found.perplexity, np.exp(found.surprise[:, :, 1:].reshape(2, -1).mean(axis=1)))
    with pytest.raises(ValueError, match="n_new is at least 2"):
        steered_continuations(model, asked.prompts, settings, n_new=1)
