"""Bars as a picture of fixed size, and the scales at which curves are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from persim import PersistenceImager

from helpers.geometry.homology.persistence import Persistence


@dataclass(frozen=True)
class PersistenceImages:
    """Diagrams as images on one grid.

    Shapes:
        images: (n_diagrams, n_births, n_lengths) float64, at least 0.
    Args:
        births, lengths: least and greatest birth and length of the grid, in median distances.
    """

    images: Float[np.ndarray, "n_diagrams n_births n_lengths"]
    births: tuple[float, float]
    lengths: tuple[float, float]


def persistence_images(
    found: Sequence[Persistence], *, dim: int = 1, n_pixels: int = 32, blur: float = 0.03
) -> PersistenceImages:
    """Every bar a Gaussian at its birth and length, weighted by its length, on a grid that all share.

    Args:
        n_pixels: along the longer side of the grid; blur: standard deviation of a bar, in median distances.
    Raises:
        ValueError: no diagrams, or arguments that are not positive; no bars at all.
    Source:
        Adams et al. 2017, arXiv:1507.06217.
    """
    if not found or n_pixels < 2 or blur <= 0:
        raise ValueError(
            f"expected diagrams, at least 2 pixels and a blur above 0; got {len(found)}, {n_pixels} and {blur}"
        )
    bars = [one.relative(dim) for one in found]
    every = np.concatenate(bars)
    if not len(every):
        raise ValueError(f"there are no bars of dimension {dim}, so there is no image")
    margin = 3 * blur  # beyond which a bar's Gaussian is next to nothing
    births = float(every[:, 0].min()) - margin, float(every[:, 0].max()) + margin
    lengths = 0.0, float(np.diff(every, axis=1).max()) + margin
    pixel = max(births[1] - births[0], lengths[1]) / n_pixels
    imager = PersistenceImager(
        birth_range=births,
        pers_range=lengths,
        pixel_size=pixel,
        weight="persistence",
        weight_params={"n": 1.0},
        kernel="gaussian",
        kernel_params={"sigma": [[blur**2, 0.0], [0.0, blur**2]]},
    )
    size = imager.resolution
    images = np.stack([imager.transform(one, skew=True) if len(one) else np.zeros(size) for one in bars])
    images = np.maximum(images, 0.0)  # differences of a distribution function, negative by rounding
    return PersistenceImages(images, tuple(imager.birth_range), tuple(imager.pers_range))


def common_scales(found: Sequence[Persistence], *, dim: int = 1, n_scales: int = 200) -> Float[np.ndarray, " n_scales"]:
    """Scales from just before the first birth to just after the last death in any of the clouds, in median distances.

    Raises:
        ValueError: no bars at all.
    """
    bars = np.concatenate([one.relative(dim) for one in found]) if found else np.empty((0, 2))
    if not len(bars):
        raise ValueError(f"there are no bars of dimension {dim}, so there is no curve")
    low, high = float(bars[:, 0].min()), float(bars[:, 1].max())
    return np.linspace(max(0.0, low - 0.05 * (high - low)), high + 0.05 * (high - low), n_scales)
