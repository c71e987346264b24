"""Projection-weighted CCA: canonical correlations weighted by how much of x each direction accounts for."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from helpers.similarity.canonical import require_room
from helpers.similarity.cca import min_rows
from helpers.similarity.inputs import centred_svd, paired_rows, require_rows
from helpers.similarity.measure import PAIRED, Comparison, Measure


def prepare(x: Any, y: Any) -> Comparison:
    """Decompose both sides once; a permutation costs one product and one small SVD."""
    pair = paired_rows(x, y)
    require_rows(pair.n_rows, 3, measure="pwcca", reason="centred columns of two rows always correlate")
    svd_x, svd_y = centred_svd(pair.x, name="x"), centred_svd(pair.y, name="y")
    k_x, k_y = svd_x.left.shape[1], svd_y.left.shape[1]
    require_room(pair.n_rows, k_x, k_y, measure="pwcca")
    basis_x, basis_y = svd_x.left.T.copy(), svd_y.left
    columns = svd_x.values[:, None] * svd_x.right  # the columns of x in its own basis, (k_x, d_x)

    def evaluate(permutation: np.ndarray) -> float:
        directions, correlations, _ = scipy.linalg.svd(
            basis_x @ basis_y[permutation], full_matrices=False, check_finite=False
        )
        weights = np.abs(directions.T @ columns).sum(axis=1)
        return min(1.0, float(weights @ correlations / weights.sum()))

    return Comparison(pair.n_rows, evaluate, details={"n_components_x": k_x, "n_components_y": k_y})


def pwcca(x: Any, y: Any) -> float:
    """Canonical correlations weighted by the absolute projections of x's columns on its canonical variates.

    Shapes:
        x: (n, d_x); y: (n, d_y); row i is one pair.
    Returns:
        Similarity in [0, 1]; not symmetric: the weights come from x.
    Raises:
        UndefinedMeasure: rank(x) + rank(y) > n - 1, or a side without variance.
        ValueError: rows differ in number, or entries are not finite.
    Notes:
        The weights are sums of absolute values, so a rotation of x changes the score; one of y does not.
    Source:
        Morcos et al. 2018, arXiv:1806.05759, section 3.
    """
    return prepare(x, y).score()


PWCCA = Measure(
    name="pwcca",
    function=pwcca,
    prepare=prepare,
    direction="similarity",
    ideal=1.0,
    range=(0.0, 1.0),
    symmetric=False,
    invariances=PAIRED | {"translation"},
    null="pairing",
    min_rows=min_rows,
    description="canonical correlations weighted by what they explain of the first space",
    source="Morcos et al. 2018, arXiv:1806.05759",
)
