"""Rows as points: checked, laid out for one metric, and their distances.

Euclidean distance is what it says. With cosine, the distance of two rows is the *angle* between them, in radians:
1 - cosine orders pairs in the same way, so the same loops are born and die in the same order, but only the angle obeys
the triangle inequality, on which the coverage radius of landmarks rests.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

Metric = Literal["cosine", "euclidean"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean")
#: Unit of a distance, for axes.
UNITS: dict[Metric, str] = {"cosine": "angle, radians", "euclidean": "distance"}
#: Distances below this share of the largest row are rounding: differences of squares keep 8 of 16 digits.
ROUNDING = 1e-7


@dataclass(frozen=True)
class Points:
    """Rows made ready for distances: float64, centred (Euclidean) or of length 1 (cosine).

    Shapes:
        rows: (n, d) float64.
    """

    rows: Float[np.ndarray, "n d"]
    metric: Metric

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def squares(self) -> Float[np.ndarray, " n"]:
        return np.einsum("ij,ij->i", self.rows, self.rows)

    @property
    def smallest(self) -> float:
        """Distances up to this one are taken for 0."""
        return ROUNDING * float(np.sqrt(self.squares.max()))

    def chords(self, left: Any, right: np.ndarray) -> Float[np.ndarray, "n_left n_right"]:
        """Straight distances of some rows to others; of unit rows, the chords of their angles."""
        squared = self.rows[left] @ self.rows[right].T
        squared *= -2
        squared += self.squares[left][:, None]
        squared += self.squares[right]
        np.maximum(squared, 0, out=squared)
        return np.sqrt(squared, out=squared)

    def as_distance(self, chords: Any) -> Any:
        """Straight distances in the metric's own unit."""
        return 2 * np.arcsin(np.minimum(chords / 2, 1)) if self.metric == "cosine" else chords

    def distances(self, ids: np.ndarray) -> Float[np.ndarray, "k k"]:
        """Distances among some rows: symmetric, 0 on the diagonal and among copies."""
        found = self.chords(ids, ids)
        found[found <= self.smallest] = 0
        found = self.as_distance(found)
        found = np.maximum(found, found.T)  # a product and its transpose may differ in the last digit
        np.fill_diagonal(found, 0)
        return found


def as_points(rows: Any, *, metric: Metric) -> Points:
    """Check rows and make them ready.

    Shapes:
        rows: (n, d).
    Raises:
        ValueError: another metric; not a finite matrix of at least two rows; a zero row with cosine; rows that are all
            the same.
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}; got '{metric}'")
    points = np.array(rows, dtype=np.float64)
    if points.ndim != 2 or len(points) < 2:
        raise ValueError(f"rows must be a matrix (n, d) of at least two rows; got shape {points.shape}")
    if not np.isfinite(points).all():
        bad = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0])
        raise ValueError(f"rows must be finite; row {bad} has NaN or infinity; leave it out")
    if metric == "cosine":
        lengths = np.linalg.norm(points, axis=1)
        if not lengths.all():
            raise ValueError(
                f"row {int(np.argmin(lengths))} is zero and has no direction; leave it out or take metric='euclidean'"
            )
        points /= lengths[:, None]
    else:
        points -= points.mean(axis=0)
    found = Points(points, metric)
    spread = np.abs(points - points[0]).max()
    if spread <= ROUNDING * max(float(np.abs(np.asarray(rows)).max()), np.finfo(float).tiny):
        raise ValueError("all rows are the same point, which has no shape; pass rows that differ")
    return found
