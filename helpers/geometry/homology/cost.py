"""What a computation of persistent homology needs, told before it starts.

Distances need a fixed number of bytes each. Loops need annotations, of which the most are kept for clouds in which
everything is about equally far; for these the bytes were measured, and no cloud was found that needs more. Voids need a
column for every triangle below the enclosing radius (the scale at which one landmark sees all others, and nothing new
can be born); triangles are counted exactly from the distances, and the bytes of one are measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import psutil
from jaxtyping import Float

MAX_DIM = 2
MAX_LANDMARKS_VOIDS = 400
#: Measured on noise, circles, spheres and tori in 3 to 512 dimensions, the most of all, rounded up (the tests measure
#: again, at sizes that take seconds).
BYTES_DISTANCE = 80
BYTES_ANNOTATIONS = 0.15  # times the third power of the landmarks
BYTES_TRIANGLE = 160  # of ripser 0.6.15
SHARE_OF_FREE = 0.8  # of the memory that is free, at most


@dataclass(frozen=True)
class Cost:
    """Estimate of a run.

    Args:
        n_triangles: below the enclosing radius; counted for voids only.
        n_bytes: peak memory beyond what the process holds, an upper bound.
    """

    n_landmarks: int
    n_triangles: int
    n_bytes: int

    @property
    def mib(self) -> float:
        return self.n_bytes / 2**20

    def __str__(self) -> str:
        triangles = f" with {self.n_triangles:,} triangles" if self.n_triangles else ""
        return f"{self.n_landmarks:,} landmarks{triangles}, at most {self.mib:,.0f} MiB"


def enclosing_radius(distances: Float[np.ndarray, "k k"]) -> float:
    """Least distance at which one landmark sees all others; from there on there is neither loop nor void."""
    return float(distances.max(axis=1).min())


def estimate_cost(n_landmarks: int) -> Cost:
    """What components and loops need, whatever the cloud."""
    return Cost(n_landmarks, 0, round(BYTES_DISTANCE * n_landmarks**2 + BYTES_ANNOTATIONS * n_landmarks**3))


def estimate_voids(distances: Float[np.ndarray, "k k"]) -> Cost:
    """What voids need beside components and loops.

    Shapes:
        distances: (k, k), symmetric.
    """
    near = distances <= enclosing_radius(distances)
    np.fill_diagonal(near, False)
    links = near.astype(np.float64)  # counts stay exact below 2^53
    n_triangles = round(float(np.sum((links @ links) * links))) // 6
    loops = estimate_cost(len(distances))
    return Cost(len(distances), n_triangles, loops.n_bytes + BYTES_TRIANGLE * n_triangles)


def check_size(n_landmarks: int, *, max_dim: int) -> None:
    """Refuse what is too large for any machine.

    Raises:
        ValueError: max_dim not 0, 1 or 2; too many landmarks for voids.
    """
    if max_dim not in range(MAX_DIM + 1):
        raise ValueError(f"max_dim must be 0 (components), 1 (loops) or 2 (voids); got {max_dim}")
    if max_dim == 2 and n_landmarks > MAX_LANDMARKS_VOIDS:
        raise ValueError(
            f"voids (max_dim=2) take at most {MAX_LANDMARKS_VOIDS} landmarks, as every triangle counts; got "
            f"{n_landmarks:,}; lower n_landmarks, or max_dim to 1"
        )


def check_cost(cost: Cost, *, max_mib: float | None = None) -> None:
    """Refuse what does not fit.

    Args:
        max_mib: memory that may be taken; None = 80 % of what is free now.
    Raises:
        ValueError: the estimate is higher; says how many landmarks would fit.
    """
    room = max_mib if max_mib is not None else SHARE_OF_FREE * psutil.virtual_memory().available / 2**20
    if cost.mib > room:
        # Between the second power (distances) and the third (annotations, triangles); this is on the safe side of both.
        fitting = int(cost.n_landmarks * (room / cost.mib) ** (1 / 2))
        lower = ", or max_dim to 1" if cost.n_triangles else ""
        raise ValueError(
            f"persistent homology of {cost}, does not fit into {room:,.0f} MiB; lower n_landmarks to about "
            f"{fitting:,}{lower}"
        )
