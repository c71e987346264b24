"""Conditions: a linear test of rows that is learnt from two sides, and steering that leaves all other rows alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from helpers.models import split_batch, stream_activations
from helpers.steering import Condition, add, encode_prompts, fit_condition, prompt_states, steered_logits, text_rows
from tests.steering.conftest import D_MODEL, HOOK
from tests.steering.scores.test_sweep import FewWords
from tests.steering.test_interventions import is_untouched


def two_sides(n: int = 400, d: int = 6, apart: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Rows around a point on the first axis and around zero, with a loud second axis that tells nothing."""
    rng = np.random.default_rng(0)
    sides = rng.normal(size=(2, n, d))
    sides[:, :, 1] *= 30
    sides[0, :, 0] += apart
    return sides[0], sides[1]


def test_the_test_finds_the_axis_that_tells_and_not_the_loud_one():
    present, text = two_sides()
    found = fit_condition(present, text, hook_name=HOOK)
    # Two unit Gaussians 4 apart are told apart at the midpoint: 2.3 % of each side lie beyond it; a standard error of 400
    # draws is 0.75 %, so a share of 5 % would be 3.6 of them away.
    assert found.share(present) > 0.95 and found.share(text) < 0.05
    assert abs(found.weights[0]) > 100 * abs(found.weights[1])
    nearest_mean = np.linalg.norm(present - text.mean(0), axis=1) > np.linalg.norm(present - present.mean(0), axis=1)
    assert nearest_mean.mean() < found.share(present)  # what distances alone would recognise


def test_the_side_with_more_rows_does_not_win():
    """Text has a hundred times as many rows; the test still stands halfway between the sides."""
    present, text = two_sides()
    few = fit_condition(present[:40], np.concatenate([text] * 10), hook_name=HOOK)
    assert few.share(present[40:]) > 0.9
    biased = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(
        np.concatenate([present[:40], *[text] * 10]), np.repeat([1, 0], [40, 4000])
    )
    assert biased.predict(present[40:]).mean() < few.share(present[40:])


def test_rows_of_which_it_does_not_hold_are_left_to_the_bit():
    condition = Condition(np.eye(4)[0], -1.0, HOOK)
    rows = torch.tensor([[2.0, 0, 0, 0], [1.0, 0, 0, 0], [0.5, 3, 0, 0], [1.5, 0, 0, 7]])
    assert condition.holds(rows).tolist() == [True, False, False, True]  # above the threshold, not at it
    step = add(np.full(4, 0.1), hook_name=HOOK, strength=2.0, condition=condition)
    always = add(np.full(4, 0.1), hook_name=HOOK, strength=2.0)
    edited = step.edit(rows)
    assert torch.equal(edited[[1, 2]], rows[[1, 2]])
    assert torch.equal(edited[[0, 3]], always.edit(rows)[[0, 3]])
    half = step.edit(rows.half())
    assert half.dtype == torch.float16 and torch.equal(half[[1, 2]], rows.half()[[1, 2]])


def test_only_prompts_of_the_one_kind_are_steered(model):
    """As a hook by hand that looks at each prompt's last row, and adds there or not."""
    texts = ["t5 t9 t11", "t21 t8 t30 t12", "t17", "t40 t6"]
    prompts = encode_prompts(FewWords(), texts)
    states = prompt_states(model, prompts, hook_name=HOOK)
    weights = states[0] - states[1]
    condition = Condition(weights, -float(weights @ states[:2].mean(axis=0)), HOOK)
    due = states @ condition.weights + condition.offset > 0
    assert due[0] and not due[1]
    vector = 5.0 * np.random.default_rng(1).normal(size=D_MODEL)
    settings = [(), *(add(vector, hook_name=HOOK, at="last", condition=each) for each in (None, condition))]
    plain, always, where = steered_logits(model, prompts, settings)
    assert not np.allclose(plain, always, atol=1e-2)
    for row in range(len(texts)):
        np.testing.assert_allclose(where[row], always[row] if due[row] else plain[row], atol=1e-5)
    assert is_untouched(model)


