"""Whitening: coordinates in which a model's vocabulary has no long and no short direction.

Inner products of unembedding rows mean nothing by themselves: multiplying the unembedding by any invertible matrix, and
the last layer by its inverse, gives the same model with other angles. The causal inner product x' Cov^-1 y of Park et al.
has no such freedom. In whitened coordinates it is the ordinary one, so that angles are the model's own.

Rows = words (or features), columns = dimensions. The covariance is that of the *reference* rows (the whole vocabulary),
not shrunk: shrinkage would bring the arbitrary axes back. Directions in which the reference does not vary, such as
constant columns, are left out, which is the pseudo-inverse. As few reference rows as dimensions are refused: whitening
would put them at equal distances from each other, whatever they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

#: Singular values below this share of the largest (times the number of rows or columns) are rounding, as in numpy's rank.
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Whitening:
    """Centre and scale of the reference rows.

    Shapes:
        mean: (d,); scale: (d, rank), what a centred row is multiplied with.
    """

    mean: Float[np.ndarray, " d"]
    scale: Float[np.ndarray, "d rank"]

    @property
    def rank(self) -> int:
        return self.scale.shape[1]

    def apply(self, rows: Any) -> Float[np.ndarray, "n rank"]:
        """Rows in whitened coordinates: the reference itself has mean 0 and covariance 1 there.

        Raises:
            ValueError: rows of another width, or not finite.
        """
        rows = np.asarray(rows, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.mean) or not np.isfinite(rows).all():
            raise ValueError(
                f"expected finite rows of {len(self.mean)} columns, as the reference has; got {rows.shape}"
            )
        return (rows - self.mean) @ self.scale


def fit_whitening(reference: Any) -> Whitening:
    """Whiten by the covariance of the reference rows.

    Shapes:
        reference: (n, d), at least two rows.
    Returns:
        The map; any invertible linear map of reference and rows together changes its results by a rotation only.
    Raises:
        ValueError: not a finite matrix of at least two rows; all rows are equal; fewer rows than the dimensions in which
            they vary, and two.
    Notes:
        float32 weights carry noise of 1e-7: a direction that is constant but for rounding is cut at the larger of
        numpy's rank tolerance and 1e-6 of the largest singular value.
    Source:
        Park, Choe and Veitch 2023, arXiv:2311.03658 (causal inner product); Park et al. 2024, arXiv:2406.01506.
    """
    reference = np.asarray(reference, dtype=np.float64)
    if reference.ndim != 2 or len(reference) < 2 or not np.isfinite(reference).all():
        raise ValueError(f"expected a finite matrix (n, d) of at least two rows; got shape {reference.shape}")
    mean = reference.mean(axis=0)
    _, spread, axes = np.linalg.svd(reference - mean, full_matrices=False)
    size = float(np.abs(reference).max())
    if spread[0] <= _EPS * size * max(reference.shape):
        raise ValueError("all reference rows are equal, so nothing can be whitened; pass the rows of a vocabulary")
    kept = spread > max(_EPS * max(reference.shape), 1e-6) * spread[0]
    if len(reference) < kept.sum() + 2:  # n rows span n - 1 dimensions around their mean
        raise ValueError(
            f"{len(reference)} rows that vary in {kept.sum()} dimensions are all equally far apart after whitening; pass more "
            "reference rows than dimensions, e.g. the whole vocabulary"
        )
    return Whitening(mean, axes[kept].T * (np.sqrt(len(reference)) / spread[kept]))
