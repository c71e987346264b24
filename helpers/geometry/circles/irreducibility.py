"""Is a flat cloud of points one thing, or two things drawn in one picture? The two indices of Engels et al.

A two-dimensional feature deserves its second dimension only if it cannot be taken apart into two of one dimension. There
are two ways to fall apart, and an index for each:

* *Separable*: turned the right way, the two coordinates are independent. The **separability index** is the mutual
  information of the coordinates, in bits, at the angle where it is smallest: 0 = separable, higher = tied together.
* *Mixture*: a part of the points has only one coordinate (two features that never fire together draw a cross). The
  **epsilon-mixture index** is the largest share of points in a narrow band along any line: 0.08 for a blob, 0.22 for a
  circle, 0.5 for a cross.

The score of a plane is separability * (1 - mixture), as the authors rank their clusters.

Rows = points. Mutual information is estimated from a histogram, whose upward bias for few points is taken out
(Miller-Madow). Both indices are invariant to shifts and to the scale of the whole cloud, and, up to the grid of angles,
to rotations. Cost: points times directions; compiled.

Source: Engels et al. 2024, "Not All Language Model Features Are Linear", arXiv:2405.14860, section 3 and appendix B;
their code takes 10 bins a side and epsilon 0.1, as is done here from 500 points on. They search lines by gradient descent; here
every direction and offset of a grid is tried.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

N_BINS = 10  # a side, at most
POINTS_A_BIN = 5  # with fewer points a bin, on average, there are fewer bins
EPSILON = 0.1
N_ANGLES = 22  # rotations tried over a quarter turn: 4 degrees apart
N_DIRECTIONS = 36  # of lines tried over a half turn: 5 degrees apart
_FINE_BINS = 512  # of the projections; a band of +-0.1 standard deviations holds some 20 of them
_OFFSET_STEP = 8  # fine bins between the offsets of lines that are tried
_LEAST_SPREAD = 1e-9  # of the narrower side, as a share of the wider


def separability_index(points: Any, *, n_bins: int | None = None) -> float:
    """Smallest mutual information of the two coordinates over all rotations.

    Shapes:
        points: (n, 2).
    Args:
        n_bins: a side of the histogram; None takes `bins_for` as many points.
    Returns:
        Bits, at least 0 (0 = some rotation makes the coordinates independent). Points on one line have 0: along the
        line the second coordinate says nothing.
    Raises:
        ValueError: not (n, 2) finite numbers with at least 4 points, or n_bins below 2.
    """
    xy = checked_plane(points)
    if n_bins is not None and n_bins < 2:
        raise ValueError(f"n_bins must be at least 2; got {n_bins}")
    return float(_separability(xy, n_bins or bins_for(len(xy)), 0.0))


def mixture_index(points: Any, *, epsilon: float = EPSILON) -> float:
    """Largest share of points within a band around any line.

    The half-width of the band is epsilon times the root of the mean squared distance of all points to the line.

    Shapes:
        points: (n, 2).
    Returns:
        In (0, 1]; 1 = all points on one line (or in one place).
    Raises:
        ValueError: not (n, 2) finite numbers with at least 4 points, or epsilon not in (0, 1).
    """
    xy = checked_plane(points)
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon must be in (0, 1); got {epsilon}")
    return float(_mixture(xy, epsilon))


def plane_scores(coordinates: Any, *, n_bins: int | None = None) -> np.ndarray:
    """Score every plane of two successive coordinates (principal components 1-2, 2-3, and so on).

    Shapes:
        coordinates: (n, k), k at least 2.
    Args:
        n_bins: a side of the histogram; None takes `bins_for` as many points.
    Returns:
        (k - 1, 3): separability, mixture, separability * (1 - mixture).
    Raises:
        ValueError: not a finite matrix of at least 4 rows and 2 columns.
    """
    rows = np.ascontiguousarray(coordinates, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] < 2 or len(rows) < 4 or not np.isfinite(rows).all():
        raise ValueError(f"expected finite coordinates (n, k), n at least 4 and k at least 2; got shape {rows.shape}")
    return _plane_scores(rows, n_bins or bins_for(len(rows)), EPSILON)


def best_score(coordinates: np.ndarray, *, n_bins: int) -> float:
    """The highest score of all planes, as `plane_scores` has it, without computing what cannot be the highest.

    Shapes:
        coordinates: (n, k) float64, finite, at least 4 rows and 2 columns; not checked.
    """
    return float(_best_score(np.ascontiguousarray(coordinates), n_bins, EPSILON))


def bins_for(n_points: int) -> int:
    """Bins a side that so many points can fill: 10 from 500 points on, fewer below, at least 2."""
    return int(np.clip(np.sqrt(n_points / POINTS_A_BIN), 2, N_BINS))


def checked_plane(points: Any) -> np.ndarray:
    """Points of a plane as contiguous float64.

    Raises:
        ValueError: not (n, 2) finite numbers with at least 4 points.
    """
    xy = np.ascontiguousarray(points, dtype=np.float64)
    if xy.ndim != 2 or xy.shape[1] != 2 or len(xy) < 4 or not np.isfinite(xy).all():
        raise ValueError(f"expected at least 4 finite points (n, 2); got shape {xy.shape}")
    return xy


@numba.njit(cache=True, nogil=True)
def _plane_scores(rows, n_bins, epsilon):  # pragma: no cover (compiled)
    found = np.empty((rows.shape[1] - 1, 3))
    for plane in range(rows.shape[1] - 1):
        xy = np.ascontiguousarray(rows[:, plane : plane + 2])
        found[plane, 0] = _separability(xy, n_bins, 0.0)
        found[plane, 1] = _mixture(xy, epsilon)
        found[plane, 2] = found[plane, 0] * (1 - found[plane, 1])
    return found


@numba.njit(cache=True, nogil=True)
def _best_score(rows, n_bins, epsilon):  # pragma: no cover (compiled)
    best = 0.0
    for plane in range(rows.shape[1] - 1):
        xy = np.ascontiguousarray(rows[:, plane : plane + 2])
        separability = _separability(xy, n_bins, best)  # the score is not above it
        if separability > best:
            best = max(best, separability * (1 - _mixture(xy, epsilon)))
    return best


@numba.njit(cache=True, nogil=True)
def _separability(xy, n_bins, enough):  # pragma: no cover (compiled)
    n = len(xy)
    least = np.inf
    u, v = np.empty(n), np.empty(n)
    joint = np.empty((n_bins, n_bins), np.int64)
    for number in range(N_ANGLES):
        angle = number * np.pi / 2 / N_ANGLES
        cos, sin = np.cos(angle), np.sin(angle)
        for i in range(n):
            u[i] = cos * xy[i, 0] + sin * xy[i, 1]
            v[i] = cos * xy[i, 1] - sin * xy[i, 0]
        low_u, low_v = u.min(), v.min()
        range_u, range_v = u.max() - low_u, v.max() - low_v
        if min(range_u, range_v) <= _LEAST_SPREAD * max(range_u, range_v):
            return 0.0  # a line (or one place): one coordinate is constant
        scale_u, scale_v = n_bins / range_u, n_bins / range_v
        joint[:] = 0
        for i in range(n):
            row = min(n_bins - 1, int((u[i] - low_u) * scale_u))
            column = min(n_bins - 1, int((v[i] - low_v) * scale_v))
            joint[row, column] += 1
        least = min(least, _information(joint, n))
        if least <= enough:  # whoever asks needs to know no more
            break
    return max(0.0, least)


@numba.njit(cache=True, nogil=True)
def _information(joint, n):  # pragma: no cover (compiled)
    """Mutual information in bits, corrected for the number of occupied bins (Miller-Madow)."""
    rows, columns = joint.sum(axis=1), joint.sum(axis=0)
    found, occupied = 0.0, 0
    for i in range(joint.shape[0]):
        for j in range(joint.shape[1]):
            if joint[i, j] > 0:
                occupied += 1
                found += joint[i, j] / n * np.log(joint[i, j] * n / (rows[i] * columns[j]))
    bias = (occupied - (rows > 0).sum() - (columns > 0).sum() + 1) / (2 * n)
    return (found - bias) / np.log(2)


@numba.njit(cache=True, nogil=True)
def _mixture(xy, epsilon):  # pragma: no cover (compiled)
    n = len(xy)
    most = 0
    size = max(xy[:, 0].max() - xy[:, 0].min(), xy[:, 1].max() - xy[:, 1].min())
    values = np.empty(n)
    cumulative = np.empty(_FINE_BINS + 1, np.int64)
    for number in range(N_DIRECTIONS):
        angle = number * np.pi / N_DIRECTIONS
        cos, sin = np.cos(angle), np.sin(angle)
        for i in range(n):
            values[i] = cos * xy[i, 0] + sin * xy[i, 1]
        mean = values.mean()
        variance = ((values - mean) ** 2).mean()
        low, high = values.min(), values.max()
        if high - low <= _LEAST_SPREAD * size:
            return 1.0
        scale = _FINE_BINS / (high - low)
        cumulative[:] = 0
        for i in range(n):
            cumulative[min(_FINE_BINS - 1, int((values[i] - low) * scale)) + 1] += 1
        for b in range(_FINE_BINS):
            cumulative[b + 1] += cumulative[b]
        for place in range(0, _FINE_BINS + 1, _OFFSET_STEP):
            centre = low + place / scale
            half = epsilon * np.sqrt(variance + (centre - mean) ** 2)
            first = max(0, int(np.floor((centre - half - low) * scale + 0.5)))
            last = min(_FINE_BINS, int(np.floor((centre + half - low) * scale + 0.5)))
            if last > first:
                most = max(most, cumulative[last] - cumulative[first])
    return most / n
