"""What matching finds where there is nothing to find: the same search after the tokens of one side were shuffled.

Every feature keeps how often and how strongly it fires, but on other tokens, so what still correlates does so by chance:
the best of many candidates, and features too rare to be told apart.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import scipy.sparse

from helpers.activations import ActivationStore, CsrRows
from helpers.matching.match import match_features
from helpers.matching.pairs import FeaturePairs


def match_shuffled(a: Any, b: Any, *, seed: int, **settings: Any) -> FeaturePairs:
    """`match_features(a, b, **settings)` with the rows (tokens) of b in random order.

    Shapes:
        a: (n_tokens, d_sae_a); b: (n_tokens, d_sae_b); as for `match_features`.
    Args:
        seed: of the order.
        settings: as for `match_features`.
    Notes:
        Holds one shuffled copy of b's non-zero values in memory: 8 bytes each, as float32 with their column.
    """
    return match_features(a, shuffled_rows(b, seed=seed), **settings)


def shuffled_rows(value: Any, *, seed: int) -> Any:
    """The rows of a store, sparse matrix or dense array in random order."""
    order = np.random.default_rng(seed).permutation(value.shape[0])
    if isinstance(value, ActivationStore):
        return _shuffled_csr(value.csr(), order) if value.is_sparse else np.asarray(value.dense())[order]
    return scipy.sparse.csr_array(value)[order] if scipy.sparse.issparse(value) else value[order]


def _shuffled_csr(rows: CsrRows, order: np.ndarray) -> scipy.sparse.csr_array:
    old = np.asarray(rows.indptr)
    new = np.zeros(len(order) + 1, dtype=np.int64)
    np.cumsum(np.diff(old)[order], out=new[1:])
    indices, data = np.empty(new[-1], dtype=np.int32), np.empty(new[-1], dtype=rows.data.dtype)
    bits = np.uint16 if data.dtype == np.float16 else data.dtype  # compiled code does not know half precision
    _copy_rows(old, new, order, rows.indices, rows.data.view(bits), indices, data.view(bits))
    return scipy.sparse.csr_array((data.astype(np.float32), indices, new), shape=(len(order), rows.d_sae))


@numba.njit(cache=True, nogil=True)
def _copy_rows(old, new, order, indices_in, data_in, indices_out, data_out):  # pragma: no cover (compiled)
    for row in range(order.size):
        source, target = old[order[row]], new[row]
        for entry in range(new[row + 1] - target):
            indices_out[target + entry] = indices_in[source + entry]
            data_out[target + entry] = data_in[source + entry]
