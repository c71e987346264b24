"""Do features split by meaning, where the corpus knows what words mean?

Features are named by the narrowest word, concept or kind of a known tree that holds most of their activation
(`helpers.features.narrowest_concepts`). A split by meaning leads down this tree: "mammal" becomes "dog", "cat" and "horse".
The nulls shuffle which child belongs to which parent: every parent keeps its number of children.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from helpers.features import KnownConcepts
from helpers.geometry.family_tests import order_test
from helpers.geometry.splitting import KEPT, Splitting
from helpers.nulls import PermutationResult

RELATIONS = ("narrower", "the same", "wider", "another")


def children_narrower(
    splitting: Splitting,
    names_narrow: Any,
    names_wide: Any,
    known: KnownConcepts,
    *,
    n_permutations: int = 1000,
    seed: int = 0,
) -> PermutationResult:
    """Share of children that stand for something that their parent's name holds: a word of its concept, a concept of its kind.

    Shapes:
        names_narrow: (d_narrow,), names_wide: (d_wide,), a name of `known` each, None where it is unknown.
    Args:
        known: the tree that the names come from.
    Returns:
        A share in [0, 1] of the children, copies left out, that have a name and whose parent has one;
        `settings` counts what the others are: "the same" as the parent, "wider", or "another" branch.
    Raises:
        ValueError: not one name a feature; no child whose name and parent's name are known.
    """
    names = [_names(values, d, which) for values, d, which in
             ((names_narrow, splitting.d_narrow, "names_narrow"), (names_wide, splitting.d_wide, "names_wide"))]  # fmt: skip
    children = np.flatnonzero((splitting.parents >= 0) & (splitting.wide_class != KEPT) & _known(names[1]))
    children = children[_known(names[0][splitting.parents[children]])]
    if len(children) == 0:
        raise ValueError("no child has a known name and a parent with one; lower the thresholds or use more tokens")
    above, places_above = np.unique(names[0][splitting.parents[children]].astype(str), return_inverse=True)
    below, places_below = np.unique(names[1][children].astype(str), return_inverse=True)
    relation = np.array([[_relation(str(parent), str(child), known) for child in below] for parent in above])

    def score(order: np.ndarray) -> float:
        return float((relation[places_above, places_below[order]] == 0).mean())

    counts = np.bincount(relation[places_above, places_below], minlength=len(RELATIONS))
    about = {name.replace(" ", "_"): int(count) for name, count in zip(RELATIONS, counts, strict=True)}
    return order_test("children_narrower", score, len(children), None, n_permutations, seed, **about)


def families_of_one_kind(
    splitting: Splitting, names_wide: Any, known: KnownConcepts, *, n_permutations: int = 1000, seed: int = 0
) -> PermutationResult:
    """Share of split families whose children stand for different things of one kind.

    A family is of one kind if most of its named children lie under one name of the tree, and at least two of these have
    different names below it.

    Shapes:
        names_wide: (d_wide,), as for `children_narrower`.
    Returns:
        A share in [0, 1] of the families with two named children or more; `settings["kinds"]` names the kind of each
        family that has one, by the id of its general feature.
    Raises:
        ValueError: not one name a feature; no family with two named children.
    """
    names = _names(names_wide, splitting.d_wide, "names_wide")
    children = np.flatnonzero((splitting.parents >= 0) & _known(names))
    sizes = np.bincount(splitting.parents[children], minlength=splitting.d_narrow)
    children = children[sizes[splitting.parents[children]] >= 2]
    if len(children) == 0:
        raise ValueError("no family has two children with known names; lower the thresholds or use more tokens")
    children = children[np.argsort(splitting.parents[children], kind="stable")]
    families, starts = np.unique(splitting.parents[children], return_index=True)
    labels, places = np.unique(names[children].astype(str), return_inverse=True)
    # [label, branch]: the label lies strictly below the branch.
    lines = [known.line(str(label))[1:] for label in labels]
    branches = sorted({name for line in lines for name in line})
    below = np.array([[branch in line for branch in branches] for line in lines], dtype=np.int64)
    n_members = np.diff(np.append(starts, len(children)))

    def kinds(order: np.ndarray) -> np.ndarray:
        """(n_families, n_branches) bool."""
        member = places[order]
        held = np.add.reduceat(below[member], starts, axis=0)
        # A label counts once a family: where the same one stood before, it is no second one.
        family = np.repeat(np.arange(len(families)), n_members)
        first = np.zeros(len(member), dtype=bool)
        first[np.unique(family * len(labels) + member, return_index=True)[1]] = True
        different = np.add.reduceat(below[member] * first[:, None], starts, axis=0)
        return (held > n_members[:, None] / 2) & (different >= 2)

    found = kinds(np.arange(len(children)))
    depth = np.array([len(known.line(branch)) for branch in branches])
    narrowest = [branches[int(np.argmax(np.where(row, depth, 0)))] for row in found if row.any()]
    named = dict(zip((str(family) for family in families[found.any(axis=1)]), narrowest, strict=True))
    return order_test(
        "families_of_one_kind", lambda order: float(kinds(order).any(axis=1).mean()), len(children), None,
        n_permutations, seed, n_families=len(families), kinds=named,
    )  # fmt: skip


def _names(values: Any, d_sae: int, name: str) -> np.ndarray:
    names = np.asarray(values, dtype=object)
    if names.shape != (d_sae,):
        raise ValueError(f"{name} must hold one name (or None) for each of {d_sae} features; got shape {names.shape}")
    return names


def _known(names: np.ndarray) -> np.ndarray:
    return np.array([name is not None for name in names], dtype=bool)


def _relation(parent: str, child: str, known: KnownConcepts) -> int:
    if parent == child:
        return 1
    if parent in known.line(child):
        return 0
    return 2 if child in known.line(parent) else 3
