"""Two dictionaries with groups of features whose arrangement is known: alike, unrelated, or blocks of near-copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from helpers.comparison.subspace_scores import FeatureSpace
from helpers.comparison.subspaces import GroupPairs
from helpers.matching.pairs import make_pairs

D_A, D_B, D_SAE = 12, 9, 400


@dataclass(frozen=True)
class World:
    """Spaces of both sides, and the pairs of one group of `n_words` words with `copies` features each."""

    space_a: FeatureSpace
    space_b: FeatureSpace
    group: GroupPairs


def world(
    seed: int, *, n_words: int = 10, copies: int = 1, alike: bool = True, noise: float = 0.5, spread: float = 0.1
) -> World:
    """A group whose words are arranged alike in both spaces, or not at all; the copies of a word lie close together."""
    rng = np.random.default_rng(seed)
    rows_a, rows_b = rng.standard_normal((D_SAE, D_A)), rng.standard_normal((D_SAE, D_B))
    n = n_words * copies
    words_a = rng.standard_normal((n_words, D_A))
    words_b = rng.standard_normal((n_words, D_B))
    if alike:
        words_b = words_a @ rng.standard_normal((D_A, D_B)) / np.sqrt(D_A) + noise * words_b
    # Ids far from 0, 1, 2, in another order on both sides.
    ids_a, ids_b = 100 + rng.permutation(n), 300 - rng.permutation(n)
    rows_a[ids_a] = np.repeat(words_a, copies, axis=0) + spread * rng.standard_normal((n, D_A))
    rows_b[ids_b] = np.repeat(words_b, copies, axis=0) + spread * rng.standard_normal((n, D_B))
    names = tuple(f"word{number}" for number in np.repeat(np.arange(n_words), copies))
    return World(
        FeatureSpace.of(rows_a, rng.integers(10, 1000, D_SAE), min_firings=10),
        FeatureSpace.of(rows_b, rng.integers(10, 1000, D_SAE), min_firings=10),
        pairs_of(ids_a, ids_b, names, names),
    )


def pairs_of(ids_a: np.ndarray, ids_b: np.ndarray, words_a: tuple[str, ...], words_b: tuple[str, ...]) -> GroupPairs:
    """Pairs in the given order."""
    corr = np.linspace(0.9, 0.2, len(ids_a))
    pairs = make_pairs(ids_a, ids_b, corr, settings={"d_sae_a": D_SAE, "d_sae_b": D_SAE, "direction": "b_to_a"})
    return GroupPairs("group", "group", pairs, words_a, words_b, len(ids_a), len(ids_b))
