"""Nearest neighbours of every row, with ties shared out.

Where several rows are equally far at the k-th place (copies of one row, after many-to-one matching), each gets an equal
share of the places left, so that a neighbourhood always weighs k and does not depend on the order of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from helpers.similarity.inputs import (
    DistinctRows,
    PairedRows,
    distinct_rows,
    paired_rows,
    require_choice,
    require_rows,
    unit_rows,
)
from helpers.similarity.kernels import shared_neighbours

METRICS = ("cosine", "euclidean", "correlation")
TIE_SHARE = 1e-12
BLOCK_ROWS = 512


def min_rows(d_x: int, d_y: int, *, k: int = 10, metric: str = "cosine") -> int:  # noqa: ARG001
    """With k + 1 rows every other row is a neighbour and every score is 1."""
    return k + 2


@dataclass(frozen=True)
class Neighbours:
    """CSR lists: the neighbours of row i are ids[starts[i]:starts[i + 1]], weights in (0, 1], summing to k a row."""

    starts: np.ndarray
    ids: np.ndarray
    weights: np.ndarray


def nearest_neighbours(matrix: np.ndarray, *, k: int, metric: str, name: str) -> Neighbours:
    """The k nearest other rows of every row, exactly, a block of rows at a time."""
    if metric != "euclidean":
        matrix = unit_rows(matrix, name=name, centre=metric == "correlation")
    distinct = distinct_rows(matrix)
    if len(distinct.rows) == len(matrix):
        return _without_copies(distinct, k=k, metric=metric)
    copies = np.bincount(distinct.index)
    members = np.split(np.argsort(distinct.index, kind="stable"), np.cumsum(copies)[:-1])
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for start, distances, tolerance in _distance_blocks(distinct.rows, metric):
        found.extend(_share_out(row, start + i, copies, k, tolerance) for i, row in enumerate(distances))
    return _expand(found, members, distinct.index)


def _distance_blocks(points: np.ndarray, metric: str) -> Iterator[tuple[int, np.ndarray, float]]:
    """First row, distances of a block of rows to all rows (0 to itself), and how far apart still is a tie."""
    for start in range(0, len(points), BLOCK_ROWS):
        block = points[start : start + BLOCK_ROWS]
        distances = cdist(block, points) if metric == "euclidean" else 1.0 - block @ points.T
        scale = TIE_SHARE * max(float(np.abs(distances).max()), np.finfo(np.float64).tiny)
        distances[np.arange(len(block)), start + np.arange(len(block))] = 0.0
        yield start, distances, scale


def _without_copies(distinct: DistinctRows, *, k: int, metric: str) -> Neighbours:
    """Where no row has a copy, a whole block of rows is done at once."""
    owner = np.argsort(distinct.index)
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for start, distances, tolerance in _distance_blocks(distinct.rows, metric):
        own = np.arange(len(distances))
        distances[own, start + own] = np.inf
        limits = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
        inside = distances <= limits + tolerance
        tied = inside & (distances >= limits - tolerance)
        shares = (k - inside.sum(axis=1) + tied.sum(axis=1)) / tied.sum(axis=1)
        rows, ids = np.nonzero(inside)
        parts.append((owner[start + rows], owner[ids], np.where(tied[rows, ids], shares[rows], 1.0)))
    rows, ids, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(rows, kind="stable")
    starts = np.searchsorted(rows[order], np.arange(len(owner) + 1))
    return Neighbours(starts.astype(np.int64), ids[order].astype(np.int64), weights[order])


def _share_out(
    distances: np.ndarray, own: int, copies: np.ndarray, k: int, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows among the k nearest and the weight of each of their copies; the row itself is not a neighbour."""
    available = copies.copy()
    available[own] -= 1
    nearest = np.argpartition(distances, min(k, len(distances) - 1))[: k + 1]  # k + 1 distinct rows hold k others
    nearest = nearest[np.argsort(distances[nearest], kind="stable")]
    place = int(np.searchsorted(np.cumsum(available[nearest]), k))
    limit = distances[nearest[place]]
    inside = np.flatnonzero(distances <= limit + tolerance)
    tied = distances[inside] >= limit - tolerance
    places_left = k - int(available[inside[~tied]].sum())
    weights = np.where(tied, places_left / max(1, int(available[inside[tied]].sum())), 1.0)
    return inside, weights


def _expand(found: list[tuple[np.ndarray, np.ndarray]], members: list[np.ndarray], index: np.ndarray) -> Neighbours:
    """From distinct rows back to all rows."""
    ids: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    for row, group in enumerate(index):
        inside, share = found[group]
        row_ids = np.concatenate([members[g] for g in inside])
        row_weights = np.repeat(share, [len(members[g]) for g in inside])
        others = row_ids != row
        ids.append(row_ids[others])
        weights.append(row_weights[others])
    starts = np.concatenate([[0], np.cumsum([len(part) for part in ids])])
    return Neighbours(starts.astype(np.int64), np.concatenate(ids).astype(np.int64), np.concatenate(weights))


@dataclass(frozen=True)
class SharedNeighbours:
    """Both neighbourhoods, prepared; call with a permutation for the shared weight of every row, in [0, k]."""

    x: Neighbours
    y: Neighbours
    n_rows: int

    def __call__(self, permutation: np.ndarray) -> np.ndarray:
        shared = np.empty(self.n_rows)
        shared_neighbours(
            self.x.starts, self.x.ids, self.x.weights, self.y.starts, self.y.ids, self.y.weights, permutation, shared
        )
        return shared


def prepare_neighbours(x: Any, y: Any, *, k: int, metric: str, measure: str) -> SharedNeighbours:
    """Check the input and find the neighbours of both sides."""
    require_choice(metric, METRICS, name="metric")
    if k < 1:
        raise ValueError(f"k must be at least 1 neighbour; got {k}")
    pair: PairedRows = paired_rows(x, y)
    require_rows(pair.n_rows, k + 2, measure=measure, reason=f"with k = {k} every other row would be a neighbour")
    sides = [nearest_neighbours(side, k=k, metric=metric, name=name) for side, name in ((pair.x, "x"), (pair.y, "y"))]
    return SharedNeighbours(sides[0], sides[1], pair.n_rows)
