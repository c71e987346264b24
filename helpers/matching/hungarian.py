"""The one-to-one matching of greatest total association over whole dictionaries, with a bound on what it may miss.

The dense problem (every feature of a against every feature of b) is never built. Candidates are the pairs on either
side's list of best partners; a dummy partner of value 0 for every feature lets it stay unmatched. Linear programming
then says how good the result is: with prices u of a and v of b,
    u_i + v_j >= association(i, j) for all pairs,  u, v >= 0    =>    no matching is worth more than sum(u) + sum(v).
Listed pairs hold it by the choice of u. A pair on no list is worth at most the last entry of its features' lists, so
raising u_i to the last entry of i's list makes the prices valid for all pairs, and their sum bounds the dense optimum.
Features whose list ends above their price get longer lists until the bound is tight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import scipy.sparse
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from helpers.matching.candidates import BestPartners, Engine, on_grid
from helpers.matching.greedy import listed_edges

FIRST_LIST = 32
LONGEST_LIST = 2048
MAX_ROUNDS = 4
TOLERANCE = 1e-4  # bound over total, minus 1, at which lists are long enough


@dataclass(frozen=True)
class OptimalPairs:
    """The matching and its certificate.

    Args:
        ids_a, ids_b, values: the pairs, in no particular order.
        gap: the dense optimum is at most (1 + gap) times the total of `values`.
    """

    ids_a: np.ndarray
    ids_b: np.ndarray
    values: np.ndarray
    gap: float


def optimal_pairs(
    engine: Engine, *, floor: float, first_list: int = FIRST_LIST, tolerance: float = TOLERANCE
) -> OptimalPairs:
    """Maximum total association; features may stay unmatched.

    Args:
        floor: smaller associations are no candidates.
        first_list: candidates of every feature in the first round.
        tolerance: gap at which the search for more candidates ends.
    """
    # The side with fewer features has the certificate: on the other, some must stay unmatched at price 0.
    side = "a" if engine.usable_a.sum() <= engine.usable_b.sum() else "b"
    lists = engine.both_lists(k=first_list, floor=floor)
    own = lists.of_a if side == "a" else lists.of_b
    edges = listed_edges(lists)
    near, far, values = edges.ids[:, 0], edges.ids[:, 1], on_grid(edges.values)
    if side == "b":
        near, far = far, near
    shape = (engine.d_a, engine.d_b) if side == "a" else (engine.d_b, engine.d_a)
    last = np.where(own.truncated, own.values[:, -1], 0.0)
    k = own.ids.shape[1]
    for round_ in range(MAX_ROUNDS):
        graph = _graph(near, far, values, shape)
        partner = _solve(graph)
        prices, bound = _certificate(graph, partner, last)
        matched = np.flatnonzero(partner >= 0)
        pair_values = values_of(graph, matched, partner[matched])
        total = float(pair_values.sum())
        gap = max(bound / total - 1.0, 0.0) if total > 0 else 0.0
        open_ = last > prices
        if gap <= tolerance or k >= LONGEST_LIST or not open_.any() or round_ == MAX_ROUNDS - 1:
            break
        k = min(4 * k, LONGEST_LIST)
        longer = _longer_lists(engine, side, open_, k=k, floor=floor)
        last[open_] = np.where(longer.truncated, longer.values[:, -1], 0.0)[open_]
        near, far, values = _with_lists(near, far, values, longer, shape)
    ids = (matched, partner[matched]) if side == "a" else (partner[matched], matched)
    return OptimalPairs(ids[0], ids[1], pair_values, gap)


def _longer_lists(engine: Engine, side: str, features: np.ndarray, *, k: int, floor: float) -> BestPartners:
    keep_a, keep_b = (features, None) if side == "a" else (None, features)
    return engine.best_partners(of=side, k=k, floor=floor, keep_a=keep_a, keep_b=keep_b)


def _with_lists(
    near: np.ndarray, far: np.ndarray, values: np.ndarray, lists: BestPartners, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows, slots = np.nonzero(lists.ids >= 0)
    codes = np.concatenate([near * shape[1] + far, rows.astype(np.int64) * shape[1] + lists.ids[rows, slots]])
    codes, first = np.unique(codes, return_index=True)
    return codes // shape[1], codes % shape[1], np.concatenate([values, on_grid(lists.values[rows, slots])])[first]


def _graph(near: np.ndarray, far: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> scipy.sparse.csr_array:
    """Candidate pairs, by feature of the near side, columns ascending."""
    graph = scipy.sparse.csr_array((values, (near, far)), shape=shape)
    graph.sort_indices()
    return graph


def _solve(graph: scipy.sparse.csr_array) -> np.ndarray:
    """Partner of every near feature, (n_near,) int64, -1 where it stays unmatched."""
    partner = np.full(graph.shape[0], -1, dtype=np.int64)
    rows = np.flatnonzero(np.diff(graph.indptr))
    if len(rows) == 0:
        return partner
    columns = np.unique(graph.indices)
    part = graph[rows][:, columns]
    # Every row is matched exactly once, to a partner or to its dummy, so 1 may be added to all: no weight is then 0,
    # which the solver would take for a missing edge.
    part = scipy.sparse.csr_array((part.data + 1.0, part.indices, part.indptr), shape=part.shape)
    whole = scipy.sparse.hstack([part, scipy.sparse.eye_array(len(rows))], format="csr")
    solved_rows, solved_columns = min_weight_full_bipartite_matching(whole, maximize=True)
    real = solved_columns < len(columns)
    partner[rows[solved_rows[real]]] = columns[solved_columns[real]]
    return partner


def _certificate(graph: scipy.sparse.csr_array, partner: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, float]:
    """Prices of the near features by the listed pairs alone, and the bound on the dense optimum.

    Args:
        last: value of the last entry of every near list that was cut, 0 where none was.
    """
    prices_far = _far_prices(graph.indptr, graph.indices, graph.data, partner, graph.shape[1])
    prices = np.zeros(graph.shape[0])
    excess = graph.data - prices_far[graph.indices]
    rows = np.flatnonzero(np.diff(graph.indptr))
    if len(rows):
        prices[rows] = np.maximum(np.maximum.reduceat(excess, graph.indptr[rows]), 0.0)
    return prices, float(np.maximum(prices, last).sum() + prices_far.sum())


def values_of(graph: scipy.sparse.csr_array, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Stored values at some places of a matrix whose columns ascend inside a row."""
    codes = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr)) * graph.shape[1] + graph.indices
    return graph.data[np.searchsorted(codes, rows * graph.shape[1] + columns)]


