"""Parts of the tokens: chosen rows, one half of the documents, the first documents.

Parts are taken by document, never by token: tokens of one document resemble each other, and a part that shares
documents with the rest has seen the rest.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import scipy.sparse
from jaxtyping import Bool

from helpers.activations import ActivationStore, CsrRows


def take_rows(value: Any, rows: np.ndarray) -> Any:
    """The given rows (tokens), in the given order, of a store, a sparse matrix or a dense array.

    Shapes:
        value: (n_tokens, d_sae); rows: (n,) row numbers.
    Returns:
        (n, d_sae): a CSR array of a sparse input (8 bytes a non-zero value, in memory), otherwise an array.
    """
    if isinstance(value, ActivationStore):
        return _taken_csr(value.csr(), rows) if value.is_sparse else np.asarray(value.dense())[rows]
    return scipy.sparse.csr_array(value)[rows] if scipy.sparse.issparse(value) else value[rows]


def random_documents(documents: Any, *, share: float = 0.5, seed: int = 0) -> Bool[np.ndarray, " n_tokens"]:
    """A random share of the documents, as a mask over the rows (True = in it).

    Shapes:
        documents: (n_tokens,) number of every row's document.
    Args:
        share: of the documents, above 0 and below 1; at least one document is inside and one outside.
    Raises:
        ValueError: fewer than two documents, or a share out of range.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be above 0 and below 1; got {share}")
    distinct, numbers = np.unique(np.asarray(documents), return_inverse=True)
    if len(distinct) < 2:
        raise ValueError(f"documents can be split if there are at least two; got {len(distinct)}; use more tokens")
    inside = np.zeros(len(distinct), dtype=bool)
    n_inside = min(max(1, round(share * len(distinct))), len(distinct) - 1)
    inside[np.random.default_rng(seed).permutation(len(distinct))[:n_inside]] = True
    return inside[numbers]


def first_documents(documents: Any, *, n_tokens: int) -> Bool[np.ndarray, " n_tokens"]:
    """The first whole documents that together have at least `n_tokens` rows, as a mask (all, if they have fewer).

    Shapes:
        documents: (n_rows,) number of every row's document; the first is the one whose row comes first.
    Raises:
        ValueError: n_tokens below 1.
    """
    if n_tokens < 1:
        raise ValueError(f"n_tokens must be at least 1; got {n_tokens}")
    _, first, numbers, counts = np.unique(
        np.asarray(documents), return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)
    before = np.cumsum(counts[order]) - counts[order]
    taken = np.zeros(len(counts), dtype=bool)
    taken[order] = before < n_tokens
    return taken[numbers]


def first_rows(store: ActivationStore, *, n_tokens: int) -> Any:
    """The rows of the first whole documents that together have at least `n_tokens`; 0, or no fewer than all: the store.

    Shapes:
        Returns (n_rows, d_sae), as `take_rows`; stores with the same rows give the same part.
    Raises:
        ValueError: n_tokens below 0.
    """
    if n_tokens == 0 or n_tokens >= store.n_tokens:
        return store
    return take_rows(store, np.flatnonzero(first_documents(store.documents, n_tokens=n_tokens)))


def _taken_csr(rows: CsrRows, order: np.ndarray) -> scipy.sparse.csr_array:
    old = np.asarray(rows.indptr)
    new = np.zeros(len(order) + 1, dtype=np.int64)
    np.cumsum(np.diff(old)[order], out=new[1:])
    indices, data = np.empty(new[-1], dtype=np.int32), np.empty(new[-1], dtype=rows.data.dtype)
    bits = np.uint16 if data.dtype == np.float16 else data.dtype  # compiled code does not know half precision
    _copy_rows(old, new, order, rows.indices, rows.data.view(bits), indices, data.view(bits))
    if new[-1] <= np.iinfo(np.int32).max:
        new = new.astype(np.int32)  # SciPy gives columns the type of the row borders, and 8 bytes more than needed
    return scipy.sparse.csr_array((data.astype(np.float32), indices, new), shape=(len(order), rows.d_sae))


@numba.njit(cache=True, nogil=True)
def _copy_rows(old, new, order, indices_in, data_in, indices_out, data_out):  # pragma: no cover (compiled)
    for row in range(order.size):
        source, target = old[order[row]], new[row]
        for entry in range(new[row + 1] - target):
            indices_out[target + entry] = indices_in[source + entry]
            data_out[target + entry] = data_in[source + entry]
