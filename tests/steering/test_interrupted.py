"""Whatever runs a model, and wherever it is interrupted: no hook is left, no block is skipped, gradients are as before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from helpers.steering import (
    add,
    clamp,
    contrastive_pairs,
    generate,
    given_vector,
    prompt_states,
    steered_logits,
    steered_parts,
)
from helpers.steering.effects import (
    Answers,
    CirclePlane,
    downstream_effect,
    feature_effects,
    functional_similarity,
    move_along_circle,
    restored_effect,
)
from helpers.steering.scores import Arm, Trial, run_sweep, steered_continuations
from helpers.steering.transfer import (
    AnswerDomain,
    AnswerShift,
    paired_moments,
    remove_partners,
    score_transfer,
)
from tests.steering.conftest import D_MODEL, HOOK, prompts_of
from tests.steering.scores.test_sweep import questions
from tests.steering.test_interventions import is_untouched
from tests.steering.transfer.test_maps import batch
from tests.steering.transfer.test_partners import COUNTS, identity, pairs_of

# Hooks are put in and taken out by code that does not know the architecture.
pytestmark = pytest.mark.parametrize("model", ["gpt_neox"], indirect=True, scope="session")


def runs(model, loaded) -> dict[str, Callable[[], object]]:
    """Name -> a small run of everything that calls the model."""
    prompts = prompts_of([5, 9, 11], [21, 8], [17])
    vector = np.random.default_rng(8).normal(size=D_MODEL)
    own = given_vector(vector, hook_name=HOOK, name="m", residual_norm=4.0)
    push = add(3 * vector, hook_name=HOOK, at="last")
    settings = [push, clamp(loaded, 3, 2.5)]
    answers = Answers(np.array([3, 9, 12]), np.array([4, 5, 6]))
    asked, controls = questions(("t5 t9", "t3", "t4"), ("t17", "t7", "t8")), questions(("t40 t2", "", ""))
    plane = CirclePlane(HOOK, np.eye(D_MODEL)[:2], np.zeros(D_MODEL), np.array([0.0, 1.0, 2.0]))
    shift = AnswerShift(prompts, np.array([3, 9]), np.array([20, 31]))
    some = np.array([1, 2, 4, 5])
    return {
        "logits": lambda: steered_logits(model, prompts, settings, batch_size=2),
        "parts": lambda: list(steered_parts(model, prompts, settings, hook_names=[HOOK], shared_prefix=False)),
        "text, cached": lambda: generate(model, prompts, settings, n_new=2),
        "text": lambda: generate(model, prompts, settings, n_new=2, use_cache=False),
        "states": lambda: prompt_states(model, prompts, hook_name=HOOK),
        "vector": lambda: contrastive_pairs(model, prompts, prompts_of([5], [6], [7]), hook_name=HOOK, name="m"),
        "sweep": lambda: run_sweep(model, asked, controls, [Trial(Arm("own", "model", own), 1.0)]),
        "fluency": lambda: steered_continuations(model, prompts, settings, n_new=2),
        "moments": lambda: paired_moments(model, model, batch(4), hooks_a=[HOOK], hooks_b=[HOOK], n_folds=2),
        "transfer": lambda: score_transfer(model, shift, own, {"own": own}, strength=0.5, n_random=2),
        "removals": lambda: remove_partners(
            model, loaded, AnswerDomain(prompts, some), some, some, identity(), counts_b=COUNTS, n_runs=2
        ),
        "downstream": lambda: downstream_effect(model, prompts, push, [loaded]),
        "restored": lambda: restored_effect(
            model, prompts, push, loaded, answers, n_features=2, n_directions=1, n_random=1
        ),
        "attribution": lambda: feature_effects(model, prompts, loaded, answers, n_candidates=2, n_random=0),
        "functional": lambda: functional_similarity(model, model, prompts, loaded, loaded, pairs_of(some, some)),
        "circle": lambda: move_along_circle(
            model, prompts, plane, words=np.arange(3), answer_ids=np.array([3, 9, 12]), n_random=1
        ),
    }


NAMES = (
    "logits", "parts", "text, cached", "text", "states", "vector", "sweep", "fluency", "moments", "transfer", "removals",
    "downstream", "restored", "attribution", "functional", "circle",
)  # fmt: skip


def left(model) -> list[object]:
    """Everything that a run may leave behind."""
    hooks = [
        (len(each._forward_hooks), len(each._forward_pre_hooks), len(each._backward_hooks)) for each in model.modules()
    ]
    wanted = [(parameter.requires_grad, parameter.grad is None) for parameter in model.parameters()]
    return [hooks, wanted, torch.is_grad_enabled(), is_untouched(model)]


class Interrupted(BaseException):
    """Not an error that anything may handle."""


def with_interruption(model, run: Callable[[], object], *, at_call: int | None) -> int:
    """Run, raising inside the given call of the last two blocks; how often they were called."""
    calls = 0

    def interrupt(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == at_call:
            raise Interrupted

    handles = [model.blocks[layer].original_component.register_forward_hook(interrupt) for layer in (1, 2)]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return calls


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_wherever_a_run_ends(model, loaded, name):
    run = runs(model, loaded)[name]
    model(torch.tensor([[0, 5]]))  # the bridge puts in hooks of its own at the first pass, and keeps them
    before = left(model)
    assert before[-1]
    n_calls = with_interruption(model, run, at_call=None)
    assert n_calls >= 1 and left(model) == before
    for at_call in sorted({1, (n_calls + 1) // 2, n_calls}):
        with pytest.raises(Interrupted):
            with_interruption(model, run, at_call=at_call)
        assert left(model) == before, at_call


def test_every_run_is_tried(model, loaded):
    assert tuple(runs(model, loaded)) == NAMES
