"""Landmarks: few rows that stand for many, since the cost of persistent homology explodes with the number of points.

The *coverage radius* is the largest distance of any row from its nearest landmark. By the stability theorem no bar of
the landmarks has an end that is wrong by more than twice this radius (of rows in a metric space, in Rips homology), so a
bar much longer than it stands for a shape of all rows. The radius, the number and the choice of landmarks are part of
every result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64

from helpers.geometry.homology.rows import Metric, Points, as_points
from helpers.geometry.nearest import nearest_rows

Choice = Literal["furthest", "dense", "random"]
CHOICES: dict[Choice, str] = {
    "furthest": "each the row furthest from those before it",
    "dense": "each the row furthest from those before it, among the densest rows",
    "random": "at random",
}
DENSE_SHARE = 0.8  # of the rows that the choice "dense" may take
NEIGHBOURS = 15  # the distance to this neighbour says how dense it is around a row
BLOCK_ROWS = 4096
CANDIDATES = 256  # rows among which the next landmarks are looked for at once


@dataclass(frozen=True)
class Landmarks:
    """Chosen rows.

    Shapes:
        ids: (n_landmarks,) int64, places in the rows, in the order of their choice.
    Args:
        radius: coverage radius, in the metric's unit; 0 if every row is a landmark or a copy of one.
        n_rows: rows they were chosen from.
    """

    ids: Int64[np.ndarray, " n_landmarks"]
    radius: float
    n_rows: int
    choice: Choice
    metric: Metric

    @property
    def n(self) -> int:
        return len(self.ids)

    def __str__(self) -> str:
        if self.n == self.n_rows:
            return f"all {self.n:,} rows"
        return (
            f"{self.n:,} landmarks of {self.n_rows:,} rows, {CHOICES[self.choice]}; coverage radius {self.radius:.3g}"
        )


def choose_landmarks(
    rows: Any, *, n_landmarks: int, choice: Choice = "furthest", metric: Metric = "euclidean", seed: int = 0
) -> Landmarks:
    """Choose rows that stand for all.

    Shapes:
        rows: (n, d).
    Args:
        n_landmarks: at least 2; with as many rows or fewer, all rows are landmarks.
        choice: "furthest" covers the rows with the smallest radius a greedy choice can promise (twice the best there
            is), and takes every outlier for that reason; "dense" does the same among the 80 % of rows that have their
            15th neighbour nearest; "random" follows the density.
        seed: of the random choice. The others start from the row furthest from the mean, so that neither a seed nor the
            order of the rows matters (unless two rows are equally far: then the first).
    Raises:
        ValueError: an argument out of range; rows that `as_points` refuses.
    Notes:
        Copies of a landmark are no landmarks ("random" may take them), so fewer than asked for may come back. Greedy
        choices are exact: landmarks are looked for among the furthest rows, of which the others' distances, which can
        only fall, are bounds. This makes matrix products of most of the work; n * n_landmarks * d multiplications.
    Source:
        Gonzalez 1985, doi:10.1016/0304-3975(85)90224-5; de Silva and Carlsson 2004, doi:10.2312/SPBG/SPBG04/157-166.
    """
    if choice not in CHOICES or n_landmarks < 2:
        raise ValueError(
            f"expected n_landmarks of at least 2 and a choice of {', '.join(CHOICES)}; got {n_landmarks} and '{choice}'"
        )
    return landmarks_of(as_points(rows, metric=metric), n_landmarks=n_landmarks, choice=choice, seed=seed)


def landmarks_of(points: Points, *, n_landmarks: int, choice: Choice, seed: int) -> Landmarks:
    """`choose_landmarks` of points that are ready."""
    n = len(points)
    if n <= n_landmarks:
        return Landmarks(np.arange(n), 0.0, n, choice, points.metric)
    if choice == "random":
        ids = np.random.default_rng(seed).choice(n, n_landmarks, replace=False).astype(np.int64)
        nearest = np.full(n, np.inf)
        _approach(nearest, points, np.arange(n), ids)
    else:
        allowed = np.arange(n) if choice == "furthest" else _densest(points)
        ids, nearest = _furthest(points, allowed, n_landmarks)
        if len(allowed) < n:
            nearest = np.full(n, np.inf)
            _approach(nearest, points, np.arange(n), ids)
    radius = float(nearest.max())
    return Landmarks(
        ids, float(points.as_distance(radius)) if radius > points.smallest else 0.0, n, choice, points.metric
    )


def _furthest(points: Points, allowed: np.ndarray, n_landmarks: int) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks among the allowed rows, and the chord of each of these to its nearest landmark."""
    from_mean = points.rows - points.rows.mean(axis=0)
    lengths = np.einsum("ij,ij->i", from_mean, from_mean)[allowed]
    first = int(np.flatnonzero(lengths >= lengths.max() * (1 - 1e-12))[0])
    chosen = [first]
    nearest = np.full(len(allowed), np.inf)
    _approach(nearest, points, allowed, allowed[[first]])
    while len(chosen) < n_landmarks:
        found = _next_landmarks(points, allowed, nearest, n_landmarks - len(chosen))
        if not found:
            break
        chosen += found
        _approach(nearest, points, allowed, allowed[found])
    return allowed[chosen], nearest


def _next_landmarks(points: Points, allowed: np.ndarray, nearest: np.ndarray, n_wanted: int) -> list[int]:
    """As many next landmarks as are certain from the chords among the furthest rows alone."""
    n_candidates = min(CANDIDATES, len(allowed))
    furthest = np.argpartition(-nearest, n_candidates - 1)
    candidates = np.sort(furthest[:n_candidates])
    rest = float(nearest[furthest[n_candidates:]].max(initial=0.0))  # nobody else is further away than this
    here = nearest[candidates].copy()
    among = points.chords(allowed[candidates], allowed[candidates])
    found: list[int] = []
    while len(found) < n_wanted:
        place = int(np.argmax(here))
        # The furthest candidate is the furthest of all. With equals elsewhere, the first round may still take its own.
        if here[place] <= points.smallest or (found and here[place] <= rest):
            break
        found.append(int(candidates[place]))
        np.minimum(here, among[place], out=here)
    return found


def _approach(nearest: np.ndarray, points: Points, asked: np.ndarray, landmarks: np.ndarray) -> None:
    """Lower the chords of the asked rows to their nearest landmark by those to new landmarks, a block at a time."""
    for start in range(0, len(asked), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        for first in range(0, len(landmarks), CANDIDATES):
            chords = points.chords(asked[block], landmarks[first : first + CANDIDATES])
            np.minimum(nearest[block], chords.min(axis=1), out=nearest[block])


def _densest(points: Points) -> np.ndarray:
    k = min(NEIGHBOURS, len(points) - 1)
    gaps = nearest_rows(points.rows, k=k, metric="euclidean").distances[:, -1]
    order = np.argsort(gaps, kind="stable")
    return np.sort(order[: max(2, round(DENSE_SHARE * len(points)))])
