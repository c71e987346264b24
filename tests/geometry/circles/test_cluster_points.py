"""What one cluster writes: exact, sparse, and along its principal components."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from helpers.activations import ActivationStore
from helpers.geometry.circles import FiringColumns


@pytest.fixture
def world():
    rng = np.random.default_rng(0)
    acts = rng.random((200, 12)) * (rng.random((200, 12)) < 0.2)
    acts[:, 7] = 0
    return acts, rng.standard_normal((12, 30))


def test_points_are_what_the_cluster_writes_where_it_fires(world):
    acts, directions = world
    ids = [2, 5, 9]
    found = FiringColumns.of(acts).points_of(ids, directions)
    rows = np.flatnonzero(acts[:, ids].any(axis=1))
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_allclose(found.points, acts[rows][:, ids] @ directions[ids], atol=1e-12)
    assert found.n_tokens == len(rows)


@pytest.mark.parametrize("d", [2, 3, 30, 512])
def test_principal_planes_are_those_of_a_plain_pca(world, d):
    acts, _ = world
    directions = np.random.default_rng(1).standard_normal((12, d))
    found = FiringColumns.of(acts).points_of([0, 1, 2, 3], directions)
    planes = found.principal()
    centred = found.points - found.points.mean(axis=0)
    left, spread, _ = np.linalg.svd(centred, full_matrices=False)
    k = min(4, d)
    assert planes.coordinates.shape == (len(found.rows), k)
    np.testing.assert_allclose(np.abs(planes.coordinates), np.abs(left * spread)[:, :k], atol=1e-8)
    np.testing.assert_allclose(planes.axes @ planes.axes.T, np.eye(k), atol=1e-9)
    np.testing.assert_allclose(planes.variances, spread[:k] ** 2 / len(found.rows), atol=1e-9)
    np.testing.assert_allclose(planes.mean, found.points.mean(axis=0), atol=1e-9)


def test_features_that_write_alike_span_one_dimension(world):
    acts, _ = world
    found = FiringColumns.of(acts).points_of([0, 1], np.ones((12, 5)))
    assert found.principal().coordinates.shape[1] == 1


def test_a_sample_is_of_the_cluster_and_repeats(world):
    acts, directions = world
    columns = FiringColumns.of(acts)
    every = columns.points_of([2, 5], directions)
    some = columns.points_of([2, 5], directions, max_points=10, seed=3)
    assert len(some.rows) == 10 and np.isin(some.rows, every.rows).all() and some.n_tokens == every.n_tokens
    np.testing.assert_array_equal(some.rows, columns.points_of([2, 5], directions, max_points=10, seed=3).rows)


def test_stores_and_sparse_matrices_are_the_same(world, tmp_path):
    acts, directions = world
    acts = acts.astype(np.float32)
    with ActivationStore.create(tmp_path / "store", d_sae=12, dtype="float32") as writer:
        order = np.arange(200, dtype=np.int32)
        writer.append(acts, token_ids=order, documents=order, positions=order)
    sources = (acts, scipy.sparse.csr_array(acts), ActivationStore.open(tmp_path / "store"))
    first, *others = (FiringColumns.of(source).points_of([0, 3], directions).points for source in sources)
    for other in others:
        np.testing.assert_allclose(other, first)


def test_what_gives_no_points_is_refused(world):
    acts, directions = world
    columns = FiringColumns.of(acts)
    with pytest.raises(ValueError, match=r"none of the features \[7\] ever fires"):
        columns.points_of([7], directions)
    for ids in ([], [1, 1], [-1, 2], [3, 12]):
        with pytest.raises(ValueError, match="distinct feature ids from 0 to 11"):
            columns.points_of(ids, directions)
    with pytest.raises(ValueError, match="a direction of each of 12 features; got 11"):
        columns.points_of([1, 2], directions[1:])
    with pytest.raises(ValueError, match="negative or NaN"):
        FiringColumns.of(-acts)
