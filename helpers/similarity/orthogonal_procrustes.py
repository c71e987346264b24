"""Orthogonal Procrustes: what remains different after the best rotation of one side onto the other."""

from __future__ import annotations

from math import pi, sqrt
from types import MappingProxyType
from typing import Any

import numpy as np

from helpers.similarity.chance import require_low_chance
from helpers.similarity.inputs import (
    centred,
    distance_of_overlap,
    nuclear_norm,
    paired_rows,
    require_choice,
    require_rows,
)
from helpers.similarity.measure import SHAPE, Comparison, Measure

KINDS = ("distance", "angular")


def min_rows(d_x: int, d_y: int, *, kind: str = "distance") -> int:  # noqa: ARG001
    """Least number of rows; with few rows for the effective dimensions the measure asks for more."""
    return 3


def prepare(x: Any, y: Any, *, kind: str = "distance") -> Comparison:
    """Centre both sides and scale them to Frobenius norm 1."""
    require_choice(kind, KINDS, name="kind")
    pair = paired_rows(x, y)
    require_rows(
        pair.n_rows, 3, measure="orthogonal_procrustes", reason="two centred rows always rotate onto two others"
    )
    side_x, side_y = centred(pair.x, name="x"), centred(pair.y, name="y")
    side_x, side_y = side_x / np.linalg.norm(side_x), side_y / np.linalg.norm(side_y)
    chance = require_low_chance(side_x, side_y, measure="orthogonal_procrustes")
    transposed = side_x.T.copy()

    def evaluate(permutation: np.ndarray) -> float:
        distance = distance_of_overlap(nuclear_norm(transposed @ side_y[permutation]))
        # The angle of which the distance is the chord.
        return 2 * float(np.arcsin(distance / 2)) if kind == "angular" else distance

    return Comparison(pair.n_rows, evaluate, details={"chance": chance})


def orthogonal_procrustes(x: Any, y: Any, *, kind: str = "distance") -> float:
    """Distance between the centred sides of Frobenius norm 1, after the best rotation or reflection.

    Shapes:
        x: (n, d_x); y: (n, d_y); row i is one pair. A narrower side counts as padded with zero columns.
    Args:
        kind: "distance", the Frobenius norm of what remains, or "angular", the angle between the sides.
    Returns:
        Distance in [0, sqrt(2)], or angle in [0, pi / 2]; 0 = equal up to rotation, translation and isotropic scale.
    Raises:
        UndefinedMeasure: fewer than 3 rows, a side without variance, or so many effective dimensions per row that
            unrelated rows rotate onto each other.
        ValueError: rows differ in number, entries are not finite, or `kind` is unknown.
    Source:
        Schonemann 1966, doi:10.1007/BF02289451; Williams et al. 2021, arXiv:2110.14739.
    """
    return prepare(x, y, kind=kind).score()


ORTHOGONAL_PROCRUSTES = Measure(
    name="orthogonal_procrustes",
    function=orthogonal_procrustes,
    prepare=prepare,
    direction="distance",
    ideal=0.0,
    range=(0.0, sqrt(2)),
    symmetric=True,
    invariances=SHAPE,
    null="pairing",
    min_rows=min_rows,
    description="distance after the best rotation",
    source="Schonemann 1966; Williams et al. 2021, arXiv:2110.14739",
)


ORTHOGONAL_PROCRUSTES_ANGULAR = Measure(
    name="orthogonal_procrustes_angular",
    function=orthogonal_procrustes,
    prepare=prepare,
    direction="distance",
    ideal=0.0,
    range=(0.0, pi / 2),
    symmetric=True,
    invariances=SHAPE,
    null="pairing",
    min_rows=min_rows,
    description="angle after the best rotation (radians)",
    source="Williams et al. 2021, arXiv:2110.14739",
    options=MappingProxyType({"kind": "angular"}),
)
