"""Mean of maximal cosine similarities: has every row of x a row of y that points the same way?

The rows need no pairing and need not be equally many, but they must live in one space: two dictionaries of one model, or
a dictionary and the true features. Dictionaries stored as columns (d_model, n_features) must be transposed first.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from helpers.similarity.inputs import as_matrix, unit_rows
from helpers.similarity.measure import Comparison, Measure

BLOCK_ROWS = 1024


def min_rows(d_x: int, d_y: int, *, symmetric: bool = False) -> int:  # noqa: ARG001
    """One row has a best partner already."""
    return 1


def _directed(x: np.ndarray, y: np.ndarray) -> float:
    total = sum(
        float((x[start : start + BLOCK_ROWS] @ y.T).max(axis=1).sum()) for start in range(0, len(x), BLOCK_ROWS)
    )
    return total / len(x)


def prepare(x: Any, y: Any, *, symmetric: bool = False) -> Comparison:
    """Scale the rows of both sides to length 1."""
    side_x, side_y = as_matrix(x, name="x"), as_matrix(y, name="y")
    if side_x.shape[1] != side_y.shape[1]:
        raise ValueError(
            f"mmcs compares directions in one space; got rows of {side_x.shape[1]} and {side_y.shape[1]} columns; "
            "pass two dictionaries of the same width, features as rows"
        )
    side_x, side_y = unit_rows(side_x, name="x", centre=False), unit_rows(side_y, name="y", centre=False)

    def evaluate(other: np.ndarray) -> float:
        forward = _directed(side_x, other)
        value = (forward + _directed(other, side_x)) / 2 if symmetric else forward
        return float(np.clip(value, -1.0, 1.0))

    def evaluate_random(rng: np.random.Generator) -> float:
        return evaluate(unit_rows(rng.standard_normal(side_y.shape), name="random", centre=False))

    # The best partner does not depend on the order of y's rows.
    return Comparison(len(side_y), lambda _: evaluate(side_y), evaluate_random)


def mmcs(x: Any, y: Any, *, symmetric: bool = False) -> float:
    """Mean over rows of x of the largest cosine with any row of y.

    Shapes:
        x: (n_x, d); y: (n_y, d); rows are features; the numbers of rows may differ.
    Args:
        symmetric: mean of both directions; by default directed from x to y (is x contained in y?).
    Returns:
        Similarity in [-1, 1]; 1 = every direction of x is in y.
    Raises:
        UndefinedMeasure: a zero row.
        ValueError: widths differ, or entries are not finite.
    Notes:
        Grows with n_y for random rows too: its null is a random matrix, and a shuffled pairing leaves it unchanged.
    Source:
        Sharkey et al. 2022, "Taking features out of superposition with sparse autoencoders".
    """
    return prepare(x, y, symmetric=symmetric).score()


MMCS = Measure(
    name="mmcs",
    function=mmcs,
    prepare=prepare,
    direction="similarity",
    ideal=1.0,
    range=(-1.0, 1.0),
    symmetric=False,
    invariances=frozenset({"row_permutation_joint", "row_permutation_single", "isotropic_scaling", "row_scaling"}),
    null="random_matrix",
    min_rows=min_rows,
    description="mean of the best cosines of the first side's rows",
    source="Sharkey et al. 2022",
    same_width=True,
)


MMCS_SYMMETRIC = Measure(
    name="mmcs_symmetric",
    function=mmcs,
    prepare=prepare,
    direction="similarity",
    ideal=1.0,
    range=(-1.0, 1.0),
    symmetric=True,
    invariances=frozenset({"row_permutation_joint", "row_permutation_single", "isotropic_scaling", "row_scaling"}),
    null="random_matrix",
    min_rows=min_rows,
    description="mean of the best cosines in both directions",
    source="Sharkey et al. 2022",
    options=MappingProxyType({"symmetric": True}),
    same_width=True,
)
