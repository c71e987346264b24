"""Conditions beside each other: equal numbers of pairs, too few pairs, planted alignment found and noise not."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.comparison import matched_rows, score_conditions
from helpers.matching import FeaturePairs, match_features
from helpers.nulls import permutation_test

N_PERMUTATIONS = 99
SETTINGS = {"n_permutations": N_PERMUTATIONS, "n_repeats": 40, "seed": 3}


def aligned(rng: np.random.Generator, n: int, d: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """n rows in d dimensions and a rotated copy with noise."""
    x = rng.standard_normal((n, d))
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return x, x @ rotation + noise * rng.standard_normal((n, d))


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return {
        "features": aligned(rng, 120, 6, 1.0),
        "reinitialised": (rng.standard_normal((80, 6)), rng.standard_normal((80, 6))),
        "ceiling_a": aligned(rng, 200, 6, 0.1),
        "neurons": (rng.standard_normal((7, 6)), rng.standard_normal((7, 6))),
    }


def test_every_condition_is_cut_to_the_smallest_that_is_scored(rows):
    scores = score_conditions(rows, measures=["rsa"], min_pairs=20, **SETTINGS)
    assert list(scores) == list(rows)
    assert {name: found.n_pairs for name, found in scores.items()} == {
        "features": 120,
        "reinitialised": 80,
        "ceiling_a": 200,
        "neurons": 7,
    }
    assert not scores["neurons"].is_scored and not scores["neurons"].equal
    assert {found.equal["rsa"].n_rows for found in scores.values() if found.is_scored} == {80}


def test_few_pairs_count_if_they_are_asked_for(rows):
    scores = score_conditions(rows, measures=["rsa"], min_pairs=5, **SETTINGS)
    assert {found.equal["rsa"].n_rows for found in scores.values()} == {7}


def test_planted_alignment_is_found_in_its_order_and_noise_is_not(rows):
    scores = score_conditions(rows, measures=["rsa", "linear_cka_debiased"], min_pairs=20, **SETTINGS)
    smallest = 1 / (1 + N_PERMUTATIONS)
    for measure in ("rsa", "linear_cka_debiased"):
        features, noise, ceiling = (scores[name] for name in ("features", "reinitialised", "ceiling_a"))
        assert features.tests[measure].p_value == smallest == ceiling.tests[measure].p_value
        assert noise.tests[measure].p_value > 0.01
        # Means of 40 cuts; unrelated rows calibrate to 0 within their own spread, which is below 0.1 here.
        assert abs(noise.equal[measure].calibrated) < 0.1 < features.equal[measure].calibrated
        assert features.equal[measure].calibrated < ceiling.equal[measure].calibrated


def test_equal_pairs_change_what_unequal_pairs_pretend(rows):
    """The trap: cca of few rows is high for noise, so the smallest condition would look best."""
    rng = np.random.default_rng(1)
    small, large = ((rng.standard_normal((n, 6)), rng.standard_normal((n, 6))) for n in (30, 600))
    scores = score_conditions({"features": large, "neurons": small}, measures=["cca"], **SETTINGS)
    raw = {name: found.tests["cca"].score for name, found in scores.items()}
    equal = {name: found.equal["cca"].mean for name, found in scores.items()}
    assert raw["neurons"] > 2 * raw["features"]
    assert equal["neurons"] == pytest.approx(equal["features"], rel=0.25)  # one fixed sample against 40 cuts


def test_the_tests_are_those_of_the_permutation_test(rows):
    found = score_conditions(rows, measures=["rsa"], **SETTINGS)["features"].tests["rsa"]
    again = permutation_test(*rows["features"], measure="rsa", n_permutations=N_PERMUTATIONS, seed=3)
    assert np.array_equal(found.null, again.null) and found.score == again.score


def test_measures_that_ignore_the_pairing_are_tested_and_not_cut(rows):
    found = score_conditions(rows, measures=["mmcs", "rsa"], **SETTINGS)["features"]
    assert set(found.tests) == {"mmcs", "rsa"} and set(found.equal) == {"rsa"}


def test_a_measure_without_enough_rows_is_undefined_and_no_number(rows):
    rng = np.random.default_rng(2)
    wide = {"features": (rng.standard_normal((30, 40)), rng.standard_normal((30, 40)))}
    found = score_conditions(wide, measures=["cca", "rsa"], **SETTINGS)["features"]
    assert found.tests["cca"].undefined and found.tests["cca"].score is None
    assert found.equal["cca"].undefined and found.equal["cca"].calibrated is None
    assert found.tests["rsa"].score is not None


def test_nothing_is_scored_where_all_have_too_few_pairs(rows):
    scores = score_conditions({"features": rows["neurons"]}, measures=["rsa"], min_pairs=20, **SETTINGS)
    assert scores["features"].n_pairs == 7 and not scores["features"].is_scored


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": {}}, "expected conditions, measures and min_pairs >= 2; got 0, 1 and 20"),
        ({"measures": []}, "expected conditions, measures and min_pairs >= 2; got 1, 0 and 20"),
        ({"min_pairs": 1}, "min_pairs >= 2; got 1, 1 and 1"),
        ({"measures": ["rsb"]}, "unknown measure 'rsb'; choose among cca, svcca"),
        ({"rows": {"features": (np.ones((3, 2)), np.ones((4, 2)))}}, "'features': row i of both sides is one pair; got 3 and 4"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_refused(rows, change, message):
    arguments = {"rows": {"features": rows["features"]}, "measures": ["rsa"], "min_pairs": 20, **change}
    with pytest.raises(ValueError, match=message):
        score_conditions(arguments.pop("rows"), **arguments)


@pytest.fixture
def pairs() -> FeaturePairs:
    """b is a with its features in another order; the last feature fires alone in both."""
    rng = np.random.default_rng(4)
    a = np.maximum(rng.standard_normal((400, 5)), 0)
    return match_features(a, a[:, [3, 0, 4, 1, 2]] + 0.01 * rng.random((400, 5)), method="one_to_one")


def test_rows_are_the_directions_of_the_partners(pairs):
    directions_a = np.arange(10.0).reshape(5, 2)
    x, y = matched_rows(pairs, directions_a, directions_a[[3, 0, 4, 1, 2]], min_corr=0.5)
    assert len(x) == 5 and np.array_equal(x, y)


def test_pairs_below_the_correlation_are_left_out(pairs):
    assert len(matched_rows(pairs, np.eye(5), np.eye(5), min_corr=0.9999999)[0]) == 0


def test_directions_of_another_dictionary_are_refused(pairs):
    with pytest.raises(ValueError, match="the pairs name feature 4 of b, which has 4 directions; pass the directions"):
        matched_rows(pairs, np.eye(5), np.eye(4), min_corr=0.5)
