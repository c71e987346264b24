"""What a second model keeps of the families of the first: four questions, each beside its nulls and two yardsticks.

Only matched features count, and families are made anew among them, so that a parent without a partner hides nothing.
The yardsticks: what the pairs alone imply (`implied_firings`), and what the first model keeps of itself when its families
are found on the first and on the second half of the tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

from helpers.activations import ActivationStore
from helpers.geometry.cofiring import CofiringPairs, checked_firings, cofiring_pairs
from helpers.geometry.cofiring_chance import implied_firings
from helpers.geometry.families import FeatureForest, cofiring_communities, family_forest
from helpers.geometry.family_tests import families_kept, relations_kept
from helpers.matching import FeaturePairs
from helpers.matching.pairs import make_pairs
from helpers.nulls import PermutationResult, correct_tests

PARTNERS, FREQUENCY = "shuffled partners", "partners of like frequency"


@dataclass(frozen=True)
class MatchedFamilies:
    """One side's families among its matched features."""

    forest: FeatureForest
    groups: np.ndarray
    company: np.ndarray

    @classmethod
    def of(
        cls,
        pairs: CofiringPairs,
        ids: np.ndarray,
        *,
        lowest: float,
        min_cover: float,
        min_ratio: float,
        min_jaccard: float,
        seed: int,
    ) -> MatchedFamilies:
        """
        Args:
            lowest: cover beyond chance (`cover_threshold`); others as for `family_forest` and `cofiring_communities`.
        """
        among = pairs.among(ids)
        return cls(
            family_forest(among, min_cover=min_cover, min_ratio=min_ratio),
            cofiring_communities(among, min_cover=lowest, min_jaccard=min_jaccard, seed=seed),
            among.above(lowest).edges,
        )


@dataclass(frozen=True)
class KeptFamilies:
    """Scores of the questions "parents", "trees", "groups" and "company".

    Args:
        results: question -> null -> result; questions that cannot be asked (no families) are left out.
        pairs_alone: question -> score if the pairs alone carried families over.
        ceiling: question -> score of the first model against itself on other tokens.
        forest_a, forest_b: of the matched features.
    """

    results: Mapping[str, Mapping[str, PermutationResult]]
    pairs_alone: Mapping[str, float]
    ceiling: Mapping[str, float]
    forest_a: FeatureForest
    forest_b: FeatureForest

    def as_text(self) -> dict[str, dict[str, str]]:
        """Row -> column -> text; p-values are corrected for the number of rows."""
        tests = {f"{question}, {null}": r for question, row in self.results.items() for null, r in row.items()}
        rows = {}
        for test, (name, result) in zip(correct_tests(tests), tests.items(), strict=True):
            question = name.split(",")[0]
            rows[name] = {
                "kept": f"{result.score:.3f}",
                "null mean ± sd": f"{result.null_mean:.4f}"
                + (f" ± {result.null_std:.4f}" if result.null_std is not None else ""),
                "z": "" if result.z is None else f"{result.z:.0f}",
                "p, corrected": f"{test.p_corrected:.2g}",
                "p, 95 % interval": f"{result.p_low:.2g} to {result.p_high:.2g}",
                "the pairs alone": f"{self.pairs_alone[question]:.3f}",
                "same model, other texts": f"{self.ceiling[question]:.3f}",
            }
        return rows


def compare_families(
    a: Any,
    b: Any,
    pairs: FeaturePairs,
    found_a: CofiringPairs,
    found_b: CofiringPairs,
    *,
    lowest_a: float,
    lowest_b: float,
    min_cover: float = 0.7,
    min_ratio: float = 2.0,
    min_jaccard: float = 0.2,
    n_permutations: int = 1000,
    seed: int = 0,
    n_threads: int | None = None,
) -> KeptFamilies:
    """Carry the families of a over to b.

    Shapes:
        a: (n_tokens, d_sae_a); b: (n_tokens, d_sae_b); the same tokens.
    Args:
        pairs: one-to-one.
        found_a, found_b: `cofiring_pairs` of a and b.
        lowest_a, lowest_b: covers beyond chance.
    Raises:
        ValueError: as `implied_firings` and `families_kept`.
    """
    family: dict[str, Any] = {"min_cover": min_cover, "min_ratio": min_ratio, "min_jaccard": min_jaccard, "seed": seed}
    search: dict[str, Any] = {"min_cover": found_a.min_cover, "n_threads": n_threads}
    implied = implied_firings(a, b, pairs, seed=seed)
    sides = {
        "a": MatchedFamilies.of(found_a, pairs.ids_a, lowest=lowest_a, **family),
        "b": MatchedFamilies.of(found_b, pairs.ids_b, lowest=lowest_b, **family),
        "implied": MatchedFamilies.of(
            cofiring_pairs(implied, min_firings=found_b.min_firings, **search), pairs.ids_b, lowest=lowest_b, **family
        ),
    }
    for name, half in zip(("first", "second"), _halves(a), strict=True):
        found = cofiring_pairs(half, min_firings=found_a.min_firings, **search)
        sides[name] = MatchedFamilies.of(found, pairs.ids_a, lowest=lowest_a, **family)
    counts = found_b.counts
    kept = {
        null: _questions(sides["a"], sides["b"], pairs, counts_b=which, n_permutations=n_permutations, seed=seed)
        for null, which in ((PARTNERS, None), (FREQUENCY, counts))
    }
    results = {question: {null: kept[null][question] for null in kept} for question in kept[PARTNERS]}
    alone = _questions(sides["a"], sides["implied"], pairs, n_permutations=1, seed=seed)
    ceiling = _questions(sides["first"], sides["second"], _with_itself(pairs), n_permutations=1, seed=seed)
    return KeptFamilies(
        results,
        {question: _score(alone, question) for question in results},
        {question: _score(ceiling, question) for question in results},
        sides["a"].forest,
        sides["b"].forest,
    )


def _questions(
    left: MatchedFamilies, right: MatchedFamilies, pairs: FeaturePairs, **settings: Any
) -> dict[str, PermutationResult]:
    """The four questions, as far as there are families to ask about."""
    results = {}
    edges = left.forest.edges
    if len(edges) or len(right.forest.edges):
        results["parents"] = relations_kept(edges, right.forest.edges, pairs, **settings)
        results["trees"] = families_kept(left.forest.trees, right.forest.trees, pairs, **settings)
    if (left.groups >= 0).any() or (right.groups >= 0).any():
        results["groups"] = families_kept(left.groups, right.groups, pairs, **settings)
    if len(edges):
        results["company"] = relations_kept(edges, right.company, pairs, share_of="a", **settings)
    return results


def _score(results: Mapping[str, PermutationResult], question: str) -> float:
    """0 where there are no families to keep."""
    score = results[question].score if question in results else None
    return score or 0.0


def _halves(acts: Any) -> tuple[scipy.sparse.csr_array, scipy.sparse.csr_array]:
    """The first and the second half of the tokens, so that hardly a text is in both."""
    acts, half = checked_firings(acts), acts.shape[0] // 2
    rows = acts.rows if isinstance(acts, ActivationStore) else lambda start, stop: acts[start:stop]
    return rows(0, half), rows(half, 2 * half)


def _with_itself(pairs: FeaturePairs) -> FeaturePairs:
    """Every matched feature of a paired with itself."""
    settings = pairs.settings | {"d_sae_b": pairs.d_sae_a}
    return make_pairs(pairs.ids_a, pairs.ids_a, np.ones(pairs.n_pairs), settings=settings)
