"""Every matching method on the same data, while one thing about the data changes: noise, tokens, dictionary size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from helpers.ground_truth.pair_scores import Truth, match_every_way, score_pairs
from helpers.ground_truth.worlds import WorldPair

Curve = tuple[list[float], list[float]]


@dataclass(frozen=True)
class MatchingCase:
    """Two sets of columns on the same tokens, and which belong together.

    Shapes:
        acts_a: (n_tokens, d_sae_a); acts_b: (n_tokens, d_sae_b); sparse or dense.
    """

    acts_a: Any
    acts_b: Any
    truth: Truth


@dataclass(frozen=True)
class SweepPoint:
    """One method at one setting; means over the cases of that setting.

    Args:
        precision, recall, f1: of the pairs with at least the association asked for; precision is None where no case
            had such a pair.
        average_precision, best_f1: of all pairs ranked by their association, whatever the threshold.
    """

    method: str
    setting: float
    precision: float | None
    recall: float
    f1: float
    average_precision: float
    best_f1: float
    n_cases: int


def sweep_matching(
    cases: Mapping[float, Sequence[MatchingCase]], *, min_corr: float, **settings: Any
) -> list[SweepPoint]:
    """Match every case by every method and score the pairs against the truth.

    Args:
        cases: setting (noise, tokens, width) -> cases that differ in seed only.
        min_corr: association that a pair must reach to count.
        settings: for `match_features`, e.g. min_firings.
    Raises:
        ValueError: a setting without a case.
    """
    points = []
    for setting, repeats in cases.items():
        if not repeats:
            raise ValueError(f"setting {setting} has no case; pass at least one for every setting")
        matched = [match_every_way(case.acts_a, case.acts_b, **settings) for case in repeats]
        for method in matched[0]:
            found = [(pairs[method], case.truth) for pairs, case in zip(matched, repeats, strict=True)]
            above = [score_pairs(pairs.above(min_corr), truth) for pairs, truth in found]
            ranked = [score_pairs(pairs, truth) for pairs, truth in found]
            precisions = [score.precision for score in above if score.precision is not None]
            points.append(
                SweepPoint(
                    method=method,
                    setting=setting,
                    precision=float(np.mean(precisions)) if precisions else None,
                    recall=float(np.mean([score.recall for score in above])),
                    f1=float(np.mean([score.f1 for score in above])),
                    average_precision=float(np.mean([score.average_precision for score in ranked])),
                    best_f1=float(np.mean([score.best_f1 for score in ranked])),
                    n_cases=len(repeats),
                )
            )
    return points


def sweep_curves(points: Sequence[SweepPoint], value: str) -> dict[str, Curve]:
    """Method -> (settings, values of the field `value`), for figures; points without a value are left out."""
    lines: dict[str, Curve] = {}
    for point in points:
        height = getattr(point, value)
        if height is not None:
            settings, heights = lines.setdefault(point.method, ([], []))
            settings.append(point.setting)
            heights.append(height)
    return lines


def mean_by_method(points: Sequence[SweepPoint], value: str) -> dict[str, float]:
    """Method -> mean of the field `value` over all its points, the best first."""
    means = {method: float(np.mean(heights)) for method, (_, heights) in sweep_curves(points, value).items()}
    return dict(sorted(means.items(), key=lambda entry: -entry[1]))


def as_good_as_best(points: Sequence[SweepPoint], value: str, *, margin: float = 0.01) -> list[str]:
    """The method with the best mean, and those that are as good for practical purposes, the best first.

    A method is left out if its mean difference to the best, point by point, exceeds both `margin` and two standard
    errors. Points of one experiment share tokens, so the standard errors are rough.

    Args:
        margin: difference that nobody would choose a method for, in the units of `value`.
    Raises:
        ValueError: methods with different numbers of points, or fewer than two each.
    """
    heights = {method: np.array(values) for method, (_, values) in sweep_curves(points, value).items()}
    if len({len(values) for values in heights.values()}) != 1 or len(next(iter(heights.values()))) < 2:
        raise ValueError(f"expected equally many points of every method, at least 2; got {len(points)} points in all")
    best, *others = mean_by_method(points, value)
    equal = [best]
    for method in others:
        difference = heights[best] - heights[method]
        if difference.mean() <= max(margin, 2 * difference.std(ddof=1) / np.sqrt(len(difference))):
            equal.append(method)
    return equal


def feature_cases(worlds: WorldPair, *, n_tokens: int, noise: float, n_repeats: int, seed: int) -> list[MatchingCase]:
    """The true features themselves as columns: what matching could reach with perfect dictionaries."""
    truth = Truth.of_features(worlds.partner)
    samples = [worlds.sample(n_tokens, seed=seed + repeat, noise=noise) for repeat in range(n_repeats)]
    return [MatchingCase(sample.feature_acts_a, sample.feature_acts_b, truth) for sample in samples]
