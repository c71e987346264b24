"""Persistent homology: at which distance components, loops and voids of a cloud of points appear, and when they fill in.

Grow a ball around every landmark. Two that touch are an edge, three that touch pairwise a triangle, and so on (the
Rips complex). A *bar* is a feature of the growing shape: born when an edge closes a loop, dead when triangles fill it.
Dimension 0 are components (all born at 0), 1 loops, 2 voids. Long bars are shape, short bars are the grain of a sample;
how long a bar must be is a question for a null (`significance`).

Coefficients are modulo 2. Components and loops come from `rips_loops`, in float64; voids from ripser, in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from ripser import ripser

from helpers.array_file import ArrayFile
from helpers.geometry.homology.cost import Cost, check_cost, check_size, estimate_cost, estimate_voids
from helpers.geometry.homology.landmarks import CHOICES, Choice, Landmarks, landmarks_of
from helpers.geometry.homology.rips_loops import rips_bars
from helpers.geometry.homology.rows import METRICS, Metric, as_points

_FILE = ArrayFile("persistent homology", remedy="run 10_persistent_homology again")
#: What a bar of each dimension is.
KINDS = ("components", "loops", "voids")


@dataclass(frozen=True)
class Persistence:
    """Bars of a cloud of points.

    Shapes:
        diagrams: one (n_bars, 2) float64 a dimension, birth and death in the metric's unit, the longest first; the one
        component that never dies has death infinity. edges: (n_loops, 2) int64, the edge that closes each loop of
        `diagrams[1]`, between places in the landmarks. distances: (n_landmarks, n_landmarks).
    Args:
        landmarks: which rows, how chosen, and how well they cover the others.
        cost: what the run was estimated to need.
    Notes:
        Rotation, moving (Euclidean) or scaling every row (cosine) change nothing, nor does the order of the columns or,
        unless landmarks are random, of the rows; all up to rounding and to equal distances.
    """

    diagrams: tuple[Float[np.ndarray, "n_bars 2"], ...]
    edges: Int64[np.ndarray, "n_loops 2"]
    landmarks: Landmarks
    distances: Float[np.ndarray, "k k"]
    cost: Cost

    @property
    def max_dim(self) -> int:
        return len(self.diagrams) - 1

    @property
    def scale(self) -> float:
        """Median distance of two landmarks: the unit in which clouds of different spaces can be compared."""
        return float(np.median(self.distances[np.triu_indices(self.landmarks.n, k=1)]))

    def bars(self, dim: int) -> Float[np.ndarray, "n_bars 2"]:
        """Bars of one dimension that end."""
        self._check_dim(dim)
        found = self.diagrams[dim]
        return found[np.isfinite(found[:, 1])]

    def lengths(self, dim: int) -> Float[np.ndarray, " n_bars"]:
        """Death minus birth of the bars that end, the longest first."""
        return np.diff(self.bars(dim), axis=1)[:, 0]

    def longest(self, dim: int) -> float:
        """Length of the longest bar that ends; 0 if there is none."""
        return float(self.lengths(dim).max(initial=0.0))

    def relative(self, dim: int) -> Float[np.ndarray, "n_bars 2"]:
        """Bars of one dimension that end, in median distances."""
        return self.bars(dim) / self.scale

    def betti_curve(self, dim: int, scales: Any) -> Int64[np.ndarray, " n_scales"]:
        """Bars of one dimension that are alive at every scale (birth <= scale < death)."""
        self._check_dim(dim)
        at = np.asarray(scales, dtype=np.float64)[:, None]
        births, deaths = self.diagrams[dim].T
        return ((births <= at) & (at < deaths)).sum(axis=1)

    def _check_dim(self, dim: int) -> None:
        if not 0 <= dim <= self.max_dim:
            raise ValueError(f"bars were computed up to dimension {self.max_dim}; got {dim}; raise max_dim")

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        flat: dict[str, Any] = {f"diagram_{dim}": bars for dim, bars in enumerate(self.diagrams)}
        mark, cost = self.landmarks, self.cost
        flat |= {"edges": self.edges, "ids": mark.ids, "distances": self.distances, "radius": np.float64(mark.radius)}
        flat["counts"] = np.array([mark.n_rows, cost.n_triangles, cost.n_bytes], dtype=np.int64)
        flat["words"] = np.array([mark.choice, mark.metric])
        _FILE.write(path, **flat)

    @classmethod
    def load(cls, path: str | Path) -> Persistence:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, not a file of bars, or a newer format.
        """
        with _FILE.read(path) as content:
            return cls._read(content)

    @classmethod
    def _read(cls, content: Any) -> Persistence:
        diagrams = tuple(content[f"diagram_{dim}"] for dim in range(3) if f"diagram_{dim}" in content)
        choice, metric = (str(word) for word in content["words"])
        n_rows, *simplices = (int(count) for count in content["counts"])
        landmarks = Landmarks(
            content["ids"],
            float(content["radius"]),
            n_rows,
            next(known for known in CHOICES if known == choice),
            next(known for known in METRICS if known == metric),
        )
        return cls(diagrams, content["edges"], landmarks, content["distances"], Cost(landmarks.n, *simplices))


