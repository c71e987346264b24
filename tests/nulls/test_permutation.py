"""Permutation tests: same null as recomputing, honest p-values, direction, ties, copies, undefined input."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import kstest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

import helpers.nulls.permutation as module
from helpers.nulls import PermutationResult, benjamini_hochberg, permutation_test
from helpers.similarity import MEASURES

every_measure = pytest.mark.parametrize("measure", list(MEASURES))
paired_measure = pytest.mark.parametrize("measure", [n for n, m in MEASURES.items() if m.null == "pairing"])
# What the prepared comparison promises of its agreement with recomputing.
AGREEMENT = 1e-9
# Two dozen Kolmogorov-Smirnov tests run here, on fixed seeds: 1e-4 each keeps a false alarm among them improbable.
FALSE_ALARM = 1e-4


def planted(seed, *, n_rows=40, width=4, noise=0.5):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_rows, width))
    return x, x + noise * rng.standard_normal((n_rows, width))


def unrelated(seed, *, n_rows=24, width=3):
    return tuple(np.random.default_rng(seed).standard_normal((2, n_rows, width)))


def recomputed_null(x, y, measure, n_permutations, seed, **options):
    rng = module.null_rng(seed)
    entry = MEASURES[measure]
    for _ in range(n_permutations):
        if entry.null == "pairing":
            yield entry.score(x, y[rng.permutation(len(y))], **options)
        else:
            yield entry.score(x, rng.standard_normal(y.shape), **options)


def check_null(x, y, measure, **options):
    result = permutation_test(x, y, measure=measure, n_permutations=20, seed=3, **options)
    expected = list(recomputed_null(x, y, measure, 20, 3, **options))
    assert result.undefined is None
    assert result.null == pytest.approx(expected, abs=AGREEMENT)
    assert np.ptp(result.null) > 1e-4  # the null varies at all


@every_measure
def test_null_is_what_recomputing_gives(measure):
    check_null(*planted(0), measure)


@every_measure
def test_null_is_what_recomputing_gives_with_copied_rows(measure):
    """Many-to-one matching: the same copies are shuffled, and their ties must not depend on the order of rows."""
    x, y = planted(1)
    rng = np.random.default_rng(1)
    check_null(x, y[rng.integers(0, 12, len(y))], measure)


@pytest.mark.parametrize(
    ("measure", "options"),
    [
        ("svcca", {"n_components": 1}),
        ("svcca", {"variance": 0.6}),
        ("rsa", {"outer": "kendall"}),
        ("rsa", {"outer": "pearson", "inner": "euclidean"}),
        ("rsa", {"outer": "kendall", "inner": "cosine"}),
        ("knn_jaccard", {"k": 3, "metric": "euclidean"}),
        ("mutual_knn", {"k": 3, "metric": "correlation"}),
        ("singular_value_distance", {"normalisation": "sum"}),
    ],
)
def test_null_is_what_recomputing_gives_with_options(measure, options):
    x, y = planted(2)
    check_null(x, y, measure, **options)
    check_null(x, y[np.random.default_rng(1).integers(0, 12, len(y))], measure, **options)


@pytest.mark.parametrize("measure", ["linear_cka", "linear_cka_debiased", "svcca", "orthogonal_procrustes", "pwcca"])
def test_null_is_what_recomputing_gives_on_the_wide_path(measure):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 70, 40)) * np.geomspace(1, 0.01, 40)
    if measure == "pwcca":  # keeps every dimension
        x, y = x[:, :20], y[:, :20]
    check_null(x, y, measure, **({"variance": 0.9} if measure == "svcca" else {}))


@every_measure
def test_a_planted_alignment_is_significant_and_unrelated_rows_are_not(measure):
    x, y = planted(4, noise=0.1)
    if measure == "singular_value_distance":  # spectra alike and unlike that of a Gaussian matrix
        x, y = x * [20, 5, 1, 0.1], y * [20, 5, 1, 0.1]
    result = permutation_test(x, y, measure=measure, n_permutations=99)
    assert result.p_value == 1 / 100
    assert result.z > 3 and 0.1 < result.calibrated <= 1
    assert permutation_test(*unrelated(5), measure=measure, n_permutations=99).p_value > 0.05


def check_valid(measure, n_draws, n_permutations):
    """P(p <= alpha) <= alpha, within three standard errors; Kolmogorov-Smirnov against the discrete uniform."""
    options = {"k": 4} if measure in ("knn_jaccard", "mutual_knn") else {}
    values = np.array(
        [
            permutation_test(
                *unrelated(1000 + i), measure=measure, n_permutations=n_permutations, seed=i, **options
            ).p_value
            for i in range(n_draws)
        ]
    )
    for alpha in (0.01, 0.05, 0.1):
        assert (values <= alpha).mean() <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / n_draws)
    # p is uniform on 1/(n+1), ..., 1; subtracting a uniform share of one step makes that continuous. Neighbour counts
    # tie often, which makes p conservative: they are held to the bound above only.
    if not options:
        jitter = np.random.default_rng(0).uniform(size=n_draws) / (n_permutations + 1)
        assert kstest(values - jitter, "uniform").pvalue > FALSE_ALARM
    assert values.max() > 0.5


@every_measure
def test_p_values_are_valid_under_the_null(measure):
    check_valid(measure, n_draws=120, n_permutations=39)


@pytest.mark.slow
@every_measure
def test_p_values_are_valid_under_the_null_over_500_draws(measure):
    check_valid(measure, n_draws=500, n_permutations=199)


def test_the_check_of_validity_can_fail(monkeypatch):
    """Planted: a score inflated beside its null must break the validity."""
    honest = module.summarise
    monkeypatch.setattr(module, "summarise", lambda e, s, n, r, t, **kind: honest(e, s + 0.1, n, r, t, **kind))
    with pytest.raises(AssertionError):
        check_valid("rsa", n_draws=120, n_permutations=39)


def test_numbers_of_a_result_follow_their_definitions():
    x, y = planted(6, noise=2)
    for name in ("rsa", "orthogonal_procrustes"):
        entry = MEASURES[name]
        result = permutation_test(x, y, measure=name, n_permutations=99, seed=1)
        alike = result.null >= result.score if entry.direction == "similarity" else result.null <= result.score
        sign = 1 if entry.direction == "similarity" else -1
        assert result.score == entry.score(x, y)
        assert result.p_value == (1 + alike.sum()) / 100
        assert result.null_mean == pytest.approx(result.null.mean()) and result.null_std == pytest.approx(
            result.null.std(ddof=1)
        )
        assert result.z == pytest.approx(sign * (result.score - result.null_mean) / result.null_std)
        expected = (result.score - result.null_mean) / (entry.ideal - result.null_mean)
        assert result.calibrated == pytest.approx(expected)
        assert result.p_low <= alike.mean() <= result.p_high
        assert result.n_rows == 40 and result.settings["seed"] == 1


def test_confidence_interval_is_clopper_pearson():
    result = permutation_test(*planted(6, noise=4), measure="rsa", n_permutations=199)
    hits = round(result.p_value * 200) - 1
    assert 0 < hits < 199
    low, high = proportion_confint(hits, 199, alpha=0.05, method="beta")
    assert (result.p_low, result.p_high) == pytest.approx((low, high), abs=1e-12)
    sure = permutation_test(*planted(6, noise=0.1), measure="rsa", n_permutations=199)
    assert sure.p_low == 0 and sure.p_high == pytest.approx(1 - 0.025 ** (1 / 199)) and sure.p_value == 1 / 200


@every_measure
def test_threads_do_not_change_the_null(measure):
    x, y = planted(3)
    alone = permutation_test(x, y, measure=measure, n_permutations=70, seed=5)
    for n_threads in (1, 3):
        together = permutation_test(x, y, measure=measure, n_permutations=70, seed=5, n_threads=n_threads)
        assert together.null == pytest.approx(alone.null, rel=AGREEMENT, abs=AGREEMENT)
        assert together.score == alone.score and together.settings == alone.settings
    with pytest.raises(ValueError, match="n_threads must be at least 1, or None; got 0"):
        permutation_test(x, y, measure=measure, n_threads=0)


def test_same_seed_same_null_other_seed_other_null():
    x, y = planted(7)
    first, second, third = (permutation_test(x, y, measure="rsa", n_permutations=9, seed=s) for s in (0, 0, 1))
    assert (first.null == second.null).all() and not (first.null == third.null).any()


@paired_measure
def test_ties_count_as_hits(measure):
    """Rows that are all copies of two points: many shuffles give the same score, and none may slip by rounding."""
    x = np.repeat([[0.0, 1.0, 0.3], [1.0, 0.0, 0.3]], 4, axis=0)
    options = {"k": 2} if measure in ("knn_jaccard", "mutual_knn") else {}
    result = permutation_test(x, x, measure=measure, n_permutations=499, **options)
    # Shuffles that map the two groups onto themselves or onto each other: 2 of the 70 ways to choose four of eight.
    rng = module.null_rng(0)
    exact = sum(len(set(rng.permutation(8)[:4] // 4)) == 1 for _ in range(499))
    assert exact > 5
    assert result.p_value == (1 + exact) / 500


def test_copied_rows_are_shuffled_as_copies():
    """A partner shared by all pairs leaves no geometry: the test must say so, not invent one by shuffling originals."""
    x, y = planted(8)
    result = permutation_test(x, np.repeat(y[:1], len(x), axis=0), measure="rsa")
    assert result.score is None and "distance 0" in result.undefined


@every_measure
def test_undefined_is_a_reason_and_never_nan(measure):
    x, y = np.random.default_rng(0).standard_normal((2, 4, 3))
    y = np.zeros_like(y)
    result = permutation_test(x, y, measure=measure, n_permutations=9)
    assert result.undefined and result.score is None and result.p_value is None and result.null.size == 0
    assert "NaN" not in json.dumps(result.to_dict())


def test_one_permutation_has_no_spread():
    result = permutation_test(*planted(9), measure="rsa", n_permutations=1)
    assert result.null_std is None and result.z is None and result.p_value in (0.5, 1.0)


def test_a_null_without_spread_has_no_z():
    """Every shuffle of the identity's rows is undone by a matching of its columns: all scores are the ideal."""
    result = permutation_test(np.eye(12), np.eye(12), measure="permutation_procrustes", n_permutations=19)
    assert result.z is None and result.calibrated is None and result.p_value == 1.0


