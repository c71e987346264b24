"""How often a test says "above chance", beside the most that a valid test may say where nothing is there.

A valid test is above its bound once in 740 draws, and a study asks hundreds of draws. So one draw decides nothing: a
control that is above its bound is drawn again, independently and larger, and only a test that is above it twice is called
broken. A valid one comes to that once in half a million times; for a broken one the larger draw is the harder one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scipy.stats import binom, norm

from helpers.nulls.permutation import PermutationResult

#: A second draw has so many times the tests of the first.
SECOND_DRAW = 5


@dataclass(frozen=True)
class RejectionRate:
    """How often a test says "above chance", where that is a false alarm, or where it is right.

    Args:
        n_tests: tests that could be made; n_rejected: of them with p <= alpha.
    """

    n_tests: int
    n_rejected: int
    alpha: float

    @property
    def rate(self) -> float | None:
        """Share of the tests; None without a test."""
        return self.n_rejected / self.n_tests if self.n_tests else None

    @property
    def bound(self) -> float | None:
        """The highest rate that a valid test may have: more false alarms have a probability below that of three
        standard errors (0.135 %), counted exactly (binomial), so that few tests are judged rightly. None without a test."""
        if not self.n_tests:
            return None
        return float(binom.isf(norm.sf(3), self.n_tests, self.alpha)) / self.n_tests

    @property
    def within_bound(self) -> bool:
        """Whether the rate is one that a valid test may have; true without a test."""
        return self.rate is None or self.bound is None or self.rate <= self.bound

    def as_text(self) -> str:
        """For tables: rejected of all, and the share."""
        return "no test" if self.rate is None else f"{self.n_rejected} of {self.n_tests} ({self.rate:.1%})"


def is_broken(first: RejectionRate, second: RejectionRate | None) -> bool:
    """Whether a test raises more false alarms than a valid one, twice.

    Args:
        second: an independent draw; it must be there if the first is above its bound.
    Raises:
        ValueError: the first is above its bound and was not drawn again.
    """
    if first.within_bound:
        return False
    if second is None:
        raise ValueError(f"{first.as_text()} is above the bound of a valid test; expected a second, independent draw")
    return not second.within_bound


def rejection_rate(
    results: Iterable[PermutationResult], *, alpha: float = 0.05, measure: str | None = None
) -> RejectionRate:
    """How often p <= alpha among the defined tests (of one measure).

    Raises:
        ValueError: alpha outside (0, 1).
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1; got {alpha}")
    values = [r.p_value for r in results if r.p_value is not None and measure in (None, r.measure)]
    return RejectionRate(len(values), sum(value <= alpha for value in values), alpha)


def rejection_rates(results: Iterable[PermutationResult], *, alpha: float = 0.05) -> dict[str, RejectionRate]:
    """`rejection_rate` of every measure among the results, in the order in which they come."""
    results = list(results)
    measures = dict.fromkeys(result.measure for result in results)
    return {measure: rejection_rate(results, alpha=alpha, measure=measure) for measure in measures}
