"""What a similarity measure declares about itself, and the prepared comparison that a permutation test asks for scores.

Rows are the paired things (features, or tokens), columns are dimensions; row i of x belongs to row i of y.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

#: Transformations of one side (joint: of both) under which a measure may or may not stay the same.
INVARIANCES = frozenset(
    {
        "row_permutation_joint",  # the same reordering of the rows of both sides
        "row_permutation_single",  # a reordering of one side's rows: the measure ignores the pairing
        "column_permutation",
        "orthogonal",
        "isotropic_scaling",  # one positive factor
        "row_scaling",  # one positive factor for each row
        "translation",  # one vector added to every row
        "invertible_linear",
    }
)

#: What most measures of paired rows share; then also rotations; then also translations.
PAIRED = frozenset({"row_permutation_joint", "column_permutation", "isotropic_scaling"})
ROTATION = PAIRED | {"orthogonal"}
SHAPE = ROTATION | {"translation"}


class UndefinedMeasure(ValueError):
    """The measure has no meaningful value for this input (too few rows, no variance); the message says why."""


@dataclass(frozen=True)
class Comparison:
    """Two sides prepared once, so that re-pairing their rows costs only what a permutation changes.

    Attributes:
        n_rows: rows of y (what a permutation has as many entries as).
        evaluate: score of x against `y[permutation]`.
        evaluate_random: score of x against a Gaussian matrix of y's shape; only for measures that ignore the pairing.
        details: numbers worth reporting beside the score, e.g. the dimensions kept of each side.
    """

    n_rows: int
    evaluate: Callable[[np.ndarray], float]
    evaluate_random: Callable[[np.random.Generator], float] | None = None
    details: Mapping[str, int | float] = field(default_factory=dict)

    def score(self, permutation: np.ndarray | None = None) -> float:
        """Score of x against y, or against `y[permutation]`."""
        order = np.arange(self.n_rows) if permutation is None else np.asarray(permutation)
        return float(self.evaluate(order))

    def random_score(self, rng: np.random.Generator) -> float:
        """Score of x against a Gaussian matrix of y's shape."""
        if self.evaluate_random is None:
            raise ValueError("this measure depends on the pairing; its null is a permutation, not a random matrix")
        return float(self.evaluate_random(rng))


@dataclass(frozen=True)
class Measure:
    """One measure of the catalogue and its declared properties, from which the tests are generated.

    Attributes:
        name: key in MEASURES.
        function: `function(x, y, **options) -> float`.
        prepare: `prepare(x, y, **options) -> Comparison`.
        direction: "similarity" (more is more alike) or "distance".
        ideal: value of two identical sides.
        range: (lowest, highest) possible value.
        symmetric: whether swapping the sides leaves the score unchanged.
        invariances: subset of INVARIANCES that holds for either side.
        null: "pairing" (shuffle the rows of y) or "random_matrix" (for measures that ignore the pairing).
        min_rows: `min_rows(d_x, d_y, **options)`: with fewer rows the measure is undefined. A measure whose kept
            dimensions depend on the data (svcca by variance) may ask for more when it sees the data.
        description: one line for tables.
        source: paper or equation.
        options: options fixed by this entry, e.g. {"debiased": True}.
        same_width: whether x and y must have the same number of columns.
    """

    name: str
    function: Callable[..., float]
    prepare: Callable[..., Comparison]
    direction: Literal["similarity", "distance"]
    ideal: float
    range: tuple[float, float]
    symmetric: bool
    invariances: frozenset[str]
    null: Literal["pairing", "random_matrix"]
    min_rows: Callable[..., int]
    description: str
    source: str
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    same_width: bool = False

    def __post_init__(self) -> None:
        unknown = self.invariances - INVARIANCES
        assert not unknown, f"{self.name} declares unknown invariances {sorted(unknown)}"

    def compare(self, x: Any, y: Any, **options: Any) -> Comparison:
        """Prepare x and y with this entry's fixed options and the caller's."""
        return self.prepare(x, y, **{**self.options, **options})

    def score(self, x: Any, y: Any, **options: Any) -> float:
        """The measure of x and y with this entry's fixed options and the caller's."""
        return self.function(x, y, **{**self.options, **options})
