"""Bars of components and loops: by the definition, by ripser, by hand, with ties, and within their memory."""

from __future__ import annotations

import numpy as np
import pytest
from ripser import ripser
from scipy.spatial.distance import pdist, squareform

from helpers.geometry import point_cloud
from helpers.geometry.homology.rips_loops import rips_bars
from tests.geometry.homology.reference import brute_force, in_order, polygon


def assert_same_bars(distances: np.ndarray) -> int:
    found, expected = rips_bars(distances), brute_force(distances, max_dim=1)
    components = found.components[found.components > 0]
    # Both only compare and copy the given numbers, so nothing is rounded.
    np.testing.assert_array_equal(components, expected[0][:, 1])
    np.testing.assert_array_equal(in_order(found.loops), expected[1])
    for (birth, _), (i, j) in zip(found.loops, found.edges, strict=True):
        assert distances[i, j] == birth
    return len(found.loops)


@pytest.mark.parametrize("seed", range(8))
def test_bars_are_those_of_the_definition(seed):
    """Points of the plane, points of many dimensions, and distances that belong to no points at all."""
    rng = np.random.default_rng(seed)
    anything = squareform(rng.uniform(1, 2, 55))
    clouds = [squareform(pdist(rng.standard_normal((12, d)))) for d in (2, 9)]
    assert sum(assert_same_bars(distances) for distances in (*clouds, anything)) > 3


@pytest.mark.parametrize("seed", range(8))
def test_equal_distances_are_no_trouble(seed):
    """Whole numbers from 1 to 4: most edges have many equals, and some points are copies of each other."""
    rng = np.random.default_rng(100 + seed)
    distances = squareform(rng.integers(1, 5, 55))
    distances[[0, 3]] = distances[[0, 0]]
    distances[:, [0, 3]] = distances[:, [0, 0]]
    distances[0, 3] = distances[3, 0] = 0
    np.fill_diagonal(distances, 0)
    assert_same_bars(distances.astype(np.float64))


@pytest.mark.parametrize(
    ("shape", "n", "d"), [("noise", 120, 60), ("torus", 150, 8), ("figure_eight", 120, 5), ("tree", 80, 6)]
)
def test_bars_are_those_of_ripser(shape, n, d):
    rows = point_cloud(shape, n_points=n, d=d, noise=0.1, seed=1).rows
    distances = squareform(pdist(rows))
    found, expected = rips_bars(distances), ripser(distances, maxdim=1, distance_matrix=True)["dgms"]
    # ripser rounds to float32 (24 bits of at most 4), and drops bars that are then of no length.
    loops = found.loops[found.loops[:, 0].astype(np.float32) < found.loops[:, 1].astype(np.float32)]
    assert len(loops) == len(expected[1]) > (0 if shape != "tree" else -1)
    np.testing.assert_allclose(in_order(loops), in_order(expected[1]), atol=4 * 2**-23)
    np.testing.assert_allclose(found.components[:-1], np.sort(expected[0][:-1, 1]), atol=4 * 2**-23)


@pytest.mark.parametrize("n", [4, 5, 6, 7, 12, 13, 30])
def test_a_regular_polygon_has_one_loop_of_known_life(n):
    """Born with its sides; filled in by the first triangle that holds the centre, of steps of n/3 corners, rounded up.

    Source: Adamaszek and Adams 2017, arXiv:1503.03669.
    """
    found = rips_bars(squareform(pdist(polygon(n))))
    assert len(found.loops) == 1
    expected = [2 * np.sin(np.pi / n), 2 * np.sin(np.pi * -(-n // 3) / n)]
    np.testing.assert_allclose(found.loops[0], expected, rtol=1e-12)
    # The sides differ by rounding alone: all points but one join at the same length.
    np.testing.assert_allclose(found.components[:-1], expected[0], rtol=1e-12)
    assert found.components[-1] == np.inf


def test_a_triangle_has_no_loop():
    assert len(rips_bars(squareform(pdist(polygon(3)))).loops) == 0


def test_annotations_grow_beyond_their_first_size_and_stop_where_they_must():
    """Two rings of points on orthogonal circles: every point of one is equally far from every point of the other.

    With a cocktail-party of many squares, more than four words of loops are alive at once: the complete bipartite graph
    of 40 and 40 points has 39 * 39 independent circuits.
    """
    n = 40
    distances = np.full((2 * n, 2 * n), 2.0)
    distances[:n, n:] = distances[n:, :n] = 1.0
    np.fill_diagonal(distances, 0)
    found = rips_bars(distances)
    assert len(found.loops) == (n - 1) ** 2 and (found.loops == [1.0, 2.0]).all()
    assert found.n_bytes > 1024 * 4 * 8
    with pytest.raises(ValueError, match="loops of 80 landmarks need more than 0 MiB; lower n_landmarks"):
        rips_bars(distances, max_bytes=100_000)
