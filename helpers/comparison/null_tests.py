"""The paired features of two spaces against several nulls at once, and along a list of conditions.

Three nulls ask three questions. Wrong pairings of the same features: does it matter who is whose partner? Random
features: does it matter which features were matched at all? Random features that fire as often: or only how often they
fire? A similarity is worth reporting if it survives all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from helpers.comparison.conditions import Rows
from helpers.comparison.matched_spaces import MatchedSpaces
from helpers.matching import FeaturePairs
from helpers.nulls import (
    CorrectedTest,
    EqualRows,
    PermutationResult,
    compare_at_equal_rows,
    frequency_matched_draw,
    permutation_test,
    random_draw,
    random_features_test,
)
from helpers.similarity import MEASURES

PAIRING, RANDOM_MATRICES = "wrong pairings", "random matrices"
RANDOM_FEATURES, FREQUENCY_MATCHED = "random features", "features as frequent"
#: A permuted pairing needs two pairs.
LEAST_PAIRS = 2


def score_against_nulls(
    spaces: MatchedSpaces,
    pairs: FeaturePairs,
    *,
    measures: Sequence[str],
    n_permutations: int = 1000,
    n_draws: int = 99,
    max_draw_pairs: int = 300,
    seed: int = 0,
) -> dict[tuple[str, str], PermutationResult]:
    """Every measure against every null.

    Args:
        pairs: those of `spaces` that are compared.
        measures: names in MEASURES.
        n_permutations: shuffles of the pairing.
        n_draws: draws of random features. A draw shares nothing with the last one and costs as much as a whole
            comparison, so draws are made for at most `draw_pairs(...)` of the pairs, chosen at random, and the score
            beside them is of these pairs.
        seed: of all of it.
    Returns:
        (measure, null) -> result, the nulls of one measure after each other.
    Raises:
        ValueError: fewer than two pairs, or as `permutation_test` and `random_features_test`.
    """
    if pairs.n_pairs < LEAST_PAIRS:
        raise ValueError(f"expected at least {LEAST_PAIRS} pairs to compare; got {pairs.n_pairs}; lower min_corr")
    x, y = spaces.rows(pairs)
    n_drawn = draw_pairs(spaces, pairs, max_draw_pairs=max_draw_pairs)
    chosen = np.sort(np.random.default_rng(seed).choice(pairs.n_pairs, n_drawn, replace=False))
    ids_a, ids_b = pairs.ids_a[chosen], pairs.ids_b[chosen]
    candidates_a, candidates_b = spaces.candidates
    counts_a, counts_b = spaces.store_a.feature_counts, spaces.store_b.feature_counts
    draws = {
        RANDOM_FEATURES: (random_draw(ids_a, candidates=candidates_a), random_draw(ids_b, candidates=candidates_b)),
        FREQUENCY_MATCHED: (
            frequency_matched_draw(ids_a, counts=counts_a, candidates=candidates_a),
            frequency_matched_draw(ids_b, counts=counts_b, candidates=candidates_b),
        ),
    }
    found: dict[tuple[str, str], PermutationResult] = {}
    for measure in measures:
        test = permutation_test(x, y, measure=measure, n_permutations=n_permutations, seed=seed)
        found[measure, PAIRING if test.null_kind == "pairing" else RANDOM_MATRICES] = test
        for null, (draw_a, draw_b) in draws.items():
            found[measure, null] = random_features_test(
                spaces.directions_a, spaces.directions_b, ids_a, ids_b, draw_a=draw_a, draw_b=draw_b, measure=measure,
                n_draws=n_draws, seed=seed, null_name=null,
            )  # fmt: skip
    return found


def score_at_ceiling(
    spaces: MatchedSpaces,
    pairs: FeaturePairs,
    same: MatchedSpaces,
    same_pairs: FeaturePairs,
    *,
    measures: Sequence[str],
    max_pairs: int = 300,
    n_repeats: int = 30,
    seed: int = 0,
) -> dict[str, tuple[EqualRows, EqualRows]]:
    """Two models beside one model twice, at equal numbers of pairs.

    Args:
        spaces, pairs: of the two models; same, same_pairs: of two dictionaries of one model.
        measures: names in MEASURES; those that ignore the pairing are left out, their score is no matter of pairs.
        max_pairs: pairs of a cut, at most, with the exception of `draw_pairs`.
        n_repeats: cuts of each.
    Returns:
        Measure -> (two models, one model twice).
    Raises:
        ValueError: fewer than two pairs on a side, or as `compare_at_equal_rows`.
    """
    for found in (pairs, same_pairs):
        if found.n_pairs < LEAST_PAIRS:
            raise ValueError(f"expected at least {LEAST_PAIRS} pairs to compare; got {found.n_pairs}; lower min_corr")
    n_rows = min(
        draw_pairs(spaces, pairs, max_draw_pairs=max_pairs), draw_pairs(same, same_pairs, max_draw_pairs=max_pairs)
    )
    conditions = {"models": spaces.rows(pairs), "ceiling": same.rows(same_pairs)}
    scores = {
        measure: compare_at_equal_rows(conditions, measure=measure, n_rows=n_rows, n_repeats=n_repeats, seed=seed)
        for measure in measures
        if MEASURES[measure].null == "pairing"
    }
    return {measure: (found["models"], found["ceiling"]) for measure, found in scores.items()}


def draw_pairs(spaces: MatchedSpaces, pairs: FeaturePairs, *, max_draw_pairs: int) -> int:
    """Pairs that a draw of random features replaces.

    At most `max_draw_pairs`, but not fewer than twice the dimensions of both sides together, without which the CCA
    family says nothing; and all pairs where there are no more than that.
    """
    needed = 2 * (spaces.directions_a.shape[1] + spaces.directions_b.shape[1])
    return min(pairs.n_pairs, max(max_draw_pairs, needed))


def survivors(tests: Sequence[CorrectedTest]) -> dict[str, tuple[int, int]]:
    """Measure -> (nulls that it is above after correction, nulls that it was tested against).

    Undefined tests count in neither.
    """
    counts: dict[str, tuple[int, int]] = {}
    for test in tests:
        above, tested = counts.get(test.measure, (0, 0))
        counts[test.measure] = (above + bool(test.significant), tested + (test.undefined is None))
    return counts


def score_along(
    rows: Sequence[Rows], *, measures: Sequence[str], n_permutations: int = 100, seed: int = 0
) -> dict[str, list[PermutationResult]]:
    """Every measure on each of several lists of pairs, for curves.

    Shapes:
        rows: of (x, y), (n_pairs, d_a) and (n_pairs, d_b).
    Returns:
        Measure -> one test a list; undefined where a list has fewer than two pairs.
    """
    return {
        measure: [_tested(x, y, measure=measure, n_permutations=n_permutations, seed=seed) for x, y in rows]
        for measure in measures
    }


def score_kept_variance(
    x: Any, y: Any, *, shares: Sequence[float] = (0.5, 0.8, 0.9, 0.95, 0.99), n_permutations: int = 100, seed: int = 0
) -> dict[str, PermutationResult]:
    """SVCCA by the share of variance that it keeps, and of the first component alone.

    Shapes:
        x: (n, d_x); y: (n, d_y); row i is one pair.
    Returns:
        "first component only" (the number of the published pipeline, see `helpers.similarity.svcca`), then each share.
    """
    options: dict[str, dict[str, Any]] = {"first component only": {"n_components": 1}}
    options |= {f"{share:.0%} of the variance": {"variance": share} for share in shares}
    return {
        label: permutation_test(x, y, measure="svcca", n_permutations=n_permutations, seed=seed, **option)
        for label, option in options.items()
    }


def _tested(x: np.ndarray, y: np.ndarray, *, measure: str, n_permutations: int, seed: int) -> PermutationResult:
    if len(x) >= LEAST_PAIRS:
        return permutation_test(x, y, measure=measure, n_permutations=n_permutations, seed=seed)
    entry = MEASURES[measure]
    reason = f"{measure} needs at least {LEAST_PAIRS} pairs; got {len(x)}"
    return PermutationResult.without_score(entry, null_kind=entry.null, n_rows=len(x), reason=reason, settings={})
