"""Filter matched pairs step by step: each step says how many pairs it removed and shows some of them.

A published filter silently removed nothing, because of a for-else: a step that removes nothing says so here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from helpers.matching.filters import FeatureWords, PairFilter
from helpers.matching.pairs import FeaturePairs

N_SHOWN = 10


@dataclass(frozen=True)
class RemovedPair:
    """A pair that a filter removed: its ids, association, and each partner's top words, the strongest example first."""

    id_a: int
    id_b: int
    corr: float
    words_a: tuple[str, ...]
    words_b: tuple[str, ...]


@dataclass(frozen=True)
class FilterStep:
    """What one filter did.

    Args:
        removed: the strongest of the removed pairs, ten at most.
    """

    name: str
    n_before: int
    n_removed: int
    removed: tuple[RemovedPair, ...]

    @property
    def n_after(self) -> int:
        return self.n_before - self.n_removed

    @property
    def message(self) -> str:
        """One sentence, also where nothing was removed."""
        if self.n_before == 0:
            return f"{self.name}: there was no pair left to filter"
        if self.n_removed == 0:
            return f"{self.name}: removed nothing, all {self.n_before} pairs stay"
        if self.n_after == 0:
            return f"{self.name}: removed all {self.n_before} pairs"
        return f"{self.name}: removed {self.n_removed} of {self.n_before} pairs"


@dataclass(frozen=True)
class FilterReport:
    """The pairs that passed every filter, and what each filter did, in order.

    Args:
        after: the pairs that were left after each step.
    """

    pairs: FeaturePairs
    steps: tuple[FilterStep, ...]
    after: tuple[FeaturePairs, ...]

    @property
    def messages(self) -> list[str]:
        return [step.message for step in self.steps]


def apply_filters(
    pairs: FeaturePairs, filters: Sequence[PairFilter], features_a: FeatureWords, features_b: FeatureWords
) -> FilterReport:
    """Filter pairs step by step; the order of the filters is the order of the steps, the order of pairs stays.

    Args:
        filters: e.g. [MinCorrelation(0.5), ConceptTokens(), SharedTopToken()]; none gives the pairs back.
        features_a, features_b: the two dictionaries' features, of all ids (FeatureTable).
    Raises:
        ValueError: the tables do not fit the pairs.
    """
    for side, features, d_sae in (("a", features_a, pairs.d_sae_a), ("b", features_b, pairs.d_sae_b)):
        if len(features.top_words) != d_sae or len(features.density) != d_sae:
            raise ValueError(
                f"features_{side} must hold all {d_sae} features of the pairs' dictionary; got {len(features.top_words)}; "
                "are a and b swapped, or was the table filtered?"
            )
    steps: list[FilterStep] = []
    after: list[FeaturePairs] = []
    for pair_filter in filters:
        keep_mask = pair_filter.keep_mask(pairs, features_a, features_b)
        steps.append(_step(pair_filter.name, pairs, keep_mask, features_a, features_b))
        pairs = pairs.select(keep_mask, filters=[step.name for step in steps])
        after.append(pairs)
    return FilterReport(pairs, tuple(steps), tuple(after))


def _step(
    name: str, pairs: FeaturePairs, keep_mask: np.ndarray, features_a: FeatureWords, features_b: FeatureWords
) -> FilterStep:
    places = np.flatnonzero(~keep_mask)
    shown = tuple(
        RemovedPair(
            id_a=int(pairs.ids_a[place]),
            id_b=int(pairs.ids_b[place]),
            corr=float(pairs.corr[place]),
            words_a=_top_words(features_a, pairs.ids_a[place]),
            words_b=_top_words(features_b, pairs.ids_b[place]),
        )
        for place in places[:N_SHOWN]
    )
    return FilterStep(name, pairs.n_pairs, len(places), shown)


def _top_words(features: FeatureWords, feature: int) -> tuple[str, ...]:
    row = features.top_words[feature]
    return tuple(dict.fromkeys(features.words[word] for word in row if word >= 0))