def persistence(
    rows: Any,
    *,
    max_dim: int = 1,
    metric: Metric = "euclidean",
    n_landmarks: int = 300,
    choice: Choice = "furthest",
    seed: int = 0,
    max_mib: float | None = None,
) -> Persistence:
    """Bars of the landmarks of a cloud of points.

    Shapes:
        rows: (n, d).
    Args:
        max_dim: highest dimension: 0 components, 1 loops, 2 voids (at most 400 landmarks).
        metric: "euclidean", or "cosine" (the angle, in radians).
        n_landmarks, choice, seed: see `choose_landmarks`; with as many rows or fewer all rows take part.
        max_mib: memory that may be taken; None = 80 % of what is free.
    Raises:
        ValueError: an argument out of range; rows that are not finite, all the same, or zero with cosine; an estimate
            of the memory that does not fit, with the number of landmarks that would.
    Notes:
        Copies of a row are one point: they add neither landmarks nor bars. A constant column changes nothing
        (Euclidean).
    Source:
        Edelsbrunner et al. 2002, doi:10.1007/s00454-002-2885-2; ripser: Bauer 2021, arXiv:1908.02518; Tralie et al.
        2018, doi:10.21105/joss.00925.
    """
    points = as_points(rows, metric=metric)
    if choice not in CHOICES or n_landmarks < 2:
        raise ValueError(
            f"expected n_landmarks of at least 2 and a choice of {', '.join(CHOICES)}; got {n_landmarks} and '{choice}'"
        )
    check_size(min(n_landmarks, len(points)), max_dim=max_dim)
    cost = estimate_cost(min(n_landmarks, len(points)))
    check_cost(cost, max_mib=max_mib)
    landmarks = landmarks_of(points, n_landmarks=n_landmarks, choice=choice, seed=seed)
    distances = points.distances(landmarks.ids)
    if max_dim == 2:
        cost = estimate_voids(distances)
        check_cost(cost, max_mib=max_mib)
    bars = rips_bars(distances)
    loops = np.argsort(bars.loops[:, 0] - bars.loops[:, 1], kind="stable")
    deaths = bars.components[bars.components > 0][::-1]
    diagrams = [np.column_stack([np.zeros(len(deaths)), deaths]), bars.loops[loops]][: max_dim + 1]
    if max_dim == 2:
        voids = ripser(distances, maxdim=2, distance_matrix=True)["dgms"][2].astype(np.float64)
        diagrams.append(voids[np.argsort(voids[:, 0] - voids[:, 1], kind="stable")])
    return Persistence(tuple(diagrams), bars.edges[loops] if max_dim else bars.edges[:0], landmarks, distances, cost)
