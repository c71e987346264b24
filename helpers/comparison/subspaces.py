"""Semantic subspaces: the features of two dictionaries that fire on the words of one group, matched inside the group.

A group is given as a set of feature ids of each dictionary, with the word that found each feature. Only features of the
group may become partners, so the pairs are the group's own and not what is left after a matching of everything. The
correlations of all groups are taken in one pass over the two stores, and every group, or a group of a against another
group of b, is matched from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from helpers.matching import FeaturePairs
from helpers.matching.engines import open_engine
from helpers.matching.greedy import greedy_pairs_of_block
from helpers.matching.match import ZERO
from helpers.matching.pairs import make_pairs


@dataclass(frozen=True)
class FeatureGroup:
    """The features of one dictionary that belong to a group of words.

    Shapes:
        ids: (n_features,) int64, distinct.
    Args:
        name: of the group, the same in both models.
        words: for every feature the word that found it.
    Raises:
        ValueError: a feature twice, an id below 0, or not one word a feature.
    """

    name: str
    ids: Int[np.ndarray, " n_features"]
    words: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", np.asarray(self.ids, dtype=np.int64).reshape(-1))
        object.__setattr__(self, "words", tuple(self.words))
        if len(self.ids) != len(self.words):
            raise ValueError(
                f"group '{self.name}': expected the word that found each of {len(self.ids)} features; "
                f"got {len(self.words)} words"
            )
        if len(np.unique(self.ids)) != len(self.ids) or (len(self.ids) and self.ids.min() < 0):
            raise ValueError(f"group '{self.name}': feature ids must be distinct whole numbers from 0; take out copies")

    @property
    def n_features(self) -> int:
        return len(self.ids)

    def shares_features(self, other: FeatureGroup) -> bool:
        """Whether a feature belongs to both groups."""
        return bool(np.intersect1d(self.ids, other.ids).size)


@dataclass(frozen=True)
class GroupPairs:
    """A group of a matched with a group of b, one to one.

    Args:
        name_a, name_b: the groups; equal unless they were mismatched on purpose.
        pairs: ids are those of the whole dictionaries, the strongest correlation first.
        words_a, words_b: for every pair the word that found its feature of a, and of b.
        n_features_a, n_features_b: features of the two groups that fire often enough to be matched.
    """

    name_a: str
    name_b: str
    pairs: FeaturePairs
    words_a: tuple[str, ...]
    words_b: tuple[str, ...]
    n_features_a: int
    n_features_b: int

    @property
    def n_pairs(self) -> int:
        return self.pairs.n_pairs

    @property
    def name(self) -> str:
        return self.name_a if self.name_a == self.name_b else f"{self.name_a} × {self.name_b}"

    @property
    def same_word_share(self) -> float:
        """Share of pairs whose partners were found by the same word; 0 without pairs."""
        return sum(map(str.__eq__, self.words_a, self.words_b)) / self.n_pairs if self.n_pairs else 0.0

    def select(self, keep_mask: np.ndarray) -> GroupPairs:
        """The pairs under a mask (True = kept)."""
        kept = np.flatnonzero(keep_mask)
        return GroupPairs(
            self.name_a,
            self.name_b,
            self.pairs.select(np.asarray(keep_mask, dtype=bool)),
            tuple(self.words_a[i] for i in kept),
            tuple(self.words_b[i] for i in kept),
            self.n_features_a,
            self.n_features_b,
        )


def one_pair_a_word(words_a: Iterable[str], words_b: Iterable[str]) -> np.ndarray:
    """Mask of the pairs to keep so that no word of either side comes twice; the first pair of a word wins.

    Pairs are sorted by correlation, so what stays is the strongest pair of each word. Its rows are one a word, and
    shuffling them shuffles words.
    Returns:
        (n_pairs,) bool, True = kept.
    """
    seen_a: set[str] = set()
    seen_b: set[str] = set()
    keep_mask = []
    for a, b in zip(words_a, words_b, strict=True):
        fresh = a not in seen_a and b not in seen_b
        keep_mask.append(fresh)
        if fresh:
            seen_a.add(a)
            seen_b.add(b)
    return np.array(keep_mask, dtype=bool)


@dataclass(frozen=True)
class GroupCorrelations:
    """Associations between all features of any group of a and all features of any group of b.

    Shapes:
        ids_a: (n_a,), ids_b: (n_b,): ascending ids in the whole dictionaries; values: (n_a, n_b).
    Args:
        settings: how they were made, with the widths of the dictionaries.
    """

    ids_a: Int[np.ndarray, " n_a"]
    ids_b: Int[np.ndarray, " n_b"]
    values: Float[np.ndarray, "n_a n_b"]
    settings: dict[str, Any]

    def match(self, group_a: FeatureGroup, group_b: FeatureGroup, *, min_corr: float = 0.0) -> GroupPairs:
        """Match two groups one to one: the strongest correlation first, no feature twice.

        Args:
            min_corr: pairs have at least this correlation; only positive ones make a pair.
        Raises:
            ValueError: min_corr outside [-1, 1).
        """
        if not -1 <= min_corr < 1:
            raise ValueError(f"min_corr must be in [-1, 1); got {min_corr}")
        at_a, at_b = _places(group_a.ids, self.ids_a), _places(group_b.ids, self.ids_b)
        rows, columns, corr = greedy_pairs_of_block(self.values[np.ix_(at_a, at_b)], floor=ZERO)
        # Rows and columns count inside the group; the ids of the dictionaries are two look-ups away.
        ids_a, ids_b = self.ids_a[at_a][rows], self.ids_b[at_b][columns]
        pairs = make_pairs(ids_a, ids_b, corr, settings=self.settings).above(min_corr)
        word_a, word_b = (dict(zip(g.ids.tolist(), g.words, strict=True)) for g in (group_a, group_b))
        return GroupPairs(
            name_a=group_a.name,
            name_b=group_b.name,
            pairs=pairs,
            words_a=tuple(word_a[feature] for feature in pairs.ids_a.tolist()),
            words_b=tuple(word_b[feature] for feature in pairs.ids_b.tolist()),
            n_features_a=len(at_a),
            n_features_b=len(at_b),
        )


def correlate_groups(
    a: Any,
    b: Any,
    groups_a: Iterable[FeatureGroup],
    groups_b: Iterable[FeatureGroup],
    *,
    association: str = "pearson",
    min_firings: int = 10,
    n_threads: int | None = None,
) -> GroupCorrelations:
    """Correlate the features of all groups in one pass over both stores.

    Shapes:
        a: (n_tokens, d_sae_a); b: (n_tokens, d_sae_b); as for `match_features`.
    Args:
        min_firings: features that are non-zero on fewer tokens are left out.
    Returns:
        Associations of the features that may be matched; sparse features that never fire together have 0.
    Raises:
        ValueError: a group names a feature that its dictionary does not have, and whatever `match_features` refuses.
    Notes:
        Memory: the features of all groups of a times those of b.
    """
    engine = open_engine(a, b, association=association, min_firings=min_firings, n_threads=n_threads)
    ids_a = _usable_union(groups_a, engine.usable_a, side="a")
    ids_b = _usable_union(groups_b, engine.usable_b, side="b")
    empty = not (len(ids_a) and len(ids_b))
    values = np.zeros((len(ids_a), len(ids_b))) if empty else engine.block(ids_a, ids_b)
    settings = {"method": "one_to_one", "direction": "b_to_a", "association": association, "min_firings": min_firings}
    return GroupCorrelations(ids_a, ids_b, values, settings | {"d_sae_a": engine.d_a, "d_sae_b": engine.d_b})


def _usable_union(groups: Iterable[FeatureGroup], usable: np.ndarray, *, side: str) -> np.ndarray:
    named = [(group.name, group.ids) for group in groups if group.n_features]
    for name, ids in named:
        if ids.max() >= len(usable):
            raise ValueError(
                f"group '{name}' names feature {ids.max()} of {side}, which has {len(usable)} features; "
                "search the words in the dictionary that is compared"
            )
    union = np.unique(np.concatenate([ids for _, ids in named])) if named else np.empty(0, np.int64)
    return union[usable[union]]


def _places(ids: np.ndarray, union: np.ndarray) -> np.ndarray:
    """Where the ids stand in the ascending union; those that are not in it fire too rarely and are left out."""
    return np.flatnonzero(np.isin(union, ids))
