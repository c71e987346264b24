"""Linear centred kernel alignment, biased and debiased.

Both need, of a pairing, the number F = ||Xc' Yc[p]||^2 only; the debiased one also S = sum_i kx_ii ky_pp. With centred
data the rows of the Gram matrices sum to zero, which turns the unbiased estimator of Song et al. (2012) into
    HSIC_1 = (F - S + tr(Kx) tr(Ky) / ((n - 1)(n - 2)) - 2 S / (n - 2)) / (n (n - 3)).
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np

from helpers.similarity.chance import require_low_chance
from helpers.similarity.inputs import centred, paired_rows, require_rows
from helpers.similarity.measure import SHAPE, Comparison, Measure, UndefinedMeasure
from helpers.similarity.pairing_sums import pairing_sum

#: Two Gram matrices of this many rows take 1 GiB; beyond, the product of the data is taken for every permutation.
MOST_GRAM_ROWS = 8192


def min_rows(d_x: int, d_y: int, *, debiased: bool = False) -> int:  # noqa: ARG001
    """Least number of rows: the unbiased estimator divides by n - 3."""
    return 4 if debiased else 3


def _overlap(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], float]:
    """A function of the permutation that returns ||x' y[p]||^2, the cheaper way for these shapes."""
    n_rows = len(x)
    if n_rows <= min(MOST_GRAM_ROWS, x.shape[1] * y.shape[1] // 5):
        gram_x, gram_y = x @ x.T, y @ y.T
        diagonal_x, diagonal_y = gram_x.diagonal().copy(), gram_y.diagonal().copy()
        inner = pairing_sum(gram_x, gram_y)
        return lambda p: 2 * inner(p) + float(diagonal_x @ diagonal_y[p])
    transposed = x.T.copy()
    return lambda p: float(np.sum((transposed @ y[p]) ** 2))


def _self_overlap(x: np.ndarray) -> float:
    gram = x @ x.T if len(x) <= x.shape[1] else x.T @ x
    return float(np.sum(gram**2))


def _debias(f: float, s: float, traces: float, n: int) -> float:
    return f - s + traces / ((n - 1) * (n - 2)) - 2 * s / (n - 2)


def _debiased_self(x: np.ndarray, *, name: str) -> float:
    energies = np.sum(x**2, axis=1)
    overlap = _self_overlap(x)
    value = _debias(overlap, float(energies @ energies), float(energies.sum() ** 2), len(x))
    if value <= len(x) ** 2 * np.finfo(np.float64).eps * overlap:
        raise UndefinedMeasure(f"the rows of {name} are equidistant: debiased linear_cka has nothing to align")
    return value


def prepare(x: Any, y: Any, *, debiased: bool = False) -> Comparison:
    """Centre both sides, and form what a re-pairing leaves unchanged."""
    pair = paired_rows(x, y)
    n = pair.n_rows
    require_rows(n, min_rows(0, 0, debiased=debiased), measure="linear_cka", reason="two rows always align")
    side_x, side_y = centred(pair.x, name="x"), centred(pair.y, name="y")
    # Lengths of 1 keep the sums below in range whatever the units of the input.
    side_x, side_y = side_x / np.linalg.norm(side_x), side_y / np.linalg.norm(side_y)
    overlap = _overlap(side_x, side_y)
    if not debiased:
        chance = require_low_chance(side_x, side_y, measure="linear_cka")
        scale = np.sqrt(_self_overlap(side_x) * _self_overlap(side_y))
        return Comparison(n, lambda p: min(1.0, overlap(p) / scale), details={"chance": chance})
    scale = np.sqrt(_debiased_self(side_x, name="x") * _debiased_self(side_y, name="y"))
    energy_x, energy_y = np.sum(side_x**2, axis=1), np.sum(side_y**2, axis=1)

    def evaluate(permutation: np.ndarray) -> float:
        cross = float(energy_x @ energy_y[permutation])
        value = _debias(overlap(permutation), cross, 1.0, n) / scale
        return float(np.clip(value, -1.0, 1.0))

    return Comparison(n, evaluate)


def linear_cka(x: Any, y: Any, *, debiased: bool = False) -> float:
    """Linear CKA of paired rows.

    Shapes:
        x: (n, d_x); y: (n, d_y); row i is one pair.
    Args:
        debiased: unbiased HSIC, whose value for unrelated rows is near 0 for any n; use it when n is not far above d.
    Returns:
        Similarity in [0, 1] (debiased: [-1, 1]); 1 = equal up to rotation, translation and isotropic scale.
    Raises:
        UndefinedMeasure: fewer than 3 (debiased 4) rows, a side without variance, or, biased only, so few rows for the
            effective dimensions that unrelated rows would score above 0.75 on average.
        ValueError: rows differ in number, or entries are not finite.
    Source:
        Kornblith et al. 2019, arXiv:1905.00414; debiased: Song et al. 2012 (JMLR 13), equation 5.
    """
    return prepare(x, y, debiased=debiased).score()


LINEAR_CKA = Measure(
    name="linear_cka",
    function=linear_cka,
    prepare=prepare,
    direction="similarity",
    ideal=1.0,
    range=(0.0, 1.0),
    symmetric=True,
    invariances=SHAPE,
    null="pairing",
    min_rows=min_rows,
    description="alignment of the centred Gram matrices",
    source="Kornblith et al. 2019, arXiv:1905.00414",
)


LINEAR_CKA_DEBIASED = Measure(
    name="linear_cka_debiased",
    function=linear_cka,
    prepare=prepare,
    direction="similarity",
    ideal=1.0,
    range=(-1.0, 1.0),
    symmetric=True,
    invariances=SHAPE,
    null="pairing",
    min_rows=min_rows,
    description="alignment of the centred Gram matrices, unbiased for few rows",
    source="Song et al. 2012; Kornblith et al. 2019, arXiv:1905.00414",
    options=MappingProxyType({"debiased": True}),
)
