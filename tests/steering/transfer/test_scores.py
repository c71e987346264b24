"""Shares of an effect: shifts against hand-written hooks, shares and p by hand, strengths, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.steering import SteeringVector, given_vector
from helpers.steering.transfer import (
    RANDOM_VECTORS,
    AnswerShift,
    TransferScores,
    chosen_strength,
    score_transfer,
    shift_effects,
)
from tests.steering.conftest import D_MODEL, D_VOCAB, HOOK
from tests.steering.test_interventions import AT, by_hand, is_untouched

TOWARD, AWAY = [3, 9, 12], [20, 31]
STEP = {"hook_name": HOOK, "residual_norm": 4.0}


@pytest.fixture
def shift(prompts) -> AnswerShift:
    return AnswerShift(prompts, np.array(TOWARD), np.array(AWAY))


def own_of(vector: np.ndarray) -> SteeringVector:
    return given_vector(vector, hook_name=HOOK, name="b", residual_norm=4.0)


def test_effects_are_those_of_a_hook_by_hand(model, shift, prompts):
    """Half the difference of adding and subtracting, adding alone, and the top answer; the lengths of vectors do not count."""
    vectors = np.random.default_rng(0).normal(size=(3, D_MODEL)) * [[1], [100], [0.01]]
    found = shift_effects(model, shift, vectors, strength=0.5, **STEP)
    plain = by_hand(model, prompts, HOOK, lambda x: x, AT["last"])

    def lead(logits):
        return logits[:, TOWARD].mean(axis=1) - logits[:, AWAY].mean(axis=1)

    for number, vector in enumerate(vectors):
        step = torch.from_numpy(vector / np.linalg.norm(vector) * 2.0).float()
        plus, minus = (by_hand(model, prompts, HOOK, lambda x, step=s * step: x + step, AT["last"]) for s in (1, -1))
        # Logits of order 1 in float32; means of three of them.
        assert np.allclose(found.logit_difference[number], (lead(plus) - lead(minus)) / 2, atol=1e-4)
        assert np.allclose(found.added[number], lead(plus) - lead(plain), atol=1e-4)
        assert np.array_equal(found.success[number], np.isin(plus.argmax(axis=1), TOWARD))
    opposite = shift_effects(model, shift, -vectors, strength=0.5, **STEP)
    assert np.allclose(opposite.logit_difference, -found.logit_difference, atol=1e-4)
    assert is_untouched(model)


def test_strength_is_the_least_that_succeeds(model, prompts):
    shift = AnswerShift(prompts, np.arange(0, D_VOCAB, 2), np.arange(1, D_VOCAB, 2))
    vector = np.random.default_rng(3).normal(size=D_MODEL)
    strengths = (4.0, 0.25, 1.0)
    by_strength = {s: shift_effects(model, shift, vector[None], strength=s, **STEP).success.mean() for s in strengths}
    best = max(by_strength.values())
    least, found = chosen_strength(model, shift, vector, strengths=strengths, min_success=best, **STEP)
    assert found == by_strength and list(found) == sorted(strengths)
    assert least == min(s for s, success in by_strength.items() if success >= best)
    never, _ = chosen_strength(model, shift, vector, strengths=strengths, min_success=1.1, **STEP)
    assert never == least  # none reaches it: the one with most success
    with pytest.raises(ValueError, match="strengths to try; got none"):
        chosen_strength(model, shift, vector, strengths=(), min_success=0.5, **STEP)


def planted() -> TransferScores:
    """Six prompts; the own vector turns four, the carried one three, of two null runs one turns none and one turns one."""
    own = {"success": np.array([1.0, 1, 1, 1, 0, 0]), "logit_difference": np.full(6, 2.0), "added": np.zeros(6)}
    good = {"success": np.array([1.0, 1, 1, 0, 0, 0]), "logit_difference": np.full(6, 1.5), "added": np.ones(6)}
    chance = {
        "success": np.array([[0.0] * 6, [0, 0, 1, 0, 0, 0]]),
        "logit_difference": np.array([[1.5] * 6, [-0.5] * 6]),
        "added": np.zeros((2, 6)),
    }
    return TransferScores(own, {"good": good}, {("good", "wrong"): chance, ("", "random"): chance}, 0.4, {"task": "t"})


def test_shares_by_hand():
    scores = planted()
    assert scores.share("good", "success").value == pytest.approx(3 / 4)
    assert scores.null_share("good", "wrong", "success").value == pytest.approx((1 / 12) / (4 / 6))
    steady = scores.share("good", "logit_difference")  # every prompt has the same share: nothing to vary
    assert (steady.low, steady.value, steady.high) == pytest.approx((0.75, 0.75, 0.75))
    assert scores.null_share("good", "wrong", "logit_difference").value == pytest.approx(0.25)
    low, high = (getattr(scores.null_share("good", "wrong", "logit_difference"), side) for side in ("low", "high"))
    assert (low, high) == pytest.approx((-0.25, 0.75))  # runs are drawn too: both of the first, or both of the second
    assert scores.share("good", "added") is None and scores.null_share("good", "wrong", "added") is None
    assert scores.nulls_of("good") == ("wrong", "random")
    assert scores.own_effect("success").value == pytest.approx(4 / 6)


def test_p_counts_ties_and_the_score_itself():
    scores = planted()
    assert scores.p_value("good", "wrong", "success") == pytest.approx(1 / 3)
    assert scores.p_value("good", "wrong", "logit_difference") == pytest.approx(2 / 3)  # the first run ties


def test_the_interval_covers_as_promised():
    """Of shares with true value 0.5, about 95 % of the intervals hold it: 200 worlds, 99.9 % of which give 176 or more."""
    rng = np.random.default_rng(0)
    hits = 0
    for world in range(200):
        own = rng.normal(4, 1, size=60)
        part = {"logit_difference": 0.5 * own + rng.normal(0, 1, size=60)}
        scores = TransferScores({"logit_difference": own}, {"m": part}, {}, 1.0)
        share = scores.share("m", "logit_difference", n_boot=400, seed=world)
        hits += share.low <= 0.5 <= share.high
    assert hits >= 176


def test_scores_of_a_transfer(model, shift):
    """The own vector carried as it is keeps all; its opposite loses what it gained; nulls go to their methods."""
    rng = np.random.default_rng(4)
    own = own_of(rng.normal(size=D_MODEL))
    carried = {"same": own, "longer": own_of(7 * own.vector), "opposite": own_of(-own.vector)}
    wrong = rng.normal(size=(5, D_MODEL))
    scores = score_transfer(model, shift, own, carried, strength=1.0, nulls={("same", "wrong"): wrong}, n_random=6)
    effects = shift_effects(model, shift, np.stack([own.vector, *wrong]), strength=1.0, **STEP)
    assert np.allclose(scores.own["logit_difference"], effects.logit_difference[0], atol=1e-4)
    assert np.allclose(scores.nulls["same", "wrong"]["added"], effects.added[1:], atol=1e-4)
    for method, sign in (("same", 1), ("longer", 1), ("opposite", -1)):
        assert np.allclose(scores.carried[method]["logit_difference"], sign * scores.own["logit_difference"], atol=1e-4)
    assert scores.nulls_of("same") == ("wrong", RANDOM_VECTORS) and scores.nulls_of("opposite") == (RANDOM_VECTORS,)
    assert scores.nulls["", RANDOM_VECTORS]["success"].shape == (6, 3)


def test_saved_scores_come_back(tmp_path):
    scores = planted()
    scores.save(tmp_path / "transfer.npz")
    found = TransferScores.load(tmp_path / "transfer.npz")
    assert found.strength == 0.4 and found.settings == {"task": "t"} and found.methods == ("good",)
    assert found.share("good", "success") == scores.share("good", "success")
    assert found.p_value("good", "random", "success") == scores.p_value("good", "random", "success")
    with pytest.raises(ValueError, match="found no such file"):
        TransferScores.load(tmp_path / "nothing.npz")
    (tmp_path / "broken.npz").write_bytes(b"no")
    with pytest.raises(ValueError, match="cannot be read as transfer scores"):
        TransferScores.load(tmp_path / "broken.npz")
    with (tmp_path / "newer.npz").open("wb") as file:
        np.savez(file, format_version=np.int64(99))
    with pytest.raises(ValueError, match="format 99 is newer"):
        TransferScores.load(tmp_path / "newer.npz")


def test_bad_shifts(model, prompts, shift):
    with pytest.raises(ValueError, match="got token 3 in both"):
        AnswerShift(prompts, np.array([3]), np.array([3, 4]))
    for ids in ([], [-1]):
        with pytest.raises(ValueError, match="toward holds token ids"):
            AnswerShift(prompts, np.array(ids), np.array([4]))
    vectors = np.ones((1, D_MODEL))
    with pytest.raises(ValueError, match=r"\(n, 16\), the width of blocks.1.hook_resid_post; got \(1, 15\)"):
        shift_effects(model, shift, vectors[:, 1:], strength=1.0, **STEP)
    with pytest.raises(ValueError, match="a direction is not zero"):
        shift_effects(model, shift, 0 * vectors, strength=1.0, **STEP)
    with pytest.raises(ValueError, match="strength is positive; got 0"):
        shift_effects(model, shift, vectors, strength=0, **STEP)
    with pytest.raises(ValueError, match=f"below the model's {D_VOCAB}; got 99"):
        shift_effects(model, AnswerShift(prompts, np.array([99]), np.array([4])), vectors, strength=1.0, **STEP)
    with pytest.raises(ValueError, match="hook of the model"):
        shift_effects(model, shift, vectors, strength=1.0, hook_name="blocks.1.nothing", residual_norm=4.0)
    with pytest.raises(ValueError, match="overflow at strength"):
        shift_effects(model, shift, vectors, strength=1e30, **STEP)
    assert is_untouched(model)


def test_bad_transfers(model, shift, vector):
    own = own_of(vector)
    with pytest.raises(ValueError, match="got 0 and 5"):
        score_transfer(model, shift, own, {}, strength=1.0, n_random=5)
    with pytest.raises(ValueError, match="got 1 and 0"):
        score_transfer(model, shift, own, {"m": own}, strength=1.0, n_random=0)
    lower = given_vector(vector, hook_name="blocks.0.hook_resid_post", name="b")
    with pytest.raises(ValueError, match=r"'m' is a vector of blocks.1.hook_resid_post .* got one of blocks.0"):
        score_transfer(model, shift, own, {"m": lower}, strength=1.0)
    with pytest.raises(ValueError, match="with width 16, as the own one; got one of blocks.1.hook_resid_post with 8"):
        score_transfer(model, shift, own, {"m": given_vector(vector[:8], hook_name=HOOK, name="b")}, strength=1.0)
    with pytest.raises(ValueError, match="measure mean_residual_norm"):
        score_transfer(model, shift, given_vector(vector, hook_name=HOOK, name="b"), {"m": own}, strength=1.0)
    with pytest.raises(ValueError, match="nulls are of methods that are carried"):
        score_transfer(model, shift, own, {"m": own}, strength=1.0, nulls={("n", "x"): vector[None]})
    with pytest.raises(ValueError, match="method is one of good; got 'bad'"):
        planted().share("bad", "success")
    with pytest.raises(ValueError, match="null of 'good' is one of wrong, random; got 'x'"):
        planted().p_value("good", "x", "success")
