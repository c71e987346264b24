"""Exact nearest neighbours of many rows, a block at a time: ids and distances as UMAP and graphs take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64

METRICS = ("cosine", "euclidean")
BLOCK_VALUES = 1 << 25  # float32 distances of one block: 128 MiB


@dataclass(frozen=True)
class NearestRows:
    """The k nearest other rows of every row, the nearest first.

    Shapes:
        ids: (n, k) int64; distances: (n, k) float32, >= 0; cosine distance is 1 - cosine, in [0, 2].
    """

    ids: Int64[np.ndarray, "n k"]
    distances: Float32[np.ndarray, "n k"]


def nearest_rows(rows: Any, *, k: int, metric: str = "cosine", of: np.ndarray | None = None) -> NearestRows:
    """Find them exactly.

    Shapes:
        rows: (n, d); of: (m,) rows whose neighbours are wanted; all by default.
    Args:
        metric: "cosine" or "euclidean".
    Raises:
        ValueError: another metric, k not in [1, n - 1], values that are not finite, a zero row with cosine.
    Notes:
        Memory: a block of distances beside the rows. Cost: n x m x d products.
    """
    points = prepared_rows(rows, metric=metric)
    n = len(points)
    if not 1 <= k < n:
        raise ValueError(f"k must be from 1 to {n - 1}, the number of other rows; got {k}")
    asked = np.arange(n) if of is None else np.asarray(of)
    step = max(1, BLOCK_VALUES // n)
    ids, distances = np.empty((len(asked), k), dtype=np.int64), np.empty((len(asked), k), dtype=np.float32)
    for start in range(0, len(asked), step):
        block = torch.from_numpy(asked[start : start + step])
        found = distances_of(points, block, metric)
        found[torch.arange(len(block)), block] = torch.inf
        values, places = found.topk(k, dim=1, largest=False)
        ids[start : start + step], distances[start : start + step] = places.numpy(), values.clamp_min(0).numpy()
    return NearestRows(ids, distances)


def prepared_rows(rows: Any, *, metric: str) -> torch.Tensor:
    """Rows as float32, of unit length for cosine; checked."""
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}; got '{metric}'")
    points = torch.as_tensor(np.asarray(rows, dtype=np.float32))
    if points.ndim != 2 or not torch.isfinite(points).all():
        raise ValueError(f"rows must be (n, d) finite numbers; got shape {tuple(points.shape)}")
    if metric == "cosine":
        lengths = points.norm(dim=1, keepdim=True)
        if (lengths == 0).any():
            zero = int((lengths[:, 0] == 0).nonzero()[0])
            raise ValueError(f"row {zero} is zero and has no direction; leave it out or take metric='euclidean'")
        points = points / lengths
    return points


def distances_of(points: torch.Tensor, block: torch.Tensor, metric: str) -> torch.Tensor:
    """Distances of the block's rows to all rows, (n_block, n), of rows that `prepared_rows` made."""
    if metric == "cosine":
        return 1 - points[block] @ points.T
    return torch.cdist(points[block], points)
