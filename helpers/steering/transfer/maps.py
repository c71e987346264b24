"""Linear maps from one model's stream to another's, fitted on paired rows or on paired decoder rows.

- *ridge*: least squares on activations, with a penalty that is chosen by cross-validation inside the fitting text;
- *Procrustes*: the orthogonal map nearest to the activations' cross-covariance: it turns and does nothing else;
- *decoder rows*: least squares from the decoder rows of matched features to those of their partners; needs no text.

A steering vector is a difference of activations, so only the linear part of a map acts on it.

Sources: Schonemann 1966, doi:10.1007/BF02289451 (Procrustes); Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from helpers.steering.transfer.moments import PairedMoments
from helpers.steering.vectors import SteeringVector

PENALTIES = tuple(float(10.0**power) for power in range(-7, 2))


@dataclass(frozen=True, eq=False)
class LinearMap:
    """A map of one hook's rows to another's.

    Shapes:
        matrix: (d_a, d_b), rows of a times it are rows of b.
    Args:
        hook_a, hook_b: from where to where; method: how it was fitted; details: JSON types only.
    """

    matrix: Float[np.ndarray, "d_a d_b"]
    hook_a: str
    hook_b: str
    method: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def carry(self, source: SteeringVector, *, name: str, residual_norm: float | None = None) -> SteeringVector:
        """A vector of the first model as one of the second.

        Args:
            name: what the study calls the second model; residual_norm: mean length of its hook's rows.
        Raises:
            ValueError: a vector of another hook or width, or one of which the map leaves nothing.
        """
        if source.hook_name != self.hook_a:
            raise ValueError(
                f"the map starts at {self.hook_a}; got a vector of {source.hook_name}; fit a map of its hook"
            )
        if len(source.vector) != len(self.matrix):
            raise ValueError(
                f"the map starts at rows of width {len(self.matrix)}; got a vector of {len(source.vector)}: of another model"
            )
        told = {"map": dict(self.details), "from": {"model": source.model, "method": source.method, **source.details}}
        return SteeringVector(
            vector=source.vector @ self.matrix,
            hook_name=self.hook_b,
            model=name,
            method=f"carried by {self.method}",
            details=told,
            residual_norm=residual_norm,
        )


def ridge_map(moments: PairedMoments, *, penalties: Sequence[float] = PENALTIES) -> LinearMap:
    """Least squares from a's rows to b's, with the penalty that predicts left-out folds best.

    Args:
        penalties: to choose from, in units of the mean variance of a's columns.
    Returns:
        The map of all folds. Its details hold the penalty and, for each, the share of b's variance that is missed on the
        folds left out.
    Raises:
        ValueError: no penalty or one that is not positive, a fold without rows, or rows that do not vary.
    """
    if not penalties or not all(np.isfinite(penalty) and penalty > 0 for penalty in penalties):
        raise ValueError(f"penalties are positive numbers, at least one; got {list(penalties)}")
    missed = np.zeros(len(penalties))
    variance = 0.0
    for left_out in range(moments.n_folds):
        kept = np.arange(moments.n_folds) != left_out
        fitted = _Covariances.of(moments, kept)
        held = _Covariances.of(moments, ~kept, means=(fitted.mean_a, fitted.mean_b))
        n = int(moments.counts[left_out])
        variance += n * held.variance_b
        for number, penalty in enumerate(penalties):
            matrix = _ridge(fitted, penalty)
            error = held.variance_b - 2 * np.vdot(matrix, held.ab) + np.vdot(matrix, held.aa @ matrix)
            missed[number] += n * error
    errors = missed / variance
    best = int(errors.argmin())
    covariances = _Covariances.of(moments, np.ones(moments.n_folds, bool))
    details = {
        "penalty": float(penalties[best]),
        "missed": {f"{penalty:g}": float(error) for penalty, error in zip(penalties, errors, strict=True)},
        "missed_variance": float(errors[best]),
        "n_rows": moments.n_rows,
    }
    return LinearMap(_ridge(covariances, penalties[best]), moments.hook_a, moments.hook_b, "ridge map", details)


def procrustes_map(moments: PairedMoments) -> LinearMap:
    """The orthogonal map under which a's centred rows are nearest to b's.

    Returns:
        A map with orthonormal rows or columns, whichever are fewer. Between widths that differ it keeps the directions that
        both sides share most. Details hold the share of b's variance that is missed on the folds left out.
    Raises:
        ValueError: a fold without rows, or rows that do not vary.
    """
    missed = variance = 0.0
    for left_out in range(moments.n_folds):
        kept = np.arange(moments.n_folds) != left_out
        fitted = _Covariances.of(moments, kept)
        held = _Covariances.of(moments, ~kept, means=(fitted.mean_a, fitted.mean_b))
        matrix, n = _rotation(fitted.ab), int(moments.counts[left_out])
        missed += n * float(held.variance_b - 2 * np.vdot(matrix, held.ab) + np.vdot(matrix, held.aa @ matrix))
        variance += n * held.variance_b
    covariances = _Covariances.of(moments, np.ones(moments.n_folds, bool))
    details = {"missed_variance": missed / variance, "n_rows": moments.n_rows}
    return LinearMap(_rotation(covariances.ab), moments.hook_a, moments.hook_b, "Procrustes map", details)


def shuffled_maps(moments: PairedMoments, *, penalty: float | None = None) -> list[LinearMap]:
    """The same map fitted on rows paired with those of other tokens: one a shuffle.

    Args:
        penalty: of the ridge map; None gives Procrustes maps.
    Raises:
        ValueError: moments without shuffles.
    """
    if not len(moments.shuffled_ab):
        raise ValueError("expected moments with shuffled pairs; got none; sum them up with n_shuffles")
    true = _Covariances.of(moments, np.ones(moments.n_folds, bool))
    maps = []
    for products in moments.shuffled_ab:
        cross = products / moments.n_rows - np.outer(true.mean_a, true.mean_b)
        wrong = _Covariances(true.mean_a, true.mean_b, true.aa, cross, true.variance_b)
        matrix = _rotation(cross) if penalty is None else _ridge(wrong, penalty)
        maps.append(LinearMap(matrix, moments.hook_a, moments.hook_b, "map of shuffled tokens"))
    return maps


def decoder_map(
    rows_a: Float[np.ndarray, "n_pairs d_a"], rows_b: Float[np.ndarray, "n_pairs d_b"], *, hook_a: str, hook_b: str
) -> LinearMap:
    """Least squares from decoder rows of features to those of their partners.

    Shapes:
        rows_a: W_dec_a[ids_a]; rows_b: W_dec_b[ids_b]; row i is one pair.
    Notes:
        With fewer pairs than dimensions the smallest of the exact solutions; what the rows do not span is then lost.
    Raises:
        ValueError: no pair, sides of different lengths, or rows that are not finite.
    """
    rows_a, rows_b = (np.asarray(rows, dtype=np.float64) for rows in (rows_a, rows_b))
    if rows_a.ndim != 2 or rows_b.ndim != 2 or len(rows_a) != len(rows_b) or not len(rows_a):
        raise ValueError(
            f"expected one row of b for every row of a, at least one; got {rows_a.shape} and {rows_b.shape}"
        )
    if not (np.isfinite(rows_a).all() and np.isfinite(rows_b).all()):
        raise ValueError("decoder rows are finite; got NaN or infinity; look at the SAE")
    matrix, _, rank, _ = np.linalg.lstsq(rows_a, rows_b, rcond=None)
    details = {"n_pairs": len(rows_a), "rank": int(rank)}
    return LinearMap(matrix, hook_a, hook_b, "decoder rows", details)


@dataclass(frozen=True, eq=False)
class _Covariances:
    mean_a: np.ndarray
    mean_b: np.ndarray
    aa: np.ndarray
    ab: np.ndarray
    variance_b: float

    @classmethod
    def of(
        cls, moments: PairedMoments, folds: np.ndarray, *, means: tuple[np.ndarray, np.ndarray] | None = None
    ) -> _Covariances:
        """Of some folds' rows, around their own means or around given ones."""
        n = int(moments.counts[folds].sum())
        if not n:
            raise ValueError("every fold holds rows; got an empty one; take more text or fewer folds")
        sum_a, sum_b = (sums[folds].sum(axis=0) / n for sums in (moments.sums_a, moments.sums_b))
        mean_a, mean_b = means or (sum_a, sum_b)
        aa = moments.products_aa[folds].sum(axis=0) / n
        ab = moments.products_ab[folds].sum(axis=0) / n
        aa = aa - np.outer(mean_a, sum_a) - np.outer(sum_a, mean_a) + np.outer(mean_a, mean_a)
        ab = ab - np.outer(mean_a, sum_b) - np.outer(sum_a, mean_b) + np.outer(mean_a, mean_b)
        variance_b = float(moments.squares_b[folds].sum() / n - 2 * mean_b @ sum_b + mean_b @ mean_b)
        if not (np.trace(aa) > 0 and variance_b > 0):
            raise ValueError("rows vary on both sides; got equal ones; take another hook or more text")
        return cls(mean_a, mean_b, aa, ab, variance_b)


def _ridge(covariances: _Covariances, penalty: float) -> np.ndarray:
    d_a = len(covariances.aa)
    weight = penalty * np.trace(covariances.aa) / d_a
    return np.linalg.solve(covariances.aa + weight * np.eye(d_a), covariances.ab)


def _rotation(cross: np.ndarray) -> np.ndarray:
    left, _, right = np.linalg.svd(cross, full_matrices=False)
    return left @ right
