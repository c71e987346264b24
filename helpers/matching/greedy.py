"""Exact greedy matching over all pairs, from short lists of best partners.

Greedy takes the strongest pair whose features are both free, again and again. Every pair above the floor takes part,
but only the best k of every feature are listed. A listed pair is decided when both its features list it: then every
stronger pair of either was listed too and came earlier. A pair listed by one feature only may hide stronger ones of the
other, so both are put off, and so is whatever they later meet. New lists are made among the features that are still
free; the strongest remaining pair is always on both lists, so every round decides something.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from helpers.matching.candidates import BothLists, Engine

FIRST_LIST = 16
LONGEST_LIST = 256


def greedy_pairs(
    engine: Engine, *, floor: float, capacity_a: int, capacity_b: int, first_list: int = FIRST_LIST
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of the exact greedy matching: ids_a, ids_b, values.

    Ties are broken by the lower id of a, then of b.
    Args:
        capacity_a, capacity_b: how often a feature of that side may be taken; at most one of them above 1.
        first_list: length of the first round's lists; the result does not depend on it.
    """
    free_a = np.full(engine.d_a, capacity_a, dtype=np.int64)
    free_b = np.full(engine.d_b, capacity_b, dtype=np.int64)
    taken: list[np.ndarray] = []
    values: list[np.ndarray] = []
    k = first_list
    while True:
        lists = engine.both_lists(k=k, floor=floor, keep_a=free_a > 0, keep_b=free_b > 0)
        edges = listed_edges(lists)
        if len(edges.values) == 0:
            break
        chosen, undecided = _decide(edges.ids, edges.mutual, free_a, free_b)
        assert len(chosen) > 0
        taken.append(edges.ids[chosen])
        values.append(edges.values[chosen])
        if not undecided and not _open_lists(lists, free_a, free_b):
            break
        k = min(k * 2, LONGEST_LIST)
    if not taken:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    pairs = np.concatenate(taken)
    return pairs[:, 0], pairs[:, 1], np.concatenate(values)


def greedy_pairs_of_block(values: np.ndarray, *, floor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same greedy matching, one to one, where all associations are at hand.

    Shapes:
        values: (n_a, n_b), associations.
    Returns:
        rows, columns and values of the pairs above the floor, the strongest first; ties go to the lower row, then column.
    """
    rows, columns = np.nonzero(values > floor)
    order = np.argsort(-values[rows, columns], kind="stable")
    edges = np.column_stack([rows, columns])[order]
    free_a, free_b = (np.ones(size, dtype=np.int64) for size in values.shape)
    chosen, _ = _decide(edges, np.ones(len(edges), dtype=bool), free_a, free_b)
    pairs = edges[chosen]
    return pairs[:, 0], pairs[:, 1], values[pairs[:, 0], pairs[:, 1]]


@dataclass(frozen=True)
class Edges:
    """Pairs that stand on at least one list, the strongest first, ties by the lower id of a, then of b.

    Shapes:
        ids: (n, 2) int64, of a and of b; values: (n,) float64; mutual: (n,) bool, both features list the pair.
    """

    ids: np.ndarray
    values: np.ndarray
    mutual: np.ndarray


def listed_edges(lists: BothLists) -> Edges:
    """All listed pairs of both sides, each once."""
    of_a, of_b = lists.of_a, lists.of_b
    d_b = of_b.ids.shape[0]
    rows_a, slots_a = np.nonzero(of_a.ids >= 0)
    rows_b, slots_b = np.nonzero(of_b.ids >= 0)
    code_a = rows_a.astype(np.int64) * d_b + of_a.ids[rows_a, slots_a]
    code_b = of_b.ids[rows_b, slots_b].astype(np.int64) * d_b + rows_b
    codes, first = np.unique(np.concatenate([code_a, code_b]), return_index=True)
    values = np.concatenate([of_a.values[rows_a, slots_a], of_b.values[rows_b, slots_b]])[first]
    listed_a, listed_b = np.isin(codes, code_a, assume_unique=True), np.isin(codes, code_b, assume_unique=True)
    # `codes` ascend by (a, b), so a stable sort by value leaves ties in that order.
    order = np.argsort(-values, kind="stable")
    ids = np.column_stack([codes // d_b, codes % d_b])[order]
    return Edges(ids, values[order], (listed_a & listed_b)[order])


def _open_lists(lists: BothLists, free_a: np.ndarray, free_b: np.ndarray) -> bool:
    """Whether a feature with room left may still have partners that no list showed."""
    return bool((lists.of_a.truncated & (free_a > 0)).any() and (lists.of_b.truncated & (free_b > 0)).any())


@numba.njit(cache=True, nogil=True)
def _decide(edges, sure, free_a, free_b):  # pragma: no cover (compiled)
    """Walk over the pairs, strongest first; lowers the capacities and tells the chosen pairs and if any was put off."""
    waiting_a = np.zeros(free_a.size, dtype=np.bool_)
    waiting_b = np.zeros(free_b.size, dtype=np.bool_)
    chosen = np.empty(edges.shape[0], dtype=np.int64)
    n_chosen = 0
    undecided = False
    for edge in range(edges.shape[0]):
        a, b = edges[edge, 0], edges[edge, 1]
        if free_a[a] == 0 or free_b[b] == 0:
            continue
        if sure[edge] and not waiting_a[a] and not waiting_b[b]:
            free_a[a] -= 1
            free_b[b] -= 1
            chosen[n_chosen] = edge
            n_chosen += 1
        else:
            waiting_a[a] = True
            waiting_b[b] = True
            undecided = True
    return chosen[:n_chosen], undecided
