"""A table of tests: p-values, their uncertainty, and what survives the correction for their number.

A p-value from finitely many shuffles is itself an estimate. Where its confidence interval leaves the verdict open, the
table says so instead of choosing: run more shuffles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from helpers.nulls.correction import benjamini_hochberg
from helpers.nulls.permutation import PermutationResult

ALPHA = 0.05


@dataclass(frozen=True)
class CorrectedTest:
    """One row of the table.

    Args:
        p_corrected: by Benjamini and Hochberg over the whole table.
        significant: p_corrected <= alpha; None if undefined.
        settled: whether the verdict is the same at both ends of the p-value's confidence interval, the other tests
            as they are; None if undefined.
        undefined: why there is no test, or None.
    """

    name: str
    measure: str
    score: float | None
    null_mean: float | None
    calibrated: float | None
    p_value: float | None
    p_low: float | None
    p_high: float | None
    p_corrected: float | None
    significant: bool | None
    settled: bool | None
    n_rows: int
    undefined: str | None

    def as_text(self) -> dict[str, str]:
        """Column -> text, for a table of a report."""
        if self.score is None or self.p_value is None:
            return dict.fromkeys(COLUMNS, "") | {"measure": self.measure, "verdict": f"undefined: {self.undefined}"}
        verdict = "above chance" if self.significant else "not above chance"
        return {
            "measure": self.measure,
            "pairs": f"{self.n_rows:,}",
            "score": f"{self.score:z.3f}",
            "chance": f"{self.null_mean:z.3f}",
            "calibrated": "" if self.calibrated is None else f"{self.calibrated:z.3f}",
            "p": f"{self.p_value:.2g}",
            "p, 95 % interval": f"{self.p_low:.2g} to {self.p_high:.2g}",
            "p, corrected": f"{self.p_corrected:.2g}",
            "verdict": verdict if self.settled else f"{verdict}, unsettled: run more shuffles",
        }


COLUMNS = ("measure", "pairs", "score", "chance", "calibrated", "p", "p, 95 % interval", "p, corrected", "verdict")


def correct_tests(results: Mapping[str, PermutationResult], *, alpha: float = ALPHA) -> list[CorrectedTest]:
    """Correct a family of tests for their number. Undefined ones stay in the table and do not count.

    Args:
        results: name -> result; all tests that were looked at, not only the pleasant ones.
        alpha: the false discovery rate that is accepted, in (0, 1).
    Raises:
        ValueError: alpha out of range.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1; got {alpha}")
    p_values = [result.p_value for result in results.values()]
    corrected = benjamini_hochberg(p_values)
    table = []
    for place, (name, result) in enumerate(results.items()):
        p = corrected[place]
        table.append(
            CorrectedTest(
                name=name,
                measure=result.measure,
                score=result.score,
                null_mean=result.null_mean,
                calibrated=result.calibrated,
                p_value=result.p_value,
                p_low=result.p_low,
                p_high=result.p_high,
                p_corrected=p,
                significant=None if p is None else p <= alpha,
                settled=None if p is None else _settled(p_values, place, result, alpha),
                n_rows=result.n_rows,
                undefined=result.undefined,
            )
        )
    return table


def permutations_needed(n_tests: int, *, alpha: float = ALPHA) -> int:
    """Fewest shuffles with which a single true effect among `n_tests` can survive the correction.

    Its p-value must reach alpha / n_tests, and cannot fall below 1 / (1 + shuffles): 500 tests at 5 % need 9,999.

    Raises:
        ValueError: n_tests below 1, or alpha outside (0, 1).
    """
    if n_tests < 1 or not 0 < alpha < 1:
        raise ValueError(f"expected n_tests >= 1 and alpha between 0 and 1; got {n_tests} and {alpha}")
    return math.ceil(n_tests / alpha * (1 - 1e-12)) - 1


def _settled(p_values: list[float | None], place: int, result: PermutationResult, alpha: float) -> bool:
    assert result.p_low is not None and result.p_high is not None
    smallest = 1 / (1 + len(result.null))
    verdicts = set()
    for bound in (max(result.p_low, smallest), result.p_high):
        varied = [*p_values[:place], bound, *p_values[place + 1 :]]
        corrected = benjamini_hochberg(varied)[place]
        assert corrected is not None
        verdicts.add(corrected <= alpha)
    return len(verdicts) == 1
