"""How much features cover each other where there is nothing to find.

The null keeps both what a feature is (how often it fires) and what a token is (how many features fire on it), and
nothing else. The second matters: where some tokens have many active features, all features meet there, and shuffling
every feature alone would call that structure; and in a TopK dictionary, where every token has exactly k, the features
that fire crowd the others out. Random matrices with both sums fixed are drawn by trades (the curveball algorithm): two
tokens put the features that only one of them has into one heap and deal it out again, each getting as many as it gave.

Source:
    Strona et al. 2014, doi:10.1038/ncomms5114; uniform in the limit: Carstens 2015, doi:10.1103/PhysRevE.91.042812.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import scipy.sparse

from helpers.activations import ActivationStore
from helpers.geometry.cofiring import CofiringPairs, checked_firings, cofiring_pairs, firing_counts
from helpers.matching import FeaturePairs

TRADES_PER_TOKEN = 5  # Strona et al.: the mean overlap with the original has settled after about as many


@dataclass(frozen=True)
class CoverThreshold:
    """From which cover on pairs are more than chance.

    Shapes:
        covers: (n_grid,), ascending; n_pairs: (n_grid,) int64, pairs with at least this cover; n_chance: (n_grid,)
        float64, the same after shuffling, mean over the shuffles.
    Args:
        min_cover: the lowest cover from which on at most the share `alpha` of pairs is expected to be by chance; None
            if there is no such cover.
        chance: the pairs of the last shuffle, to look at.
    """

    min_cover: float | None
    covers: np.ndarray
    n_pairs: np.ndarray
    n_chance: np.ndarray
    alpha: float
    n_shuffles: int
    seed: int
    chance: CofiringPairs


def shuffled_firings(acts: Any, *, seed: int, trades_per_token: float = TRADES_PER_TOKEN) -> scipy.sparse.csr_array:
    """A random matrix in which every feature fires as often, and on every token as many features, as in `acts`.

    Shapes:
        acts: (n_tokens, d_sae), as for `cofiring_pairs`.
    Returns:
        (n_tokens, d_sae) CSR of ones.
    Raises:
        ValueError: as `cofiring_pairs`; trades_per_token not above 0.
    Notes:
        Holds 8 bytes a firing.
    """
    if not trades_per_token > 0:
        raise ValueError(f"trades_per_token must be above 0; got {trades_per_token}")
    acts = checked_firings(acts)
    rows = acts.csr() if isinstance(acts, ActivationStore) else acts
    indptr, indices = np.array(rows.indptr, dtype=np.int64), np.array(rows.indices, dtype=np.int32)
    rng = np.random.default_rng(seed)
    _trade(indptr, indices, acts.shape[1], int(np.ceil(trades_per_token * acts.shape[0])), rng)
    return scipy.sparse.csr_array((np.ones(len(indices), np.float32), indices, indptr), shape=acts.shape)


def cover_threshold(
    acts: Any,
    pairs: CofiringPairs,
    *,
    alpha: float = 0.01,
    n_shuffles: int = 3,
    seed: int = 0,
    n_threads: int | None = None,
) -> CoverThreshold:
    """The lowest cover from which on the false discovery rate is at most `alpha`.

    The rate at a cover is (1 + pairs that reach it in all shuffles) / n_shuffles over the pairs that reach it in the
    data; every pair of features is one test, and thousands of shuffled pairs a shuffle make few shuffles enough.

    Args:
        acts: what `pairs` were found in.
        pairs: from `cofiring_pairs`; its `min_cover` is the lowest threshold that is tried.
        alpha: in (0, 1).
    Raises:
        ValueError: alpha or n_shuffles out of range; pairs of another dictionary; as `cofiring_pairs`.
    """
    if not 0 < alpha < 1 or n_shuffles < 1:
        raise ValueError(f"expected alpha in (0, 1) and n_shuffles of at least 1; got {alpha} and {n_shuffles}")
    acts = checked_firings(acts)
    if not np.array_equal(firing_counts(acts), pairs.counts):
        raise ValueError("acts and pairs do not belong together: their features fire differently often")
    covers = np.linspace(pairs.min_cover, 1.0, 181)
    hits = np.zeros(len(covers))
    for number in range(n_shuffles):
        shuffled = shuffled_firings(acts, seed=seed * n_shuffles + number)
        found = cofiring_pairs(shuffled, min_cover=pairs.min_cover, min_firings=pairs.min_firings, n_threads=n_threads)
        hits += _reaching(found.cover, covers)
    n_pairs = _reaching(pairs.cover, covers)
    good = (1 + hits) / n_shuffles <= alpha * n_pairs
    lowest = float(covers[np.argmax(good)]) if good.any() else None
    return CoverThreshold(lowest, covers, n_pairs, hits / n_shuffles, alpha, n_shuffles, seed, found)


def implied_firings(a: Any, b: Any, pairs: FeaturePairs, *, seed: int) -> scipy.sparse.csr_array:
    """The matched features of b as their pairs alone imply them: as often, as often with the partner, else at random.

    Partners fire alike, so what fires together in a fires together in b *because* they are partners. This draws what
    follows from that: every matched feature of b fires on as many of its partner's tokens as it truly does, and on as
    many others, but on which ones is random. What two models share beyond it, they share in how partners differ.

    Shapes:
        a: (n_tokens, d_sae_a); b: (n_tokens, d_sae_b), the same tokens.
    Args:
        pairs: one-to-one.
    Returns:
        (n_tokens, d_sae_b) CSR of ones; unmatched features are silent.
    Raises:
        ValueError: other rows or widths than the pairs have; a feature in two pairs.
    """
    columns_a, columns_b = (_columns(checked_firings(acts)) for acts in (a, b))
    if columns_a.shape != (columns_b.shape[0], pairs.d_sae_a) or columns_b.shape[1] != pairs.d_sae_b:
        raise ValueError(
            f"expected the tokens of the pairs' dictionaries, (n_tokens, {pairs.d_sae_a}) and (n_tokens, "
            f"{pairs.d_sae_b}); got {columns_a.shape} and {columns_b.shape}; are a and b swapped?"
        )
    require_one_to_one(pairs)
    rng = np.random.default_rng(seed)
    tokens: list[np.ndarray] = [np.empty(0, dtype=np.int64)] * pairs.d_sae_b
    for feature_a, feature_b in zip(pairs.ids_a, pairs.ids_b, strict=True):
        mine, its = _tokens_of(columns_b, feature_b), _tokens_of(columns_a, feature_a)
        n_shared = len(np.intersect1d(mine, its, assume_unique=True))
        elsewhere = _drawn_outside(its, len(mine) - n_shared, columns_a.shape[0], rng)
        tokens[feature_b] = np.concatenate([rng.choice(its, n_shared, replace=False), elsewhere])
    indptr = np.concatenate([[0], np.cumsum([len(rows) for rows in tokens])])
    rows = np.concatenate(tokens)
    return scipy.sparse.csc_array((np.ones(len(rows), np.float32), rows, indptr), shape=columns_b.shape).tocsr()


def require_one_to_one(pairs: FeaturePairs) -> None:
    """Families are carried from partner to partner, so nobody may have two.

    Raises:
        ValueError: no pair, or a feature in two pairs.
    """
    if pairs.n_pairs == 0:
        raise ValueError("there are no pairs; lower min_corr or min_firings")
    if any(len(np.unique(ids)) < pairs.n_pairs for ids in (pairs.ids_a, pairs.ids_b)):
        raise ValueError("a feature is in two pairs, so families have no one-to-one image; match one_to_one or mutual")


def _columns(acts: Any) -> scipy.sparse.csc_array:
    rows = acts.csr() if isinstance(acts, ActivationStore) else acts
    ones = np.ones(len(rows.indices), dtype=np.int8)
    return scipy.sparse.csr_array((ones, rows.indices, rows.indptr), shape=acts.shape).tocsc()


def _tokens_of(columns: scipy.sparse.csc_array, feature: int) -> np.ndarray:
    return columns.indices[columns.indptr[feature] : columns.indptr[feature + 1]]


def _drawn_outside(taken: np.ndarray, n: int, n_tokens: int, rng: np.random.Generator) -> np.ndarray:
    """`n` tokens that are not among the `taken` (ascending), each equally likely."""
    rank = rng.choice(n_tokens - len(taken), n, replace=False, shuffle=False)
    # The token of a rank lies behind all taken ones that have at most as many free tokens before them.
    return rank + np.searchsorted(taken - np.arange(len(taken)), rank, side="right")


def _reaching(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many values are at least as large as each threshold."""
    return len(values) - np.searchsorted(np.sort(values), thresholds, side="left")


