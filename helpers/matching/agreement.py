"""How far several matchings of the same two dictionaries agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from helpers.matching.pairs import FeaturePairs


@dataclass(frozen=True)
class MatchingAgreement:
    """Matchings against each other, in the order of `names`.

    Shapes:
        n_pairs: (n,) int64; total_corr, mean_corr, share_unique: (n,) float64, per matching.
        shared: (n, n) int64, pairs that are in both; jaccard: (n, n) float64, those over the pairs that are in either
        (1 = the same pairs; 1 for two empty matchings).
    """

    names: tuple[str, ...]
    n_pairs: np.ndarray
    total_corr: np.ndarray
    mean_corr: np.ndarray
    share_unique: np.ndarray
    shared: np.ndarray
    jaccard: np.ndarray

    def of(self, first: str, second: str) -> float:
        """Jaccard index of the pairs of two matchings."""
        return float(self.jaccard[self.names.index(first), self.names.index(second)])


def agreement(pairs_by_name: Mapping[str, FeaturePairs]) -> MatchingAgreement:
    """Compare matchings of the same dictionaries pair by pair.

    Args:
        pairs_by_name: at least two, e.g. {"one_to_one": pairs, "hungarian": other_pairs}.
    Raises:
        ValueError: fewer than two; dictionaries of different sizes.
    """
    names = tuple(pairs_by_name)
    if len(names) < 2:
        raise ValueError(f"agreement needs at least two matchings; got {list(names)}")
    sizes = {name: (pairs.d_sae_a, pairs.d_sae_b) for name, pairs in pairs_by_name.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"the matchings must be of the same two dictionaries; got sizes {sizes}")
    matchings = list(pairs_by_name.values())
    codes = [pairs.ids_a * pairs.d_sae_b + pairs.ids_b for pairs in matchings]
    shared = np.array([[len(np.intersect1d(x, y, assume_unique=True)) for y in codes] for x in codes], dtype=np.int64)
    n_pairs = shared.diagonal().copy()
    either = n_pairs[:, None] + n_pairs - shared
    return MatchingAgreement(
        names=names,
        n_pairs=n_pairs,
        total_corr=np.array([pairs.corr.sum(dtype=np.float64) for pairs in matchings]),
        mean_corr=np.array([pairs.corr.mean(dtype=np.float64) if pairs.n_pairs else 0.0 for pairs in matchings]),
        share_unique=np.array([pairs.share_unique_partners for pairs in matchings]),
        shared=shared,
        jaccard=np.where(either > 0, shared / np.maximum(either, 1), 1.0),
    )
