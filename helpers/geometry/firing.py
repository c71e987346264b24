"""Features as points by *when* they fire: a dictionary's firing patterns, packed into a few dimensions.

A feature's pattern is its column of the token x feature store, scaled to length 1; the cosine of two patterns says how
far two features fire on the same tokens. Columns are as long as the text, so the leading singular directions stand in
for them: rows whose cosines are near those of the patterns. They come from the eigenvectors of the table of all cosines,
which is sparse (features that never meet have cosine 0) and is made without a dense column.

Rows = features. Memory: 12 bytes for every two features that meet on a token, and the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from jaxtyping import Float32, Int
from scipy.sparse.linalg import eigsh

from helpers.activations import ActivationStore
from helpers.geometry.nearest import nearest_rows

BLOCK_ROWS = 1 << 16
LEAST_LENGTH = 1e-3  # of a row; a pattern has length 1


@dataclass(frozen=True)
class FiringRows:
    """Firing patterns in few dimensions.

    Shapes:
        rows: (n_features, n_components) float32; ids: (n_features,) int64, feature of every row.
    Args:
        n_left_out: features whose pattern has no part in the kept dimensions: they fire with hardly any other.
        explained: share of the patterns' squared length that the rows hold, in [0, 1].
        neighbours_kept: share of each feature's k nearest patterns (exact cosines, over all tokens) that are among its k
            nearest rows, in [0, 1]; k: how many are asked. What the rows lose, no map of them can show.
    """

    rows: Float32[np.ndarray, "n_features n_components"]
    ids: Int[np.ndarray, " n_features"]
    n_left_out: int
    explained: float
    neighbours_kept: float
    k: int


def firing_rows(
    store: ActivationStore, feature_ids: Any, *, n_components: int = 128, k: int = 15, seed: int = 0
) -> FiringRows:
    """Pack the firing patterns of some features.

    Shapes:
        feature_ids: (n_features,), each of which fires.
    Args:
        n_components: dimensions kept; at most one fewer than features. More keep more of the rare features.
        k: neighbours that are asked for what is kept.
        seed: of the first vector of the iteration.
    Raises:
        ValueError: a dense store, a feature that never fires, fewer than k + 2 features, or no dimension.
    """
    if not store.is_sparse:
        raise ValueError(f"{store.path} holds hidden_pre, which is never 0; save the store with kind='feature_acts'")
    ids = np.asarray(feature_ids, dtype=np.int64)
    if n_components < 1 or len(ids) < k + 2:
        raise ValueError(
            f"expected n_components of at least 1 and more than {k + 1} features; got {n_components} and {len(ids)}"
        )
    squares = store.feature_squares[ids]
    if not (squares > 0).all():
        raise ValueError(f"feature {ids[int(np.argmin(squares))]} never fires and has no pattern; leave it out")
    cosines = _cosines(store, ids, 1 / np.sqrt(squares))
    n_components = min(n_components, len(ids) - 1)
    first = np.random.default_rng(seed).random(len(ids))
    values, vectors = eigsh(cosines, k=n_components, v0=first)
    order = np.argsort(-values)
    values = np.clip(values[order], 0.0, None)
    rows = (vectors[:, order] * np.sqrt(values)).astype(np.float32)
    placed = (rows.astype(np.float64) ** 2).sum(axis=1) > LEAST_LENGTH**2
    if placed.sum() < k + 2:
        raise ValueError(
            f"only {placed.sum()} of {len(ids)} features fire together with others; there is nothing to map"
        )
    kept = _kept(rows[placed], cosines[placed][:, placed], k)
    return FiringRows(rows[placed], ids[placed], int((~placed).sum()), float(values.sum() / len(ids)), kept, k)


def _cosines(store: ActivationStore, ids: np.ndarray, scale: np.ndarray) -> scipy.sparse.csr_array:
    """(n_features, n_features) cosines of the patterns, summed over blocks of tokens."""
    place = scipy.sparse.csr_array((scale, (ids, np.arange(len(ids)))), shape=(store.d_sae, len(ids)))
    total = scipy.sparse.csr_array((len(ids), len(ids)), dtype=np.float64)
    for start in range(0, store.n_tokens, BLOCK_ROWS):
        rows = store.rows(start, min(start + BLOCK_ROWS, store.n_tokens))
        block = scipy.sparse.csr_array(rows, dtype=np.float64) @ place
        total = total + block.T.tocsr() @ block
    return total


def _kept(rows: np.ndarray, cosines: scipy.sparse.csr_array, k: int) -> float:
    """Features that meet fewer than k others have only these as neighbours."""
    found = nearest_rows(rows, k=k).ids
    kept, asked = 0, 0
    for feature, near in enumerate(found):
        part = slice(cosines.indptr[feature], cosines.indptr[feature + 1])
        others, values = cosines.indices[part], cosines.data[part]
        others, values = others[others != feature], values[others != feature]
        true = others[np.argsort(-values, kind="stable")[:k]]
        kept, asked = kept + len(np.intersect1d(near, true)), asked + len(true)
    return kept / max(1, asked)
