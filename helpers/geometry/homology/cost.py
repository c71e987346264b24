"""What a computation of persistent homology needs, told before it starts.

The algorithm holds one column a simplex: edges for loops, triangles for voids. How many there are below the enclosing
radius (the scale at which one landmark sees all others, and nothing new can be born) is counted exactly from the
distances; the bytes of one are measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import psutil
from jaxtyping import Float

MAX_DIM = 2
MAX_LANDMARKS_VOIDS = 400
#: Bytes a simplex, the most that ripser 0.6.15 took on noise, circles, spheres and tori of 3 to 512 dimensions and 100
#: to 1,500 points (tests/geometry/homology/test_cost.py measures again).
BYTES_DISTANCE = 60
BYTES_EDGE = 700
BYTES_TRIANGLE = 230
SHARE_OF_FREE = 0.8  # of the memory that is free, at most


@dataclass(frozen=True)
class Cost:
    """Estimate of a run.

    Args:
        n_edges, n_triangles: simplices below the enclosing radius; triangles are counted for voids only.
        n_bytes: peak memory beyond what the process holds, an upper bound.
    """

    n_landmarks: int
    n_edges: int
    n_triangles: int
    n_bytes: int

    @property
    def mib(self) -> float:
        return self.n_bytes / 2**20

    def __str__(self) -> str:
        triangles = f" and {self.n_triangles:,} triangles" if self.n_triangles else ""
        return f"{self.n_landmarks:,} landmarks, {self.n_edges:,} edges{triangles}, at most {self.mib:,.0f} MiB"


def enclosing_radius(distances: Float[np.ndarray, "k k"]) -> float:
    """Least distance at which one landmark sees all others; from there on there is neither loop nor void."""
    return float(distances.max(axis=1).min())


def count_simplices(distances: Float[np.ndarray, "k k"], *, max_dim: int) -> Cost:
    """Count what is below the enclosing radius.

    Shapes:
        distances: (k, k), symmetric.
    Args:
        max_dim: 0, 1 or 2.
    """
    n = len(distances)
    near = distances <= enclosing_radius(distances)
    np.fill_diagonal(near, False)
    n_edges = int(near.sum()) // 2
    n_triangles = 0
    if max_dim == 2:
        links = near.astype(np.float64)  # counts stay exact below 2^53
        n_triangles = round(float(np.sum((links @ links) * links))) // 6
    n_bytes = BYTES_DISTANCE * n * n + BYTES_EDGE * n_edges * (max_dim > 0) + BYTES_TRIANGLE * n_triangles
    return Cost(n, n_edges, n_triangles, n_bytes)


def check_size(n_landmarks: int, *, max_dim: int, max_mib: float | None = None) -> None:
    """Refuse what cannot fit whatever the rows are.

    Raises:
        ValueError: max_dim not 0, 1 or 2; too many landmarks for voids; distances that alone do not fit.
    """
    if max_dim not in range(MAX_DIM + 1):
        raise ValueError(f"max_dim must be 0 (components), 1 (loops) or 2 (voids); got {max_dim}")
    if max_dim == 2 and n_landmarks > MAX_LANDMARKS_VOIDS:
        raise ValueError(
            f"voids (max_dim=2) take at most {MAX_LANDMARKS_VOIDS} landmarks, as every triangle counts; got "
            f"{n_landmarks:,}; lower n_landmarks, or max_dim to 1"
        )
    _require_room(Cost(n_landmarks, 0, 0, BYTES_DISTANCE * n_landmarks**2), max_mib)


def check_cost(cost: Cost, *, max_mib: float | None = None) -> None:
    """Refuse what does not fit.

    Args:
        max_mib: memory that may be taken; None = 80 % of what is free now.
    Raises:
        ValueError: the estimate is higher.
    """
    _require_room(cost, max_mib)


def _require_room(cost: Cost, max_mib: float | None) -> None:
    room = max_mib if max_mib is not None else SHARE_OF_FREE * psutil.virtual_memory().available / 2**20
    if cost.mib > room:
        # Edges go with the square of the landmarks, triangles with the cube.
        power = 3 if cost.n_triangles else 2
        fitting = int(cost.n_landmarks * (room / cost.mib) ** (1 / power))
        lower = ", or max_dim to 1" if cost.n_triangles else ""
        raise ValueError(
            f"persistent homology of {cost} does not fit into {room:,.0f} MiB; lower n_landmarks to about "
            f"{fitting:,}{lower}"
        )
