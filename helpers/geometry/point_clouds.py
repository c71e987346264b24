"""Point clouds whose shape is known, lying in many dimensions: every tool that looks for shapes must find them.

A cloud is drawn in the few dimensions in which it is defined, turned by a random rotation into `d` dimensions, and
blurred there by Gaussian noise. The noise is stated by its length, not by its size in one dimension: a noise of 0.1
moves a point by about 0.1, in 3 dimensions as in 512.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

Shape = Literal["circle", "figure_eight", "torus", "sphere", "two_clusters", "tree", "noise"]

#: Betti numbers (components, loops, voids) of every shape; a tree has four branches, noise is one blob.
BETTI: dict[Shape, tuple[int, int, int]] = {
    "circle": (1, 1, 0),
    "figure_eight": (1, 2, 0),
    "torus": (1, 2, 1),
    "sphere": (1, 0, 1),
    "two_clusters": (2, 0, 0),
    "tree": (1, 0, 0),
    "noise": (1, 0, 0),
}


@dataclass(frozen=True)
class PointCloud:
    """A cloud with its answer.

    Shapes:
        rows: (n, d) float64; place: (n,), where on the shape a point is: the angle in radians on circles (the first
        one of a torus, the azimuth of a sphere; on a figure eight, above 2 pi on the second circle), the number of the
        cluster or of the branch, 0 in noise.
    Args:
        betti: components, loops and voids of the shape.
    """

    rows: Float[np.ndarray, "n d"]
    place: Float[np.ndarray, " n"]
    betti: tuple[int, int, int]


def point_cloud(shape: Shape, *, n_points: int, d: int, noise: float, seed: int) -> PointCloud:
    """Draw a shape of about unit size in `d` dimensions.

    Args:
        shape: a circle of radius 1; two circles of radius 1 that touch; a torus of radii 1 and 0.4; a sphere of radius
            1; two blobs of radius 0.3 whose centres are 3 apart; four straight branches of length 1 that meet; a
            Gaussian blob of radius 1 in all dimensions.
        noise: expected length of the blur, at least 0; ignored by "noise", which is nothing else.
    Raises:
        ValueError: an unknown shape; fewer points or dimensions than it needs; negative noise.
    """
    if shape not in BETTI:
        raise ValueError(f"shape must be one of {', '.join(BETTI)}; got '{shape}'")
    if n_points < 8 or d < 4 or noise < 0:
        raise ValueError(
            f"expected at least 8 points, 4 dimensions and no negative noise; got {n_points}, {d}, {noise}"
        )
    rng = np.random.default_rng(seed)
    if shape == "noise":
        return PointCloud(rng.standard_normal((n_points, d)) / np.sqrt(d), np.zeros(n_points), BETTI[shape])
    flat, place = _DRAWS[shape](n_points, rng)
    frame = np.linalg.qr(rng.standard_normal((d, flat.shape[1])))[0]
    blur = rng.standard_normal((n_points, d)) * (noise / np.sqrt(d))
    return PointCloud(flat @ frame.T + blur, place.astype(np.float64), BETTI[shape])


def _circle(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.column_stack([np.cos(angle), np.sin(angle)]), angle


def _figure_eight(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    points, angle = _circle(n, rng)
    second = rng.permutation(n) < n // 2
    return points + np.where(second, 1.0, -1.0)[:, None] * [1.0, 0.0], angle + 2 * np.pi * second


def _torus(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    _, around = _circle(n, rng)
    # Even over the area: the outer side has more of it, so angles of the tube are drawn in proportion to the radius.
    edges = np.linspace(0, 2 * np.pi, 10_001)
    tube = np.interp(rng.random(n), (edges + 0.4 * np.sin(edges)) / (2 * np.pi), edges)
    radius = 1 + 0.4 * np.cos(tube)
    return np.column_stack([radius * np.cos(around), radius * np.sin(around), 0.4 * np.sin(tube)]), around


def _sphere(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    points = rng.standard_normal((n, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    return points, np.arctan2(points[:, 1], points[:, 0]) % (2 * np.pi)


def _two_clusters(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    cluster = np.arange(n) % 2
    points = rng.standard_normal((n, 3)) * (0.3 / np.sqrt(3))
    return points + np.column_stack([3.0 * cluster, np.zeros(n), np.zeros(n)]), cluster


def _tree(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    branch = np.arange(n) % 4
    return np.eye(4)[branch] * rng.random(n)[:, None], branch


_DRAWS: dict[str, Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]]] = {
    "circle": _circle,
    "figure_eight": _figure_eight,
    "torus": _torus,
    "sphere": _sphere,
    "two_clusters": _two_clusters,
    "tree": _tree,
}
