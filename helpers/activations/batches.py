"""A batch of activations, in whatever form it comes, as checked CSR rows or dense rows of the stored precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import scipy.sparse


@dataclass(frozen=True)
class CsrRows:
    """Rows of a sparse matrix: columns ascending inside a row, no stored zeros.

    Shapes:
        indptr: (n_rows + 1,) int64; indices, data: (nnz,) int32 and the stored float type.
    """

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    d_sae: int

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.indptr) - 1, self.d_sae


def csr_rows(batch: Any, *, d_sae: int, dtype: str, signed: bool, label: str, first_row: int) -> CsrRows:
    """Turn a dense array, a tensor or a SciPy sparse matrix into checked CSR rows.

    Args:
        batch: (n_rows, d_sae).
        dtype: stored precision; a value that vanishes in it is not stored.
        signed: allow negative values.
        label: names the source in errors, e.g. the hook.
        first_row: row of the store at which the batch begins, for errors.
    Raises:
        ValueError: wrong shape; NaN, infinite or (unless signed) negative values; values too large for the dtype.
    """
    matrix = sparse_array(batch)
    _check_shape(matrix.shape, d_sae=d_sae, label=label)
    indptr, indices, data = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data
    stored = _checked(data, indptr, indices, dtype=dtype, signed=signed, label=label, first_row=first_row)
    return _without_zeros(CsrRows(indptr, indices, stored, d_sae))


def dense_rows(batch: Any, *, d_sae: int, dtype: str, label: str, first_row: int) -> np.ndarray:
    """Turn a dense array or tensor into checked rows of the stored precision.

    Raises:
        ValueError: wrong shape; NaN or infinite values; values too large for the dtype.
    """
    dense = dense_array(batch)
    _check_shape(dense.shape, d_sae=d_sae, label=label)
    flat = np.arange(dense.shape[0] + 1, dtype=np.int64) * d_sae
    stored = _checked(dense.reshape(-1), flat, None, dtype=dtype, signed=True, label=label, first_row=first_row)
    return stored.reshape(dense.shape)


def dense_array(batch: Any) -> np.ndarray:
    """A NumPy array of float32 or float64 from an array, or from a tensor of any device and float type."""
    if hasattr(batch, "detach"):
        tensor = batch.detach().cpu()
        batch = (tensor if str(tensor.dtype) == "torch.float64" else tensor.float()).numpy()
    array = np.asarray(batch)
    return np.ascontiguousarray(array, dtype=np.float64 if array.dtype == np.float64 else np.float32)


def sparse_array(batch: Any) -> scipy.sparse.csr_array:
    """A CSR array of float32 or float64 from a dense array, a tensor (dense or sparse) or a SciPy sparse matrix.

    Columns ascend inside a row. NaN counts as non-zero, so that a later check meets it.
    Raises:
        ValueError: the batch is not two-dimensional.
    """
    if hasattr(batch, "detach") and (batch.is_cuda or "sparse" in str(batch.layout)):
        # From a GPU only the non-zero values travel.
        rows = batch.detach().float().to_sparse_coo().cpu().coalesce()
        batch = scipy.sparse.coo_array((rows.values().numpy(), tuple(rows.indices().numpy())), shape=tuple(rows.shape))
    if scipy.sparse.issparse(batch):
        matrix = scipy.sparse.csr_array(batch, copy=True)
        matrix.sum_duplicates()
        return matrix if matrix.dtype == np.float64 else matrix.astype(np.float32)
    dense = dense_array(batch)
    if dense.ndim != 2:
        raise ValueError(f"a batch must have shape (n_rows, d_sae); got {dense.shape}")
    indptr = np.zeros(dense.shape[0] + 1, dtype=np.int64)
    np.cumsum(_count_nonzero(dense), out=indptr[1:])
    indices = np.empty(indptr[-1], dtype=np.int32)
    data = np.empty(indptr[-1], dtype=dense.dtype)
    _gather_nonzero(dense, indptr, indices, data)
    return scipy.sparse.csr_array((data, indices, indptr), shape=dense.shape)


def _check_shape(shape: tuple[int, ...], *, d_sae: int, label: str) -> None:
    if len(shape) != 2 or shape[1] != d_sae:
        raise ValueError(f"{label}: a batch must have shape (n_rows, {d_sae}); got {tuple(shape)}; wrong dictionary?")


def _checked(
    data: np.ndarray,
    indptr: np.ndarray,
    indices: np.ndarray | None,
    *,
    dtype: str,
    signed: bool,
    label: str,
    first_row: int,
) -> np.ndarray:
    """The values in their stored type, after the checks; a bad value is named by feature and row."""

    def place(bad: np.ndarray) -> str:
        index = int(np.argmax(bad))
        row = int(np.searchsorted(indptr, index, side="right")) - 1
        feature = int(indices[index]) if indices is not None else index - int(indptr[row])
        return f"{label}: feature {feature}, row {first_row + row} is {data[index]}"

    finite = np.isfinite(data)
    if not finite.all():
        raise ValueError(f"{place(~finite)}; activations must be finite: check the model's dtype and the dictionary")
    if not signed and (data < 0).any():
        raise ValueError(
            f"{place(data < 0)}; feature activations must not be negative: "
            "store pre-activations as kind='hidden_pre', or pass signed=True"
        )
    with np.errstate(over="ignore"):
        stored = data.astype(dtype)
    overflow = ~np.isfinite(stored)
    if overflow.any():
        raise ValueError(f"{place(overflow)}, too large for {dtype}; store the activations with dtype='float32'")
    return stored


def _without_zeros(rows: CsrRows) -> CsrRows:
    """Drop stored zeros (values too small for the stored precision), so that a stored value is a firing."""
    kept = rows.data != 0
    if kept.all():
        return rows
    before = np.concatenate([[0], np.cumsum(kept)])
    return CsrRows(before[rows.indptr], rows.indices[kept], rows.data[kept], rows.d_sae)


@numba.njit(cache=True, nogil=True)
def _count_nonzero(dense: np.ndarray) -> np.ndarray:  # pragma: no cover (compiled)
    counts = np.zeros(dense.shape[0], dtype=np.int64)
    for row in range(dense.shape[0]):
        n = 0
        for column in range(dense.shape[1]):
            n += dense[row, column] != 0  # NaN counts: it must reach the check
        counts[row] = n
    return counts


@numba.njit(cache=True, nogil=True)
def _gather_nonzero(dense, indptr, indices, data):  # pragma: no cover (compiled)
    for row in range(dense.shape[0]):
        at = indptr[row]
        if indptr[row + 1] == at:
            continue
        for column in range(dense.shape[1]):
            value = dense[row, column]
            if value != 0:
                indices[at] = column
                data[at] = value
                at += 1
