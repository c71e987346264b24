"""Two domains whose partners are known: one is a rotation of the other, moved by one vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PlantedAnalogy:
    """Shapes:
    x, y: (n, d); rows are partners.
    """

    x: np.ndarray
    y: np.ndarray


def planted_analogy(
    *, n: int = 12, d: int = 32, n_roles: int = 3, rotated: bool = True, noise: float = 0.2, seed: int = 0
) -> PlantedAnalogy:
    """Roles are points in a few dimensions, which both domains have.

    Args:
        n_roles: dimensions of the roles.
        rotated: the second domain has them along axes of its own; False: along the same, so that an offset is enough.
        noise: standard deviation in every dimension, the roles' being 1.
    Raises:
        ValueError: more than d / 2 role dimensions.
    """
    if 2 * n_roles > d:
        raise ValueError(f"n_roles must be at most half of d; got {n_roles} and {d}")
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((d, 2 * n_roles)))[0].T
    roles = rng.standard_normal((n, n_roles))
    x = roles @ axes[:n_roles] + noise * rng.standard_normal((n, d))
    y = roles @ axes[n_roles if rotated else 0 :][:n_roles] + noise * rng.standard_normal((n, d))
    return PlantedAnalogy(x + rng.standard_normal(d), y + rng.standard_normal(d))
