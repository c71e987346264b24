"""A loop of one model in another: do the partners of its points form a loop, in the same order?

Two questions, since either alone can mislead. *Order*: does a walk from partner to partner, in the loop's order, make
short steps? Partners that lie in a ball would pass the second question and fail here. *Loop*: do the partners, whatever
their order, have a long bar? Partners along a line would pass the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from helpers.geometry.family_tests import Scale
from helpers.geometry.homology.persistence import persistence
from helpers.geometry.homology.rows import Metric, as_points
from helpers.nulls.permutation import PermutationResult, null_rng, summarise

MIN_POINTS = 4  # three points are a triangle, which is filled as soon as it is closed


@dataclass(frozen=True)
class CarriedLoop:
    """What became of a loop.

    Args:
        n: points of the loop that have partners.
        order: length of a step from partner to partner, over that of any two partners; below 1 = the order is kept. Its
            null walks the same partners in random orders.
        loop: longest bar of the partners, in median distances. Its null takes as many partners of other features.
    """

    n: int
    order: PermutationResult
    loop: PermutationResult


def carried_loop(
    rows_b: Any, around: Any, *, metric: Metric = "euclidean", n_permutations: int = 999, seed: int = 0
) -> CarriedLoop:
    """Follow a loop into another space.

    Shapes:
        rows_b: (n, d_b), partners in the second space of everything that the loop could have run through; around: (m,)
        int, the rows that are partners of the loop's points, in the order of the loop.
    Raises:
        ValueError: fewer than four points, or fewer than one row beside them; a row twice or out of range; rows that
            `persistence` refuses.
    """
    around = np.asarray(around)
    points = as_points(rows_b, metric=metric)
    n, m = len(points), len(around)
    if around.ndim != 1 or around.dtype.kind not in "iu" or not MIN_POINTS <= m < n:
        raise ValueError(
            f"a loop of {MIN_POINTS} to {n - 1} partners can be followed among {n} rows; got {around.dtype} of shape "
            f"{around.shape}"
        )
    if len(np.unique(around)) < m or around.min() < 0 or around.max() >= n:
        raise ValueError(f"partners must be different rows from 0 to {n - 1}; got {around.tolist()}")
    if n_permutations < 1:
        raise ValueError(f"n_permutations must be at least 1; got {n_permutations}")
    distances = points.distances(around.astype(np.int64))
    rng = null_rng(seed)
    about = {"n_points": m, "n_permutations": n_permutations, "seed": seed}
    bar = _longest_bar(points.rows, around, metric)
    every = float(distances[np.triu_indices(m, k=1)].mean())
    walks = np.array([_mean_step(distances, rng.permutation(m)) for _ in range(n_permutations)])
    walk = _mean_step(distances, np.arange(m))
    order = summarise(Scale("order_kept", "distance", 0.0), walk / every, walks / every, m, about, null_kind="pairing")
    bars = np.array([_longest_bar(points.rows, rng.choice(n, m, replace=False), metric) for _ in range(n_permutations)])
    return CarriedLoop(m, order, summarise(Scale("longest_bar"), bar, bars, m, about, null_kind="features"))


def _mean_step(distances: np.ndarray, order: np.ndarray) -> float:
    return float(distances[order, np.roll(order, -1)].mean())


def _longest_bar(rows: np.ndarray, chosen: np.ndarray, metric: Metric) -> float:
    found = persistence(rows[chosen], max_dim=1, metric=metric, n_landmarks=max(2, len(chosen)))
    return found.longest(1) / found.scale
