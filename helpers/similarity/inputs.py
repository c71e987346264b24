"""Checks and decompositions that all measures share. Everything is computed in float64, whatever comes in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from helpers.similarity.measure import UndefinedMeasure

EPSILON = float(np.finfo(np.float64).eps)
#: Entries of a centred matrix are rounded at eps x the uncentred entries; a few of these make "no variance".
CENTRING_NOISE = 8 * EPSILON


def as_matrix(value: Any, *, name: str) -> np.ndarray:
    """A finite float64 matrix (n_rows, n_columns) from a NumPy array, a torch tensor or nested lists.

    Integers, booleans and half precision are converted; they are exact in float64.

    Raises:
        ValueError: not two-dimensional, empty, not numeric, or with NaN or infinite entries.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    if hasattr(value, "tocsr"):
        raise ValueError(
            f"{name} must be a dense matrix; got a sparse one; pass {name}.toarray() of the rows you compare"
        )
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold real numbers; got dtype {array.dtype}; convert it to a float type")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} must be a matrix (n_rows, n_columns); got shape {array.shape}; one row per feature")
    matrix = np.ascontiguousarray(array, dtype=np.float64)
    if not np.isfinite(matrix).all():
        bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
        raise ValueError(f"{name} has NaN or infinite values in {bad.size} rows (first: {bad[0]}); drop these rows")
    return matrix


@dataclass(frozen=True)
class PairedRows:
    """Two checked float64 matrices with equally many rows."""

    x: np.ndarray
    y: np.ndarray

    @property
    def n_rows(self) -> int:
        """Number of pairs."""
        return len(self.x)


def paired_rows(x: Any, y: Any) -> PairedRows:
    """Check both sides and that row i of x can belong to row i of y."""
    pair = PairedRows(as_matrix(x, name="x"), as_matrix(y, name="y"))
    if len(pair.x) != len(pair.y):
        raise ValueError(
            f"x and y must have equally many rows; got {len(pair.x)} and {len(pair.y)}; "
            "row i of x and row i of y must be one pair"
        )
    return pair


def require_rows(n_rows: int, needed: int, *, measure: str, reason: str) -> None:
    """Raise UndefinedMeasure with `reason` if there are fewer rows than `needed`."""
    if n_rows < needed:
        raise UndefinedMeasure(f"{measure} needs at least {needed} rows; got {n_rows}: {reason}")


def require_choice(value: str, choices: tuple[str, ...], *, name: str) -> None:
    """Raise ValueError if an option is not one of its choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}")


def centred(matrix: np.ndarray, *, name: str) -> np.ndarray:
    """The matrix minus its mean row.

    Raises:
        UndefinedMeasure: all rows are equal.
    """
    result = matrix - matrix.mean(axis=0)
    if np.linalg.norm(result) <= CENTRING_NOISE * np.linalg.norm(matrix):
        raise UndefinedMeasure(f"all rows of {name} are equal; a space without variance cannot be compared")
    return result


def unit_rows(matrix: np.ndarray, *, name: str, centre: bool) -> np.ndarray:
    """Rows scaled to length 1, after subtraction of each row's own mean if `centre`.

    Raises:
        UndefinedMeasure: a row has no direction (zero, or constant if `centre`).
    """
    rows = matrix - matrix.mean(axis=1, keepdims=True) if centre else matrix
    norms = np.linalg.norm(rows, axis=1)
    floor = CENTRING_NOISE * np.linalg.norm(matrix, axis=1) if centre else np.zeros(len(rows))
    bad = np.flatnonzero(norms <= floor)
    if bad.size:
        kind = "constant" if centre else "zero"
        raise UndefinedMeasure(
            f"{bad.size} rows of {name} are {kind} (first: {bad[0]}) and have no direction; drop them"
        )
    return rows / norms[:, None]


@dataclass(frozen=True)
class ThinSvd:
    """Centred data = left @ diag(values) @ right, numerical rank only."""

    left: np.ndarray
    values: np.ndarray
    right: np.ndarray


def centred_svd(matrix: np.ndarray, *, name: str) -> ThinSvd:
    """Thin SVD of the centred matrix, cut at its numerical rank."""
    data = centred(matrix, name=name)
    left, values, right = scipy.linalg.svd(data, full_matrices=False, check_finite=False)
    floor = max(max(data.shape) * EPSILON * values[0], CENTRING_NOISE * float(np.linalg.norm(matrix)))
    rank = int((values > floor).sum())
    return ThinSvd(np.ascontiguousarray(left[:, :rank]), values[:rank], right[:rank])


def nuclear_norm(matrix: np.ndarray) -> float:
    """Sum of the singular values, from the eigenvalues of the small Gram matrix where these are accurate enough.

    Eigenvalues carry an error of eps x the largest, so a singular value s has an error of eps x largest^2 / s: below
    1e-11 of the largest for s above 1e-4 of it. With smaller ones, which squaring would blur, an SVD is taken.
    """
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    eigenvalues = scipy.linalg.eigvalsh(small, check_finite=False, overwrite_a=True, driver="evd")
    if eigenvalues[0] > 1e-8 * eigenvalues[-1]:
        return float(np.sqrt(eigenvalues).sum())
    return float(scipy.linalg.svdvals(matrix, check_finite=False).sum())


def distance_of_overlap(overlap: float) -> float:
    """||a - b|| of two matrices of norm 1 with inner product `overlap`.

    The root turns a rounding error e of an overlap near 1 into e / distance; below 1e-6 nothing is left but rounding,
    and the distance is 0.
    """
    gap = 1 - overlap
    return float(np.sqrt(2 * gap)) if gap > 5e-13 else 0.0


@dataclass(frozen=True)
class DistinctRows:
    """The distinct rows in sorted order and, for every original row, its number among them.

    Distances are computed between distinct rows and then expanded, so that copies of a row (many-to-one matching)
    tie exactly, and the result does not depend, even in the last digit, on the order in which rows came.
    """

    rows: np.ndarray
    index: np.ndarray


def distinct_rows(matrix: np.ndarray) -> DistinctRows:
    """Find the distinct rows of a matrix."""
    matrix = matrix + 0.0  # makes -0.0 equal to 0.0
    order = np.argsort(matrix[:, 0])
    rows = matrix[order]
    if (np.diff(rows[:, 0]) > 0).all():  # the first column already tells all rows apart, and decides their order
        return DistinctRows(rows, np.argsort(order))
    rows, index = np.unique(matrix, axis=0, return_inverse=True)
    return DistinctRows(rows, index.reshape(-1))
