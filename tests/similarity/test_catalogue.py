"""Tests generated from what every measure declares about itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.similarity import MEASURES, UndefinedMeasure
from helpers.similarity.measure import INVARIANCES

N_ROWS, WIDTH = 60, 5
# Scores are O(1) and computed in float64; distances take a square root of 2 - 2 s, which turns 1e-15 into 3e-8 at s = 1.
SAME = 1e-7
# A change that is no rounding: 100 times above SAME, and far below the changes that the transformations below make.
CHANGED = 1e-5

every_measure = pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)

paired_measure = pytest.mark.parametrize(
    "measure", [pytest.param(m, id=name) for name, m in MEASURES.items() if m.null == "pairing"]
)


def related(rng, *, n_rows=N_ROWS, noise=0.5):
    x = rng.standard_normal((n_rows, WIDTH)) * [3, 2, 1.5, 1, 0.7] + [1, 0, 0.5, 0, 0]
    y = x @ rng.standard_normal((WIDTH, WIDTH)) + noise * rng.standard_normal((n_rows, WIDTH)) + 0.3
    return x, y


def transform(name, side, rng):
    if name == "row_permutation_single":
        return side[rng.permutation(len(side))]
    if name == "column_permutation":
        return side[:, np.roll(np.arange(side.shape[1]), 1)]
    if name == "orthogonal":
        return side @ np.linalg.qr(rng.standard_normal((side.shape[1],) * 2))[0]
    if name == "isotropic_scaling":
        return side * 7.3
    if name == "row_scaling":
        return side * rng.uniform(0.2, 5, size=(len(side), 1))
    if name == "translation":
        return side + 2 * rng.standard_normal(side.shape[1])
    assert name == "invertible_linear"
    return side @ (rng.standard_normal((side.shape[1],) * 2) + 3 * np.diag(np.arange(1, side.shape[1] + 1)))


def largest_change(measure, name):
    """Over seeds and sides, the largest change of the score under the transformation."""
    changes = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x, y = related(rng)
        score = measure.score(x, y)
        if name == "row_permutation_joint":
            order = rng.permutation(N_ROWS)
            changes.append(abs(measure.score(x[order], y[order]) - score))
        else:
            changes.append(abs(measure.score(transform(name, x, rng), y) - score))
            changes.append(abs(measure.score(x, transform(name, y, rng)) - score))
    return max(changes)


@pytest.mark.parametrize("name", sorted(INVARIANCES))
@every_measure
def test_declared_invariances_hold_and_all_others_fail(measure, name):
    change = largest_change(measure, name)
    if name in measure.invariances:
        assert change < SAME
    else:
        assert change > CHANGED


@every_measure
def test_identical_sides_score_the_ideal(measure):
    x, _ = related(np.random.default_rng(0))
    assert measure.score(x, x.copy()) == pytest.approx(measure.ideal, abs=SAME)


@every_measure
def test_symmetry_is_as_declared(measure):
    x, y = related(np.random.default_rng(1))
    difference = abs(measure.score(x, y) - measure.score(y, x))
    assert (difference < SAME) if measure.symmetric else (difference > CHANGED)


@every_measure
def test_scores_stay_in_the_declared_range(measure):
    low, high = measure.range
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, y = related(rng, noise=10.0 ** rng.integers(-6, 4))
        assert low <= measure.score(x, y) <= high
        assert low <= measure.score(x, -x) <= high


@every_measure
def test_direction_tells_alike_from_unalike(measure):
    rng = np.random.default_rng(2)
    x, _ = related(rng)
    near, far = x + 0.01 * rng.standard_normal(x.shape), rng.standard_normal(x.shape)
    sign = 1 if measure.direction == "similarity" else -1
    assert sign * measure.score(x, near) > sign * measure.score(x, far)


@every_measure
def test_only_measures_that_ignore_the_pairing_take_the_random_matrix_null(measure):
    assert (measure.null == "random_matrix") == ("row_permutation_single" in measure.invariances)
    x, y = related(np.random.default_rng(3))
    comparison = measure.compare(x, y)
    if measure.null == "random_matrix":
        assert comparison.random_score(np.random.default_rng(0)) != comparison.score()
    else:
        with pytest.raises(ValueError, match="its null is a permutation"):
            comparison.random_score(np.random.default_rng(0))


@every_measure
def test_undefined_below_the_least_rows_and_defined_from_there(measure):
    least = measure.min_rows(WIDTH, WIDTH, **measure.options)
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((2, 400, WIDTH))
    if least > 1:
        with pytest.raises(UndefinedMeasure, match=f"{least - 1} rows|got {least - 1}"):
            small = {"n_components": 1} if measure.name == "svcca" else {}
            measure.score(x[: least - 1], y[: least - 1], **small)
    # Measures that look at the data (variance kept, effective dimensions) may ask for more than the least, never less.
    enough = {
        "svcca": 2 * WIDTH + 1,
        "linear_cka": 12,
        "orthogonal_procrustes": 12,
        "orthogonal_procrustes_angular": 12,
    }
    n_rows = enough.get(measure.name, least)
    assert np.isfinite(measure.score(x[:n_rows], y[:n_rows]))


@paired_measure
@pytest.mark.parametrize("n_rows", [1, 2, 3, 5, 8])
def test_few_rows_of_unrelated_data_never_look_identical(measure, n_rows):
    """d far above n: a number close to the ideal for random data would be a lie; there must be a reason instead."""
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((2, n_rows, 64))
    try:
        score = measure.score(x, y)
    except UndefinedMeasure:
        return
    assert abs(score - measure.ideal) > 0.1 * (measure.range[1] - measure.range[0])


@every_measure
def test_wrong_input_is_refused(measure):
    x, y = related(np.random.default_rng(6))
    with pytest.raises(ValueError, match="x has NaN or infinite values in 1 rows \\(first: 3\\)"):
        broken = x.copy()
        broken[3, 1] = np.nan
        measure.score(broken, y)
    with pytest.raises(ValueError, match="y has NaN or infinite"):
        measure.score(x, np.full_like(y, np.inf))
    with pytest.raises(ValueError, match=r"x must be a matrix .* got shape \(60,\)"):
        measure.score(x[:, 0], y)
    with pytest.raises(ValueError, match=r"y must be a matrix .* got shape \(0, 5\)"):
        measure.score(x, y[:0])
    with pytest.raises(ValueError, match="must hold real numbers; got dtype complex128"):
        measure.score(x.astype(complex), y)
    if measure.null == "pairing":
        with pytest.raises(ValueError, match="x and y must have equally many rows; got 60 and 59"):
            measure.score(x, y[:-1])
    with pytest.raises(UndefinedMeasure, match="equal|zero|no geometry|no spectrum|constant"):
        measure.score(x, np.zeros_like(y))


@every_measure
def test_any_number_type_gives_the_same_answer(measure):
    rng = np.random.default_rng(7)
    x, y = rng.integers(-50, 50, size=(2, 40, WIDTH))
    expected = measure.score(x.astype(np.float64), y.astype(np.float64))
    # Integers up to 50 are exact in every one of these types.
    for cast in (
        lambda a: a,
        lambda a: a.astype(np.float16),
        lambda a: a.astype(np.float32),
        lambda a: torch.tensor(a, dtype=torch.bfloat16),
        lambda a: torch.tensor(a, dtype=torch.float32, requires_grad=True),
        lambda a: np.asfortranarray(a),
    ):
        assert measure.score(cast(x), cast(y)) == expected


@every_measure
def test_units_far_from_one_do_not_overflow_or_vanish(measure):
    x, y = related(np.random.default_rng(8))
    for unit in (1e-100, 1e100):
        assert measure.score(x * unit, y / unit) == pytest.approx(measure.score(x, y), abs=SAME)


@every_measure
def test_input_is_left_as_it_was(measure):
    x, y = related(np.random.default_rng(9))
    before_x, before_y = x.copy(), y.copy()
    measure.score(x, y)
    assert (x == before_x).all() and (y == before_y).all()


def test_names_match_and_each_entry_is_described():
    for name, measure in MEASURES.items():
        assert measure.name == name and measure.description and measure.source
        assert measure.range[0] <= measure.ideal <= measure.range[1]
