"""Pairs by how strongly they go together: disjoint bands of the correlation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from helpers.matching.pairs import FeaturePairs

EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def correlation_bands(
    pairs: FeaturePairs, *, edges: Sequence[float] = EDGES, min_pairs: int = 1
) -> dict[tuple[float, float], FeaturePairs]:
    """The pairs between each two neighbouring edges, (low, high) -> pairs, the lowest band first.

    A threshold keeps the good pairs in every step, so its curve says little about the weaker ones; a band holds only
    these.
    Args:
        edges: ascending, at least two. A pair belongs to the band that begins at its correlation; the last band holds
            its upper edge too.
        min_pairs: bands with fewer are left out.
    Raises:
        ValueError: edges that do not ascend, fewer than two, or min_pairs below 1.
    """
    if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
        raise ValueError(f"edges must be at least two ascending numbers; got {list(edges)}")
    if min_pairs < 1:
        raise ValueError(f"min_pairs must be at least 1; got {min_pairs}")
    bands = {}
    for low, high in pairwise(edges):
        below = pairs.corr <= high if high == edges[-1] else pairs.corr < high
        kept = pairs.select((pairs.corr >= low) & below, band_low=float(low), band_high=float(high))
        if kept.n_pairs >= min_pairs:
            bands[float(low), float(high)] = kept
    return bands
