"""The separability and the mixture index on clouds whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.geometry import point_cloud
from helpers.geometry.circles import mixture_index, plane_scores, separability_index
from helpers.geometry.circles.irreducibility import best_score


def on_circle(n: int, *, seed: int = 0) -> np.ndarray:
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi, n)
    return np.column_stack([np.cos(angle), np.sin(angle)])


def cross(n: int, *, seed: int = 0) -> np.ndarray:
    """Two features that never fire together: half of the points on each axis."""
    rng = np.random.default_rng(seed)
    size, first = rng.uniform(0.5, 1.5, n), np.arange(n) < n // 2
    return np.column_stack([size * first, size * ~first])


def turned(points: np.ndarray, angle: float) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points @ turn.T


def plain_information(points: np.ndarray, n_bins: int) -> float:
    """Mutual information of the coordinates in bits, by NumPy and without the correction for bias."""
    joint = np.histogram2d(*points.T, bins=n_bins)[0] / len(points)
    product = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log2(joint[seen] / product[seen])).sum())


def test_four_corners_share_one_bit():
    """Points on the corners of a square: two bins a side hold one corner each in every turn but the diagonal one."""
    diagonal = np.repeat([[1.0, 1.0], [-1.0, -1.0]], 500, axis=0)
    axes_apart = np.repeat([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], 250, axis=0)
    assert separability_index(axes_apart, n_bins=2) == pytest.approx(0.0, abs=1e-9)
    assert separability_index(diagonal, n_bins=2) == 0.0  # a line: turned onto an axis it has one coordinate


def test_it_is_the_least_information_over_turns_as_numpy_finds_it():
    points = on_circle(4000) * [1.0, 0.6]
    by_hand = min(plain_information(turned(points, -angle), 10) for angle in np.arange(22) * np.pi / 44)
    # The correction takes out (occupied bins - rows - columns + 1) / 2n nats: at most 81 / 8000 nats = 0.015 bits.
    assert separability_index(points) == pytest.approx(by_hand, abs=0.015)
    assert separability_index(points) < by_hand


def test_independent_coordinates_have_no_information_at_any_number_of_points():
    """With 10 bins a side and no correction 200 points show a sixth of a bit where there is none."""
    assert plain_information(np.random.default_rng(0).standard_normal((200, 2)), 10) > 0.15
    for n in (50, 200, 1000):
        values = [separability_index(np.random.default_rng(seed).standard_normal((n, 2))) for seed in range(20)]
        assert np.mean(values) < 0.05


def test_a_turned_product_is_separable_and_a_circle_is_not():
    rng = np.random.default_rng(0)
    product = turned(np.column_stack([rng.exponential(size=3000), rng.uniform(size=3000) * 3]), 0.5)
    assert separability_index(product) < 0.05
    assert separability_index(on_circle(3000)) > 1.0


def test_mixture_of_a_circle_is_that_of_its_tangent():
    """The best band touches the rim from inside: its middle c and half-width h = 0.1 sqrt(1/2 + c^2) add up to 1, so
    c = 0.887, and the points beyond c - h = 0.774 are arccos(0.774) / pi = 0.218 of the circle."""
    assert mixture_index(on_circle(20_000)) == pytest.approx(0.218, abs=0.01)  # the grid of offsets, and sampling


def test_mixture_of_a_blob_is_that_of_its_middle():
    """Within 0.1 standard deviations of the middle lie 8 % of a Gaussian."""
    points = np.random.default_rng(0).standard_normal((20_000, 2))
    assert mixture_index(points) == pytest.approx(0.08, abs=0.01)


def test_two_features_that_never_meet_are_a_mixture_in_every_turn():
    for angle in np.linspace(0, np.pi, 13):
        assert mixture_index(turned(cross(1000), angle)) >= 0.5 - 0.02
    assert mixture_index(cross(1000)) < 0.7


def test_points_on_a_line_are_a_whole_mixture():
    assert mixture_index(np.outer(np.arange(10.0), [1.0, 0.0])) == 1.0


def test_shift_scale_and_turns_change_nothing_but_the_grid():
    points = on_circle(2000) + 0.1 * np.random.default_rng(1).standard_normal((2000, 2))
    same = plane_scores(points)
    np.testing.assert_allclose(plane_scores(points * 7 + [3, -5]), same, atol=1e-9)
    # Half a step of the grids of angles: 2 and 2.5 degrees.
    np.testing.assert_allclose(plane_scores(turned(points, np.pi / 90)), same, atol=0.08)


@pytest.mark.parametrize("d", [64, 512])
def test_a_circle_scores_above_a_blob_and_a_cross_in_many_dimensions(d):
    def best(rows):
        axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2][:3]
        return plane_scores((rows - rows.mean(axis=0)) @ axes.T)[:, 2].max()

    scores = {
        shape: best(point_cloud(shape, n_points=800, d=d, noise=0.1, seed=0).rows)
        for shape in ("circle", "noise", "two_clusters")
    }
    assert scores["circle"] > 3 * scores["noise"] and scores["circle"] > scores["two_clusters"]


def test_planes_are_of_neighbouring_components():
    rows = np.column_stack([on_circle(500), np.zeros(500)])
    scores = plane_scores(rows)
    assert scores.shape == (2, 3)
    np.testing.assert_allclose(scores[:, 2], scores[:, 0] * (1 - scores[:, 1]))
    assert scores[0, 2] > 0.5 and scores[1, 2] == 0.0  # the second plane is a line


def test_the_best_score_is_that_of_all_planes():
    """What is skipped cannot be the highest."""
    rng = np.random.default_rng(0)
    for n in (60, 300):
        for _ in range(20):
            rows = rng.standard_normal((n, 5)) ** rng.integers(1, 4)
            rows[:, :2] *= rng.random((n, 1)) < 0.7
            every = plane_scores(rows, n_bins=6)[:, 2].max()
            assert best_score(rows, n_bins=6) == pytest.approx(every, abs=1e-12)


@pytest.mark.parametrize("points", [np.zeros((3, 2)), np.zeros((9, 3)), np.full((9, 2), np.nan)])
def test_what_is_no_plane_is_refused(points):
    for index in (separability_index, mixture_index):
        with pytest.raises(ValueError, match=r"at least 4 finite points \(n, 2\)"):
            index(points)


def test_parameters_out_of_range_are_refused():
    with pytest.raises(ValueError, match="n_bins must be at least 2; got 1"):
        separability_index(on_circle(9), n_bins=1)
    with pytest.raises(ValueError, match=r"epsilon must be in \(0, 1\); got 1"):
        mixture_index(on_circle(9), epsilon=1)
    with pytest.raises(ValueError, match=r"k at least 2; got shape \(9, 1\)"):
        plane_scores(np.ones((9, 1)))
