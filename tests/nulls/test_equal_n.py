"""Conditions of different size at equal numbers of rows, and the place between chance and ceiling."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.nulls import compare_at_equal_rows, place_between
from helpers.similarity import MEASURES


def pairs(seed, n_rows, *, noise=0.5, width=4):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_rows, width))
    return x, x + noise * rng.standard_normal((n_rows, width))


def test_every_condition_is_cut_to_the_smallest():
    found = compare_at_equal_rows({"features": pairs(0, 90), "neurons": pairs(1, 30)}, measure="rsa", n_repeats=20)
    assert list(found) == ["features", "neurons"]
    assert {one.n_rows for one in found.values()} == {30}
    assert (found["features"].n_available, found["neurons"].n_available) == (90, 30)
    assert found["features"].scores.shape == found["features"].null_scores.shape == (20,)


def test_a_condition_of_just_enough_rows_is_itself_and_has_no_spread():
    x, y = pairs(1, 30)
    found = compare_at_equal_rows({"large": pairs(0, 90), "small": (x, y)}, measure="rsa", n_repeats=10)["small"]
    assert np.ptp(found.scores) == 0
    assert found.mean == found.low == found.high == MEASURES["rsa"].score(x, y)
    assert np.ptp(found.null_scores) > 0


def test_cuts_keep_the_pairs_together_and_the_null_does_not():
    x, _ = pairs(0, 60)
    found = compare_at_equal_rows({"same": (x, x)}, measure="rsa", n_rows=20, n_repeats=30)["same"]
    assert found.scores == pytest.approx(np.ones(30))
    assert abs(found.null_mean) < 0.1
    assert found.calibrated == pytest.approx(1.0)


def test_the_number_of_rows_no_longer_decides():
    """The trap: CCA of few rows is high by itself. Unrelated conditions of different size look different until cut."""
    rng = np.random.default_rng(0)
    unrelated = {"large": tuple(rng.standard_normal((2, 400, 6))), "small": tuple(rng.standard_normal((2, 30, 6)))}
    raw = {name: MEASURES["cca"].score(x, y) for name, (x, y) in unrelated.items()}
    assert raw["small"] > raw["large"] + 0.2
    equal = compare_at_equal_rows(unrelated, measure="cca", n_repeats=50)
    assert abs(equal["small"].mean - equal["large"].mean) < 0.1
    assert all(abs(one.calibrated) < 0.15 for one in equal.values())


def test_distances_are_calibrated_too():
    found = compare_at_equal_rows(
        {"alike": pairs(0, 50, noise=0.1), "unalike": pairs(1, 50, noise=10)},
        measure="orthogonal_procrustes",
        n_rows=40,
    )
    assert found["alike"].mean < found["alike"].null_mean
    assert found["alike"].calibrated > 0.7
    assert found["unalike"].calibrated < 0.3


def test_the_answer_repeats_and_does_not_depend_on_the_other_conditions():
    first = compare_at_equal_rows({"a": pairs(0, 60), "b": pairs(1, 40)}, measure="rsa", n_repeats=5, seed=3)
    again = compare_at_equal_rows({"a": pairs(0, 60), "b": pairs(2, 40)}, measure="rsa", n_repeats=5, seed=3)
    assert np.array_equal(first["a"].scores, again["a"].scores)
    other = compare_at_equal_rows({"a": pairs(0, 60), "b": pairs(1, 40)}, measure="rsa", n_repeats=5, seed=4)
    assert not np.array_equal(first["a"].scores, other["a"].scores)


def test_undefined_is_a_reason_and_not_a_number():
    found = compare_at_equal_rows({"few": pairs(0, 8), "many": pairs(1, 80)}, measure="cca")
    assert found["few"].mean is None and found["few"].calibrated is None and len(found["few"].scores) == 0
    assert "cca" in found["many"].undefined  # at eight rows, it is undefined for all


@pytest.mark.parametrize(
    ("conditions", "options", "message"),
    [
        ({"a": pairs(0, 9)}, {"measure": "svca"}, "unknown measure 'svca'"),
        ({"a": pairs(0, 9)}, {"measure": "mmcs"}, "mmcs ignores the pairing"),
        ({}, {"measure": "rsa"}, "expected conditions and n_repeats >= 1; got 0 and 100"),
        ({"a": pairs(0, 9)}, {"measure": "rsa", "n_repeats": 0}, "got 1 and 0"),
        ({"a": pairs(0, 9), "b": pairs(0, 7)}, {"measure": "rsa", "n_rows": 8}, r"must be in 1..7, .* \(b\); got 8"),
        ({"a": (np.ones((3, 2)), np.ones((4, 2)))}, {"measure": "rsa"}, "x and y must have equally many rows"),
    ],
)
def test_bad_conditions_are_refused(conditions, options, message):
    with pytest.raises(ValueError, match=message):
        compare_at_equal_rows(conditions, **options)


def test_the_place_between_chance_and_ceiling():
    assert place_between(0.5, chance=0.1, ceiling=0.9) == pytest.approx(0.5)
    assert place_between(0.9, chance=0.1, ceiling=0.9) == pytest.approx(1.0)
    assert place_between(0.05, chance=0.1, ceiling=0.9) < 0
    assert place_between(0.3, chance=1.1, ceiling=0.1) == pytest.approx(0.8)  # a distance: less is more alike


@pytest.mark.parametrize("values", [(0.5, 0.2, 0.2), (float("nan"), 0.0, 1.0)])
def test_no_place_without_room(values):
    score, chance, ceiling = values
    with pytest.raises(ValueError, match="finite values with chance and ceiling apart"):
        place_between(score, chance=chance, ceiling=ceiling)
