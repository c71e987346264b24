"""Random rows that share the simple properties of given rows: what a shape must be held against.

Rows with a few strong directions look stretched, clustered or looped to any tool, whatever they mean. A structure is
worth its name if the same computation does not find it in rows that have the same mean and covariance (and nothing
else), or in rows whose columns keep their values and lose their relations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float


def gaussian_rows(x: Any, *, seed: int, keep_norms: bool = False) -> Float[np.ndarray, "n d"]:
    """Gaussian rows with the mean and the covariance of the given ones (in expectation).

    Shapes:
        x: (n, d), at least two rows.
    Args:
        keep_norms: scale every drawn row to the length of the row of `x` in its place (the covariance is then matched
            in direction only); for rows that lie on a sphere, as decoder rows of norm 1 do.
    Returns:
        (n, d) float64.
    Raises:
        ValueError: not a finite matrix of at least two rows; `keep_norms` where a drawn row has no length.
    Notes:
        Time n * min(n, d) * d; no d x d matrix is formed where n is smaller.
    """
    return GaussianSource.of(x).draw(seed=seed, keep_norms=keep_norms)


@dataclass(frozen=True)
class GaussianSource:
    """What Gaussian rows are drawn from, prepared once for many draws (`gaussian_rows` is one).

    Shapes:
        mean: (d,); widths: (r,), axes: (r, d), deviations along the principal axes; norms: (n,), lengths of the rows.
    """

    mean: Float[np.ndarray, " d"]
    widths: Float[np.ndarray, " r"]
    axes: Float[np.ndarray, "r d"]
    norms: Float[np.ndarray, " n"]

    @classmethod
    def of(cls, x: Any) -> GaussianSource:
        """Prepare rows (n, d).

        Raises:
            ValueError: not a finite matrix of at least two rows.
        """
        rows = _finite_rows(x)
        mean = rows.mean(axis=0)
        _, spread, axes = np.linalg.svd(rows - mean, full_matrices=False)
        return cls(mean, spread / np.sqrt(len(rows) - 1), axes, np.linalg.norm(rows, axis=1))

    def draw(self, *, seed: int, keep_norms: bool = False) -> Float[np.ndarray, "n d"]:
        """As many rows as there were; see `gaussian_rows`."""
        drawn = np.random.default_rng(seed).standard_normal((len(self.norms), len(self.widths)))
        drawn = self.mean + (drawn * self.widths) @ self.axes
        if not keep_norms:
            return drawn
        lengths = np.linalg.norm(drawn, axis=1)
        if not lengths.all():
            raise ValueError(f"row {int(np.argmin(lengths))} drawn has length 0 and takes no norm; pass rows that vary")
        return drawn * (self.norms / lengths)[:, None]


def shuffled_columns(x: Any, *, seed: int) -> Float[np.ndarray, "n d"]:
    """The given rows with the values of every column in an order of its own: columns stay, relations go.

    Shapes:
        x: (n, d), at least two rows.
    Returns:
        (n, d) float64.
    Raises:
        ValueError: not a finite matrix of at least two rows.
    """
    return np.random.default_rng(seed).permuted(_finite_rows(x), axis=0)


def _finite_rows(x: Any) -> Float[np.ndarray, "n d"]:
    rows = np.asarray(x, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2 or not np.isfinite(rows).all():
        raise ValueError(f"expected a finite matrix (n, d) of at least two rows; got shape {rows.shape}")
    return rows