@every_measure
def test_result_survives_json(measure):
    result = permutation_test(*planted(10), measure=measure, n_permutations=9)
    again = PermutationResult.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)))
    assert again.to_dict() == result.to_dict() and (again.null == result.null).all()
    with pytest.raises(ValueError, match="differing: .'scroe'"):
        PermutationResult.from_dict({**result.to_dict(), "scroe": 1})


def test_random_matrix_null_takes_different_numbers_of_rows():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 6))
    y = np.vstack([x + 0.1 * rng.standard_normal(x.shape), rng.standard_normal((20, 6))])
    result = permutation_test(x, y, measure="mmcs", n_permutations=99)
    assert result.p_value == 0.01 and result.null_kind == "random_matrix"


def test_null_does_not_share_the_stream_of_the_data():
    """Planted: y drawn from the same seed as the test; the null's first matrix must not be y itself."""
    y = np.random.default_rng(0).standard_normal((30, 6))
    result = permutation_test(y, y, measure="mmcs", n_permutations=99, seed=0)
    assert result.p_value == 0.01


def test_wrong_calls_are_refused():
    x, y = planted(11)
    with pytest.raises(ValueError, match="unknown measure 'svca'; choose one of cca, svcca"):
        permutation_test(x, y, measure="svca")
    with pytest.raises(ValueError, match="n_permutations must be at least 1; got 0"):
        permutation_test(x, y, n_permutations=0)
    with pytest.raises(ValueError, match="equally many rows"):
        permutation_test(x, y[:-1])
    with pytest.raises(ValueError, match="variance must be"):
        permutation_test(x, y, variance=2)


def test_benjamini_hochberg_by_hand():
    adjusted = benjamini_hochberg([0.01, None, 0.04, 0.03])
    assert adjusted[1] is None
    assert [adjusted[0], adjusted[2], adjusted[3]] == pytest.approx([0.03, 0.04, 0.04])
    assert benjamini_hochberg([]) == () and benjamini_hochberg([None]) == (None,)
    values = np.random.default_rng(0).uniform(0.001, 1, 50)
    assert benjamini_hochberg(values) == pytest.approx(multipletests(values, method="fdr_bh")[1])
    for wrong in (0.0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="p-values must lie above 0"):
            benjamini_hochberg([0.5, wrong])
