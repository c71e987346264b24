"""Is the graph of one model in the graph of another? Whether partners of rows that share a node lie close together.

Graphs of two models have no nodes in common, and their lenses run as they like. What can be compared is who is with whom:
rows of a that are in one node, and their matched partners in b, which should be in one node of b or in tied ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from helpers.geometry.family_tests import order_test
from helpers.geometry.mapper.graph import MapperGraph
from helpers.nulls import PermutationResult

MAX_ASKED = 200_000
OUTSIDE = -1


def partners_stay_together(
    graph_a: MapperGraph,
    graph_b: MapperGraph,
    rows_a: Any,
    rows_b: Any,
    *,
    counts_b: Any = None,
    n_bins: int = 20,
    n_permutations: int = 1000,
    max_asked: int = MAX_ASKED,
    seed: int = 0,
) -> PermutationResult:
    """Of all two matched rows of a that share a node, the share whose partners are in the same or in tied nodes of b.

    Shapes:
        rows_a, rows_b: (n_pairs,) int, rows of the two graphs, pair by pair; no row twice on a side. counts_b:
        (n_pairs,), how often each partner fires.
    Args:
        counts_b: with it, partners are shuffled among partners of about the same frequency (`n_bins` bins).
        n_permutations: shuffles of the partners.
        max_asked: where more pairs of rows share a node, so many are drawn at random.
    Returns:
        A score in [0, 1], 1 = all stay together, beside shuffled partners; partners that are in no node of b count as
        apart. `settings["n_asked"]` is the number of pairs of rows.
    Raises:
        ValueError: rows that do not pair up, are not in the graph, or come twice; no two matched rows share a node of a.
    """
    first, second = _paired(rows_a, graph_a, "rows_a"), _paired(rows_b, graph_b, "rows_b")
    if len(first) != len(second) or (counts_b is not None and np.shape(counts_b) != first.shape):
        raise ValueError(
            f"rows_a, rows_b and counts_b must pair up; got {len(first)}, {len(second)} and "
            f"{'none' if counts_b is None else np.shape(counts_b)}"
        )
    members = graph_a.membership[:, first]
    together = scipy.sparse.triu(members.T @ members, k=1).tocoo()
    left, right = together.row.astype(np.int64), together.col.astype(np.int64)
    if len(left) == 0:
        raise ValueError("no two matched rows share a node of a; match more features or raise eps or gain")
    if len(left) > max_asked:
        drawn = np.random.default_rng(seed).choice(len(left), max_asked, replace=False)
        left, right = left[drawn], right[drawn]
    nodes_of, near = _padded_nodes(graph_b, second), _near(graph_b)

    def score(order: np.ndarray) -> float:
        nodes_left, nodes_right = nodes_of[order[left]], nodes_of[order[right]]
        close = np.zeros(len(left), dtype=bool)
        for one in nodes_left.T:
            for other in nodes_right.T:
                close |= near[one, other]
        return float(close.mean())

    bins = None
    if counts_b is not None:
        edges = np.unique(np.quantile(counts_b, np.linspace(0, 1, n_bins + 1)[1:-1]))
        bins = np.searchsorted(edges, counts_b)
    about = {"n_asked": len(left)}
    return order_test("partners_stay_together", score, len(first), bins, n_permutations, seed, **about)


def _paired(rows: Any, graph: MapperGraph, name: str) -> np.ndarray:
    places = np.asarray(rows)
    whole = places.ndim == 1 and places.size > 1 and places.dtype.kind in "iu"
    if not whole or places.min() < 0 or places.max() >= graph.n_rows or len(np.unique(places)) < len(places):
        raise ValueError(
            f"{name} must be at least two different rows from 0 to {graph.n_rows - 1}; got {places.size} values; are a and "
            "b swapped?"
        )
    return places.astype(np.int64)


def _padded_nodes(graph: MapperGraph, rows: np.ndarray) -> np.ndarray:
    """(n_rows, most) nodes of every row; -1 where it has fewer."""
    nodes_of = graph.membership[:, rows].T.tocsr()
    counts = np.diff(nodes_of.indptr)
    padded = np.full((len(rows), max(1, int(counts.max()))), OUTSIDE, dtype=np.int64)
    padded[np.repeat(np.arange(len(rows)), counts), _places_in_groups(counts)] = nodes_of.indices
    return padded


def _places_in_groups(counts: np.ndarray) -> np.ndarray:
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    return np.arange(counts.sum()) - starts


def _near(graph: MapperGraph) -> np.ndarray:
    """(n_nodes + 1, n_nodes + 1) bool: the same or tied; the last line and column stand for no node."""
    near = np.zeros((graph.n_nodes + 1, graph.n_nodes + 1), dtype=bool)
    near[np.arange(graph.n_nodes), np.arange(graph.n_nodes)] = True
    near[graph.edges[:, 0], graph.edges[:, 1]] = near[graph.edges[:, 1], graph.edges[:, 0]] = True
    return near
