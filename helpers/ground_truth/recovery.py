"""Does a dictionary hold the true features? Best cosines between its decoder rows and the true directions, both ways.

Two questions that are easily confused, because the mean of maximal cosines (MMCS) is not symmetric: is every dictionary
row a true feature (dictionary to truth), and is every true feature in the dictionary (truth to dictionary)? A dictionary
of one perfect row answers the first with 1, a dictionary of every direction there is the second.

Rows are features. Feature matrices stored as columns (d_model, n_features) must be transposed first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from helpers.similarity.inputs import as_matrix, unit_rows

MIN_COSINE = 0.8  # random directions reach it practically never from 32 dimensions on


@dataclass(frozen=True)
class FeatureRecovery:
    """Which true feature each dictionary row is.

    Shapes:
        identity: (d_sae,) int64, the closest true feature, or -1 if no cosine reaches `min_cosine`;
        row_cosines: (d_sae,) best cosine of every dictionary row; true_cosines: (n_features,) of every true feature.
    """

    identity: np.ndarray
    row_cosines: np.ndarray
    true_cosines: np.ndarray
    min_cosine: float

    @property
    def mmcs_to_truth(self) -> float:
        """Mean over the dictionary's rows: is everything it holds true?"""
        return float(self.row_cosines.mean())

    @property
    def mmcs_from_truth(self) -> float:
        """Mean over the true features: does it hold everything that is true?"""
        return float(self.true_cosines.mean())

    @property
    def recovered(self) -> np.ndarray:
        """(n_features,) bool: a dictionary row points along this true feature."""
        return self.true_cosines >= self.min_cosine

    @property
    def n_duplicates(self) -> int:
        """Dictionary rows that stand for a true feature which another row stands for already."""
        found = self.identity[self.identity >= 0]
        return len(found) - len(np.unique(found))


def recover_features(directions: Any, truth: Any, *, min_cosine: float = MIN_COSINE) -> FeatureRecovery:
    """Compare a dictionary's directions with the true ones.

    Shapes:
        directions: (d_sae, d_model); truth: (n_features, d_model).
    Args:
        min_cosine: from which cosine on a row counts as the feature.
    Raises:
        ValueError: widths differ, entries are not finite, or a row is zero.
    """
    rows, true_rows = as_matrix(directions, name="directions"), as_matrix(truth, name="truth")
    if rows.shape[1] != true_rows.shape[1]:
        raise ValueError(
            f"directions and truth must have the same d_model; got {rows.shape} and {true_rows.shape}; "
            "features are rows: transpose matrices that hold them as columns"
        )
    rows, true_rows = (
        unit_rows(rows, name="directions", centre=False),
        unit_rows(true_rows, name="truth", centre=False),
    )
    cosines = rows @ true_rows.T
    best = cosines.max(axis=1)
    identity = np.where(best >= min_cosine, cosines.argmax(axis=1), -1).astype(np.int64)
    return FeatureRecovery(identity, best, cosines.max(axis=0), min_cosine)
