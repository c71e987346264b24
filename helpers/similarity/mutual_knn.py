"""Mutual nearest neighbours: which share of each row's neighbours in x are its partner's neighbours in y?"""

from __future__ import annotations

from typing import Any

from helpers.similarity.measure import ROTATION, Comparison, Measure
from helpers.similarity.neighbours import min_rows, prepare_neighbours


def prepare(x: Any, y: Any, *, k: int = 10, metric: str = "cosine") -> Comparison:
    """Find the neighbours of both sides once; a permutation only renames them."""
    shared = prepare_neighbours(x, y, k=k, metric=metric, measure="mutual_knn")
    return Comparison(shared.n_rows, lambda permutation: float(shared(permutation).mean() / k))


def mutual_knn(x: Any, y: Any, *, k: int = 10, metric: str = "cosine") -> float:
    """Mean over rows of |N_x and N_y| / k, with N the k nearest other rows.

    Shapes:
        x: (n, d_x); y: (n, d_y); row i is one pair.
    Args:
        k: neighbours of a row.
        metric: cosine, euclidean or correlation distance between rows.
    Returns:
        Similarity in [0, 1]; 1 = every row has the same neighbours in both; unrelated rows average k / (n - 1).
    Raises:
        UndefinedMeasure: fewer than k + 2 rows, or a row without direction.
        ValueError: rows differ in number, entries are not finite, or an option is out of range.
    Source:
        Huh et al. 2024, arXiv:2405.07987, appendix A.
    """
    return prepare(x, y, k=k, metric=metric).score()


MUTUAL_KNN = Measure(
    name="mutual_knn",
    function=mutual_knn,
    prepare=prepare,
    direction="similarity",
    ideal=1.0,
    range=(0.0, 1.0),
    symmetric=True,
    invariances=ROTATION | {"row_scaling"},
    null="pairing",
    min_rows=min_rows,
    description="share of common nearest neighbours",
    source="Huh et al. 2024, arXiv:2405.07987",
)
