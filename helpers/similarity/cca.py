"""Mean canonical correlation of two spaces, all dimensions kept."""

from __future__ import annotations

from typing import Any

from helpers.similarity.canonical import mean_correlation
from helpers.similarity.inputs import centred_svd, paired_rows, require_rows
from helpers.similarity.measure import SHAPE, Comparison, Measure


def min_rows(d_x: int, d_y: int) -> int:
    """Rows from which canonical correlations of full-rank sides say anything."""
    return d_x + d_y + 1


def prepare(x: Any, y: Any) -> Comparison:
    """Decompose both sides once."""
    pair = paired_rows(x, y)
    require_rows(pair.n_rows, 3, measure="cca", reason="centred columns of two rows always correlate")
    return mean_correlation(centred_svd(pair.x, name="x"), centred_svd(pair.y, name="y"), measure="cca")


def cca(x: Any, y: Any) -> float:
    """Mean canonical correlation.

    Shapes:
        x: (n, d_x); y: (n, d_y); row i is one pair.
    Returns:
        Similarity in [0, 1]; 1 = the smaller space is a linear image of the other.
    Raises:
        UndefinedMeasure: rank(x) + rank(y) > n - 1, or a side without variance.
        ValueError: rows differ in number, or entries are not finite.
    Source:
        Hotelling 1936, doi:10.1093/biomet/28.3-4.321; singular values of Ux' Uy (Bjorck and Golub 1973).
    """
    return prepare(x, y).score()


CCA = Measure(
    name="cca",
    function=cca,
    prepare=prepare,
    direction="similarity",
    ideal=1.0,
    range=(0.0, 1.0),
    symmetric=True,
    invariances=SHAPE | {"invertible_linear"},
    null="pairing",
    min_rows=min_rows,
    description="mean canonical correlation of the whole spaces",
    source="Hotelling 1936",
)
