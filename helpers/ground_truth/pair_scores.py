"""Are the proposed pairs the true ones? Precision and recall of a matching whose right answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from helpers.matching import FeaturePairs, match_features
from helpers.matching.methods import METHODS

ASYMMETRIC = ("nearest",)  # methods that give another answer in the other direction
OTHER_ASSOCIATIONS = ("cosine", "jaccard")


@dataclass(frozen=True)
class PairScore:
    """How right a list of pairs is.

    Args:
        n_pairs: pairs proposed; n_correct: those whose two features are the same true feature.
        precision: n_correct / n_pairs; None without a pair.
        recall: share of the shared true features that a correct pair found, several pairs for one counting once.
        average_precision: area under the precision-recall curve of the pairs ranked by their association; 1 = every
            shared feature found before the first wrong pair. It needs no threshold.
        best_f1: F1 at the association threshold that suits this list best: what the ranking could reach.
        n_shared: shared true features; n_findable: those that both dictionaries hold, which bounds the recall.
    """

    n_pairs: int
    n_correct: int
    precision: float | None
    recall: float
    average_precision: float
    best_f1: float
    n_shared: int
    n_findable: int

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 without a pair."""
        if not self.precision or not self.recall:
            return 0.0
        return 2 * self.precision * self.recall / (self.precision + self.recall)


@dataclass(frozen=True)
class Truth:
    """What the right pairs are.

    Shapes:
        partner: (n_features,) the feature of b that is true feature i of a, or -1;
        identity_a, identity_b: (d_sae,) the true feature that each matched column is, or -1.
    """

    partner: np.ndarray
    identity_a: np.ndarray
    identity_b: np.ndarray

    @classmethod
    def of_features(cls, partner: np.ndarray) -> Truth:
        """For matching the true features themselves."""
        return cls(partner, np.arange(len(partner)), np.arange(len(partner)))

    def correct(self, pairs: FeaturePairs) -> np.ndarray:
        """(n_pairs,) bool, in the order of the pairs."""
        self._check(pairs)
        true_a, true_b = self.identity_a[pairs.ids_a], self.identity_b[pairs.ids_b]
        expected = np.where(true_a >= 0, self.partner[true_a], -1)
        return (expected >= 0) & (expected == true_b)

    @property
    def findable(self) -> np.ndarray:
        """Ids in a of the shared features that have a column on both sides."""
        shared = np.flatnonzero(self.partner >= 0)
        there = np.isin(shared, self.identity_a) & np.isin(self.partner[shared], self.identity_b)
        return shared[there]

    def _check(self, pairs: FeaturePairs) -> None:
        if (len(self.identity_a), len(self.identity_b)) != (pairs.d_sae_a, pairs.d_sae_b):
            raise ValueError(
                f"expected one identity a feature, {pairs.d_sae_a} and {pairs.d_sae_b}; "
                f"got {len(self.identity_a)} and {len(self.identity_b)}; are a and b swapped?"
            )


def score_pairs(pairs: FeaturePairs, truth: Truth) -> PairScore:
    """Compare proposed pairs with the true ones.

    Raises:
        ValueError: the truth is about dictionaries of other widths, or the worlds share nothing.
    """
    correct = truth.correct(pairs)
    n_shared = int((truth.partner >= 0).sum())
    if n_shared == 0:
        raise ValueError("the worlds share no feature, so there is nothing to find; raise `shared`")
    first = np.zeros(pairs.n_pairs, dtype=bool)
    hits = np.flatnonzero(correct)
    found = truth.identity_a[pairs.ids_a[hits]]
    first[hits[np.unique(found, return_index=True)[1]]] = True
    precision_so_far = np.cumsum(correct) / np.arange(1, pairs.n_pairs + 1)
    recall_so_far = np.cumsum(first) / n_shared
    # Above the first right pair both are 0; from it on their sum exceeds 1 / n_shared.
    f1_so_far = 2 * precision_so_far * recall_so_far / np.maximum(precision_so_far + recall_so_far, 1 / n_shared)
    return PairScore(
        n_pairs=pairs.n_pairs,
        n_correct=int(correct.sum()),
        precision=float(correct.mean()) if pairs.n_pairs else None,
        recall=float(first.sum() / n_shared),
        average_precision=float(precision_so_far[first].sum() / n_shared),
        best_f1=float(f1_so_far.max(initial=0.0)),
        n_shared=n_shared,
        n_findable=len(truth.findable),
    )


def score_above(pairs: FeaturePairs, truth: Truth, thresholds: Sequence[float]) -> list[PairScore]:
    """`score_pairs` of the pairs at and above each association."""
    return [score_pairs(pairs.above(threshold), truth) for threshold in thresholds]


def match_every_way(a: Any, b: Any, **settings: Any) -> dict[str, FeaturePairs]:
    """Pairs by every method of the registry with its default settings, and one-to-one by every association.

    Args:
        settings: for `match_features`, e.g. min_firings.
    Returns:
        Name -> pairs. Methods that give another answer in the other direction are there in both; the association is
        Pearson's correlation where the name does not say otherwise.
    """
    ways: dict[str, dict[str, str]] = {}
    for method in METHODS:
        if method in ASYMMETRIC:
            for direction, arrow in (("a_to_b", "a to b"), ("b_to_a", "b to a")):
                ways[f"{method}, {arrow}"] = {"method": method, "direction": direction}
        else:
            ways[method] = {"method": method}
    for association in OTHER_ASSOCIATIONS:
        ways[f"one_to_one, {association}"] = {"method": "one_to_one", "association": association}
    return {name: match_features(a, b, **{**way, **settings}) for name, way in ways.items()}
