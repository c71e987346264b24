"""Compiled loops of the sparse engine. They release the interpreter lock; threads share nothing they write.

float16 is read as its bits (uint16) and widened inside the loops, so a memory-mapped store is never copied whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numba.extending import overload

from helpers.activations import CsrRows
from helpers.matching.associations import Terms
from helpers.matching.candidates import BestPartners

_HALF_SCALE = np.float32(2.0**112)  # float32 exponents are biased by 127, float16 by 15


@dataclass(frozen=True)
class Columns:
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


def without_features(matrix: CsrRows, keep_mask: np.ndarray, n_values: int) -> CsrRows:
    """A copy that holds only the values of some features, `n_values` in all; ids and shape stay."""
    indptr = np.zeros(len(matrix.indptr), dtype=np.int64)
    indices = np.empty(n_values, dtype=np.int32)
    data = np.empty(n_values, dtype=matrix.data.dtype)
    _filter(
        matrix.indptr, matrix.indices, as_kernel_data(matrix.data), keep_mask, indptr, indices, as_kernel_data(data)
    )
    return CsrRows(indptr, indices, data, matrix.d_sae)


def search_group(
    group: np.ndarray,
    features: np.ndarray,
    columns: Columns,
    far: CsrRows,
    far_data: np.ndarray,
    terms: Terms,
    far_terms: Terms,
    best: BestPartners,
    *,
    floor: float,
    jaccard: bool,
) -> None:
    """Fill `best` for some columns of a block. Rows of `best` belong to one group only."""
    _search(
        group,
        features,
        columns.indptr,
        columns.rows,
        columns.values,
        far.indptr,
        far.indices,
        far_data,
        terms.packed,
        far_terms.packed,
        floor,
        jaccard,
        best.ids,
        best.values,
        best.truncated,
    )


def _widen(bits):
    """A stored value as a float; float16 comes as bits (non-negative and finite here)."""
    raise NotImplementedError  # pragma: no cover (compiled code takes the overload)


@overload(_widen)
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
def _gather_columns(indptr, indices, data, position, cursor, rows, values):  # pragma: no cover
    for row in range(indptr.size - 1):
        for entry in range(indptr[row], indptr[row + 1]):
            column = position[indices[entry]]
            if column >= 0:
                at = cursor[column]
                rows[at] = row
                values[at] = _widen(data[entry])
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
def insert(ids, values, new_id, new_value):  # pragma: no cover (compiled)
    """Insert into a list sorted by value descending, then id ascending; the last entry falls out."""
    at = ids.size - 1
    while at > 0 and (
        ids[at - 1] < 0 or new_value > values[at - 1] or (new_value == values[at - 1] and new_id < ids[at - 1])
    ):
        ids[at] = ids[at - 1]
        values[at] = values[at - 1]
        at -= 1
    ids[at] = new_id
    values[at] = new_value


@numba.njit(cache=True, nogil=True)
def beats_last(ids, values, new_id, new_value):  # pragma: no cover (compiled)
    """Whether an entry belongs into the list."""
    last = ids.size - 1
    return new_value > values[last] or (new_value == values[last] and new_id < ids[last])


@numba.njit(cache=True, nogil=True)
def _search(  # pragma: no cover (compiled)
    group,
    features,
    indptr,
    rows,
    values,
    far_indptr,
    far_indices,
    far_data,
    terms,
    far_terms,
    floor,
    jaccard,
    best_ids,
    best_values,
    truncated,
):
    d_far = far_terms.shape[0]
    k = best_ids.shape[1]
    sums = np.zeros(d_far, dtype=np.float64)
    touched = np.empty(d_far + 1, dtype=np.int32)
    for column in group:
        feature = features[column]
        n_touched = 0
        for entry in range(indptr[column], indptr[column + 1]):
            row = rows[entry]
            x = 1.0 if jaccard else np.float64(values[entry])
            for far_entry in range(far_indptr[row], far_indptr[row + 1]):
                other = far_indices[far_entry]
                y = 1.0 if jaccard else np.float64(_widen(far_data[far_entry]))
                old = sums[other]
                # Products are positive, so a sum of 0 is a first meeting; no branch, it would be mispredicted.
                touched[n_touched] = other
                n_touched += old == 0.0
                sums[other] = old + x * y
        ids, found = best_ids[feature], best_values[feature]
        n_candidates = 0
        bar = floor
        own_shift, own_scale = terms[feature, 0], terms[feature, 1]
        for meeting in range(n_touched):
            other = touched[meeting]
            total = sums[other]
            sums[other] = 0.0
            if far_terms[other, 1] == 0.0:
                continue
            if jaccard:
                value = total / (own_shift + far_terms[other, 0] - total)
            else:
                value = (total - own_shift * far_terms[other, 0]) * (own_scale * far_terms[other, 1])
            n_candidates += value > floor
            if value >= bar and value > floor and beats_last(ids, found, other, value):
                insert(ids, found, other, value)
                bar = found[k - 1]  # -inf until the list is full
        truncated[feature] = n_candidates > k
