"""Several nulls at once: planted similarity survives them all, none invents one, and each asks its own question."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from helpers.comparison import (
    MatchedSpaces,
    score_against_nulls,
    score_along,
    score_at_ceiling,
    score_kept_variance,
    survivors,
)
from helpers.comparison.null_tests import FREQUENCY_MATCHED, PAIRING, RANDOM_FEATURES, RANDOM_MATRICES, draw_pairs
from helpers.matching import match_features
from helpers.nulls import compare_at_equal_rows, correct_tests, permutation_test
from helpers.similarity import svcca
from tests.activations.conftest import write_store
from tests.comparison.conftest import D_SAE, N_SHARED, N_TOKENS

SETTINGS = {"n_permutations": 99, "n_draws": 39, "seed": 1}
MEASURES = ["rsa", "linear_cka_debiased"]


def good(spaces):
    return spaces.pairs.above(0.5)


def test_a_planted_arrangement_survives_every_null_and_noise_none(alike, unlike):
    assert good(alike).n_pairs == N_SHARED == good(unlike).n_pairs
    for spaces, expected in ((alike, (3, 3)), (unlike, (0, 3))):
        results = score_against_nulls(spaces, good(spaces), measures=MEASURES, **SETTINGS)
        assert list(results) == [(m, null) for m in MEASURES for null in (PAIRING, RANDOM_FEATURES, FREQUENCY_MATCHED)]
        tests = correct_tests({f"{measure}, {null}": result for (measure, null), result in results.items()})
        assert survivors(tests) == dict.fromkeys(MEASURES, expected)


def test_the_first_null_is_the_permutation_test(alike):
    pairs = good(alike)
    results = score_against_nulls(alike, pairs, measures=["rsa"], **SETTINGS)
    x, y = alike.directions_a[pairs.ids_a], alike.directions_b[pairs.ids_b]
    expected = permutation_test(x, y, measure="rsa", n_permutations=99, seed=1)
    assert results["rsa", PAIRING].score == expected.score
    np.testing.assert_array_equal(results["rsa", PAIRING].null, expected.null)
    # 60 pairs are fewer than the least size of a draw: the draws' score is of all of them.
    assert results["rsa", RANDOM_FEATURES].score == pytest.approx(expected.score, abs=1e-12)
    assert results["rsa", RANDOM_FEATURES].null_kind == "features"


def test_a_likeness_that_is_frequency_alone_fails_the_matched_draw_only(tmp_path):
    """The trap: partners fire equally often, so directions that follow the firing rate look alike in both models."""
    rng = np.random.default_rng(5)
    fires = rng.random((N_TOKENS, D_SAE)) < np.geomspace(0.005, 0.2, D_SAE)
    values = scipy.sparse.csr_array(fires * rng.uniform(0.5, 1.0, size=fires.shape))
    stores = [write_store(tmp_path / name, values) for name in "ab"]
    position = np.log(np.asarray(stores[0].feature_counts))
    directions = [rng.standard_normal((D_SAE, 4)) + 3 * position[:, None] * np.eye(4)[0] for _ in "ab"]
    spaces = MatchedSpaces(("a", "b"), match_features(*stores, min_firings=2), *directions, *stores)
    pairs = spaces.pairs.select(spaces.pairs.ids_a % 2 == 0)
    results = score_against_nulls(spaces, pairs, measures=["rsa_euclidean"], **SETTINGS)
    p_values = {null: result.p_value for (_, null), result in results.items()}
    assert p_values[PAIRING] == 0.01 and p_values[RANDOM_FEATURES] == 1 / 40
    assert p_values[FREQUENCY_MATCHED] > 0.1
    assert survivors(correct_tests({null: result for (_, null), result in results.items()})) == {
        "rsa_euclidean": (2, 3)
    }


def test_draws_are_cut_but_not_below_what_the_cca_family_needs(alike):
    pairs = good(alike)
    assert draw_pairs(alike, pairs, max_draw_pairs=40) == 40
    assert draw_pairs(alike, pairs, max_draw_pairs=5) == 2 * (6 + 5)
    assert draw_pairs(alike, pairs, max_draw_pairs=1000) == N_SHARED
    results = score_against_nulls(alike, pairs, measures=["svcca"], max_draw_pairs=5, **SETTINGS)
    assert {null: result.n_rows for (_, null), result in results.items()} == {
        PAIRING: N_SHARED, RANDOM_FEATURES: 22, FREQUENCY_MATCHED: 22,
    }  # fmt: skip
    assert all(result.undefined is None for result in results.values())


def test_a_measure_that_ignores_the_pairing_names_its_own_null(alike):
    results = score_against_nulls(alike, good(alike), measures=["singular_value_distance"], **SETTINGS)
    assert ("singular_value_distance", RANDOM_MATRICES) in results


def test_undefined_tests_count_in_no_verdict(alike):
    few = alike.pairs.select(np.arange(alike.pairs.n_pairs) < 8)
    results = score_against_nulls(alike, few, measures=["svcca", "rsa"], **SETTINGS)
    tests = correct_tests({f"{measure}, {null}": result for (measure, null), result in results.items()})
    assert survivors(tests)["svcca"] == (0, 0) and survivors(tests)["rsa"][1] == 3
    with pytest.raises(ValueError, match="at least 2 pairs to compare; got 1; lower min_corr"):
        score_against_nulls(alike, alike.pairs.select(np.arange(alike.pairs.n_pairs) < 1), measures=["rsa"])


def test_curves_are_single_tests_and_have_gaps_where_there_is_nothing(alike):
    rows = [alike.rows(alike.pairs.above(threshold)) for threshold in (0.5, 0.9999, 1.1)]
    rows.append((rows[0][0][:1], rows[0][1][:1]))
    found = score_along(rows, measures=["rsa"], n_permutations=19, seed=4)["rsa"]
    alone = permutation_test(*rows[0], measure="rsa", n_permutations=19, seed=4)
    assert (found[0].score, found[0].p_value) == (alone.score, alone.p_value)
    assert [result.n_rows for result in found[2:]] == [0, 1]
    assert found[2].undefined == "rsa needs at least 2 pairs; got 0" and found[2].score is None


def test_svcca_by_kept_variance_opens_with_the_published_single_component(alike):
    x, y = alike.rows(good(alike))
    found = score_kept_variance(x, y, shares=(0.5, 0.99), n_permutations=19)
    assert list(found) == ["first component only", "50% of the variance", "99% of the variance"]
    first = found["first component only"]
    leading = [np.linalg.svd(side - side.mean(axis=0), full_matrices=False)[0][:, 0] for side in (x, y)]
    assert first.score == pytest.approx(abs(leading[0] @ leading[1]), abs=1e-9)
    assert first.score == svcca(x, y, n_components=1)
    assert found["99% of the variance"].score == svcca(x, y, variance=0.99)
    kept = [result.settings["n_components_x"] for result in found.values()]
    assert kept[0] == 1 and kept == sorted(kept) and kept[-1] > kept[0]


def test_both_sides_of_the_ceiling_have_equally_many_pairs(alike, unlike):
    few = good(unlike).select(np.arange(N_SHARED) < 40)
    found = score_at_ceiling(
        unlike, few, alike, good(alike), measures=["rsa", "singular_value_distance"], max_pairs=30, n_repeats=20, seed=3
    )
    assert list(found) == ["rsa"]  # the other has no pairs to be cut
    models, ceiling = found["rsa"]
    assert (models.n_rows, models.n_available) == (30, 40) and (ceiling.n_rows, ceiling.n_available) == (30, N_SHARED)
    expected = compare_at_equal_rows(
        {"models": unlike.rows(few), "ceiling": alike.rows(good(alike))}, measure="rsa", n_rows=30, n_repeats=20, seed=3
    )
    np.testing.assert_array_equal(models.scores, expected["models"].scores)
    assert ceiling.calibrated > 0.5 and models.calibrated < 0.2
    with pytest.raises(ValueError, match="at least 2 pairs to compare; got 0"):
        score_at_ceiling(unlike, unlike.pairs.above(1.1), alike, good(alike), measures=["rsa"])
