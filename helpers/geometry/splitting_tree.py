"""Splits over several widths: one tree, and whether the ways through it agree.

Features of all dictionaries are numbered through, the narrowest dictionary first, so that the forest of
`helpers.geometry.families`, with its pictures and tests, serves here too: a parent is one width up.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from helpers.geometry.families import NONE, FeatureForest
from helpers.geometry.family_tests import order_test
from helpers.geometry.splitting import Splitting
from helpers.nulls import PermutationResult


def splitting_forest(steps: Sequence[Splitting]) -> FeatureForest:
    """One forest of all widths.

    Args:
        steps: from the narrowest width to the next, from that to the next, and so on.
    Returns:
        A forest of all features: those of the narrowest dictionary keep their ids, those of the next follow.
    Raises:
        ValueError: no step, or steps that do not go on from the same dictionary.
    """
    if not steps:
        raise ValueError("expected one step from width to width at least; got none")
    for before, after in pairwise(steps):
        _require_chain(before, after)
    starts = first_ids(steps)
    parents = [np.full(steps[0].d_narrow, NONE)]
    for start, step in zip(starts, steps, strict=False):
        parents.append(np.where(step.parents >= 0, step.parents + start, NONE))
    nothing = np.zeros(steps[0].d_narrow)
    return FeatureForest(
        parents=np.concatenate(parents).astype(np.int64),
        cover=np.concatenate([nothing, *(step.containment for step in steps)]),
        n_candidates=np.concatenate([nothing, *(step.n_candidates for step in steps)]).astype(np.int64),
        counts=np.concatenate([steps[0].counts_narrow, *(step.counts_wide for step in steps)]),
    )


def first_ids(steps: Sequence[Splitting]) -> list[int]:
    """Number of the first feature of every dictionary in the forest of these steps."""
    widths = [steps[0].d_narrow, *(step.d_wide for step in steps)]
    return [0, *np.cumsum(widths[:-1]).tolist()]


def routes_agree(
    first: Splitting, second: Splitting, direct: Splitting, *, n_permutations: int = 1000, seed: int = 0
) -> PermutationResult:
    """Does a feature of the widest dictionary have the grandparent whose child it is when the middle width is left out?

    Args:
        first, second: from narrow to middle and from middle to wide; direct: from narrow to wide.
    Returns:
        The share, in [0, 1], of the features with a parent on both ways; the null shuffles the grandparents among them.
    Raises:
        ValueError: steps that do not go together; no feature has a parent on both ways.
    """
    _require_chain(first, second)
    if direct.d_narrow != first.d_narrow or not np.array_equal(direct.counts_wide, second.counts_wide):
        raise ValueError("direct must lead from the first step's narrow dictionary to the second step's wide one")
    through = np.where(second.parents >= 0, first.parents[np.maximum(second.parents, 0)], NONE)
    both = np.flatnonzero((through >= 0) & (direct.parents >= 0))
    if len(both) == 0:
        raise ValueError("no feature has a parent both directly and through the middle width; lower the thresholds")
    ends, grandparents = direct.parents[both], through[both]
    return order_test(
        "routes_agree", lambda order: float((grandparents[order] == ends).mean()), len(both), None, n_permutations, seed
    )


def _require_chain(before: Splitting, after: Splitting) -> None:
    if not np.array_equal(before.counts_wide, after.counts_narrow):
        raise ValueError(
            f"a step must start where the one before it ends; got dictionaries of {before.d_wide} and {after.d_narrow} "
            "features that do not fire equally often"
        )
