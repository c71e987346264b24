"""Clouds of known shape: they are what they say, in any number of dimensions."""

import numpy as np
import pytest

from helpers.geometry.point_clouds import BETTI, point_cloud


def _coordinates(cloud) -> np.ndarray:
    """The cloud without noise in as many coordinates as it has dimensions, by distances alone."""
    centred = cloud.rows - cloud.rows.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    return (u * s)[:, s > 1e-9 * s[0]]


@pytest.mark.parametrize(
    ("shape", "rank"),
    [("circle", 2), ("figure_eight", 2), ("torus", 3), ("sphere", 3), ("two_clusters", 3), ("tree", 4)],
)
@pytest.mark.parametrize("d", [4, 64])
def test_without_noise_a_shape_spans_its_own_dimensions(shape, rank, d):
    assert _coordinates(point_cloud(shape, n_points=200, d=d, noise=0, seed=0)).shape[1] == rank


def test_every_shape_has_its_equation():
    assert np.allclose(np.linalg.norm(point_cloud("circle", n_points=50, d=9, noise=0, seed=1).rows, axis=1), 1)
    assert np.allclose(np.linalg.norm(point_cloud("sphere", n_points=50, d=9, noise=0, seed=1).rows, axis=1), 1)
    radii = np.linalg.norm(point_cloud("torus", n_points=500, d=9, noise=0, seed=1).rows, axis=1)
    assert 0.6 <= radii.min() < 0.7 and 1.3 < radii.max() <= 1.4 + 1e-12
    tree = point_cloud("tree", n_points=40, d=9, noise=0, seed=1)
    gram = tree.rows @ tree.rows.T
    other = tree.place[:, None] != tree.place[None, :]
    assert np.abs(gram[other]).max() < 1e-12  # branches are orthogonal
    clusters = point_cloud("two_clusters", n_points=400, d=9, noise=0, seed=1)
    centres = [clusters.rows[clusters.place == number].mean(axis=0) for number in (0, 1)]
    assert np.linalg.norm(centres[0] - centres[1]) == pytest.approx(3, abs=5 * 0.3 * np.sqrt(2 / 200))


def test_places_are_angles():
    cloud = point_cloud("circle", n_points=100, d=16, noise=0, seed=2)
    expected = 2 * np.sin(np.abs(cloud.place[:, None] - cloud.place[None, :]) / 2)
    assert np.allclose(np.linalg.norm(cloud.rows[:, None] - cloud.rows[None], axis=2), np.abs(expected))
    eight = point_cloud("figure_eight", n_points=100, d=16, noise=0, seed=2)
    assert ((eight.place > 2 * np.pi).sum(), len(eight.place)) == (50, 100)


@pytest.mark.parametrize("d", [8, 512])
def test_noise_has_its_length_in_any_dimension(d):
    shapes = [point_cloud("circle", n_points=400, d=d, noise=noise, seed=3).rows for noise in (0.0, 0.2)]
    lengths = np.linalg.norm(shapes[1] - shapes[0], axis=1)
    # The squared length is 0.04 chi-squared with d degrees, over d: its mean over 400 points errs by 0.04 sqrt(2/d/400).
    assert np.mean(lengths**2) == pytest.approx(0.04, abs=5 * 0.04 * np.sqrt(2 / d / 400))


@pytest.mark.parametrize("shape", list(BETTI))
def test_seeds_decide(shape):
    draw = lambda seed: point_cloud(shape, n_points=20, d=8, noise=0.1, seed=seed).rows
    assert np.array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": "knot"}, "shape must be one of"),
        ({"n_points": 7}, "at least 8 points"),
        ({"d": 3}, "4 dimensions"),
        ({"noise": -0.1}, "no negative noise"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        point_cloud(**({"shape": "circle", "n_points": 10, "d": 8, "noise": 0.0, "seed": 0} | change))
