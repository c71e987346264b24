"""Representational similarity analysis: do the distances inside x rise and fall with those inside y?"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata

from helpers.similarity.inputs import distinct_rows, paired_rows, require_choice, require_rows, unit_rows
from helpers.similarity.kernels import concordance, permuted_condensed
from helpers.similarity.measure import PAIRED, ROTATION, SHAPE, Comparison, Measure, UndefinedMeasure
from helpers.similarity.pairing_sums import pairing_sum

INNER = ("correlation", "cosine", "euclidean")
OUTER = ("spearman", "pearson", "kendall")
#: Distances closer than this share of the largest differ by rounding only, and tie.
TIE_SHARE = 1e-12


def min_rows(d_x: int, d_y: int, *, inner: str = "correlation", outer: str = "spearman") -> int:  # noqa: ARG001
    """Four rows give six distances; of three distances a rank correlation takes four values only."""
    return 4


def distance_matrix(matrix: np.ndarray, *, inner: str, name: str) -> np.ndarray:
    """Distances between all rows, (n, n), with exact ties between copies of a row."""
    if inner == "euclidean":
        distinct = distinct_rows(matrix)
        distances, floor = squareform(pdist(distinct.rows)), 0.0
    else:
        distinct = distinct_rows(unit_rows(matrix, name=name, centre=inner == "correlation"))
        distances, floor = 1.0 - distinct.rows @ distinct.rows.T, TIE_SHARE  # cosines are rounded at eps
        np.fill_diagonal(distances, 0.0)
    largest = float(np.abs(distances).max())
    if largest <= floor:
        raise UndefinedMeasure(f"all rows of {name} have {inner} distance 0; there is no geometry to compare")
    distances = np.round(distances / (TIE_SHARE * largest)) * (TIE_SHARE * largest)
    return distances[np.ix_(distinct.index, distinct.index)]


def _standardised(values: np.ndarray, *, name: str) -> np.ndarray:
    """Condensed values with mean 0 and length 1, as a symmetric matrix with a zero diagonal."""
    if values.min() == values.max():
        raise UndefinedMeasure(f"all distances between rows of {name} are equal; there is no geometry to compare")
    deviations = values - values.mean()
    return squareform(deviations / np.linalg.norm(deviations), checks=False)


def _correlation(x: np.ndarray, y: np.ndarray, outer: str) -> Callable[[np.ndarray], float]:
    condensed_x, condensed_y = squareform(x, checks=False), squareform(y, checks=False)
    if outer == "spearman":
        condensed_x, condensed_y = rankdata(condensed_x), rankdata(condensed_y)
    side_x, side_y = _standardised(condensed_x, name="x"), _standardised(condensed_y, name="y")
    # Half of the off-diagonal elements: the condensed vectors have length 1.
    inner = pairing_sum(side_x, side_y)
    return lambda p: float(np.clip(inner(p), -1.0, 1.0))


def _kendall(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], float]:
    """Kendall's tau-b; x is sorted once, and ties inside each side do not change with the pairing."""
    condensed_x, condensed_y = squareform(x, checks=False), squareform(y, checks=False)
    _standardised(condensed_x, name="x"), _standardised(condensed_y, name="y")
    order = np.argsort(condensed_x, kind="stable")
    first, second = (index[order] for index in np.triu_indices(len(x), k=1))
    ranks_x = np.unique(condensed_x, return_inverse=True)[1][order]
    groups = np.concatenate([[0], np.flatnonzero(np.diff(ranks_x)) + 1, [len(order)]])
    ranks_y = squareform(np.unique(condensed_y, return_inverse=True)[1] + 1, checks=False)
    pairs = len(order) * (len(order) - 1) // 2

    def tied(values: np.ndarray) -> int:
        counts = np.unique(values, return_counts=True)[1].astype(np.int64)
        return int(np.sum(counts * (counts - 1) // 2))

    tied_x, tied_y = tied(condensed_x), tied(condensed_y)
    scale = np.sqrt(float(pairs - tied_x)) * np.sqrt(float(pairs - tied_y))

    def evaluate(permutation: np.ndarray) -> float:
        discordant, tied_both = concordance(groups, permuted_condensed(ranks_y, first, second, permutation))
        return float((pairs - tied_x - tied_y + tied_both - 2 * discordant) / scale)

    return evaluate


def prepare(x: Any, y: Any, *, inner: str = "correlation", outer: str = "spearman") -> Comparison:
    """Distances and their ranks, once a side. Holds two (n, n) float64 matrices."""
    require_choice(inner, INNER, name="inner")
    require_choice(outer, OUTER, name="outer")
    pair = paired_rows(x, y)
    require_rows(pair.n_rows, min_rows(0, 0), measure="rsa", reason="too few distances to correlate")
    distances_x = distance_matrix(pair.x, inner=inner, name="x")
    distances_y = distance_matrix(pair.y, inner=inner, name="y")
    if outer == "kendall":
        return Comparison(pair.n_rows, _kendall(distances_x, distances_y))
    return Comparison(pair.n_rows, _correlation(distances_x, distances_y, outer))


def rsa(x: Any, y: Any, *, inner: str = "correlation", outer: str = "spearman") -> float:
    """Correlation between the distances inside x and the distances inside y.

    Shapes:
        x: (n, d_x); y: (n, d_y); row i is one pair.
    Args:
        inner: distance between rows: correlation, cosine or euclidean.
        outer: correlation between the two lists of distances: spearman, pearson or kendall (tau-b; slow).
    Returns:
        Similarity in [-1, 1]; 1 = the distances of both sides rank alike (pearson: are proportional up to a shift).
    Raises:
        UndefinedMeasure: fewer than 4 rows, a row without direction (constant for correlation, zero for cosine), or a
            side whose distances are all equal.
        ValueError: rows differ in number, entries are not finite, or an option is unknown.
    Notes:
        Distances closer than 1e-12 of the largest count as ties. Correlation distance subtracts each row's own mean
        over columns, so neither a rotation nor a translation of one side leaves it unchanged.
    Source:
        Kriegeskorte et al. 2008, doi:10.3389/neuro.06.004.2008.
    """
    return prepare(x, y, inner=inner, outer=outer).score()


RSA = Measure(
    name="rsa",
    function=rsa,
    prepare=prepare,
    direction="similarity",
    ideal=1.0,
    range=(-1.0, 1.0),
    symmetric=True,
    invariances=PAIRED | {"row_scaling"},
    null="pairing",
    min_rows=min_rows,
    description="rank correlation of the correlation distances",
    source="Kriegeskorte et al. 2008",
)


RSA_COSINE = Measure(
    name="rsa_cosine",
    function=rsa,
    prepare=prepare,
    direction="similarity",
    ideal=1.0,
    range=(-1.0, 1.0),
    symmetric=True,
    invariances=ROTATION | {"row_scaling"},
    null="pairing",
    min_rows=min_rows,
    description="rank correlation of the cosine distances",
    source="Kriegeskorte et al. 2008",
    options=MappingProxyType({"inner": "cosine"}),
)


RSA_EUCLIDEAN = Measure(
    name="rsa_euclidean",
    function=rsa,
    prepare=prepare,
    direction="similarity",
    ideal=1.0,
    range=(-1.0, 1.0),
    symmetric=True,
    invariances=SHAPE,
    null="pairing",
    min_rows=min_rows,
    description="rank correlation of the Euclidean distances",
    source="Kriegeskorte et al. 2008",
    options=MappingProxyType({"inner": "euclidean"}),
)
