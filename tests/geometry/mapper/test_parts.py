"""Lenses, cover, reach and nerve, each against values worked out by hand or by another way."""

import itertools

import numpy as np
import pytest
import scipy.sparse
from kmapper.nerve import GraphNerve
from sklearn.manifold import Isomap
from sklearn.metrics import pairwise_distances

from helpers.geometry.mapper.cover import automatic_cubes, cube_rows, knee, reach_curve
from helpers.geometry.mapper.lenses import MapperPoints, mapper_lens
from helpers.geometry.mapper.nerve import component_labels, n_loops, nerve_of
from helpers.geometry.point_clouds import point_cloud


def points(rows, metric="euclidean"):
    return MapperPoints.of(rows, metric=metric)


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).standard_normal((80, 6)) * [5, 3, 1, 1, 1, 1]


@pytest.mark.parametrize("shape", [(80, 6), (5, 6)])
def test_pca_is_the_projection_on_the_axes_of_largest_spread(shape):
    rows = np.random.default_rng(0).standard_normal(shape) * [5, 3, 1, 1, 1, 1]
    found = mapper_lens(points(rows), lens="pca", n_components=2, n_neighbors=2)
    u, s, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    expected = u[:, :2] * s[:2]
    expected *= np.sign(expected[np.abs(expected).argmax(axis=0), [0, 1]])
    np.testing.assert_allclose(found, expected, atol=1e-9)  # values of about 10


def test_norm_and_density_are_what_they_say(rows):
    np.testing.assert_allclose(mapper_lens(points(rows, "cosine"), lens="l2_norm")[:, 0], np.linalg.norm(rows, axis=1))
    distances = np.sort(pairwise_distances(rows), axis=1)[:, 1:5]
    found = mapper_lens(points(rows), lens="density", n_neighbors=4)[:, 0]
    np.testing.assert_allclose(found, -distances.mean(axis=1), rtol=1e-4)  # neighbours are searched in float32


def test_isomap_of_few_rows_is_that_of_scikit_learn_and_of_many_is_near_it():
    cloud = point_cloud("circle", n_points=300, d=8, noise=0.02, seed=0)
    every = mapper_lens(points(cloud.rows), lens="isomap", n_components=2, n_neighbors=12)
    theirs = Isomap(n_neighbors=12, n_components=2, eigen_solver="dense").fit_transform(cloud.rows)
    np.testing.assert_allclose(np.abs(every), np.abs(theirs), atol=1e-8)
    some = mapper_lens(points(cloud.rows), lens="isomap", n_components=2, n_neighbors=12, max_landmarks=150)
    whole, part = (pairwise_distances(found) for found in (every, some))
    assert np.corrcoef(whole.ravel(), part.ravel())[0, 1] > 0.99


def test_cubes_hold_what_their_bounds_say():
    """Four cubes of width 0.25 over [0, 1], widened to 0.25 / (1 - 0.2), so that neighbours share a fifth."""
    lens = np.linspace(0, 1, 101)[:, None]
    cubes = cube_rows(lens, n_cubes=4, gain=0.2)
    radius = 0.25 / (2 * 0.8)
    for cube, centre in zip(cubes, (0.125, 0.375, 0.625, 0.875), strict=True):
        inside = np.flatnonzero(np.abs(lens[:, 0] - centre) <= radius + 1e-12)
        np.testing.assert_array_equal(cube, inside)
    shared = 2 * radius - 0.25  # what neighbours have in common
    assert shared / (2 * radius) == pytest.approx(0.2)


def test_every_row_is_in_a_cube(rows):
    lens = rows[:, :2]
    for gain in (0.01, 0.3, 0.5, 0.9):
        cubes = cube_rows(lens, n_cubes=7, gain=gain)
        assert len(np.unique(np.concatenate(cubes))) == len(rows)


@pytest.mark.parametrize(("n", "n_components", "expected"), [(100, 1, 8), (600, 1, 10), (10**6, 1, 24), (6000, 2, 10)])
def test_automatic_cubes(n, n_components, expected):
    assert automatic_cubes(n, n_components) == expected


def test_a_cover_without_cubes_is_refused(rows):
    with pytest.raises(ValueError, match="n_cubes must be at least 1; got 0"):
        cube_rows(rows[:, :1], n_cubes=0, gain=0.3)


