"""A task from its prompts to its scores: whatever the held-out prompts hold, the choice is made on the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.saes import LoadedSae
from helpers.steering import Condition, difference_of_means, encode_prompts, prompt_states, steered_logits
from helpers.steering.scores import Bench, SteeringTask, SteeringTasks, TaskPrompt, trials
from helpers.steering.scores import experiment as module
from tests.steering.conftest import D_MODEL, D_SAE, HOOK, N_LAYERS, make_sae
from tests.steering.scores.test_sweep import FewWords
from tests.steering.test_interventions import is_untouched

WEAK, STRONG = 1.0, 8.0  # at eight mean lengths only the direction counts: one answer to nearly every prompt
TOWARD = ("t10 t11", "t12 t11", "t13 t11 t5")
AWAY = ("t10 t20", "t12 t20", "t13 t20 t5")
TEXTS = {"validate": ("t5 t9 t11", "t21 t8 t30 t12", "t17", "t40 t6"), "held_out": ("t9 t31", "t22 t14", "t18", "t41")}
CONTROLS = {"validate": ("t40 t2", "t33"), "held_out": ("t44 t7 t3", "t35 t36")}
FIRING = np.arange(5, 35)
TEXT = encode_prompts(FewWords(), [f"t{a} t{b} t{a + 1}" for a in range(5, 45, 3) for b in (6, 25, 44)]).as_batch()
N_LIVE = 10

# What is tested here is the order of things; that interventions act in every architecture is tested elsewhere.
pytestmark = pytest.mark.parametrize("model", ["gpt_neox"], indirect=True, scope="session")


@pytest.fixture(scope="module")
def sparse() -> LoadedSae:
    """Only features 0 to 9 ever fire, so that there are others to draw."""
    sae = make_sae()
    with torch.no_grad():
        sae.b_enc[N_LIVE:] = -1e6
    return LoadedSae(sae=sae, hook_name=HOOK, prepend_bos=True, center_writing_weights=False)


def task_of(**answers: Sequence[str]) -> SteeringTask:
    """The task with these answers expected under steering; a part that is not named expects t3."""
    parts = {
        part: tuple(
            TaskPrompt(text, (), (word,), form=number % 2)
            for number, (text, word) in enumerate(zip(texts, answers.get(part, ["t3"] * 4), strict=True))
        )
        for part, texts in TEXTS.items()
    }
    return SteeringTask("shift", "?", TOWARD, AWAY, **parts)


def bench_of(model, loaded, task: SteeringTask, **changes: object) -> Bench:
    controls = [tuple(TaskPrompt(text) for text in CONTROLS[part]) for part in ("validate", "held_out")]
    settings = {"strengths": [WEAK, STRONG], "min_kept": 0.0, "n_baselines": 3, "n_resamples": 100} | changes
    return Bench(model, FewWords(), SteeringTasks((task,), *controls), loaded, TEXT, FIRING, "m", **settings)


def settings_of(scores) -> dict[str, tuple[str, float]]:
    return {name: (score.arm, score.strength) for name, score in scores.items()}


@pytest.fixture(scope="module")
def said(model, sparse):
    """(part, arm, strength) -> what the model answers to the prompts of the part."""
    bench = bench_of(model, sparse, task_of())
    tried = trials(bench.arms(task_of()).all, bench.strengths)

    def answers(part: str, arm: str, strength: float) -> list[str]:
        (trial,) = [each for each in tried if (each.arm.name, each.strength) == (arm, strength)]
        prompts = encode_prompts(FewWords(), TEXTS[part])
        return [f"t{token}" for token in steered_logits(model, prompts, [trial.intervention])[0].argmax(axis=1)]

    return answers


def test_a_better_setting_of_the_held_out_prompts_is_not_chosen(model, sparse, said):
    """Planted: on validation layer 2 gives every answer, on held-out prompts layer 0 does, and layer 2 none."""
    on_validation, on_held_out = said("validate", "layer 2", STRONG), said("held_out", "layer 0", STRONG)
    assert not set(on_held_out) & set(said("held_out", "layer 2", STRONG))
    planted = task_of(validate=on_validation, held_out=on_held_out)
    run = bench_of(model, sparse, planted).run(planted)
    assert (run.choice.arm, run.choice.strength, run.choice.success) == ("layer 2", STRONG, 1.0)
    assert run.score.success.value == 0 and (run.score.layer, run.score.strength) == (2, STRONG)
    curve = bench_of(model, sparse, planted).curve(planted, replace(run, choice=replace(run.choice, layer=0)))
    assert curve.success[curve.of_arm("layer 0")[-1]] == 1  # it was there to be found
    fair = task_of(validate=on_validation, held_out=said("held_out", "layer 2", STRONG))
    again = bench_of(model, sparse, fair).run(fair)
    assert again.choice == run.choice and settings_of(again.spaces) == settings_of(run.spaces)
    assert settings_of(again.ways) == settings_of(run.ways)
    assert again.score.success.value == 1 and again.chosen.vector.layer == 2
    assert is_untouched(model)


def test_held_out_prompts_meet_the_chosen_settings_and_baselines_alone(model, sparse, said, monkeypatch):
    """No held-out prompt or control is run before the choice, and no other found direction after it."""
    asked: list[tuple[set[str], set[str], set[tuple[str, float]]]] = []
    real = module.run_sweep

    def watched(model, questions, controls, tried):
        names = {(each.arm.name, each.strength) for each in tried}
        asked.append((set(questions.texts), set(controls.texts), names))
        return real(model, questions, controls, tried)

    monkeypatch.setattr(module, "run_sweep", watched)
    task = task_of(validate=said("validate", "layer 2", STRONG))
    run = bench_of(model, sparse, task).run(task)
    (first, second) = asked
    assert first[:2] == (set(TEXTS["validate"]), set(CONTROLS["validate"]))
    assert second[:2] == (set(TEXTS["held_out"]), set(CONTROLS["held_out"]))
    assert first[2] == {(arm.name, strength) for arm in run.arms.all for strength in (WEAK, STRONG)}
    chosen = {(each.arm, each.strength) for each in (run.choice, *run.ways.values(), *run.spaces.values())}
    ends = {"always": "", "where due": ", where due"}
    random = {(f"random {n}{ends[each.way]}", each.strength) for n in range(3) for each in run.ways.values()}
    shuffled = {(f"shuffled {n}{ends[each.way]}", each.strength) for n in range(3) for each in run.spaces.values()}
    assert second[2] == chosen | random | shuffled and set(run.ways) == {"always", "where due"}


def test_controls_bar_a_setting(model, sparse, said):
    """The best setting changes most controls; where half of them must stay, one that hardly does anything is chosen."""
    task = task_of(validate=said("validate", "layer 2", STRONG))
    settings = {"strengths": [0.001, STRONG]}
    free, bound = (bench_of(model, sparse, task, min_kept=kept, **settings).run(task) for kept in (0.0, 0.5))
    assert free.choice.success == 1 and free.choice.kept < 0.5
    assert bound.choice.is_harmless and bound.choice.kept >= 0.5 and bound.choice.success < 1
    assert bound.score.kept.value == bound.held_out.kept[bound.held_out.of_arm(bound.choice.arm)[0]]


def test_spaces_are_scored_beside_shuffled_features_of_their_own_strength(model, sparse, said):
    """Model space is chosen strong and SAE space weak: each has baselines of its length, as many as asked for."""
    strong, weak = said("validate", "layer 1", STRONG), said("validate", "sae", WEAK)
    assert all(strong[number] != weak[number] for number in (0, 1))
    task = task_of(validate=[*weak[:2], *strong[2:]])
    run = bench_of(model, sparse, task).run(task)
    assert set(run.arms.spaces) == {"model", "sae", "cleaned"} == set(run.spaces)
    for score in run.spaces.values():
        assert score.layer == 1
        baselines = run.held_out.of_space("shuffled", way=score.way)
        here = baselines[run.held_out.strengths[baselines] == score.strength]
        assert len(here) == 3 and score.null_max == run.held_out.success[here].max()
        better = (run.held_out.success[here] >= score.success.value).sum()
        assert score.p == pytest.approx((1 + better) / (1 + 3))
    assert run.spaces["sae"].strength != run.spaces["model"].strength
    assert run.spaces["model"].arm.startswith("layer 1")


def test_the_directions_of_a_task(model, sparse):
    bench = bench_of(model, sparse, task_of())
    arms = bench.arms(task_of())
    names = ["layer 0", "layer 1", "layer 2", "sae", "cleaned"]
    assert [arm.name for arm in arms.all] == [*names, *(f"{name}, where due" for name in names)]
    for name in names:
        always, due = arms.arm(name), arms.arm(f"{name}, where due")
        assert due.vector is always.vector and (always.condition, due.condition.hook_name) == (
            None,
            always.vector.hook_name,
        )
        assert (always.way, due.way, due.space) == ("always", "where due", always.space)
    assert arms.spaces["model"] is arms.layers[1] and [arm.layer for arm in arms.layers] == list(range(N_LAYERS))
    sides = [encode_prompts(FewWords(), texts) for texts in (TOWARD, AWAY)]
    by_hand = difference_of_means(model, *sides, hook_name="blocks.2.hook_resid_post", name="m")
    assert np.array_equal(arms.layers[2].vector.vector, by_hand.vector)
    assert arms.layers[2].vector.residual_norm == by_hand.residual_norm
    assert np.allclose(arms.spaces["sae"].vector.vector, arms.summed.vector)
    away = prompt_states(model, sides[1], hook_name=HOOK)
    assert arms.conditions[HOOK].share(away) > arms.conditions[HOOK].share(bench.text_rows[HOOK])
    assert set(arms.cleaned.feature_ids) < set(arms.summed.feature_ids) <= set(range(N_LIVE))


def test_a_dictionary_in_which_nothing_fires_leaves_the_model_space(model, sparse, said):
    sae = make_sae()
    with torch.no_grad():
        sae.b_enc[:] = -1e6
    task = task_of(validate=said("validate", "layer 2", STRONG))
    run = bench_of(model, replace(sparse, sae=sae), task).run(task)
    assert set(run.spaces) == {"model"} and run.choice.arm == "layer 2"
    score = run.spaces["model"]
    assert score.null is None and score.null_max is None and score.p is None
    assert run.score.null is not None  # random directions need no dictionary


def test_the_curve_holds_every_strength_and_a_few_baselines(model, sparse):
    task = task_of()
    bench = bench_of(model, sparse, task, n_baselines=8)
    run = bench.run(task)
    curve = bench.curve(task, run)
    found = {f"layer {run.choice.layer}", "layer 1", "sae", "cleaned"}
    always = found | {f"{kind} {number}" for kind in ("random", "shuffled") for number in range(2)}
    assert set(curve.arms) == always | {f"{name}, where due" for name in always}
    assert all(curve.strengths[curve.of_arm(arm)].tolist() == [WEAK, STRONG] for arm in set(curve.arms))
    chosen = curve.of_arm(run.choice.arm)
    at = chosen[curve.strengths[chosen] == run.choice.strength][0]
    assert np.array_equal(curve.hits[at], run.held_out.hits[0])  # the same prompts, the same answers


def test_where_the_condition_holds_is_read_at_the_end_of_each_text_at_the_layer_of_its_own_setting(model, sparse):
    """Beside rows taken by hand; conditions that hold for about half of them, one a layer, all different."""
    task = task_of()
    bench = bench_of(model, sparse, task)
    run = bench.run(task)
    hook = f"blocks.{run.ways['where due'].layer}.hook_resid_post"

    def ends(texts: Sequence[str], at: str) -> np.ndarray:
        rows = []
        for text in texts:  # one by one: no padding
            prompts = encode_prompts(FewWords(), [text])
            _, cache = model.run_with_cache(torch.from_numpy(prompts.input_ids), names_filter=[at], prepend_bos=False)
            rows.append(cache[at][0, -1].double().numpy())
        return np.array(rows)

    conditions = {}
    for number, name in enumerate(bench.hook_names):
        weights = np.random.default_rng(number).normal(size=D_MODEL)
        middle = np.median(ends([*TEXTS["validate"], *TEXTS["held_out"], *CONTROLS["held_out"]], name) @ weights)
        conditions[name] = Condition(weights, -middle, name)
    run = replace(run, arms=replace(run.arms, conditions=conditions))
    own = conditions[hook]
    assert bench.recognised(task, run) == {
        name: pytest.approx((ends(texts, hook) @ own.weights + own.offset > 0).mean())
        for name, texts in {
            "validation": TEXTS["validate"], "held_out": TEXTS["held_out"],
            "validation_controls": CONTROLS["validate"], "held_out_controls": CONTROLS["held_out"],
        }.items()
    }  # fmt: skip


def test_runs_repeat_and_seeds_draw_other_baselines(model, sparse):
    task = task_of()
    first, same, other = (bench_of(model, sparse, task, seed=seed, strengths=[STRONG]).run(task) for seed in (0, 0, 1))
    assert first.score == same.score and first.spaces == same.spaces and first.ways == same.ways
    assert first.choice == other.choice
    for space in ("random", "shuffled"):
        probability = [run.held_out.probability[run.held_out.of_space(space)] for run in (first, same, other)]
        assert np.array_equal(probability[0], probability[1]) and not np.allclose(probability[0], probability[2])


def test_questions_are_those_of_the_part(model, sparse):
    task = replace(task_of(held_out=["t4"] * 4), min_probability=0.3)
    bench = bench_of(model, sparse, task)
    for part, token in (("validate", 3), ("held_out", 4)):
        found = bench.questions(task, part)
        assert found.texts == TEXTS[part] and found.min_probability == 0.3
        assert found.after[:, token].all() and found.after.sum() == 4
        assert bench.controls(part).texts == CONTROLS[part] and not bench.controls(part).after.any()


def test_features_are_named_at_the_dictionarys_hook_alone(model, sparse):
    bench = bench_of(model, sparse, task_of(), labels={3: "Monday", 4: ""})
    assert bench.feature_name(HOOK, 3) == "Monday"
    assert bench.feature_name("blocks.2.hook_resid_post", 3) == "3"  # another dictionary's feature 3
    assert bench.feature_name(HOOK, 4) == "4" and bench.feature_name(HOOK, D_SAE - 1) == str(D_SAE - 1)


def test_a_dictionary_elsewhere_is_refused(model, sparse):
    inside = replace(sparse, hook_name="blocks.1.hook_mlp_out")
    with pytest.raises(
        ValueError, match=r"a block's output, blocks.0.* to blocks.2.*; got one of blocks.1.hook_mlp_out"
    ):
        bench_of(model, inside, task_of()).run(task_of())
    few = replace(bench_of(model, sparse, task_of()), firing=np.arange(12))
    with pytest.raises(ValueError, match="as many other features as the sum has"):
        few.run(task_of())


def test_prompts_open_with_bos_as_the_dictionary_was_trained(model, sparse):
    """The trap: prompts with BOS for a dictionary that never saw one."""
    for with_bos in (True, False):
        bench = bench_of(model, replace(sparse, prepend_bos=with_bos), task_of())
        for prompts in (
            bench.prompts(["t5 t9"]),
            bench.questions(task_of(), "validate").prompts,
            bench.controls("held_out").prompts,
        ):
            first = prompts.input_ids[np.arange(prompts.n_prompts), prompts.attention_mask.argmax(axis=1)]
            assert (first == FewWords.bos_token_id).all() == with_bos
