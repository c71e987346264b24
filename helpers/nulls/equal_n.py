"""Conditions with different numbers of pairs, compared at equal numbers.

Most measures depend on the number of rows, so 1,024 pairs of neurons against 16,384 pairs of features is no comparison.
Here every condition is cut to the same number of rows at random, many times, and each cut is scored beside a shuffle of
its own pairing. And a similarity between models reads best as a place between chance and the ceiling, two dictionaries of
one model that differ in seed only.

The spread over cuts says how much the choice of rows matters. It is no standard error: cuts overlap, and a condition
that has just n rows has no spread at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from helpers.nulls.permutation import null_rng
from helpers.similarity import MEASURES, UndefinedMeasure
from helpers.similarity.inputs import paired_rows

LOW, HIGH = 0.025, 0.975  # quantiles over the cuts


@dataclass(frozen=True)
class EqualRows:
    """One condition's scores at a common number of rows.

    Shapes:
        scores, null_scores: (n_repeats,); empty if undefined.
    Args:
        n_available: rows the condition has; n_rows: rows of every cut.
        mean, null_mean: over the cuts; low, high: their 2.5 % and 97.5 % quantiles over the cuts.
        calibrated: (mean - null_mean) / (ideal - null_mean): 0 = chance, 1 = identical; None where chance is ideal.
        undefined: why there is no score, or None.
    """

    measure: str
    n_available: int
    n_rows: int
    scores: np.ndarray
    null_scores: np.ndarray
    mean: float | None
    low: float | None
    high: float | None
    null_mean: float | None
    calibrated: float | None
    undefined: str | None


def compare_at_equal_rows(
    conditions: Mapping[str, Any],
    *,
    measure: str,
    n_rows: int | None = None,
    n_repeats: int = 100,
    seed: int = 0,
    **measure_options: Any,
) -> dict[str, EqualRows]:
    """Score every condition on random cuts of the same number of pairs.

    Args:
        conditions: name -> (x, y), (n, d_x) and (n, d_y), row i is one pair.
        n_rows: pairs of a cut; by default those of the smallest condition.
        n_repeats: cuts of each condition.
        seed: of cuts and shuffles; every condition has its own stream.
    Returns:
        The conditions in their order.
    Raises:
        ValueError: unknown measure; one whose null is not a pairing (its score is no matter of pairs); no condition;
            sides that do not pair up; n_rows above a condition's rows or below 1; n_repeats below 1.
    """
    if measure not in MEASURES:
        raise ValueError(f"unknown measure {measure!r}; choose one of {', '.join(MEASURES)}")
    if MEASURES[measure].null != "pairing":
        raise ValueError(f"{measure} ignores the pairing; compare conditions with a measure of paired rows")
    if not conditions or n_repeats < 1:
        raise ValueError(f"expected conditions and n_repeats >= 1; got {len(conditions)} and {n_repeats}")
    pairs = {name: paired_rows(x, y) for name, (x, y) in conditions.items()}
    smallest = min(pairs, key=lambda name: pairs[name].n_rows)
    n_rows = pairs[smallest].n_rows if n_rows is None else n_rows
    if not 1 <= n_rows <= pairs[smallest].n_rows:
        raise ValueError(
            f"n_rows must be in 1..{pairs[smallest].n_rows}, the pairs of the smallest condition ({smallest}); got {n_rows}"
        )
    results = {}
    for number, (name, pair) in enumerate(pairs.items()):
        rng = null_rng(seed).spawn(len(pairs))[number]
        results[name] = _score_cuts(pair.x, pair.y, measure, n_rows, n_repeats, rng, measure_options)
    return results


def place_between(score: float, *, chance: float, ceiling: float) -> float:
    """Where a score lies between chance (0) and the ceiling (1); it may lie outside.

    Raises:
        ValueError: chance and ceiling are equal, or a value is not finite.
    """
    if not np.isfinite([score, chance, ceiling]).all() or chance == ceiling:
        raise ValueError(f"expected finite values with chance and ceiling apart; got {score}, {chance} and {ceiling}")
    return (score - chance) / (ceiling - chance)


def _score_cuts(
    x: np.ndarray, y: np.ndarray, measure: str, n_rows: int, n_repeats: int, rng: np.random.Generator, options: Any
) -> EqualRows:
    entry = MEASURES[measure]
    scores, null_scores = np.empty(n_repeats), np.empty(n_repeats)
    try:
        for repeat in range(n_repeats):
            # Sorted, so that a cut of all rows is the condition itself to the last digit.
            chosen = np.sort(rng.choice(len(x), n_rows, replace=False))
            comparison = entry.compare(x[chosen], y[chosen], **options)
            scores[repeat] = comparison.score()
            null_scores[repeat] = comparison.score(rng.permutation(n_rows))
    except UndefinedMeasure as reason:
        empty = np.empty(0)
        return EqualRows(measure, len(x), n_rows, empty, empty, None, None, None, None, None, str(reason))
    mean, null_mean = float(scores.mean()), float(null_scores.mean())
    room = entry.ideal - null_mean
    return EqualRows(
        measure,
        len(x),
        n_rows,
        scores,
        null_scores,
        mean,
        float(np.quantile(scores, LOW)),
        float(np.quantile(scores, HIGH)),
        null_mean,
        (mean - null_mean) / room if abs(room) > 0 else None,
        None,
    )
