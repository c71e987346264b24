"""The activations of a few features on all tokens, read in one pass over a store.

A store lies row by row, because it is written and read by tokens; a card needs columns. One pass serves any number of
features, so collect all that a page shows at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numba
import numpy as np

from helpers.activations import ActivationStore, CsrRows
from helpers.corpus import TokenBatch
from helpers.features.chosen import chosen_features, place_of


@dataclass(frozen=True)
class FeatureColumns:
    """Columns of a sparse store.

    Shapes:
        feature_ids: (n_features,) int64; indptr: (n_features + 1,) int64; rows: (nnz,) int64, rows of the store,
        ascending inside a column; values: (nnz,) float32, never 0.
    Args:
        store: where they are from.
    """

    store: ActivationStore
    feature_ids: np.ndarray
    indptr: np.ndarray
    rows: np.ndarray
    values: np.ndarray

    def rows_of(self, feature: int) -> np.ndarray:
        """Rows on which a feature fires, ascending, (n_firings,) int64.

        Raises:
            ValueError: it was not among the chosen features.
        """
        return self.rows[self._slice(feature)]

    def values_of(self, feature: int) -> np.ndarray:
        """Its activations on `rows_of`, (n_firings,) float32.

        Raises:
            ValueError: it was not among the chosen features.
        """
        return self.values[self._slice(feature)]

    def at(self, feature: int, rows: np.ndarray) -> np.ndarray:
        """Its activations on any rows, float32, 0 where it does not fire.

        Raises:
            ValueError: it was not among the chosen features.
        """
        fires_on, values = self.rows_of(feature), self.values_of(feature)
        rows = np.asarray(rows, dtype=np.int64)
        if not fires_on.size:
            return np.zeros(rows.shape, dtype=np.float32)
        places = np.minimum(np.searchsorted(fires_on, rows), fires_on.size - 1)
        return np.where(fires_on[places] == rows, values[places], np.float32(0))

    def require_tokens(self, tokens: TokenBatch) -> None:
        """Make sure that these are the tokens that the rows stand for.

        Raises:
            ValueError: another number of tokens, or another batch of the same size.
        """
        told = self.store.manifest.tokens_fingerprint
        if tokens.n_tokens != self.store.n_tokens or (told and told != tokens.fingerprint()):
            raise ValueError(
                f"expected the {self.store.n_tokens} tokens of {self.store.path}; got another batch of "
                f"{tokens.n_tokens}; load the tokens that were saved beside the store"
            )

    @cached_property
    def _places(self) -> dict[int, int]:
        return {feature: place for place, feature in enumerate(self.feature_ids.tolist())}

    def _slice(self, feature: int) -> slice:
        place = self._places.get(int(feature))
        if place is None:
            place = place_of(feature, self.feature_ids)  # says which feature is missing
        return slice(int(self.indptr[place]), int(self.indptr[place + 1]))


def feature_columns(store: ActivationStore, feature_ids: Any) -> FeatureColumns:
    """Collect the activations of the chosen features in one pass; memory is 12 bytes a firing.

    Args:
        feature_ids: distinct ids, in any order.
    Raises:
        ValueError: a store of pre-activations (they never are 0, so a column is as long as the text), or feature_ids
            that are no distinct ids of the dictionary.
    """
    if not store.is_sparse:
        raise ValueError(
            f"{store.path} holds hidden_pre, which is never 0; cards show activations: "
            "save the store with kind='feature_acts'"
        )
    ids = chosen_features(feature_ids, d_sae=store.d_sae)
    place = np.full(store.d_sae, -1, dtype=np.int64)
    place[ids] = np.arange(len(ids))
    indptr = np.concatenate([[0], np.cumsum(store.feature_counts[ids])]).astype(np.int64)
    rows, values = np.empty(indptr[-1], dtype=np.int64), np.empty(indptr[-1], dtype=np.float32)
    filled = indptr[:-1].copy()
    for first, block in store.row_blocks():
        assert isinstance(block, CsrRows)
        # Half precision is widened outside: compiled code knows float32 alone.
        wanted = np.flatnonzero(place[block.indices] >= 0)
        data = block.data[wanted].astype(np.float32)
        _scatter(block.indptr, block.indices, wanted, data, first, place, filled, rows, values)
    return FeatureColumns(store, ids, indptr, rows, values)


@numba.njit(cache=True, nogil=True)
def _scatter(indptr, indices, wanted, data, first, place, filled, rows, values):  # pragma: no cover (compiled)
    """Append the wanted entries of a block, which ascend, to their columns."""
    row = 0
    for entry in range(wanted.size):
        at = wanted[entry]
        while indptr[row + 1] <= at:
            row += 1
        column = place[indices[at]]
        rows[filled[column]] = first + row
        values[filled[column]] = data[entry]
        filled[column] += 1
