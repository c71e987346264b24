"""A few chosen features of a dictionary, and where each stands among them.

Results for chosen features are looked up by feature id, never by a position in some filtered array.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def chosen_features(feature_ids: Any, *, d_sae: int) -> np.ndarray:
    """Checked ids in the given order, (n_features,) int64.

    Raises:
        ValueError: not a list of whole numbers, an id outside [0, d_sae), or one that is named twice.
    """
    ids = np.asarray(feature_ids)
    if ids.ndim != 1 or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
        raise ValueError(f"feature_ids must be a list of whole numbers; got {ids.dtype} of shape {ids.shape}")
    ids = ids.astype(np.int64)
    outside = ids[(ids < 0) | (ids >= d_sae)]
    if outside.size:
        raise ValueError(f"feature_ids must be in [0, {d_sae}); got {outside[0]}; is this another dictionary's list?")
    found, counts = np.unique(ids, return_counts=True)
    if found.size < ids.size:
        raise ValueError(f"feature_ids must be distinct; {found[counts > 1][0]} is named twice; pass np.unique(ids)")
    return ids


def place_of(feature: int, feature_ids: np.ndarray) -> int:
    """Position of a feature among the chosen ones.

    Raises:
        ValueError: it was not chosen.
    """
    places = np.flatnonzero(feature_ids == feature)
    if not places.size:
        raise ValueError(f"feature {feature} is not among the {len(feature_ids)} chosen ones; choose it as well")
    return int(places[0])
