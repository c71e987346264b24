"""Measures on pairs of known relation, and how often tests cry wolf."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from helpers.ground_truth import (
    PAIRED_MEASURES,
    RejectionRates,
    TwoSides,
    WorldSettings,
    build_worlds,
    false_alarms,
    mixed_pairs,
    read_measures,
    rejection_rates,
    unrelated_gaussians,
    unrelated_worlds,
)
from helpers.similarity import MEASURES

SETTINGS = WorldSettings(n_features=80, d_model=12, n_clusters=8, mean_l0=3.0)


@pytest.fixture(scope="module")
def worlds():
    return build_worlds(SETTINGS, seed=0)


@pytest.fixture(scope="module")
def readings(worlds):
    sides = {name: mixed_pairs(worlds, share_correct=s, n_rows=40, seed=0) for name, s in (("none", 0.0), ("all", 1.0))}
    sides["few"] = TwoSides(sides["all"].x[:6], sides["all"].y[:6])
    return read_measures(sides, n_permutations=99, seed=0)


def test_paired_measures_see_shared_features_and_no_others(readings):
    assert set(PAIRED_MEASURES) <= set(readings.seeing("all"))
    column = dict(zip(MEASURES, readings.calibrated[:, 0], strict=True))
    assert all(column[name] < 0.15 for name in PAIRED_MEASURES)
    # In a rotated space, directions are not where they were: what ignores the pairing sees nothing.
    assert not {"mmcs", "mmcs_symmetric"} & set(readings.seeing("all"))


def test_too_few_pairs_are_undefined_with_a_gap_in_the_table(readings):
    assert "cca" in readings.undefined("few") and "rsa" not in readings.undefined("few")
    assert np.isnan(readings.calibrated[list(MEASURES).index("cca"), 2])
    assert readings.as_text()["cca"]["few"] == "undefined"
    assert readings.as_text()["rsa"]["all"].startswith("above chance")


def test_the_verdicts_are_corrected_over_all_lists(readings):
    defined = [result.p_value for result in readings.results.values() if result.p_value is not None]
    test = readings.verdicts["rsa", "all"]
    rank = sorted(defined).index(test.p_value) + defined.count(test.p_value)
    assert test.p_corrected == pytest.approx(test.p_value * len(defined) / rank)


def test_mixed_pairs_hold_the_right_share(worlds):
    sides = mixed_pairs(worlds, share_correct=0.25, n_rows=40, seed=1)
    right = 0
    for x, y in zip(sides.x, sides.y, strict=True):
        a = int(np.argmax(worlds.a.directions @ x))
        b = int(np.argmax(worlds.b.directions @ y))
        assert worlds.a.directions[a] == pytest.approx(x) and worlds.b.directions[b] == pytest.approx(y)
        right += worlds.partner[a] == b
        assert (worlds.partner[a] == b) or (worlds.partner[a] == -1 and b not in worlds.shared_b)
    assert right == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"share_correct": 1.2, "n_rows": 10}, r"share in \[0, 1\]|must be in \[0, 1\]; got 1.2"),
        ({"share_correct": 1.0, "n_rows": 41}, "41 rows need 41 shared and 0 unshared features; got 40 and 40"),
    ],
)
def test_impossible_mixtures_are_refused(worlds, arguments, message):
    with pytest.raises(ValueError, match=message):
        mixed_pairs(worlds, seed=0, **arguments)


def test_unrelated_worlds_share_nothing_and_are_clustered():
    sides = unrelated_worlds(WorldSettings(**{**SETTINGS.__dict__, "cluster_closeness": 0.6}), n_rows=80)(
        np.random.default_rng(0)
    )
    upper = np.triu_indices(80, 1)
    gram_x, gram_y = sides.x @ sides.x.T, sides.y @ sides.y.T
    assert abs(np.corrcoef(gram_x[upper], gram_y[upper])[0, 1]) < 0.1
    gaussian = unrelated_gaussians(n_rows=80, d_model=12)(np.random.default_rng(0)).x
    gaussian /= np.linalg.norm(gaussian, axis=1, keepdims=True)
    # An eighth of the pairs is of one topic, with cosines around 0.6.
    assert np.quantile(gram_x[upper], 0.95) > 1.2 * np.quantile((gaussian @ gaussian.T)[upper], 0.95)


def test_unrelated_worlds_need_enough_features():
    with pytest.raises(ValueError, match="n_rows must be in 1..n_features = 80; got 81"):
        unrelated_worlds(SETTINGS, n_rows=81)


def test_rates_by_hand():
    rates = RejectionRates("rsa", np.array([0.01, 0.04, 0.06, 0.5, 1.0]))
    assert rates.rate(0.05) == 0.4
    assert rates.rate(0.04) == 0.4  # p <= alpha
    assert rates.excess_p(0.05) == pytest.approx(binomtest(2, 5, 0.05, alternative="greater").pvalue)


def test_a_test_that_always_rejects_is_invalid_and_an_honest_one_is_not():
    honest = RejectionRates("rsa", np.linspace(0.01, 1, 100))
    assert honest.is_valid()
    assert not RejectionRates("rsa", np.full(100, 0.01)).is_valid()
    assert not RejectionRates("rsa", np.linspace(0.005, 0.5, 100)).is_valid(doubt=0.05)  # rejects twice too often
    assert RejectionRates("rsa", np.ones(100)).excess_p(0.05) == 1.0  # never rejecting is no fault here


@pytest.mark.parametrize("measure", ["rsa", "linear_cka"])
def test_pairing_tests_are_honest_on_clustered_rows(measure):
    settings = WorldSettings(n_features=30, d_model=6, n_clusters=4, mean_l0=2.0, cluster_closeness=0.5)
    rates = rejection_rates(
        unrelated_worlds(settings, n_rows=30), measure=measure, n_draws=200, n_permutations=99, seed=0
    )
    assert rates.is_valid()
    assert 0.2 < rates.p_values.mean() < 0.8


def test_a_random_matrix_null_mistakes_clustered_for_alike():
    """The trap: unrelated dictionaries have spectra more like each other's than like a Gaussian matrix's."""
    settings = WorldSettings(n_features=60, d_model=12, n_clusters=5, mean_l0=2.0, cluster_closeness=0.6)
    draws = {
        "clustered": unrelated_worlds(settings, n_rows=60),
        "Gaussian": unrelated_gaussians(n_rows=60, d_model=12),
    }
    options = {"measure": "singular_value_distance", "n_draws": 60, "n_permutations": 99, "seed": 0}
    rates = {name: rejection_rates(draw, **options) for name, draw in draws.items()}
    assert not rates["clustered"].is_valid()
    assert rates["Gaussian"].is_valid()


def test_a_planted_alignment_is_always_found():
    def aligned(rng):
        x = rng.standard_normal((20, 4))
        return TwoSides(x, x + 0.1 * rng.standard_normal((20, 4)))

    rates = rejection_rates(aligned, measure="rsa", n_draws=10, n_permutations=99, seed=0)
    assert rates.rate(0.01) == 1.0


def test_all_measures_see_the_same_draws():
    seen = []

    def draw(rng):
        sides = TwoSides(*rng.standard_normal((2, 20, 3)))
        seen.append(sides.x[0, 0])
        return sides

    alarms = false_alarms({"noise": draw}, n_draws=2, n_permutations=9, seed=0)
    assert len(set(seen)) == 2 and len(seen) == 2 * len(MEASURES)
    assert alarms.table(0.05).shape == (len(MEASURES), 1)
    assert alarms.invalid("noise", alpha=0.05) == []


def test_bad_requests_are_refused():
    draw = unrelated_gaussians(n_rows=5, d_model=4)
    with pytest.raises(ValueError, match="n_draws must be at least 1; got 0"):
        rejection_rates(draw, measure="rsa", n_draws=0, n_permutations=9, seed=0)
    with pytest.raises(ValueError, match="cca is undefined for this data: cca keeps 4 and 4 dimensions of 5 rows"):
        rejection_rates(draw, measure="cca", n_draws=1, n_permutations=9, seed=0)
