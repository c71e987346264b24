"""The nerve of clusters: two are tied where they have rows in common, three are filled in where all three have.

Edges alone would see holes everywhere: along a lens of two components four cubes meet in every row, and the six edges
between their clusters count three independent cycles where there is no hole. So loops are counted after every three
clusters with a common row have been filled in (first Betti number, over the field of two elements). Along a lens of one
component with a gain of at most one half no three cubes meet, and the loops are the cycles of the graph.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from jaxtyping import Int64
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True)
class Nerve:
    """Shapes: edges: (n_edges, 2) int64, first < second; shared: (n_edges,) rows in common; triangles: (n, 3) int64."""

    edges: Int64[np.ndarray, "n_edges 2"]
    shared: Int64[np.ndarray, " n_edges"]
    triangles: Int64[np.ndarray, "n_triangles 3"]


def nerve_of(membership: scipy.sparse.csr_array) -> Nerve:
    """The nerve of clusters.

    Shapes:
        membership: (n_nodes, n_rows) of ones, one line a cluster.
    """
    common = scipy.sparse.triu(membership @ membership.T, k=1).tocsr()
    common.sort_indices()
    common = common.tocoo()
    edges = np.column_stack([common.row, common.col]).astype(np.int64)
    shared = common.data.astype(np.int64)
    return Nerve(edges, shared, _triangles(membership))


def _triangles(membership: scipy.sparse.csr_array) -> np.ndarray:
    nodes_of = membership.T.tocsr()
    nodes_of.sort_indices()
    found = []
    for size in np.unique(np.diff(nodes_of.indptr)):
        if size < 3:
            continue
        rows = np.flatnonzero(np.diff(nodes_of.indptr) == size)
        nodes = np.unique(nodes_of.indices[nodes_of.indptr[rows][:, None] + np.arange(size)], axis=0)
        places = np.array([(i, j, k) for i in range(size) for j in range(i + 1, size) for k in range(j + 1, size)])
        found.append(nodes[:, places].reshape(-1, 3))
    if not found:
        return np.empty((0, 3), dtype=np.int64)
    return np.unique(np.concatenate(found), axis=0).astype(np.int64)


def component_labels(n_nodes: int, edges: np.ndarray) -> Int64[np.ndarray, " n_nodes"]:
    """Number of every node's component, from 0."""
    ones = np.ones(len(edges), dtype=np.int8)
    graph = scipy.sparse.csr_array((ones, (edges[:, 0], edges[:, 1])), shape=(n_nodes, n_nodes))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def n_loops(n_nodes: int, edges: np.ndarray, triangles: np.ndarray) -> int:
    """First Betti number of the nerve: independent cycles that no filled-in triangles bound."""
    cycles = len(edges) - n_nodes + int(component_labels(n_nodes, edges).max()) + 1
    return cycles - _boundary_rank(edges, triangles)


def _boundary_rank(edges: np.ndarray, triangles: np.ndarray) -> int:
    """Rank over two elements of the map from triangles to edges, by elimination."""
    place = {(int(i), int(j)): number for number, (i, j) in enumerate(edges)}
    pivots: dict[int, set[int]] = {}
    for i, j, k in triangles.tolist():
        column = {place[i, j], place[i, k], place[j, k]}
        while column and (lowest := max(column)) in pivots:
            column ^= pivots[lowest]
        if column:
            pivots[lowest] = column
    return len(pivots)
