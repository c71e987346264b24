"""The one-to-one matching of greatest total association over whole dictionaries, with a bound on what it may miss.

The dense problem (every feature of a against every feature of b) is never built. Candidates are the pairs on either
side's list of best partners; a feature may stay unmatched, at value 0. The features of one side bid for those of the
other (auction algorithm); the prices that result say how good the matching is, by linear programming:
    u_i + v_j >= association(i, j) for all pairs,  u, v >= 0    =>    no matching is worth more than sum(u) + sum(v).
Candidates hold it by the choice of u. A pair on no list is worth at most the last entry of its features' lists, so with
u_i at least the last entry of i's list the prices are valid for all pairs, and their sum bounds the dense optimum.
Features whose list ends above their price get longer lists until the bound is tight.

Source: Bertsekas 1988, https://doi.org/10.1007/BF02186476 (auction); the bound is weak duality.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import scipy.sparse

from helpers.matching.best_lists import beats_last, insert
from helpers.matching.candidates import BestPartners, Engine, on_grid
from helpers.matching.greedy import listed_edges

FIRST_LIST = 32
LIST_VALUES = 1 << 25  # entries of the longest lists: 0.4 GiB
MAX_ROUNDS = 12
TOLERANCE = 1e-4  # gap at which lists are long enough
BID = 1e-6  # least rise of a price; the total is within this, times the pairs, of the best over the candidates
ADDED = 16  # candidates that a feature may gain in a round


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
    engine: Engine, *, floor: float, first_list: int = FIRST_LIST, tolerance: float = TOLERANCE, bid: float = BID
) -> OptimalPairs:
    """Maximum total association; features may stay unmatched.

    Args:
        floor: smaller associations are no candidates.
        first_list: candidates of every feature in the first round.
        tolerance: gap at which the search for more candidates ends.
        bid: least rise of a price; smaller is more exact and slower.
    """
    # The side with fewer features bids: on the other, some must stay unmatched at price 0, which is where prices start.
    side = "a" if engine.usable_a.sum() <= engine.usable_b.sum() else "b"
    lists = engine.both_lists(k=first_list, floor=floor)
    own = lists.of_a if side == "a" else lists.of_b
    edges = listed_edges(lists)
    near, far = (edges.ids[:, 0], edges.ids[:, 1]) if side == "a" else (edges.ids[:, 1], edges.ids[:, 0])
    shape = (engine.d_a, engine.d_b) if side == "a" else (engine.d_b, engine.d_a)
    graph = _graph(near, far, on_grid(edges.values), shape)
    longest = min(max(first_list, LIST_VALUES // shape[0]), shape[1])
    lengths = np.full(shape[0], own.ids.shape[1])
    for _ in range(MAX_ROUNDS):
        partner, prices_far = _auction(graph.indptr, graph.indices, graph.data, shape[1], bid)
        prices = _prices(graph, prices_far)
        missing_ids, missing_values, cover = _missing(own.ids, own.values, prices, prices_far, min(ADDED, shape[1]))
        last = np.where(own.truncated, own.values[:, -1], 0.0)
        matched = np.flatnonzero(partner >= 0)
        pair_values = values_of(graph, matched, partner[matched])
        total = float(pair_values.sum())
        bound = float(np.maximum(cover, last).sum() + prices_far.sum())
        gap = max(bound / total - 1.0, 0.0) if total > 0 else 0.0
        open_ = (last > cover) & (lengths < longest)
        if gap <= tolerance or not (open_.any() or (missing_ids >= 0).any()):
            break
        if open_.any():
            lengths[open_] = min(max(4 * int(lengths[open_].max()), own.ids.shape[1]), longest)
            own = _extended(engine, side, open_, own, k=int(lengths.max()), floor=floor)
            missing_ids, missing_values, _ = _missing(own.ids, own.values, prices, prices_far, min(ADDED, shape[1]))
        graph = _with_missing(graph, missing_ids, missing_values + prices_far[missing_ids])
    ids = (matched, partner[matched]) if side == "a" else (partner[matched], matched)
    return OptimalPairs(ids[0], ids[1], pair_values, gap)


def _extended(
    engine: Engine, side: str, features: np.ndarray, own: BestPartners, *, k: int, floor: float
) -> BestPartners:
    """Lists of length k for some features; the other features keep what they have."""
    keep_a, keep_b = (features, None) if side == "a" else (None, features)
    longer = engine.best_partners(of=side, k=k, floor=floor, keep_a=keep_a, keep_b=keep_b)
    others = ~features
    old = own.ids.shape[1]
    longer.ids[others, :old], longer.values[others, :old] = own.ids[others], own.values[others]
    # Where a list was cut, its last place holds what every pair not listed is worth at most.
    cut = others & own.truncated
    longer.values[cut, -1], longer.ids[cut, -1] = own.values[cut, -1], -1
    longer.truncated[others] = own.truncated[others]
    return longer


def _graph(near: np.ndarray, far: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> scipy.sparse.csr_array:
    """Candidate pairs, by feature of the near side, columns ascending."""
    graph = scipy.sparse.csr_array((values, (near, far)), shape=shape)
    graph.sort_indices()
    return graph


def _with_missing(graph: scipy.sparse.csr_array, ids: np.ndarray, values: np.ndarray) -> scipy.sparse.csr_array:
    """The graph and more pairs; pairs that it has already are not among them."""
    rows, slots = np.nonzero(ids >= 0)
    near = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    near = np.concatenate([near, rows])
    far = np.concatenate([graph.indices, ids[rows, slots]])
    return _graph(near, far, np.concatenate([graph.data, on_grid(values[rows, slots])]), graph.shape)


def _prices(graph: scipy.sparse.csr_array, prices_far: np.ndarray) -> np.ndarray:
    """Lowest prices of the near features that cover every candidate pair."""
    prices = np.zeros(graph.shape[0])
    excess = graph.data - prices_far[graph.indices]
    rows = np.flatnonzero(np.diff(graph.indptr))
    if len(rows):
        prices[rows] = np.maximum(np.maximum.reduceat(excess, graph.indptr[rows]), 0.0)
    return prices


def values_of(graph: scipy.sparse.csr_array, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Stored values at some places of a matrix whose columns ascend inside a row."""
    codes = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr)) * graph.shape[1] + graph.indices
    return graph.data[np.searchsorted(codes, rows * graph.shape[1] + columns)]


