"""Clusters of features: who is tied, how graphs are cut, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from helpers.geometry import cofiring_pairs
from helpers.geometry.circles import FeatureClusters, chance_cosine, cluster_features, cosine_graph, firing_graph
from helpers.geometry.circles.clusters import METHODS


def blocks(sizes: list[int], *, joined: bool = False) -> scipy.sparse.csr_array:
    """Complete graphs; joined by one weak edge each if asked for."""
    graph = scipy.sparse.block_diag([np.ones((size, size)) - np.eye(size) for size in sizes]).tolil()
    ends = np.cumsum(sizes)
    for end in ends[:-1] if joined else ():
        graph[end - 1, end] = graph[end, end - 1] = 0.05
    return scipy.sparse.csr_array(graph)


def partition(clusters: FeatureClusters) -> set[frozenset[int]]:
    return {frozenset(clusters.members(number).tolist()) for number in range(clusters.n_clusters)}


def test_cosine_graph_holds_the_nearest_and_is_symmetric():
    directions = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0], [5.0, 5.0]])
    graph = cosine_graph(directions, [0, 1, 2, 3], k=1, min_cosine=0.5).toarray()
    expected = np.zeros((5, 5))
    expected[0, 1] = expected[1, 0] = 0.8  # each other's nearest
    expected[1, 2] = expected[2, 1] = 0.6  # 1 is nearest to 2, not the other way round
    np.testing.assert_allclose(graph, expected, atol=1e-6)
    mutual = cosine_graph(directions, [0, 1, 2, 3], k=1, min_cosine=0.5, mutual=True).toarray()
    assert mutual[1, 2] == 0 and mutual[0, 1] == pytest.approx(0.8, abs=1e-6)


def test_more_neighbours_than_others_are_all_others():
    graph = cosine_graph(np.eye(3) + 1, np.arange(3), k=50, min_cosine=0.1)
    assert graph.nnz == 6


def test_firing_graph_is_the_overlap():
    acts = np.zeros((40, 3))
    acts[:20, 0] = acts[:15, 1] = acts[30:, 2] = 1
    graph = firing_graph(cofiring_pairs(acts, min_firings=2), min_jaccard=0.2).toarray()
    assert graph[0, 1] == graph[1, 0] == pytest.approx(15 / 20) and graph[2].sum() == 0


@pytest.mark.parametrize("method", METHODS)
def test_separate_blocks_are_clusters(method):
    graph = scipy.sparse.csr_array(scipy.sparse.block_diag([blocks([6, 4, 5]), np.zeros((2, 2))]))
    clusters = cluster_features(graph, method=method, name="known")
    assert clusters.sizes.tolist() == [6, 5, 4] and clusters.name == f"known, {method}"
    assert clusters.labels.tolist() == [0] * 6 + [2] * 4 + [1] * 5 + [-1, -1]


def test_only_components_fall_for_a_chance_edge():
    graph = blocks([12, 12], joined=True)
    assert cluster_features(graph, method="components").n_clusters == 1
    for method in ("communities", "spectral"):
        assert partition(cluster_features(graph, method=method, max_size=12)) == {
            frozenset(range(12)),
            frozenset(range(12, 24)),
        }


@pytest.mark.parametrize("method", METHODS)
def test_order_of_features_changes_nothing(method):
    graph, order = blocks([9, 7, 8], joined=True), np.random.default_rng(0).permutation(24)
    shuffled = cluster_features(graph[order][:, order], method=method, max_size=9)
    back = {frozenset(order[list(group)].tolist()) for group in partition(shuffled)}
    assert back == partition(cluster_features(graph, method=method, max_size=9))


def test_a_large_component_is_cut_with_a_sparse_solver(monkeypatch):
    monkeypatch.setattr("helpers.geometry.circles.clusters._DENSE", 5)
    found = cluster_features(blocks([10, 10, 10], joined=True), method="spectral", max_size=10)
    assert found.sizes.tolist() == [10, 10, 10]


def test_a_graph_without_edges_has_no_clusters():
    for method in METHODS:
        found = cluster_features(scipy.sparse.csr_array((5, 5)), method=method)
        assert found.n_clusters == 0 and (found.labels == -1).all() and len(found.sizes) == 0


def test_random_directions_are_hardly_tied():
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((600, 64))
    least = chance_cosine(directions, np.arange(600), quantile=0.99, seed=1)
    graph = cosine_graph(directions, np.arange(600), min_cosine=least)
    # One in a hundred features reaches the bar by construction, and its neighbour with it.
    assert (np.diff(graph.indptr) > 0).sum() <= 4 * 0.01 * 600
    crowded = directions + 3 * rng.standard_normal(64)
    assert chance_cosine(crowded, np.arange(600)) > least + 0.3


def test_what_makes_no_clusters_is_refused():
    directions = np.eye(4)
    directions[2] = 0
    for ask in (lambda ids: cosine_graph(directions, ids), lambda ids: chance_cosine(directions, ids)):
        with pytest.raises(ValueError, match="row 2 is zero and has no direction"):
            ask([0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"at least 2 features.*got 1"):
        cosine_graph(directions, [0])
    with pytest.raises(ValueError, match=r"min_cosine in \(0, 1\]; got 2, 2 and 0"):
        cosine_graph(directions, [0, 1], min_cosine=0)
    with pytest.raises(ValueError, match=r"a quantile in \(0, 1\) and at least 2 features; got 1 and 2"):
        chance_cosine(directions, [0, 1], quantile=1)
    with pytest.raises(ValueError, match=r"min_jaccard must be in \(0, 1\]; got 0"):
        firing_graph(cofiring_pairs(np.eye(8)[:, :3], min_firings=1), min_jaccard=0)
    with pytest.raises(ValueError, match="method must be one of components, communities, spectral; got 'ward'"):
        cluster_features(blocks([3]), method="ward")
    with pytest.raises(ValueError, match=r"a square graph and max_size of at least 2; got \(3, 3\) and 1"):
        cluster_features(blocks([3]), max_size=1)
    with pytest.raises(ValueError, match="numbered 0 to 0; got 1"):
        cluster_features(blocks([3])).members(1)
    with pytest.raises(ValueError, match="each in one group"):
        FeatureClusters.of([[0, 1], [1, 2]], d_sae=4, name="")
    with pytest.raises(ValueError, match="ids from 0 to 3"):
        FeatureClusters.of([[0, 4]], d_sae=4, name="")


def test_groups_of_one_are_dropped_and_the_largest_is_first():
    clusters = FeatureClusters.of([[5], [3, 2], [0, 1, 4]], d_sae=6, name="by hand")
    assert clusters.labels.tolist() == [0, 0, 1, 1, 0, -1]
    assert clusters.members(1).tolist() == [2, 3]