@numba.njit(cache=True, nogil=True)
def _trade(indptr, indices, d_sae, n_trades, rng):  # pragma: no cover (compiled)
    """Trades between random pairs of rows, in place; the order inside a row is lost."""
    n_rows = indptr.size - 1
    owner = np.zeros(d_sae, dtype=np.int64)  # 2 t: only the first row of trade t has it; 2 t + 1: both have it
    heap = np.empty(2 * np.max(np.diff(indptr)) if n_rows else 0, dtype=np.int32)
    for trade in range(1, n_trades + 1):
        first, second = int(rng.random() * n_rows), int(rng.random() * n_rows)
        if first == second:
            continue
        for entry in range(indptr[first], indptr[first + 1]):
            owner[indices[entry]] = 2 * trade
        size = 0
        for entry in range(indptr[second], indptr[second + 1]):
            if owner[indices[entry]] == 2 * trade:
                owner[indices[entry]] = 2 * trade + 1
            else:
                heap[size] = indices[entry]
                size += 1
        n_second = size
        for entry in range(indptr[first], indptr[first + 1]):
            if owner[indices[entry]] == 2 * trade:
                heap[size] = indices[entry]
                size += 1
        for place in range(size - 1, 0, -1):
            other = int(rng.random() * (place + 1))
            heap[place], heap[other] = heap[other], heap[place]
        given = 0
        for row, end in ((second, n_second), (first, size)):
            for entry in range(indptr[row], indptr[row + 1]):
                # What was traded away is what only this row had: not marked as shared.
                if given < end and owner[indices[entry]] != 2 * trade + 1:
                    indices[entry] = heap[given]
                    given += 1
