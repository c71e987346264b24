"""Exact neighbours against scikit-learn."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from helpers.geometry import nearest, nearest_rows


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_are_those_of_scikit_learn(metric, monkeypatch):
    rows = np.random.default_rng(0).normal(size=(300, 12))
    monkeypatch.setattr(nearest, "BLOCK_VALUES", 300 * 7)  # blocks of seven rows: borders must not show
    found = nearest_rows(rows, k=5, metric=metric)
    distances, ids = NearestNeighbors(n_neighbors=6, metric=metric).fit(rows).kneighbors(rows)
    np.testing.assert_array_equal(found.ids, ids[:, 1:])
    np.testing.assert_allclose(found.distances, distances[:, 1:], atol=1e-5)  # float32 products of unit rows


def test_some_rows_may_be_asked_alone():
    rows = np.random.default_rng(1).normal(size=(50, 4))
    some = nearest_rows(rows, k=3, of=np.array([7, 2]))
    np.testing.assert_array_equal(some.ids, nearest_rows(rows, k=3).ids[[7, 2]])


def test_a_copy_is_a_neighbour_and_a_row_is_not_its_own():
    rows = np.vstack([np.eye(4), np.eye(4)[:1]])
    found = nearest_rows(rows, k=1)
    assert found.ids[0, 0] == 4 and found.ids[4, 0] == 0
    assert found.distances[0, 0] == pytest.approx(0, abs=1e-6)


def test_what_cannot_be_is_refused():
    rows = np.eye(4)
    with pytest.raises(ValueError, match="k must be from 1 to 3"):
        nearest_rows(rows, k=4)
    with pytest.raises(ValueError, match="metric must be one of cosine, euclidean"):
        nearest_rows(rows, k=1, metric="manhattan")
    with pytest.raises(ValueError, match="row 2 is zero and has no direction"):
        nearest_rows(np.vstack([rows[:2], np.zeros((1, 4))]), k=1)
    with pytest.raises(ValueError, match="finite"):
        nearest_rows(np.full((3, 2), np.nan), k=1)
