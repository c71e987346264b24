"""Nearest-neighbour Jaccard: how much of each row's neighbourhood in x is its partner's neighbourhood in y?"""

from __future__ import annotations

from typing import Any

from helpers.similarity.measure import ROTATION, Comparison, Measure
from helpers.similarity.neighbours import min_rows, prepare_neighbours


def prepare(x: Any, y: Any, *, k: int = 10, metric: str = "cosine") -> Comparison:
    """Find the neighbours of both sides once; a permutation only renames them."""
    shared = prepare_neighbours(x, y, k=k, metric=metric, measure="knn_jaccard")

    def evaluate(permutation: Any) -> float:
        common = shared(permutation)
        return float((common / (2 * k - common)).mean())  # |A and B| / |A or B|, both of weight k

    return Comparison(shared.n_rows, evaluate)


def knn_jaccard(x: Any, y: Any, *, k: int = 10, metric: str = "cosine") -> float:
    """Mean over rows of |N_x and N_y| / |N_x or N_y|, with N the k nearest other rows.

    Shapes:
        x: (n, d_x); y: (n, d_y); row i is one pair.
    Args:
        k: neighbours of a row.
        metric: cosine, euclidean or correlation distance between rows.
    Returns:
        Similarity in [0, 1]; 1 = every row has the same neighbours in both; unrelated rows average about k / (2n - k).
    Raises:
        UndefinedMeasure: fewer than k + 2 rows, or a row without direction.
        ValueError: rows differ in number, entries are not finite, or an option is out of range.
    Notes:
        Rows equally far at the k-th place share the places left.
    Source:
        Wang et al. 2022, arXiv:2103.13845; survey of Klabunde et al. 2023, arXiv:2305.06329, section 3.4.
    """
    return prepare(x, y, k=k, metric=metric).score()


KNN_JACCARD = Measure(
    name="knn_jaccard",
    function=knn_jaccard,
    prepare=prepare,
    direction="similarity",
    ideal=1.0,
    range=(0.0, 1.0),
    symmetric=True,
    invariances=ROTATION | {"row_scaling"},
    null="pairing",
    min_rows=min_rows,
    description="Jaccard overlap of the nearest neighbours",
    source="Wang et al. 2022, arXiv:2103.13845",
)
