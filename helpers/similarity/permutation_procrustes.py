"""Permutation Procrustes: what remains different after the best one-to-one renaming of one side's columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from helpers.similarity.inputs import centred, distance_of_overlap, paired_rows, require_rows
from helpers.similarity.measure import PAIRED, Comparison, Measure


def min_rows(d_x: int, d_y: int) -> int:  # noqa: ARG001
    """Least number of rows."""
    return 3


def prepare(x: Any, y: Any) -> Comparison:
    """Centre both sides and scale them to Frobenius norm 1."""
    pair = paired_rows(x, y)
    require_rows(
        pair.n_rows, 3, measure="permutation_procrustes", reason="centred columns of two rows are all parallel"
    )
    side_x, side_y = centred(pair.x, name="x"), centred(pair.y, name="y")
    transposed, side_y = (side_x / np.linalg.norm(side_x)).T.copy(), side_y / np.linalg.norm(side_y)

    def evaluate(permutation: np.ndarray) -> float:
        products = transposed @ side_y[permutation]
        columns = linear_sum_assignment(products, maximize=True)
        return distance_of_overlap(float(products[columns].sum()))

    return Comparison(pair.n_rows, evaluate)


def permutation_procrustes(x: Any, y: Any) -> float:
    """Distance between the centred sides of Frobenius norm 1, after the best matching of their columns.

    Shapes:
        x: (n, d_x); y: (n, d_y); row i is one pair. A narrower side counts as padded with zero columns.
    Returns:
        Distance in [0, 2]; 0 = equal up to the order of columns, translation and isotropic scale.
    Raises:
        UndefinedMeasure: fewer than 3 rows, or a side without variance.
        ValueError: rows differ in number, or entries are not finite.
    Source:
        Williams et al. 2021, arXiv:2110.14739 (the permutation group); Li et al. 2015, arXiv:1511.07543.
    """
    return prepare(x, y).score()


PERMUTATION_PROCRUSTES = Measure(
    name="permutation_procrustes",
    function=permutation_procrustes,
    prepare=prepare,
    direction="distance",
    ideal=0.0,
    range=(0.0, 2.0),
    symmetric=True,
    invariances=PAIRED | {"translation"},
    null="pairing",
    min_rows=min_rows,
    description="distance after the best matching of the columns",
    source="Williams et al. 2021, arXiv:2110.14739",
)
