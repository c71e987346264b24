"""The pieces of Mapper's cover, and how near two rows must be to belong together inside a piece.

Cubes are those of kmapper's `Cover`: equally many along every component of the lens, each widened so that neighbouring
cubes share the share `gain` of their width.

The reach `eps` of DBSCAN is read off the data. Inside every cube each row has a distance to its k-th nearest other row
of the same cube; all of these, sorted, are a curve that is flat for as long as rows have company and bends up where they
stand alone. eps is taken at the bend (the knee: farthest below the straight line from the curve's middle to its end).
Distances over the whole cloud would be too short: a cube cuts off neighbours, and what is dense enough outside is too
thin inside. And k must grow: random rows hang together through their k nearest only if k grows with the logarithm of
their number, so a cube of m rows takes k = 3 ln m. A fixed small k tears a circle into arcs at its chance gaps.

Source: Singh, Memoli and Carlsson 2007 (Mapper); Ester et al. 1996 (DBSCAN, the sorted k-distance graph); Xue and Kumar
2004, doi:10.1023/B:WINE.0000013081.09837.c0 (k of the order of ln m); Satopaa et al. 2011,
doi:10.1109/ICDCSW.2011.20 (the knee).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from kmapper import Cover
from sklearn.neighbors import NearestNeighbors

ROWS_A_CUBE = 60  # of an even lens, before cubes are widened
FEWEST_CUBES, MOST_CUBES = 8, 24
NEAR_A_LOG = 3.0
ROUNDING = 1e-9  # eps reaches the row it was read off, however distances were summed


def automatic_cubes(n: int, n_components: int) -> int:
    """Cubes along each component, 8 to 24: about 60 rows each if the lens were spread evenly, before widening."""
    wanted = (n / ROWS_A_CUBE) ** (1 / n_components)
    return int(np.clip(round(wanted), FEWEST_CUBES, MOST_CUBES))


def cube_rows(lens: Float64[np.ndarray, "n n_components"], *, n_cubes: int, gain: float) -> list[np.ndarray]:
    """Rows of every cube that is not empty, in the order in which kmapper goes through them.

    Raises:
        ValueError: no cube, or a gain outside (0, 1).
    """
    cover = checked_cover(n_cubes, gain)
    numbered = np.column_stack([np.arange(len(lens)), lens])
    cover.fit(numbered)
    return [cube[:, 0].astype(np.int64) for cube in cover.transform(numbered)]


def checked_cover(n_cubes: int, gain: float) -> Cover:
    """kmapper's cover.

    Raises:
        ValueError: no cube, or a gain outside (0, 1).
    """
    if n_cubes < 1:
        raise ValueError(f"n_cubes must be at least 1; got {n_cubes}")
    if not 0 < gain < 1:
        raise ValueError(f"gain, the share that neighbouring cubes have in common, must be between 0 and 1; got {gain}")
    return Cover(n_cubes=n_cubes, perc_overlap=gain)


@dataclass(frozen=True)
class ReachCurve:
    """The sorted distances from which eps is read off.

    Shapes:
        distances: (n_values,) float64 ascending, to the k-th nearest other row inside a cube; one value for every row
        and cube that it lies in, where the cube has `min_samples` rows.
    Args:
        eps: at the knee or the share asked for; 0 if most rows have as many exact copies.
        k_low, k_high: the smallest and the largest k of a cube.
    """

    distances: Float64[np.ndarray, " n_values"]
    eps: float
    k_low: int
    k_high: int


def reach_curve(
    points: Float64[np.ndarray, "n d"],
    cubes: Sequence[np.ndarray],
    *,
    min_samples: int,
    k: int = 0,
    core_share: float = 0.0,
) -> ReachCurve:
    """Distances to the k-th nearest other row inside the cubes, and their knee.

    Args:
        cubes: rows of each; those with fewer than `min_samples` rows, which have no cluster, do not count.
        k: neighbour that is asked, at least `min_samples` - 1; 0 takes 3 ln m in a cube of m rows. At most m - 1.
        core_share: eps is taken at this share of the curve; 0 takes the knee.
    Raises:
        ValueError: no cube has enough rows.
    """
    large = [rows for rows in cubes if len(rows) >= min_samples]
    if not large:
        most = max((len(rows) for rows in cubes), default=0)
        raise ValueError(
            f"no cube has the {min_samples} rows (min_samples) that make a cluster: the fullest of {len(cubes)} has "
            f"{most}; lower n_cubes or min_samples"
        )
    wanted = [k or int(np.ceil(NEAR_A_LOG * np.log(len(rows)))) for rows in large]
    steps = [int(np.clip(step, min_samples - 1, len(rows) - 1)) for rows, step in zip(large, wanted, strict=True)]
    found = [
        NearestNeighbors(n_neighbors=step).fit(points[rows]).kneighbors()[0][:, -1]
        for rows, step in zip(large, steps, strict=True)
    ]
    distances = np.sort(np.concatenate(found))
    place = int(np.ceil(core_share * len(distances))) - 1 if core_share else knee(distances)
    eps = float(distances[place]) * (1 + ROUNDING)
    return ReachCurve(distances, eps, min(steps), max(steps))


def knee(ascending: Float64[np.ndarray, " n"]) -> int:
    """Where an ascending curve bends up: of its upper half the place farthest below the line between the two ends.

    Returns:
        The last place if the curve is flat or straight.
    """
    start = (len(ascending) - 1) // 2
    upper = ascending[start:]
    rise = upper[-1] - upper[0]
    if len(upper) < 3 or rise <= 0:
        return len(ascending) - 1
    below = np.linspace(0, 1, len(upper)) - (upper - upper[0]) / rise
    if below.max() <= 1e-12:
        return len(ascending) - 1
    return start + int(below.argmax())
