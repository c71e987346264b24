"""Rows that share means and covariances, or columns, with given ones."""

import numpy as np
import pytest

from helpers.nulls import gaussian_rows, shuffled_columns


def _stretched(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, 3)) @ np.array([[3.0, 1.0, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 0.2]]) + [
        5.0,
        0.0,
        -1.0,
    ]


def test_gaussian_rows_have_the_mean_and_the_covariance():
    x = _stretched(20_000)
    drawn = gaussian_rows(x, seed=1)
    sigma = np.cov(x, rowvar=False)
    # The standard error of a mean is sigma / sqrt(n), that of a covariance at most sqrt(2 / n) * its two deviations.
    deviations = np.sqrt(np.diag(sigma))
    assert np.all(np.abs(drawn.mean(axis=0) - x.mean(axis=0)) < 5 * deviations / np.sqrt(len(x)))
    assert np.all(
        np.abs(np.cov(drawn, rowvar=False) - sigma) < 5 * np.sqrt(2 / len(x)) * np.outer(deviations, deviations)
    )


def test_gaussian_rows_lose_everything_else():
    angle = np.linspace(0, 2 * np.pi, 1000, endpoint=False)
    radii = np.linalg.norm(gaussian_rows(np.column_stack([np.cos(angle), np.sin(angle)]), seed=0), axis=1)
    assert (radii < 0.5).mean() > 0.15  # 1 - exp(-1/4) = 0.22 of a plane Gaussian of variance 1/2; none of the circle's


def test_fewer_rows_than_dimensions_stay_in_their_span():
    x = np.random.default_rng(0).standard_normal((4, 50))
    drawn = gaussian_rows(x, seed=2)
    span = np.linalg.qr((x - x.mean(axis=0)).T)[0][:, :3]
    outside = (drawn - x.mean(axis=0)) - (drawn - x.mean(axis=0)) @ span @ span.T
    assert np.abs(outside).max() < 1e-12 * np.abs(x).max() * 50


def test_norms_are_kept_row_by_row_where_asked():
    x = _stretched(30)
    assert np.allclose(np.linalg.norm(gaussian_rows(x, seed=3, keep_norms=True), axis=1), np.linalg.norm(x, axis=1))
    assert not np.allclose(np.linalg.norm(gaussian_rows(x, seed=3), axis=1), np.linalg.norm(x, axis=1))


def test_shuffled_columns_keep_their_values_and_lose_their_relations():
    x = np.arange(3000.0)[:, None] * [1.0, -1.0]
    shuffled = shuffled_columns(x, seed=0)
    assert np.array_equal(np.sort(shuffled, axis=0), np.sort(x, axis=0))
    assert abs(np.corrcoef(shuffled.T)[0, 1]) < 5 / np.sqrt(3000)
    assert np.array_equal(x[:3], [[0, 0], [1, -1], [2, -2]]), "the given rows were shuffled in place"


@pytest.mark.parametrize("draw", [gaussian_rows, shuffled_columns])
def test_seeds_decide(draw):
    x = _stretched(50)
    assert np.array_equal(draw(x, seed=4), draw(x, seed=4))
    assert not np.array_equal(draw(x, seed=4), draw(x, seed=5))


@pytest.mark.parametrize("draw", [gaussian_rows, shuffled_columns])
@pytest.mark.parametrize("x", [np.ones(3), np.ones((1, 4)), np.array([[1.0, np.nan], [0.0, 1.0]])])
def test_what_has_no_covariance_is_refused(draw, x):
    with pytest.raises(ValueError, match="finite matrix"):
        draw(x, seed=0)


def test_a_norm_cannot_be_put_on_nothing():
    with pytest.raises(ValueError, match="length 0"):
        gaussian_rows(np.zeros((5, 3)), seed=0, keep_norms=True)
