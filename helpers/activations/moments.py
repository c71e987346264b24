"""Per-feature counts, sums and sums of squares of sparse or dense rows, in float64 and in row order.

Rows are added one after another, so the result does not depend on how they were cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numba
import numpy as np

from helpers.activations.batches import CsrRows

_VALUES_AT_ONCE = 1 << 22  # in float64 32 MiB, however many rows there are


@dataclass
class Moments:
    """Running totals of every feature.

    Shapes:
        counts: (d_sae,) int64, rows where the feature is not 0; sums, squares: (d_sae,) float64.
    """

    counts: np.ndarray
    sums: np.ndarray
    squares: np.ndarray

    @classmethod
    def empty(cls, d_sae: int) -> Moments:
        return cls(np.zeros(d_sae, np.int64), np.zeros(d_sae), np.zeros(d_sae))

    def add(self, rows: CsrRows | np.ndarray) -> None:
        """Add rows, CSR or dense."""
        if isinstance(rows, CsrRows):
            for start in range(0, len(rows.data), _VALUES_AT_ONCE):
                part = slice(start, start + _VALUES_AT_ONCE)
                data = rows.data[part].astype(np.float64)
                _add_sparse(rows.indices[part], data, self.counts, self.sums, self.squares)
        else:
            _add_dense(rows.astype(np.float64), self.counts, self.sums, self.squares)


def column_moments(blocks: Iterable[CsrRows | np.ndarray], *, d_sae: int) -> Moments:
    """Totals over all blocks of rows."""
    moments = Moments.empty(d_sae)
    for block in blocks:
        moments.add(block)
    return moments


@numba.njit(cache=True, nogil=True)
def _add_sparse(indices, data, counts, sums, squares):  # pragma: no cover (compiled)
    for entry in range(indices.size):
        feature = indices[entry]
        value = data[entry]
        counts[feature] += value != 0
        sums[feature] += value
        squares[feature] += value * value


@numba.njit(cache=True, nogil=True)
def _add_dense(rows, counts, sums, squares):  # pragma: no cover (compiled)
    for row in range(rows.shape[0]):
        for feature in range(rows.shape[1]):
            value = rows[row, feature]
            counts[feature] += value != 0
            sums[feature] += value
            squares[feature] += value * value
