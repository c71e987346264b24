"""Orthogonal steps from parent to child, beside nulls that keep the nesting, and beside the one that does not.

The famous picture of a hierarchy is a right angle: child minus parent is orthogonal to the parent. It is also the picture
of *any* nested sets. The mean of a set and the mean of a random part of it have, in expectation, exactly this angle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from helpers.geometry.family_tests import Scale
from helpers.geometry.hierarchy.directions import Method, concept_directions, step_cosines
from helpers.geometry.hierarchy.nest import Nest, moved_concepts, shuffled_words, unnested_sets
from helpers.nulls.permutation import PermutationResult, null_rng, summarise


@dataclass(frozen=True)
class StepCosines:
    """Cosines between parents and the steps to their children.

    Shapes:
        observed: (n_edges,), in the order of `Nest.edges`; nested, unnested: (n_edges,), of one shuffle each, for pictures.
    Args:
        against_nested: the mean of the absolute cosines (smaller = nearer to a right angle) beside words shuffled inside the
            taxonomy: the fair null. against_moved: beside whole concepts that change places, so that parents are heaps of
            strangers. against_unnested: beside random sets of the same sizes, each by itself: the trap.
    """

    observed: np.ndarray
    nested: np.ndarray
    unnested: np.ndarray
    against_nested: PermutationResult
    against_moved: PermutationResult
    against_unnested: PermutationResult


def step_test(
    rows: Any, nest: Nest, *, method: Method = "mean", n_permutations: int = 99, seed: int = 0
) -> StepCosines:
    """Are steps to children orthogonal to the parent, and is that more than any nested sets have?

    Shapes:
        rows: (n_words, d), whitened.
    Raises:
        ValueError: no parent with a child, or what `concept_directions` and `step_cosines` refuse.
    """
    if not len(nest.edges):
        raise ValueError("no parent has words beside those of one child, so there is no step; widen the taxonomy")

    def of(members: np.ndarray) -> np.ndarray:
        return step_cosines(concept_directions(rows, members, method=method), nest)

    observed, rng = of(nest.members), null_rng(seed)
    nested = [of(shuffled_words(nest, rng).members) for _ in range(n_permutations)]
    moved = [of(moved_concepts(nest, rng)[0].members) for _ in range(n_permutations)]
    unnested = [of(unnested_sets(nest, rng)) for _ in range(n_permutations)]
    settings = {"n_permutations": n_permutations, "seed": seed, "method": method}
    against_nested, against_moved, against_unnested = (
        summarise(
            Scale("step_cosine", "distance", 0.0), float(np.abs(observed).mean()), np.abs(null).mean(axis=1), len(observed),
            settings | {"null": name}, null_kind="pairing",
        )
        for name, null in (
            ("shuffled words", np.array(nested)), ("moved concepts", np.array(moved)), ("unnested sets", np.array(unnested)),
        )
    )  # fmt: skip
    return StepCosines(observed, nested[0], unnested[0], against_nested, against_moved, against_unnested)