@numba.njit(cache=True, nogil=True)
def _auction(indptr, indices, values, n_far, bid):  # pragma: no cover (compiled)
    """Partner of every near feature (-1: unmatched) and the prices of the far ones.

    A near feature takes the far one that is worth most to it after its price, raises that price by its lead over the
    second choice (which may be to stay unmatched, worth 0) and `bid`, and drives out the owner. Prices start at 0 and a
    feature once owned stays owned, so features that nobody owns cost 0, as the certificate wants it.
    """
    n_near = indptr.size - 1
    prices = np.zeros(n_far)
    owner = np.full(n_far, -1, dtype=np.int64)
    partner = np.full(n_near, -1, dtype=np.int64)
    waiting = np.arange(n_near)[::-1].copy()
    n_waiting = n_near
    while n_waiting > 0:
        n_waiting -= 1
        near = waiting[n_waiting]
        best, second, choice = 0.0, 0.0, -1
        for entry in range(indptr[near], indptr[near + 1]):
            worth = values[entry] - prices[indices[entry]]
            if worth > best:
                second, best, choice = best, worth, indices[entry]
            elif worth > second:
                second = worth
        if choice < 0:
            continue  # prices only rise: it stays unmatched
        if owner[choice] >= 0:
            partner[owner[choice]] = -1
            waiting[n_waiting] = owner[choice]
            n_waiting += 1
        owner[choice] = near
        partner[near] = choice
        prices[choice] += best - second + bid
    return partner, prices


@numba.njit(cache=True, nogil=True)
def _missing(ids, values, prices, prices_far, n_added):  # pragma: no cover (compiled)
    """Listed pairs that the prices do not cover, the worst `n_added` of every feature, and prices that cover them.

    Returns:
        ids (n_near, n_added) int32, -1 where fewer; values less the far price; prices that cover all listed pairs.
    """
    n_near, k = ids.shape
    found = np.full((n_near, n_added), -1, dtype=np.int32)
    worth = np.full((n_near, n_added), -np.inf)
    cover = prices.copy()
    for near in range(n_near):
        for slot in range(k):
            far = ids[near, slot]
            if far < 0 or values[near, slot] <= prices[near]:
                break  # the lists are sorted, and prices of the far side are not negative
            gain = values[near, slot] - prices_far[far]
            if gain > prices[near] + 1e-11:
                cover[near] = max(cover[near], gain)
                if beats_last(found[near], worth[near], far, gain):
                    insert(found[near], worth[near], far, gain)
    return found, worth, cover
