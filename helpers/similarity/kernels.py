"""Compiled loops that score a permutation from what was prepared once."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def permuted_inner(a: np.ndarray, b: np.ndarray, permutation: np.ndarray) -> float:
    """Sum over i < j of a[i, j] * b[p[i], p[j]] for symmetric a and b."""
    total = 0.0
    for i in range(a.shape[0]):
        row = b[permutation[i]]
        part = 0.0
        for j in range(i + 1, a.shape[0]):
            part += a[i, j] * row[permutation[j]]
        total += part
    return total


@numba.njit(cache=True, nogil=True)
def shared_neighbours(
    starts_x: np.ndarray,
    ids_x: np.ndarray,
    weights_x: np.ndarray,
    starts_y: np.ndarray,
    ids_y: np.ndarray,
    weights_y: np.ndarray,
    permutation: np.ndarray,
    shared: np.ndarray,
) -> None:
    """Fill shared[i] with the weight of neighbours common to row i of x and row p[i] of y, in x's numbering."""
    n = permutation.shape[0]
    inverse = np.empty(n, np.int64)
    for i in range(n):
        inverse[permutation[i]] = i
    weight_of = np.zeros(n)
    for i in range(n):
        for e in range(starts_x[i], starts_x[i + 1]):
            weight_of[ids_x[e]] = weights_x[e]
        total = 0.0
        row = permutation[i]
        for e in range(starts_y[row], starts_y[row + 1]):
            total += min(weight_of[inverse[ids_y[e]]], weights_y[e])
        shared[i] = total
        for e in range(starts_x[i], starts_x[i + 1]):
            weight_of[ids_x[e]] = 0.0


@numba.njit(cache=True, nogil=True)
def permuted_condensed(b: np.ndarray, first: np.ndarray, second: np.ndarray, permutation: np.ndarray) -> np.ndarray:
    """b[p[first], p[second]] for lists of index pairs."""
    out = np.empty(first.shape[0], b.dtype)
    for e in range(first.shape[0]):
        out[e] = b[permutation[first[e]], permutation[second[e]]]
    return out


@numba.njit(cache=True, nogil=True)
def concordance(groups: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Discordant and jointly tied pairs of a list sorted by x.

    Args:
        groups: starts of the runs of equal x, with the length at the end.
        y: integer ranks in the order of x; overwritten.
    Returns:
        [discordant pairs, pairs tied in both], by merge sort (Knight 1966).
    """
    n = y.shape[0]
    tied_both = 0
    for g in range(groups.shape[0] - 1):
        start, stop = groups[g], groups[g + 1]
        if stop - start > 1:
            part = np.sort(y[start:stop])
            y[start:stop] = part
            run = 1
            for e in range(1, stop - start):
                run = run + 1 if part[e] == part[e - 1] else 1
                tied_both += run - 1
    discordant = 0
    buffer = np.empty_like(y)
    width = 1
    while width < n:
        for low in range(0, n, 2 * width):
            middle, high = min(low + width, n), min(low + 2 * width, n)
            left, right = low, middle
            for out in range(low, high):
                if left < middle and (right >= high or y[left] <= y[right]):
                    buffer[out] = y[left]
                    left += 1
                else:
                    discordant += middle - left
                    buffer[out] = y[right]
                    right += 1
        y, buffer = buffer, y
        width *= 2
    return np.array([discordant, tied_both])
