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


def children_inside(
    splitting: Splitting,
    names_narrow: Any,
    names_wide: Any,
    known: KnownConcepts,
    *,
    strictly: bool = False,
    n_permutations: int = 1000,
    seed: int = 0,
) -> PermutationResult:
    """Share of children that stand for a part of what their parent stands for: a word of its concept, a concept of its kind.

    Shapes:
        names_narrow: (d_narrow,), names_wide: (d_wide,), a name of `known` each, None where it is unknown.
    Args:
        known: the tree that the names come from.
        strictly: a child with its parent's own name does not count as inside; else it does.
    Returns:
        A share in [0, 1] of the children, copies left out, that have a name and whose parent has one; `settings` counts
        those that are "narrower" than the parent, "the_same", "wider", or of "another" branch.
    Raises:
        ValueError: not one name a feature; no child whose name and parent's name are known.
    """
    names = [_names(values, d, which) for values, d, which in
             ((names_narrow, splitting.d_narrow, "names_narrow"), (names_wide, splitting.d_wide, "names_wide"))]  # fmt: skip
    children = named_children(splitting, *names)
    if len(children) == 0:
        raise ValueError("no child has a known name and a parent with one; lower the thresholds or use more tokens")
    above, places_above = np.unique(names[0][splitting.parents[children]].astype(str), return_inverse=True)
    below, places_below = np.unique(names[1][children].astype(str), return_inverse=True)
    relation = np.array([[_relation(str(parent), str(child), known) for child in below] for parent in above])

    def score(order: np.ndarray) -> float:
        return float((relation[places_above, places_below[order]] < (1 if strictly else 2)).mean())

    counts = np.bincount(relation[places_above, places_below], minlength=len(RELATIONS))
    about = {name.replace(" ", "_"): int(count) for name, count in zip(RELATIONS, counts, strict=True)}
    return order_test(
        "children_narrower" if strictly else "children_inside",
        score,
        len(children),
        None,
        n_permutations,
        seed,
        **about,
    )


def named_children(splitting: Splitting, names_narrow: np.ndarray, names_wide: np.ndarray) -> np.ndarray:
    """Ids of the children, copies left out, that have a name and whose parent has one."""
    children = np.flatnonzero((splitting.parents >= 0) & (splitting.wide_class != KEPT) & _known(names_wide))
    return children[_known(names_narrow[splitting.parents[children]])]


def split_into_different(splitting: Splitting, names_wide: np.ndarray) -> np.ndarray:
    """Ids of the general features whose named children have two different names at least."""
    children = np.flatnonzero((splitting.parents >= 0) & _known(names_wide))
    each = np.column_stack([splitting.parents[children].astype(str), names_wide[children].astype(str)])
    parents = np.unique(each, axis=0)[:, 0].astype(np.int64) if len(children) else np.empty(0, dtype=np.int64)
    ids, counts = np.unique(parents, return_counts=True)
    return ids[counts >= 2]


def families_of_one_kind(
    splitting: Splitting, names_wide: Any, known: KnownConcepts, *, n_permutations: int = 1000, seed: int = 0
) -> PermutationResult:
    """Of the families that split into different things, the share that splits into different things of one kind.

    Asked of all families the share is no more than chance in the study demo: most split one word by its context, and
    shuffled families hardly ever do. So only families with different names count, here and in the null.

    A family splits into different things if its named children have two different names at least; these are of one kind
    if most of the named children lie below one name of the tree, under two different names at least.

    Shapes:
        names_wide: (d_wide,), as for `children_inside`.
    Returns:
        A share in [0, 1]; `settings["kinds"]` is the narrowest kind of each family that has one, by the id of its general
        feature, `settings["n_families"]` the number of families that split into different things.
    Raises:
        ValueError: not one name a feature; no family that splits into different things.
    """
    names = _names(names_wide, splitting.d_wide, "names_wide")
    if len(split_into_different(splitting, names)) == 0:
        raise ValueError(
            "no family has children with two different known names; lower the thresholds or use more tokens"
        )
    children = np.flatnonzero((splitting.parents >= 0) & _known(names))
    sizes = np.bincount(splitting.parents[children], minlength=splitting.d_narrow)
    children = children[sizes[splitting.parents[children]] >= 2]
    children = children[np.argsort(splitting.parents[children], kind="stable")]
    families, starts = np.unique(splitting.parents[children], return_index=True)
    labels, places = np.unique(names[children].astype(str), return_inverse=True)
    lines = [known.line(str(label)) for label in labels]
    branches = sorted({name for line in lines for name in line[1:]})
    # [label, branch]: the label lies below the branch; the last column says that it is a label.
    below = np.array([[*(branch in line[1:] for branch in branches), True] for line in lines], dtype=np.int64)
    family = np.repeat(np.arange(len(families)), np.diff(np.append(starts, len(children))))

    def counted(order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Children below every branch, and their different names, (n_families, n_branches + 1)."""
        member = places[order]
        first = np.zeros(len(member), dtype=bool)
        first[np.unique(family * len(labels) + member, return_index=True)[1]] = True
        held = np.add.reduceat(below[member], starts, axis=0)
        return held, np.add.reduceat(below[member] * first[:, None], starts, axis=0)

    def kinds(order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which families split into different things, and which branches are their kinds."""
        held, different = counted(order)
        return different[:, -1] >= 2, (2 * held[:, :-1] > held[:, -1:]) & (different[:, :-1] >= 2)

    def score(order: np.ndarray) -> float:
        splits, of_kind = kinds(order)
        return float(of_kind.any(axis=1).sum() / max(int(splits.sum()), 1))

    splits, of_kind = kinds(np.arange(len(children)))
    depth = np.array([len(known.line(branch)) for branch in branches])
    narrowest = {
        str(f): branches[int(np.argmax(depth * row))] for f, row in zip(families, of_kind, strict=True) if row.any()
    }
    about = {"n_families": int(splits.sum()), "kinds": narrowest}
    return order_test("families_of_one_kind", score, len(children), None, n_permutations, seed, **about)


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
