"""How strongly two features go together on the same tokens: pearson, cosine, jaccard.

Each is a function of the pair's sum of products and of two numbers a feature, so one pass serves all:
    pearson  (sum_xy - sum_x sum_y / n) / (sigma_x sigma_y), sigma = sqrt(sum_xx - sum_x^2 / n)
    cosine   sum_xy / sqrt(sum_xx sum_yy)
    jaccard  n_xy / (n_x + n_y - n_xy) on firing (1) and not firing (0)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from helpers.activations.moments import Moments

ASSOCIATIONS = ("pearson", "cosine", "jaccard")


@dataclass(frozen=True)
class Terms:
    """What a feature brings to its associations.

    For pearson and cosine: association = (sum_xy - shift_a shift_b) * scale_a * scale_b.
    For jaccard `shift` holds the firing counts and `scale` is 1 (usable) or 0.
    A feature with scale 0 has no association with anything.

    Shapes:
        shift, scale: (d_sae,) float64.
    """

    shift: np.ndarray
    scale: np.ndarray

    @cached_property
    def packed(self) -> np.ndarray:
        """(d_sae, 2) float64, shift and scale side by side: one cache line serves both."""
        return np.column_stack([self.shift, self.scale])


def association_terms(association: str, moments: Moments, *, n_tokens: int, usable: np.ndarray) -> Terms:
    """Terms of every feature; those that are not `usable` get scale 0.

    Raises:
        ValueError: unknown association.
    """
    if association == "pearson":
        shift = moments.sums / np.sqrt(n_tokens)
        spread = np.sqrt(np.maximum(moments.squares - shift**2, 0.0))
    elif association == "cosine":
        shift, spread = np.zeros_like(moments.sums), np.sqrt(moments.squares)
    elif association == "jaccard":
        return Terms(moments.counts.astype(np.float64), usable.astype(np.float64))
    else:
        raise ValueError(f"association must be one of {', '.join(ASSOCIATIONS)}; got {association!r}")
    usable = usable & (spread > 0)
    scale = np.zeros_like(spread)
    scale[usable] = 1.0 / spread[usable]
    return Terms(shift, scale)