def test_the_knee_is_where_the_curve_bends_up():
    curve = np.concatenate([np.linspace(0, 1, 10), np.full(70, 1.0), np.linspace(1, 9, 20)])
    assert knee(curve) == 80  # the last of the ones, where the rise begins
    assert knee(np.arange(50.0)) == 49 and knee(np.ones(50)) == 49 and knee(np.array([1.0])) == 0


def test_the_curve_has_distances_inside_cubes_and_not_across():
    """On a line cut in two, the end of a piece has neighbours on one side only."""
    line = np.arange(20.0)[:, None]
    found = reach_curve(line, [np.arange(10), np.arange(10, 20)], min_samples=3, k=2)
    assert found.distances.tolist() == [1.0] * 16 + [2.0] * 4  # 2 for the first and the last of each piece
    whole = reach_curve(line, [np.arange(20)], min_samples=3, k=2)
    assert whole.distances.tolist() == [1.0] * 18 + [2.0] * 2
    assert found.eps == pytest.approx(1.0) and (found.k_low, found.k_high) == (2, 2)


def test_k_grows_with_the_logarithm_of_the_rows_and_stays_inside_a_cube():
    line = np.arange(200.0)[:, None]
    found = reach_curve(line, [np.arange(100), np.arange(100, 106), np.arange(3)], min_samples=5)
    assert (found.k_low, found.k_high) == (5, 14)  # 6 - 1, and 3 ln 100 = 13.8; three rows make no cluster
    assert len(found.distances) == 106


def test_a_share_of_cores_is_taken_where_it_is_asked_for():
    line = np.concatenate([np.arange(50.0), 100 + 5 * np.arange(50.0)])[:, None]
    found = reach_curve(line, [np.arange(100)], min_samples=2, k=1, core_share=0.5)
    assert found.eps == pytest.approx(1.0)
    assert np.mean(found.distances <= found.eps) == 0.5


def random_membership(seed, n_nodes=12, n_rows=40, most=4):
    rng = np.random.default_rng(seed)
    table = np.zeros((n_nodes, n_rows), dtype=np.int32)
    for row in range(n_rows):
        table[rng.choice(n_nodes, rng.integers(0, most + 1), replace=False), row] = 1
    return table


@pytest.mark.parametrize("seed", range(5))
def test_the_nerve_is_that_of_kmapper_and_of_counting(seed):
    table = random_membership(seed, n_rows=14)
    nerve = nerve_of(scipy.sparse.csr_array(table))
    theirs, _ = GraphNerve().compute({number: np.flatnonzero(line).tolist() for number, line in enumerate(table)})
    assert {tuple(edge) for edge in nerve.edges.tolist()} == {(i, j) for i, ends in theirs.items() for j in ends}
    for (i, j), shared in zip(nerve.edges, nerve.shared, strict=True):
        assert shared == (table[i] & table[j]).sum()
    expected = [t for t in itertools.combinations(range(len(table)), 3) if (table[list(t)].sum(axis=0) == 3).any()]
    assert [tuple(t) for t in nerve.triangles.tolist()] == expected


@pytest.mark.parametrize("seed", range(5))
def test_loops_are_the_first_betti_number(seed):
    """Against ranks of the dense boundary matrices, by floating-point singular values."""
    table = random_membership(seed, n_nodes=14, n_rows=16)
    nerve = nerve_of(scipy.sparse.csr_array(table))
    place = {tuple(edge): number for number, edge in enumerate(nerve.edges.tolist())}
    first = np.zeros((14, len(nerve.edges)))
    for number, (i, j) in enumerate(nerve.edges):
        first[i, number], first[j, number] = -1, 1
    second = np.zeros((len(nerve.edges), max(1, len(nerve.triangles))))
    for number, (i, j, k) in enumerate(nerve.triangles.tolist()):
        second[[place[i, j], place[j, k], place[i, k]], number] = 1, 1, -1
    expected = len(nerve.edges) - np.linalg.matrix_rank(first) - np.linalg.matrix_rank(second)
    assert n_loops(14, nerve.edges, nerve.triangles) == expected
    assert len(np.unique(component_labels(14, nerve.edges))) == 14 - np.linalg.matrix_rank(first)


def test_a_hollow_triangle_is_a_loop_and_a_filled_one_is_not():
    hollow = scipy.sparse.csr_array(np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]]))
    filled = scipy.sparse.csr_array(np.ones((3, 1), dtype=int))
    for table, loops in ((hollow, 1), (filled, 0)):
        nerve = nerve_of(table)
        assert len(nerve.edges) == 3 and n_loops(3, nerve.edges, nerve.triangles) == loops
