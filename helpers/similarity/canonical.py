"""Canonical correlations between two orthonormal bases: the core of cca, svcca and pwcca.

The canonical correlations of two centred spaces are the singular values of Ux' Uy, with Ux and Uy orthonormal bases of
the spaces. Re-pairing the rows of y permutes the rows of Uy and leaves both bases otherwise as they are.
"""

from __future__ import annotations

from helpers.similarity.inputs import ThinSvd, nuclear_norm
from helpers.similarity.measure import Comparison, UndefinedMeasure


def require_room(n_rows: int, k_x: int, k_y: int, *, measure: str) -> None:
    """Refuse bases that fill the space of centred columns.

    Two subspaces of dimensions k_x and k_y of the (n - 1)-dimensional space of centred columns must intersect in
    k_x + k_y - (n - 1) dimensions, each with correlation 1, however unrelated the data.
    """
    if k_x + k_y > n_rows - 1:
        raise UndefinedMeasure(
            f"{measure} keeps {k_x} and {k_y} dimensions of {n_rows} rows; with k_x + k_y > n - 1 some canonical "
            "correlations are 1 for any data; use more rows, fewer components, rsa or debiased linear_cka"
        )


def mean_correlation(x: ThinSvd, y: ThinSvd, *, measure: str) -> Comparison:
    """Comparison whose score is the mean of the min(k_x, k_y) canonical correlations."""
    n_rows, k_x = x.left.shape
    k_y = y.left.shape[1]
    require_room(n_rows, k_x, k_y, measure=measure)
    basis_x, basis_y, smaller = x.left.T.copy(), y.left, min(k_x, k_y)
    return Comparison(
        n_rows,
        lambda permutation: min(1.0, nuclear_norm(basis_x @ basis_y[permutation]) / smaller),
        details={"n_components_x": k_x, "n_components_y": k_y},
    )
