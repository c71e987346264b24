"""Sparse matrices in the form the compiled loops read: by token (`Rows`) and, gathered, by feature (`Columns`).

float16 is read as its bits (uint16) and widened inside the loops, so a memory-mapped store is never copied whole.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numba.extending import overload

from helpers.activations import CsrRows

_HALF_SCALE = np.float32(2.0**112)  # float32 exponents are biased by 127, float16 by 15


class Rows(NamedTuple):
    """A sparse matrix by token: what fires on a row is indices[indptr[row] : indptr[row + 1]].

    Shapes:
        indptr: (n_tokens + 1,) int64; indices: (nnz,) int32 or uint16; data: (nnz,) uint16 (bits of float16), float32 or float64.
    """

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray

    @classmethod
    def of(cls, matrix: CsrRows, *, most_copied: int = 0) -> Rows:
        """The same memory as the matrix's; up to `most_copied` ids and values are copied as 16 bits if they fit exactly.

        Rows are read in no order, so time is lost in waiting for memory, and half as much is read.
        """
        indices, data = matrix.indices, matrix.data
        if len(indices) <= most_copied:
            indices = indices.astype(np.uint16) if matrix.d_sae <= 1 << 16 else indices
            data = _halved(data)
        return cls(matrix.indptr, indices, as_kernel_data(data))


class Columns(NamedTuple):
    """Some columns of a sparse matrix, by feature: rows ascending inside a column.

    Shapes:
        indptr: (n_columns + 1,) int64; rows: (nnz,) int32; values: (nnz,) float32 or float64.
    """

    indptr: np.ndarray
    rows: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, matrix: CsrRows, features: np.ndarray, counts: np.ndarray) -> Columns:
        """Gather the given columns, which hold `counts` values, in one walk over the matrix."""
        indptr = np.zeros(len(features) + 1, dtype=np.int64)
        np.cumsum(counts, out=indptr[1:])
        position = np.full(matrix.d_sae, -1, dtype=np.int32)
        position[features] = np.arange(len(features), dtype=np.int32)
        data = as_kernel_data(matrix.data)
        values = np.empty(indptr[-1], dtype=np.float64 if data.dtype == np.float64 else np.float32)
        rows = np.empty(indptr[-1], dtype=np.int32)
        _gather_columns(matrix.indptr, matrix.indices, data, position, indptr[:-1].copy(), rows, values)
        return cls(indptr, rows, values)


def as_kernel_data(data: np.ndarray) -> np.ndarray:
    """The same memory in a type the compiled loops read: float16 as uint16 bits."""
    return data.view(np.uint16) if data.dtype == np.float16 else data


def _halved(data: np.ndarray) -> np.ndarray:
    """float32 values as float16 where none loses a bit, as they are otherwise."""
    if data.dtype != np.float32:
        return data
    with np.errstate(over="ignore"):
        if not np.array_equal(data[:1000].astype(np.float16), data[:1000]):
            return data
        half = data.astype(np.float16)
    return half if np.array_equal(half, data) else data


def without_features(matrix: CsrRows, keep_mask: np.ndarray, n_values: int) -> CsrRows:
    """A copy that holds only the values of some features, `n_values` in all; ids and shape stay."""
    indptr = np.zeros(len(matrix.indptr), dtype=np.int64)
    indices = np.empty(n_values, dtype=np.int32)
    data = np.empty(n_values, dtype=matrix.data.dtype)
    _filter(
        matrix.indptr, matrix.indices, as_kernel_data(matrix.data), keep_mask, indptr, indices, as_kernel_data(data)
    )
    return CsrRows(indptr, indices, data, matrix.d_sae)


def widen(bits):
    """A stored value as a float; float16 comes as bits (non-negative and finite here). Compiled code takes the overload."""
    return np.float32(bits.view(np.float16)) if isinstance(bits, np.uint16) else bits


@overload(widen)
def _widen_overload(bits):  # pragma: no cover (compiled)
    if bits == numba.types.uint16:

        def half(bits):
            # Exact for normal and subnormal numbers: move the bits to float32's place, correct the exponent's bias.
            return np.uint32((np.uint32(bits) & np.uint32(0x7FFF)) << np.uint32(13)).view(np.float32) * _HALF_SCALE

        return half

    def same(bits):
        return bits

    return same


@numba.njit(cache=True, nogil=True)
def column_costs(indptr, rows, firing_far):  # pragma: no cover (compiled)
    """Products that each column needs: the far side's firings on its tokens."""
    costs = np.zeros(indptr.size - 1, dtype=np.int64)
    for column in range(costs.size):
        total = 0
        for entry in range(indptr[column], indptr[column + 1]):
            total += firing_far[rows[entry]]
        costs[column] = total
    return costs


@numba.njit(cache=True, nogil=True)
def _gather_columns(indptr, indices, data, position, cursor, rows, values):  # pragma: no cover (compiled)
    for row in range(indptr.size - 1):
        for entry in range(indptr[row], indptr[row + 1]):
            column = position[indices[entry]]
            if column >= 0:
                at = cursor[column]
                rows[at] = row
                values[at] = widen(data[entry])
                cursor[column] = at + 1


@numba.njit(cache=True, nogil=True)
def _filter(indptr, indices, data, keep_mask, new_indptr, new_indices, new_data):  # pragma: no cover (compiled)
    at = 0
    for row in range(indptr.size - 1):
        for entry in range(indptr[row], indptr[row + 1]):
            if keep_mask[indices[entry]]:
                new_indices[at] = indices[entry]
                new_data[at] = data[entry]
                at += 1
        new_indptr[row + 1] = at
