"""Lenses of Mapper: one or two numbers a row, along which the rows are cut into overlapping pieces.

Whatever the lens, the pieces are clustered in the space of the rows themselves. A lens decides what can be seen: parts
that it lays over each other are told apart by clustering, a loop that it squeezes into one piece is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.sparse.csgraph import connected_components
from sklearn.manifold import Isomap
from sklearn.neighbors import kneighbors_graph

from helpers.geometry.embedding import embed
from helpers.geometry.nearest import nearest_rows, prepared_rows

MAX_LANDMARKS = 2000
BLOCK_ROWS = 2048
CONSTANT = 1e-6  # a lens that varies by less than this share of its size does not vary


@dataclass(frozen=True)
class MapperPoints:
    """Rows made ready: checked, and of unit length under cosine, so that Euclidean distance is used throughout.

    Shapes:
        rows: (n, d) as given; points: (n, d) float64, what is measured and clustered.
    Args:
        metric: "euclidean" or "cosine"; points at distance e on the sphere have the cosine 1 - e^2 / 2.
    """

    rows: Float64[np.ndarray, "n d"]
    points: Float64[np.ndarray, "n d"]
    metric: str

    @classmethod
    def of(cls, rows: Any, *, metric: str) -> MapperPoints:
        """
        Raises:
            ValueError: not a finite matrix of at least four rows, another metric, a zero row under cosine, or all rows
                are the same.
        """
        prepared_rows(rows, metric=metric)  # refuses what is not finite, another metric, zero rows under cosine
        given = np.asarray(rows, dtype=np.float64)
        if len(given) < 4:
            raise ValueError(f"Mapper needs at least four rows; got {len(given)}")
        points = given / np.linalg.norm(given, axis=1, keepdims=True) if metric == "cosine" else given
        if np.ptp(points, axis=0).max() <= CONSTANT * np.abs(points).max():
            raise ValueError(f"all {len(given)} rows are the same point and have no shape; are they the right rows?")
        return cls(given, points, metric)


def mapper_lens(
    data: MapperPoints,
    *,
    lens: str,
    n_components: int = 1,
    n_neighbors: int = 15,
    scores: Any = None,
    max_landmarks: int = MAX_LANDMARKS,
    seed: int = 0,
) -> Float64[np.ndarray, "n n_components"]:
    """Look at rows through a lens.

    Shapes:
        scores: (n,) or (n, 2), with the lens "concept" only.
    Args:
        lens: name in LENSES.
            pca: the first principal components (of the rows as they are measured), the largest score positive;
            l2_norm: length of the rows as given; density: minus the mean distance to the `n_neighbors` nearest rows;
            umap: a map of two dimensions, good for parts and arms, but it may tear a loop; isomap: distances along the neighbour graph of at most `max_landmarks` rows,
            drawn at random, the others placed by their nearest landmarks; concept: `scores`, given a row.
        n_components: 1 or 2 for pca and isomap; umap has 2, l2_norm and density have 1.
        n_neighbors: of umap, isomap and density.
        seed: of umap and of the landmarks.
    Returns:
        (n, 1) or (n, 2). Turning the rows or changing their order changes nothing but rounding (umap: the layout is
        another one; isomap of more than `max_landmarks` rows: other landmarks).
    Raises:
        ValueError: unknown lens; another number of components; too few rows for n_neighbors; a neighbour graph that
            falls apart (isomap); missing or misplaced scores; a lens that is the same for all rows.
    """
    if lens not in LENSES:
        raise ValueError(f"lens must be one of {', '.join(LENSES)}; got '{lens}'")
    n = len(data.rows)
    if (scores is None) == (lens == "concept"):
        raise ValueError(f"scores go with lens='concept' and with no other; got lens='{lens}'")
    allowed = {"pca": (1, 2), "isomap": (1, 2), "umap": (2,), "concept": (1, 2)}.get(lens, (1,))
    if n_components not in allowed:
        numbers = " or ".join(map(str, allowed))
        raise ValueError(f"lens '{lens}' has n_components={numbers}; got {n_components}")
    if not 1 <= n_neighbors < n - 1:
        raise ValueError(f"n_neighbors must be from 1 to {n - 2} for {n} rows; got {n_neighbors}")
    task = _Task(data, n_components, n_neighbors, max_landmarks, seed, scores)
    values = LENSES[lens](task)
    flat = np.ptp(values, axis=0) <= CONSTANT * np.abs(values).max()
    if flat.any():
        raise ValueError(
            f"lens '{lens}' is the same for all rows ({values[0, int(np.argmax(flat))]:.3g} in component "
            f"{int(np.argmax(flat)) + 1}) and cannot cut them into pieces; take another lens or fewer components"
        )
    return values


@dataclass(frozen=True)
class _Task:
    data: MapperPoints
    n_components: int
    n_neighbors: int
    max_landmarks: int
    seed: int
    scores: Any


def _pca(task: _Task) -> np.ndarray:
    centred = task.data.points - task.data.points.mean(axis=0)
    n, d = centred.shape
    if task.n_components > min(n, d):
        raise ValueError(f"rows of {d} dimensions have no {task.n_components} principal components")
    if d <= n:
        axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, : task.n_components]
        values = centred @ axes
    else:
        lengths, sides = np.linalg.eigh(centred @ centred.T)
        values = (sides * np.sqrt(np.clip(lengths, 0, None)))[:, ::-1][:, : task.n_components]
    farthest = values[np.abs(values).argmax(axis=0), np.arange(values.shape[1])]
    return values * np.sign(farthest)


def _l2_norm(task: _Task) -> np.ndarray:
    return np.linalg.norm(task.data.rows, axis=1)[:, None]


def _density(task: _Task) -> np.ndarray:
    found = nearest_rows(task.data.points, k=task.n_neighbors, metric="euclidean")
    return -found.distances.astype(np.float64).mean(axis=1)[:, None]


def _umap(task: _Task) -> np.ndarray:
    return embed(task.data.points, metric="euclidean", n_neighbors=task.n_neighbors, seed=task.seed).points.astype(
        np.float64
    )


def _isomap(task: _Task) -> np.ndarray:
    points, n = task.data.points, len(task.data.points)
    chosen = np.arange(n)
    if n > task.max_landmarks:
        chosen = np.sort(np.random.default_rng(task.seed).choice(n, task.max_landmarks, replace=False))
    landmarks = points[chosen]
    if task.n_neighbors >= len(landmarks):
        raise ValueError(f"n_neighbors must be below the number of landmarks, {len(landmarks)}; got {task.n_neighbors}")
    _require_connected(landmarks, task.n_neighbors)
    model = Isomap(n_neighbors=task.n_neighbors, n_components=task.n_components, eigen_solver="dense").fit(landmarks)
    values = np.concatenate([model.transform(points[i : i + BLOCK_ROWS]) for i in range(0, n, BLOCK_ROWS)])
    values[chosen] = model.embedding_
    return values * np.sign(values[np.abs(values).argmax(axis=0), np.arange(values.shape[1])])


def _require_connected(points: np.ndarray, n_neighbors: int) -> None:
    near = kneighbors_graph(points, n_neighbors)
    n_parts, labels = connected_components(near, directed=False)
    if n_parts > 1:
        sizes = ", ".join(f"{size:,}" for size in np.sort(np.bincount(labels))[::-1][:4])
        raise ValueError(
            f"isomap measures along the neighbour graph, which falls into {n_parts} parts with n_neighbors="
            f"{n_neighbors} (the largest have {sizes} of {len(points):,} rows); raise n_neighbors, look at one part by "
            "itself, or take lens='pca'"
        )


def _concept(task: _Task) -> np.ndarray:
    values = np.asarray(task.scores, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    expected = (len(task.data.rows), task.n_components)
    if values.shape != expected or not np.isfinite(values).all():
        raise ValueError(f"scores must be {expected} finite numbers, one line a row; got shape {values.shape}")
    return values


#: Name -> what it computes.
LENSES: dict[str, Callable[[_Task], np.ndarray]] = {
    "pca": _pca,
    "l2_norm": _l2_norm,
    "umap": _umap,
    "isomap": _isomap,
    "density": _density,
    "concept": _concept,
}
