"""Every measure on pairs of known relation: what does it say about features that are the same, and about others?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from helpers.ground_truth.validity import DOUBT, RejectionRates, TwoSides, rejection_rates
from helpers.nulls import CorrectedTest, PermutationResult, correct_tests, permutation_test
from helpers.similarity import MEASURES

#: Measures that compare paired rows and forgive a rotation: the ones that can see shared features of two models.
PAIRED_MEASURES = tuple(n for n, m in MEASURES.items() if m.null == "pairing" and "orthogonal" in m.invariances)


@dataclass(frozen=True)
class Readings:
    """Tests of all measures on lists of pairs.

    Args:
        kinds: names of the lists; results, verdicts: (measure, kind) -> test, and its row in the corrected table.
    """

    kinds: tuple[str, ...]
    results: dict[tuple[str, str], PermutationResult]
    verdicts: dict[tuple[str, str], CorrectedTest]

    @property
    def calibrated(self) -> np.ndarray:
        """(n_measures, n_kinds) calibrated scores, NaN where there is none."""
        rows = [[self.results[name, kind].calibrated for kind in self.kinds] for name in MEASURES]
        return np.array([[np.nan if value is None else value for value in row] for row in rows])

    def seeing(self, kind: str) -> list[str]:
        """Measures that call the pairs of this list more alike than chance, after correction."""
        return [name for name in MEASURES if self.verdicts[name, kind].significant]

    def undefined(self, kind: str) -> list[str]:
        """Measures without a value for this list."""
        return [name for name in MEASURES if self.results[name, kind].undefined]

    def as_text(self) -> dict[str, dict[str, str]]:
        """Measure -> list -> verdict, for a table."""
        return {
            name: {kind: self.verdicts[name, kind].as_text()["verdict"].partition(":")[0] for kind in self.kinds}
            for name in MEASURES
        }


def read_measures(sides: Mapping[str, TwoSides], *, n_permutations: int, seed: int) -> Readings:
    """Test every measure on every list of pairs, and correct for the number of tests."""
    results = {
        (name, kind): permutation_test(side.x, side.y, measure=name, n_permutations=n_permutations, seed=seed)
        for name in MEASURES
        for kind, side in sides.items()
    }
    return Readings(tuple(sides), results, dict(zip(results, correct_tests(_named(results)), strict=True)))


@dataclass(frozen=True)
class FalseAlarms:
    """Rejections where nothing is shared, (measure, kind of data) -> rates."""

    kinds: tuple[str, ...]
    rates: dict[tuple[str, str], RejectionRates]

    def table(self, alpha: float) -> np.ndarray:
        """(n_measures, n_kinds) shares of tests with p <= alpha."""
        return np.array([[self.rates[name, kind].rate(alpha) for kind in self.kinds] for name in MEASURES])

    def invalid(self, kind: str, *, alpha: float, doubt: float = DOUBT) -> list[str]:
        """Measures whose test rejects more often than an honest one would."""
        return [n for n in MEASURES if not self.rates[n, kind].is_valid(alphas=(alpha,), doubt=doubt)]


def false_alarms(
    draws: Mapping[str, Callable[[np.random.Generator], TwoSides]], *, n_draws: int, n_permutations: int, seed: int
) -> FalseAlarms:
    """Run every measure's test on data without anything to find; all measures see the same data."""
    rates = {
        (name, kind): rejection_rates(draw, measure=name, n_draws=n_draws, n_permutations=n_permutations, seed=seed)
        for name in MEASURES
        for kind, draw in draws.items()
    }
    return FalseAlarms(tuple(draws), rates)


def _named(results: Mapping[tuple[str, str], PermutationResult]) -> dict[str, PermutationResult]:
    return {" on ".join(key): result for key, result in results.items()}
