"""References that hold everything in memory."""

from __future__ import annotations

import numpy as np


def associations(x: np.ndarray, y: np.ndarray, association: str) -> np.ndarray:
    """Every pair, (d_a, d_b), in float64, by the textbook."""
    if association == "pearson":
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.corrcoef(x.T, y.T)[: x.shape[1], x.shape[1] :]
    if association == "cosine":
        with np.errstate(invalid="ignore", divide="ignore"):
            return (x / np.linalg.norm(x, axis=0)).T @ (y / np.linalg.norm(y, axis=0))
    fires_x, fires_y = x != 0, y != 0
    table = [[(a & b).sum() / max((a | b).sum(), 1) for b in fires_y.T] for a in fires_x.T]
    return np.array(table)


def greedy(values: np.ndarray, *, capacity_a: int, capacity_b: int) -> set[tuple[int, int]]:
    """Textbook greedy: all pairs sorted, ties in row-major order."""
    free_a, free_b = np.full(values.shape[0], capacity_a), np.full(values.shape[1], capacity_b)
    pairs = set()
    for flat in np.argsort(-values, axis=None, kind="stable"):
        a, b = divmod(int(flat), values.shape[1])
        if values[a, b] <= 1e-12:
            break
        if free_a[a] and free_b[b]:
            free_a[a] -= 1
            free_b[b] -= 1
            pairs.add((a, b))
    return pairs


def pair_set(pairs) -> set[tuple[int, int]]:
    return set(zip(pairs.ids_a.tolist(), pairs.ids_b.tolist(), strict=True))
