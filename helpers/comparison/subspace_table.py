"""All tests of semantic subspaces in one table: groups by layer pairs by measures, corrected together, with the reasons.

A layer pair is two dictionaries (two layers' features, their neurons, or the words themselves). A group that is not
found is said to be missing for a reason that the numbers show: too few features, too few pairs, or which null reaches
its score and what score it would have needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from helpers.comparison.subspace_scores import SubspaceScore
from helpers.nulls import PermutationResult, benjamini_hochberg
from helpers.nulls.many_tests import ALPHA
from helpers.similarity import MEASURES
from helpers.storage import write_json

QUANTITIES = ("score", "calibrated", "p_value", "p_corrected", "n_pairs")


@dataclass(frozen=True)
class SubspaceRow:
    """One test of the table.

    Args:
        pair: name of the layer pair.
        p_corrected: by Benjamini and Hochberg over the whole table; None if undefined.
        significant: p_corrected <= alpha.
    """

    pair: str
    score: SubspaceScore
    p_corrected: float | None
    significant: bool


@dataclass(frozen=True)
class SubspaceTable:
    """Every group, layer pair and measure.

    Args:
        rows: one entry a test; undefined ones stay and do not count as tests.
        groups, pairs, measures: in the order in which they came.
    """

    rows: tuple[SubspaceRow, ...]
    groups: tuple[str, ...]
    pairs: tuple[str, ...]
    measures: tuple[str, ...]
    alpha: float

    @classmethod
    def collect(cls, scores: Mapping[str, Sequence[SubspaceScore]], *, alpha: float = ALPHA) -> SubspaceTable:
        """Correct all tests together.

        Args:
            scores: layer pair -> what `score_groups` and `score_words` gave.
            alpha: false discovery rate that is accepted over the whole table.
        Raises:
            ValueError: nothing to collect, a test that is there twice, or alpha outside (0, 1).
        """
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must be between 0 and 1; got {alpha}")
        named = [(pair, score) for pair, found in scores.items() for score in found]
        keys = [(pair, score.group, score.measure) for pair, score in named]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if not named or twice:
            raise ValueError(f"expected every test once; {f'{twice} is there twice' if twice else 'there is none'}")
        corrected = benjamini_hochberg([score.p_value for _, score in named])
        rows = [
            SubspaceRow(pair, score, p, p is not None and p <= alpha)
            for (pair, score), p in zip(named, corrected, strict=True)
        ]
        return cls(
            rows=tuple(rows),
            groups=tuple(dict.fromkeys(score.group for _, score in named)),
            pairs=tuple(scores),
            measures=tuple(dict.fromkeys(score.measure for _, score in named)),
            alpha=alpha,
        )

    def of(self, group: str, pair: str) -> list[SubspaceRow]:
        """The rows of one group and layer pair, a measure each; empty if it was not tested."""
        return [row for row in self.rows if row.score.group == group and row.pair == pair]

    def matrix(self, measure: str, quantity: str) -> Float[np.ndarray, "n_groups n_pairs"]:
        """A quantity of every group (rows) and layer pair (columns) under one measure; NaN where there is none.

        Args:
            quantity: score, calibrated, p_value, p_corrected or n_pairs.
        Raises:
            ValueError: another quantity, or a measure that is not in the table.
        """
        if quantity not in QUANTITIES:
            raise ValueError(f"quantity must be one of {', '.join(QUANTITIES)}; got {quantity!r}")
        return self._fill(measure, lambda row: _quantity(row, quantity))

    def significant(self, measure: str) -> Bool[np.ndarray, "n_groups n_pairs"]:
        """Which groups and layer pairs are above every null after the correction; False where there is no test."""
        return self._fill(measure, lambda row: float(row.significant)) == 1.0

    def found_by(self, group: str, pair: str) -> tuple[str, ...]:
        """The measures under which the group is above chance."""
        return tuple(row.score.measure for row in self.of(group, pair) if row.significant)

    def found(self, pair: str) -> tuple[str, ...]:
        """The groups that are above chance under at least one measure."""
        return tuple(group for group in self.groups if self.found_by(group, pair))

    def scored(self, pair: str) -> tuple[str, ...]:
        """The groups that have enough pairs for at least one measure."""
        return tuple(
            group for group in self.groups if any(row.score.p_value is not None for row in self.of(group, pair))
        )

    def strongest(self, pair: str, measure: str) -> str:
        """The group whose score lies the most standard deviations above its shuffles.

        Raises:
            ValueError: no group of the layer pair has a score under the measure.
        """
        rows = [
            row
            for row in self.rows
            if row.pair == pair and row.score.measure == measure and row.score.shuffled.z is not None
        ]
        if not rows:
            raise ValueError(f"no group of '{pair}' has a score by {measure}; take larger groups or another measure")
        return max(rows, key=lambda row: row.score.shuffled.z or 0.0).score.group

    def reason(self, group: str, pair: str) -> str:
        """Why a group is not found in a layer pair, from its best test; "" if it is found.

        Raises:
            ValueError: the group was not tested in this layer pair.
        """
        rows = self.of(group, pair)
        if not rows:
            raise ValueError(f"group '{group}' was not tested in '{pair}'; there are {', '.join(self.groups)}")
        if self.found_by(group, pair):
            return ""
        score = rows[0].score
        defined = [row for row in rows if row.score.p_value is not None]
        counts = f"{score.n_features_a} and {score.n_features_b} features, {score.n_pairs} pairs"
        if not defined:
            return f"too few: {counts}; {score.undefined}"
        best = min(defined, key=lambda row: row.score.p_value or 1.0)
        return f"{counts}; {_why_not(best, alpha=self.alpha)}"

    def explain(self, group: str, pair: str, *, reference: str) -> str:
        """`reason`, and whether there is anything to be found: the same group in a reference, such as its words.

        Args:
            reference: the layer pair whose rows are the words themselves.
        """
        reason = self.reason(group, pair)
        if not reason or not self.of(group, reference):
            return reason
        best = max(self.of(group, reference), key=lambda row: row.score.shuffled.calibrated or -1.0)
        shown = f"{best.score.measure} {_number(best.score.shuffled.score)} over {best.score.n_pairs} {reference}"
        if self.found_by(group, reference):
            return f"{reason}. The {reference} are arranged alike ({shown}): these pairs miss it"
        return f"{reason}. The {reference} are not arranged alike either ({shown}): there is little to be found"

    def metrics(self) -> dict[str, float | int | list[str]]:
        """What was found, and every calibrated score, under names of their own."""
        found: dict[str, float | int | list[str]] = {"n_groups": len(self.groups), "n_tests": len(self.rows)}
        for pair in self.pairs:
            found |= {f"found_{pair}": list(self.found(pair)), f"n_found_{pair}": len(self.found(pair))}
            found[f"n_scored_{pair}"] = len(self.scored(pair))
        for row in self.rows:
            if row.score.shuffled.calibrated is not None:
                found[f"{row.score.measure}_{row.pair}_{row.score.group}"] = row.score.shuffled.calibrated
        return found

    def save(self, path: str | Path) -> None:
        """Write as JSON, without the single null scores."""
        write_json(path, {"alpha": self.alpha, "rows": [_to_dict(row) for row in self.rows]})

    def _fill(self, measure: str, read: Callable[[SubspaceRow], float | None]) -> Float[np.ndarray, "n_groups n_pairs"]:
        if measure not in self.measures:
            raise ValueError(f"the table has no measure '{measure}'; it has {', '.join(self.measures)}")
        matrix = np.full((len(self.groups), len(self.pairs)), np.nan)
        for row in self.rows:
            value = read(row) if row.score.measure == measure else None
            if value is not None:
                matrix[self.groups.index(row.score.group), self.pairs.index(row.pair)] = value
        return matrix


def _quantity(row: SubspaceRow, quantity: str) -> float | None:
    score = row.score
    values = {
        "score": score.shuffled.score,
        "calibrated": score.shuffled.calibrated,
        "p_value": score.p_value,
        "p_corrected": row.p_corrected,
        "n_pairs": float(score.n_pairs),
    }
    return values[quantity]


def _why_not(row: SubspaceRow, *, alpha: float) -> str:
    """The null that comes closest to the score, and what the score would have needed."""
    score = row.score
    name, null = max(score.nulls.items(), key=lambda item: item[1].p_value or 0.0)
    assert null.p_value is not None and row.p_corrected is not None
    shown = f"{score.measure} {_number(null.score)}"
    fewest = 1 / math.factorial(score.n_pairs)
    if fewest > alpha / 2:
        return f"{shown}, but {score.n_pairs} pairs have too few pairings for any p below {fewest:.2g}"
    if null.p_value <= alpha:
        return f"{shown}: p = {null.p_value:.2g} against {name} does not survive the correction ({row.p_corrected:.2g})"
    similar = MEASURES[score.measure].direction == "similarity"
    needed = float(np.quantile(null.null, 1 - alpha if similar else alpha))
    return f"{shown} where {name} reach {needed:.2f} in one of {round(1 / alpha)} (p = {null.p_value:.2g})"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _to_dict(row: SubspaceRow) -> dict[str, Any]:
    score = row.score
    named = {**score.nulls, "one pair a word": score.one_a_word, "other matched pairs": score.specificity}
    drop = score.largest_drop
    return {
        "pair": row.pair,
        "group": score.group,
        "measure": score.measure,
        "n_features_a": score.n_features_a,
        "n_features_b": score.n_features_b,
        "n_pairs": score.n_pairs,
        "words": list(score.words),
        "same_word_share": score.same_word_share,
        "undefined": score.undefined,
        "p_value": score.p_value,
        "p_corrected": row.p_corrected,
        "significant": row.significant,
        "nulls": {name: _result_to_dict(result) for name, result in named.items() if result is not None},
        "without_word": {word: result.calibrated for word, result in score.without_word.items()},
        "largest_drop": None if drop is None else drop[0],
    }


def _result_to_dict(result: PermutationResult) -> dict[str, Any]:
    return {key: value for key, value in result.to_dict().items() if key != "null"}
