"""Singular vector CCA: canonical correlations of the leading principal components of both sides.

Components are counted by the *fraction of variance*, that is of the sum of squared singular values. Comparing the
cumulative fraction with `variance * total` instead, as published code does, keeps a single component for almost every
input; that published number is `svcca(x, y, n_components=1)`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from helpers.similarity.canonical import mean_correlation
from helpers.similarity.inputs import EPSILON, ThinSvd, centred_svd, paired_rows, require_rows
from helpers.similarity.measure import SHAPE, Comparison, Measure


def min_rows(d_x: int, d_y: int, *, variance: float = 0.99, n_components: int | None = None) -> int:  # noqa: ARG001
    """Least number of rows; with `variance` a lower bound (one component a side), as the kept number follows the data."""
    kept = 1 if n_components is None else n_components
    return min(kept, d_x) + min(kept, d_y) + 1


def _leading(svd: ThinSvd, variance: float, n_components: int | None) -> ThinSvd:
    if n_components is None:
        fraction = np.cumsum(svd.values**2) / np.sum(svd.values**2)
        # Rounding must not ask for one more component when the fraction is met exactly.
        kept = int(np.searchsorted(fraction, variance - len(fraction) * EPSILON)) + 1
    else:
        kept = n_components
    kept = min(kept, len(svd.values))
    return ThinSvd(np.ascontiguousarray(svd.left[:, :kept]), svd.values[:kept], svd.right[:kept])


def prepare(x: Any, y: Any, *, variance: float = 0.99, n_components: int | None = None) -> Comparison:
    """Decompose both sides once and keep their leading components."""
    if not 0 < variance <= 1:
        raise ValueError(f"variance must be a share above 0 and at most 1; got {variance}")
    if n_components is not None and n_components < 1:
        raise ValueError(f"n_components must be at least 1; got {n_components}")
    pair = paired_rows(x, y)
    require_rows(pair.n_rows, 3, measure="svcca", reason="centred columns of two rows always correlate")
    left = _leading(centred_svd(pair.x, name="x"), variance, n_components)
    right = _leading(centred_svd(pair.y, name="y"), variance, n_components)
    return mean_correlation(left, right, measure="svcca")


def svcca(x: Any, y: Any, *, variance: float = 0.99, n_components: int | None = None) -> float:
    """Mean canonical correlation of the principal components that keep `variance` of each side.

    Shapes:
        x: (n, d_x); y: (n, d_y); row i is one pair.
    Args:
        variance: share of each side's variance that its kept components reach, in (0, 1].
        n_components: keep this many components instead; 1 gives the number that the published pipeline reports.
    Returns:
        Similarity in [0, 1]; 1 = the kept spaces are linear images of each other.
    Raises:
        UndefinedMeasure: k_x + k_y > n - 1 kept components, or a side without variance.
        ValueError: rows differ in number, entries are not finite, or an option is out of range.
    Source:
        Raghu et al. 2017, arXiv:1706.05806.
    """
    return prepare(x, y, variance=variance, n_components=n_components).score()


SVCCA = Measure(
    name="svcca",
    function=svcca,
    prepare=prepare,
    direction="similarity",
    ideal=1.0,
    range=(0.0, 1.0),
    symmetric=True,
    invariances=SHAPE,
    null="pairing",
    min_rows=min_rows,
    description="mean canonical correlation of the components that keep 99 % of the variance",
    source="Raghu et al. 2017, arXiv:1706.05806",
)