def test_a_condition_comes_back_whole(tmp_path):
    found = Condition(np.arange(3.0), 0.5, HOOK)
    found.save(tmp_path / "condition.npz")
    again = Condition.load(tmp_path / "condition.npz")
    assert np.array_equal(again.weights, found.weights) and (again.offset, again.hook_name) == (0.5, HOOK)
    with pytest.raises(ValueError, match="found no such file; run 13_steering again"):
        Condition.load(tmp_path / "none.npz")


def test_bad_input_is_named():
    present, text = two_sides(n=5)
    with pytest.raises(ValueError, match=r"two rows or more on both sides, of one width; got \(1, 6\) and \(5, 6\)"):
        fit_condition(present[:1], text, hook_name=HOOK)
    with pytest.raises(ValueError, match=r"of one width; got \(5, 6\) and \(5, 5\)"):
        fit_condition(present, text[:, :5], hook_name=HOOK)
    with pytest.raises(ValueError, match="rows are finite; got NaN"):
        fit_condition(present, np.where(text > 0, np.nan, text), hook_name=HOOK)
    with pytest.raises(ValueError, match="not all zero"):
        Condition(np.zeros(3), 1.0, HOOK)
    with pytest.raises(ValueError, match="not all zero"):  # nothing tells the sides apart
        fit_condition(present, present, hook_name=HOOK)
    with pytest.raises(ValueError, match="finite weights"):
        Condition(np.ones(3), float("nan"), HOOK)
    condition = Condition(np.ones(3), 0.0, HOOK)
    with pytest.raises(ValueError, match=r"of blocks.0.* and width 3; got one of blocks.1"):
        add(np.ones(3), hook_name="blocks.0.hook_resid_post", condition=condition)
    with pytest.raises(ValueError, match="of width 4|and width 4; got one of .* and width 3"):
        add(np.ones(4), hook_name=HOOK, condition=condition)


def test_rows_of_text_are_those_of_its_words(model, prompts):
    tokens_of_text = prompts.as_batch()
    hooks = [HOOK, "blocks.0.hook_resid_post"]
    found = text_rows(model, tokens_of_text, hook_names=hooks, n_rows=7)
    for hook in hooks:
        by_hand = [
            acts[hook].numpy()[batch.keep_mask]
            for batch, acts in stream_activations(model, split_batch(tokens_of_text, batch_size=64), [hook])
        ]
        assert found[hook].shape == (7, D_MODEL)
        np.testing.assert_array_equal(found[hook], np.concatenate(by_hand)[:7])
    everything = text_rows(model, tokens_of_text, hook_names=[HOOK], n_rows=10**6)[HOOK]
    assert (
        len(everything) == tokens_of_text.keep_mask.sum() < tokens_of_text.input_ids.size
    )  # padding and BOS do not count
    with pytest.raises(ValueError, match="n_rows is at least 1; got 0"):
        text_rows(model, tokens_of_text, hook_names=[HOOK], n_rows=0)


def test_it_is_scikit_learns_discriminant_without_its_least_squares() -> None:
    """Which take a cubic time with a large factor: a minute a layer at the widths of real models."""
    rng = np.random.default_rng(3)
    spread = rng.uniform(0.1, 10, size=30)
    present, text = rng.normal(size=(12, 30)) * spread + 0.5, rng.normal(size=(200, 30)) * spread
    present[:, 7] = text[:, 7] = 2.0  # a constant dimension
    found = fit_condition(present, text, hook_name="blocks.0.hook_resid_post")
    reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.5, 0.5])
    reference.fit(np.concatenate([present, text]), np.repeat([1, 0], [12, 200]))
    # Both are float64; the covariance has a condition number below 1e6.
    np.testing.assert_allclose(found.weights, reference.coef_[0], rtol=1e-7, atol=1e-9)
    assert found.offset == pytest.approx(float(reference.intercept_[0]), rel=1e-7)
