"""The same comparison under several conditions: SAE features, neurons, untrained models, the same model twice.

Each condition is a list of matched pairs, one direction a side. Two numbers are kept of each: every measure on *all* of
its pairs, with a permutation test, and every measure at the *same number* of pairs in all conditions, because most
measures depend on that number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from helpers.matching import FeaturePairs
from helpers.nulls import EqualRows, PermutationResult, compare_at_equal_rows, permutation_test
from helpers.similarity import MEASURES

Rows = tuple[Float[np.ndarray, "n_pairs d_a"], Float[np.ndarray, "n_pairs d_b"]]


@dataclass(frozen=True)
class ConditionScores:
    """One condition.

    Args:
        n_pairs: matched pairs it has.
        tests: measure -> test on all pairs; empty if the pairs are too few to be scored.
        equal: measure -> scores at the number of pairs that all scored conditions have; empty likewise, and without the
            measures that ignore the pairing, whose score is no matter of pairs.
    """

    name: str
    n_pairs: int
    tests: Mapping[str, PermutationResult] = field(default_factory=dict)
    equal: Mapping[str, EqualRows] = field(default_factory=dict)

    @property
    def is_scored(self) -> bool:
        """Whether it had enough pairs."""
        return bool(self.tests)


def matched_rows(
    pairs: FeaturePairs,
    directions_a: Float[np.ndarray, "d_sae_a d_a"],
    directions_b: Float[np.ndarray, "d_sae_b d_b"],
    *,
    min_corr: float,
) -> Rows:
    """The directions of the pairs above a correlation, row by row.

    Shapes:
        directions_a: (d_sae_a, d_a); directions_b: (d_sae_b, d_b), one row a feature.
    Raises:
        ValueError: a pair names a feature that has no direction.
    """
    kept = pairs.above(min_corr)
    for name, ids, directions in (("a", kept.ids_a, directions_a), ("b", kept.ids_b, directions_b)):
        if len(ids) and ids.max() >= len(directions):
            raise ValueError(
                f"the pairs name feature {ids.max()} of {name}, which has {len(directions)} directions; "
                "pass the directions of the dictionaries that were matched"
            )
    return directions_a[kept.ids_a], directions_b[kept.ids_b]


def score_conditions(
    rows: Mapping[str, Rows],
    *,
    measures: Sequence[str],
    n_permutations: int = 999,
    n_repeats: int = 100,
    min_pairs: int = 20,
    seed: int = 0,
) -> dict[str, ConditionScores]:
    """Score every condition on all of its pairs, and all conditions at equal numbers of pairs.

    Args:
        rows: condition -> (x, y), (n_pairs, d_a) and (n_pairs, d_b); row i is one pair.
        measures: names in MEASURES.
        n_permutations: shuffles of the pairing, a measure and condition.
        n_repeats: random cuts of each condition to the number of pairs of the smallest one that is scored.
        min_pairs: a condition with fewer is not scored, and does not set the number for the others.
        seed: of shuffles and cuts.
    Returns:
        The conditions in their order.
    Raises:
        ValueError: no conditions or measures, an unknown measure, min_pairs below 2, sides that do not pair up, or what
            the measures refuse.
    """
    if not rows or not measures or min_pairs < 2:
        raise ValueError(
            f"expected conditions, measures and min_pairs >= 2; got {len(rows)}, {len(measures)} and {min_pairs}"
        )
    unknown = [measure for measure in measures if measure not in MEASURES]
    if unknown:
        raise ValueError(f"unknown measure '{unknown[0]}'; choose among {', '.join(MEASURES)}")
    for name, (x, y) in rows.items():
        if len(x) != len(y):
            raise ValueError(f"condition '{name}': row i of both sides is one pair; got {len(x)} and {len(y)} rows")
    scored = {name: pair for name, pair in rows.items() if len(pair[0]) >= min_pairs}
    equal = {
        measure: compare_at_equal_rows(scored, measure=measure, n_repeats=n_repeats, seed=seed)
        for measure in measures
        if scored and MEASURES[measure].null == "pairing"
    }
    return {
        name: ConditionScores(
            name=name,
            n_pairs=len(x),
            tests={m: permutation_test(x, y, measure=m, n_permutations=n_permutations, seed=seed) for m in measures},
            equal={m: results[name] for m, results in equal.items()},
        )
        if name in scored
        else ConditionScores(name=name, n_pairs=len(x))
        for name, (x, y) in rows.items()
    }
