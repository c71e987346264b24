"""What a search finds where there is nothing to find: the same search after the tokens of one side were shuffled.

Every feature keeps how often and how strongly it fires, but on other tokens, so what still correlates does so by chance:
the best of many candidates, and features too rare to be told apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from helpers.matching.match import match_features
from helpers.matching.pairs import FeaturePairs
from helpers.matching.row_parts import take_rows
from helpers.matching.twins import OneSided, one_sided_features


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


def one_sided_beside_chance(
    a: Any, b: Any, *, seed: int, quantile: float = 0.99, **settings: Any
) -> tuple[OneSided, OneSided]:
    """`one_sided_features` with the threshold that chance sets, and the same search after shuffling the tokens of b.

    Args:
        seed: of the shuffle.
        quantile: of the best associations of shuffled features, both sides together; the threshold, below which a
            feature has nothing in the other dictionary that chance would not give.
        settings: as for `one_sided_features`, without max_corr.
    Returns:
        (observed, chance), both at the same threshold.
    Raises:
        ValueError: quantile out of range, no feature is eligible, or as for `one_sided_features`.
    Notes:
        Holds one shuffled copy of b's non-zero values in memory, as `match_shuffled`.
    """
    if not 0 <= quantile <= 1:
        raise ValueError(f"quantile must be in [0, 1]; got {quantile}")
    shuffled = shuffled_rows(b, seed=seed)
    free = one_sided_features(a, shuffled, max_corr=0.0, **settings)
    best = np.concatenate([free.best_a, free.best_b])
    best = best[np.isfinite(best)]
    if not best.size:
        raise ValueError("no feature of either side fires often enough; lower min_firings or use more tokens")
    threshold = float(np.quantile(best, quantile))
    return one_sided_features(a, b, max_corr=threshold, **settings), free.at(threshold)


def shuffled_rows(value: Any, *, seed: int) -> Any:
    """The rows of a store, sparse matrix or dense array in random order."""
    return take_rows(value, np.random.default_rng(seed).permutation(value.shape[0]))
