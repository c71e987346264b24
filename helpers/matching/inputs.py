"""The two sides of a matching: stores, SciPy sparse matrices or dense arrays, checked and brought to one form.

Rows are tokens, columns are features. A side is either sparse and non-negative (the fast path) or dense.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from helpers.activations import ActivationStore, CsrRows
from helpers.activations.batches import dense_array
from helpers.activations.moments import Moments

# Products of such values would vanish in float64, and the sparse engine takes a sum of 0 for "never met".
VANISHING = 1e-150


@dataclass(frozen=True)
class Side:
    """One dictionary's activations.

    Args:
        sparse: CSR rows (maybe memory-mapped), or None; dense: (n_tokens, d_sae) array (maybe memory-mapped), or None.
        moments: counts, sums and sums of squares of every feature.
        varies: (d_sae,) bool, the feature is not constant over the tokens.
    """

    sparse: CsrRows | None
    dense: np.ndarray | None
    moments: Moments
    varies: np.ndarray

    @property
    def n_tokens(self) -> int:
        return self._rows.shape[0]

    @property
    def d_sae(self) -> int:
        return self._rows.shape[1]

    @property
    def _rows(self) -> CsrRows | np.ndarray:
        return self.sparse if self.sparse is not None else self.dense  # type: ignore[return-value]

    def dense_block(self, start: int, stop: int) -> np.ndarray:
        """Rows start..stop as float64, (stop - start, d_sae)."""
        if self.dense is not None:
            return np.asarray(self.dense[start:stop], dtype=np.float64)
        assert self.sparse is not None
        indptr = np.asarray(self.sparse.indptr[start : stop + 1])
        block = np.zeros((stop - start, self.d_sae))
        rows = np.repeat(np.arange(stop - start), np.diff(indptr))
        block[rows, self.sparse.indices[indptr[0] : indptr[-1]]] = self.sparse.data[indptr[0] : indptr[-1]]
        return block


def read_side(value: Any, *, name: str) -> Side:
    """Check one input and compute its moments.

    Raises:
        ValueError: not a store, sparse matrix or two-dimensional array; no rows; NaN or infinite values.
    """
    if isinstance(value, ActivationStore):
        moments = Moments(value.feature_counts, value.feature_sums, value.feature_squares)
        # A store's writer refused what is not finite; signed sparse values take the dense path.
        if value.is_sparse and not value.manifest.signed:
            return _side(value.csr(), None, moments)
        if value.is_sparse:
            return _dense_or_signed(value.csr(), moments)
        return _side(None, value.dense(), moments)
    if scipy.sparse.issparse(value):
        rows = _sparse_rows(value)
        _require_values(rows.shape, rows.data, name)
        moments = Moments.empty(rows.d_sae)
        moments.add(rows)
        return _dense_or_signed(rows, moments)
    dense = dense_array(value)
    _require_values(dense.shape, dense, name)
    moments = Moments.empty(dense.shape[1])
    for block in row_blocks(dense):
        moments.add(block)
    return _side(None, dense, moments)


def _sparse_rows(value: Any) -> CsrRows:
    """CSR rows without duplicates and zeros; the arrays of a matrix that is so already, which may be larger than all else
    in memory, are not copied.
    """
    matrix = scipy.sparse.csr_array(value)
    if not matrix.has_canonical_format or any((np.abs(part) < VANISHING).any() for part in _parts(matrix.data)):
        matrix = matrix.copy()
        matrix.sum_duplicates()
        matrix.data[np.abs(matrix.data) < VANISHING] = 0.0
        matrix.eliminate_zeros()
    data = matrix.data if matrix.data.dtype == np.float64 else matrix.data.astype(np.float32, copy=False)
    indptr, indices = matrix.indptr.astype(np.int64, copy=False), matrix.indices.astype(np.int32, copy=False)
    return CsrRows(indptr, indices, data, matrix.shape[1])


def _parts(values: np.ndarray, *, n_values: int = 1 << 22) -> Iterator[np.ndarray]:
    """A long array piece by piece, so that what is computed of it stays small."""
    return (values[start : start + n_values] for start in range(0, len(values), n_values))


def row_blocks(dense: np.ndarray, *, block_values: int = 1 << 22) -> Iterator[np.ndarray]:
    """Blocks of rows of about `block_values` values."""
    step = max(1, block_values // max(1, dense.shape[1]))
    for start in range(0, dense.shape[0], step):
        yield dense[start : start + step]


def check_pair(a: Any, b: Any, *, allow_mixed_kinds: bool) -> None:
    """Refuse two stores that do not describe the same tokens in the same way.

    Raises:
        ValueError: other tokenizer, other tokens, other rows, or pre- against post-activations.
    """
    if not (isinstance(a, ActivationStore) and isinstance(b, ActivationStore)):
        return
    if a.kind != b.kind and not allow_mixed_kinds:
        raise ValueError(
            f"a holds {a.kind}, b holds {b.kind}; collect both with the same kind, or pass allow_mixed_kinds=True"
        )
    for what, found_a, found_b in (
        ("tokenizers", a.manifest.tokenizer_fingerprint, b.manifest.tokenizer_fingerprint),
        ("token batches", a.manifest.tokens_fingerprint, b.manifest.tokens_fingerprint),
    ):
        if found_a and found_b and found_a != found_b:
            raise ValueError(
                f"the stores were made with different {what} ({found_a[:12]} and {found_b[:12]}), so their rows are not "
                "the same tokens; save both from one token batch (03_save_activations with both dictionaries)"
            )
    if a.n_tokens != b.n_tokens:
        return  # reported with the other inputs' row counts
    for what in ("token_ids", "documents", "positions"):
        rows_a, rows_b = getattr(a, what), getattr(b, what)
        if not np.array_equal(rows_a, rows_b):
            row = int(np.argmax(rows_a != rows_b))
            raise ValueError(
                f"the stores disagree on {what} from row {row} on ({rows_a[row]} and {rows_b[row]}), so their rows are "
                "not the same tokens; save both from one token batch (03_save_activations with both dictionaries)"
            )


def _require_values(shape: tuple[int, ...], values: np.ndarray, name: str) -> None:
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"{name} must have shape (n_tokens, d_sae), both at least 1; got {shape}")
    count = sum(int((~np.isfinite(part)).sum()) for part in _parts(values))
    if count:
        raise ValueError(f"{name} has {count} NaN or infinite values; activations must be finite: collect them again")


def _dense_or_signed(rows: CsrRows, moments: Moments) -> Side:
    """Sparse values of both signs go the dense way: pairs that never fire together may then correlate positively."""
    if len(rows.data) == 0 or rows.data.min() >= 0:
        return _side(rows, None, moments)
    side = _side(rows, None, moments)
    return Side(None, side.dense_block(0, rows.shape[0]), moments, side.varies)


def _side(sparse: CsrRows | None, dense: np.ndarray | None, moments: Moments) -> Side:
    rows = sparse if sparse is not None else dense
    assert rows is not None
    return Side(sparse, dense, moments, _varies(rows, moments, n_tokens=rows.shape[0]))


def _varies(rows: CsrRows | np.ndarray, moments: Moments, *, n_tokens: int) -> np.ndarray:
    """Exactly which features are not constant: only those that are never 0 need a look at their values."""
    varies = (moments.counts > 0) & (moments.counts < n_tokens)
    full = np.flatnonzero(moments.counts == n_tokens)
    if len(full) == 0:
        return varies
    if isinstance(rows, CsrRows):
        low, high = np.full(rows.d_sae, np.inf), np.full(rows.d_sae, -np.inf)
        for start in range(0, len(rows.data), 1 << 22):
            part = slice(start, start + (1 << 22))
            np.minimum.at(low, rows.indices[part], rows.data[part])
            np.maximum.at(high, rows.indices[part], rows.data[part])
        varies[full] = low[full] < high[full]
    else:
        for block in row_blocks(rows):
            varies[full] |= (block[:, full] != rows[0, full]).any(axis=0)
    return varies
