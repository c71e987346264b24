"""Spectra: both normalisations, Gaussian matrices of equal shape, and what spectra cannot tell."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.ground_truth import (
    compare_with_gaussian,
    same_spectrum_elsewhere,
    spectra_table,
    spectrum_distances,
    spectrum_lines,
)
from helpers.similarity import rsa, singular_value_distance

both = pytest.mark.parametrize("normalisation", ["l2", "sum"])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@both
def test_a_gaussian_matrix_is_one_of_them(rng, normalisation):
    found = compare_with_gaussian(rng.standard_normal((60, 10)), normalisation=normalisation, n_gaussian=99, seed=1)
    assert found.p_value > 0.05
    assert found.distance == pytest.approx(found.gaussian_distance, rel=0.5)
    assert found.shape == (60, 10)


@both
def test_a_matrix_of_few_directions_is_not(rng, normalisation):
    matrix = rng.standard_normal((60, 10)) * np.geomspace(1, 0.1, 10)
    found = compare_with_gaussian(matrix, normalisation=normalisation, n_gaussian=99, seed=1)
    assert found.p_value == 1 / 100
    assert found.distance > 3 * found.gaussian_distance


@both
def test_the_comparison_by_hand(rng, normalisation):
    matrix = rng.standard_normal((8, 3))
    found = compare_with_gaussian(matrix, normalisation=normalisation, n_gaussian=2, seed=5)
    values = np.linalg.svd(matrix, compute_uv=False)
    expected = values / (np.linalg.norm(values) if normalisation == "l2" else values.sum())
    assert found.spectrum == pytest.approx(expected)
    source = np.random.default_rng(np.random.SeedSequence(5, spawn_key=(5,)))
    first, second = (np.linalg.svd(source.standard_normal((8, 3)), compute_uv=False) for _ in range(2))
    first, second = (v / (np.linalg.norm(v) if normalisation == "l2" else v.sum()) for v in (first, second))
    assert found.gaussian_distance == pytest.approx(np.linalg.norm(first - second))
    assert found.distance == pytest.approx((np.linalg.norm(first - expected) + np.linalg.norm(second - expected)) / 2)


def test_the_normalisations_give_different_distances(rng):
    matrices = {"a": rng.standard_normal((20, 5)), "b": rng.standard_normal((20, 5)) * [3, 1, 1, 1, 1]}
    by_norm, by_sum = (spectrum_distances(matrices, normalisation=how) for how in ("l2", "sum"))
    assert by_norm[0, 1] == pytest.approx(singular_value_distance(matrices["a"], matrices["b"]))
    assert by_norm[0, 1] > 1.5 * by_sum[0, 1] > 0
    assert np.array_equal(by_norm, by_norm.T) and not by_norm.diagonal().any()


@both
def test_scale_does_not_matter_and_copies_do(rng, normalisation):
    """The trap: copies of rows add no direction and still change a spectrum."""
    matrix = rng.standard_normal((40, 10))
    copies = np.concatenate([matrix, matrix[:10], matrix[:10], matrix[:10]])
    distances = spectrum_distances({"one": matrix, "scaled": 7 * matrix, "copies": copies}, normalisation=normalisation)
    assert distances[0, 1] < 1e-12
    assert distances[0, 2] > 0.02


def test_equal_spectra_are_not_aligned_features(rng):
    """The trap: distance zero, and nothing in common."""
    matrix = rng.standard_normal((40, 6)) * np.geomspace(1, 0.1, 6)
    other = same_spectrum_elsewhere(matrix, seed=0)
    assert singular_value_distance(matrix, other) < 1e-12
    assert abs(rsa(matrix, other)) < 0.2
    assert not np.allclose(other, same_spectrum_elsewhere(matrix, seed=1))


def test_lines_of_matrices_of_different_size_have_mean_1(rng):
    lines = spectrum_lines({"small": rng.standard_normal((9, 3)), "large": rng.standard_normal((50, 20))})
    for name, length in (("small", 3), ("large", 20)):
        place, values = lines[name]
        assert len(place) == len(values) == length
        assert (place[0], place[-1]) == (0.0, 1.0)
        assert values.mean() == pytest.approx(1.0)


def test_the_table_shows_both_normalisations(rng):
    matrix = rng.standard_normal((12, 4))
    row = spectra_table({"m": matrix}, n_gaussian=9, seed=0)["m"]
    found = compare_with_gaussian(matrix, normalisation="sum", n_gaussian=9, seed=0)
    assert row["shape"] == "12 x 4"
    assert row["by sum: to Gaussian"] == f"{found.distance:.4f}"
    assert row["by sum: p"] == f"{found.p_value:.2g}"
    assert row["by L2 norm: to Gaussian"] != row["by sum: to Gaussian"]


@pytest.mark.parametrize(
    ("matrix", "options", "message"),
    [
        (np.ones((4, 2)), {"normalisation": "max"}, "normalisation must be one of l2, sum; got 'max'"),
        (np.ones((4, 2)), {"n_gaussian": 1}, "n_gaussian must be at least 2"),
        (np.zeros((4, 2)), {}, "matrix is zero everywhere"),
        (np.full((4, 2), np.nan), {}, "matrix has NaN"),
    ],
)
def test_bad_matrices_are_refused(matrix, options, message):
    with pytest.raises(ValueError, match=message):
        compare_with_gaussian(matrix, **({"normalisation": "l2", "n_gaussian": 5, "seed": 0} | options))
