"""Lists of best partners as compiled loops fill them, and the merging of several threads' lists."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from helpers.matching.associations import Terms
from helpers.matching.candidates import BestPartners


@dataclass(frozen=True)
class FarLists:
    """One thread's lists of the searched side: the best partners of every far feature among what the thread has met.

    Shapes:
        state: (d_far, 4) float64: shift, scale, the value to beat (-inf until the list is full), number of candidates;
        one cache line serves all four (shift and scale alone where k is 0). ids, values: (d_far, k) as in `BestPartners`.
    """

    state: np.ndarray
    ids: np.ndarray
    values: np.ndarray

    @classmethod
    def empty(cls, terms: Terms, k: int) -> FarLists:
        d_far = len(terms.shift)
        if k == 0:  # no lists are asked for; less memory is walked over
            return cls(terms.packed, np.empty((d_far, 0), np.int32), np.empty((d_far, 0)))
        state = np.column_stack([terms.shift, terms.scale, np.full(d_far, -np.inf), np.zeros(d_far)])
        return cls(state, np.full((d_far, k), -1, np.int32), np.full((d_far, k), -np.inf))


def merged_lists(parts: list[FarLists]) -> BestPartners:
    """The best of all threads' lists; the order of preference is total, so the threads' shares do not matter."""
    first = parts[0]
    if first.ids.shape[1] == 0:
        return BestPartners.empty(len(first.ids), 0)
    for part in parts[1:]:
        _merge(first.ids, first.values, part.ids, part.values)
    n_candidates = np.sum([part.state[:, 3] for part in parts], axis=0)
    return BestPartners(first.ids, first.values, n_candidates > first.ids.shape[1])


@numba.njit(cache=True, nogil=True)
def insert(ids, values, new_id, new_value):  # pragma: no cover (compiled)
    """Insert into a list sorted by value descending, then id ascending; the last entry falls out."""
    at = ids.size - 1
    while at > 0 and (
        ids[at - 1] < 0 or new_value > values[at - 1] or (new_value == values[at - 1] and new_id < ids[at - 1])
    ):
        ids[at] = ids[at - 1]
        values[at] = values[at - 1]
        at -= 1
    ids[at] = new_id
    values[at] = new_value


@numba.njit(cache=True, nogil=True)
def beats_last(ids, values, new_id, new_value):  # pragma: no cover (compiled)
    """Whether an entry belongs into the list."""
    last = ids.size - 1
    return new_value > values[last] or (new_value == values[last] and new_id < ids[last])


@numba.njit(cache=True, nogil=True)
def _merge(ids, values, more_ids, more_values):  # pragma: no cover (compiled)
    for feature in range(ids.shape[0]):
        for slot in range(more_ids.shape[1]):
            other, value = more_ids[feature, slot], more_values[feature, slot]
            if other < 0 or not beats_last(ids[feature], values[feature], other, value):
                break  # the lists are sorted
            insert(ids[feature], values[feature], other, value)
