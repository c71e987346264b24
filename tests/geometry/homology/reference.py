"""Persistent homology by the definition: all simplices, one boundary matrix, reduced column by column. For few points."""

from __future__ import annotations

import itertools

import numpy as np


def brute_force(distances: np.ndarray, *, max_dim: int) -> list[np.ndarray]:
    """Bars of positive length, (n, 2) a dimension, sorted; infinite ones included. Rips complex, coefficients modulo 2."""
    n = len(distances)
    simplices = [s for size in range(1, max_dim + 3) for s in itertools.combinations(range(n), size)]
    value = {s: max((distances[i, j] for i, j in itertools.combinations(s, 2)), default=0.0) for s in simplices}
    simplices.sort(key=lambda s: (value[s], len(s), s))
    place = {s: number for number, s in enumerate(simplices)}
    reduced: dict[int, set[int]] = {}
    bars: list[list[tuple[float, float]]] = [[] for _ in range(max_dim + 1)]
    open_simplices = set()
    for number, simplex in enumerate(simplices):
        column = {place[simplex[:i] + simplex[i + 1 :]] for i in range(len(simplex))} if len(simplex) > 1 else set()
        while column and max(column) in reduced:
            column ^= reduced[max(column)]
        if column:
            low = max(column)
            reduced[low] = column
            open_simplices.discard(low)
            dim = len(simplices[low]) - 1
            if value[simplices[low]] < value[simplex]:
                bars[dim].append((value[simplices[low]], value[simplex]))
        elif len(simplex) <= max_dim + 1:
            open_simplices.add(number)
    for number in open_simplices:
        bars[len(simplices[number]) - 1].append((value[simplices[number]], np.inf))
    return [np.array(sorted(found)).reshape(-1, 2) for found in bars]


def in_order(bars: np.ndarray) -> np.ndarray:
    return bars[np.lexsort(bars.T[::-1])]


def polygon(n: int, *, d: int = 2) -> np.ndarray:
    """A regular polygon on the unit circle, in d dimensions, counted around."""
    angle = 2 * np.pi * np.arange(n) / n
    return np.column_stack([np.cos(angle), np.sin(angle), np.zeros((n, d - 2))])