@numba.njit(cache=True, nogil=True)
def _far_prices(indptr, indices, values, partner, n_far):  # pragma: no cover (compiled)
    """Lowest prices of the far features under which no near feature would rather have another partner.

    Longest paths from price 0; an optimal matching has no gainful cycle, so they end. Rounding could make one gain
    1e-16 for ever: steps below 1e-12 are not taken, and any prices give a valid bound.
    """
    prices = np.zeros(n_far)
    owner = np.full(n_far, -1, dtype=np.int64)
    n_near = partner.size
    own_value = np.zeros(n_near)
    for near in range(n_near):
        if partner[near] >= 0:
            owner[partner[near]] = near
            for entry in range(indptr[near], indptr[near + 1]):
                if indices[entry] == partner[near]:
                    own_value[near] = values[entry]
    queue = np.arange(n_near)
    waiting = np.ones(n_near, dtype=np.bool_)
    head, n_waiting = 0, n_near
    steps = 0
    while n_waiting > 0 and steps < 1000 * n_near:
        near = queue[head]
        head = (head + 1) % n_near
        n_waiting -= 1
        waiting[near] = False
        steps += 1
        mine = partner[near]
        worth = own_value[near] - prices[mine] if mine >= 0 else 0.0
        for entry in range(indptr[near], indptr[near + 1]):
            far = indices[entry]
            need = values[entry] - worth
            if far != mine and need > prices[far] + 1e-12:
                prices[far] = need
                rival = owner[far]
                if rival >= 0 and not waiting[rival]:
                    queue[(head + n_waiting) % n_near] = rival
                    n_waiting += 1
                    waiting[rival] = True
    return prices
