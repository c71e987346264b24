"""Is a test honest? How often it cries wolf where there is nothing to find, and how often it sees what is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from helpers.nulls import permutation_test

ALPHAS = (0.01, 0.05, 0.1)


@dataclass(frozen=True)
class TwoSides:
    """One draw of data to be compared: row i of x belongs to row i of y."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class RejectionRates:
    """How often a test rejected over independent draws.

    Shapes:
        p_values: (n_draws,); alphas, rates, limits: (n_alphas,).
    Args:
        rates: share of draws with p <= alpha.
        limits: alpha + 3 standard errors of a share of n_draws; a valid test under the null stays below.
    """

    measure: str
    p_values: np.ndarray
    alphas: tuple[float, ...]

    @property
    def rates(self) -> np.ndarray:
        return np.array([float((self.p_values <= alpha).mean()) for alpha in self.alphas])

    @property
    def limits(self) -> np.ndarray:
        alphas = np.array(self.alphas)
        return alphas + 3 * np.sqrt(alphas * (1 - alphas) / len(self.p_values))

    @property
    def valid(self) -> bool:
        """Whether no rate exceeds its limit."""
        return bool((self.rates <= self.limits).all())

    def rate(self, alpha: float) -> float:
        """Share of draws with p <= alpha.

        Raises:
            ValueError: this alpha was not asked for.
        """
        if alpha not in self.alphas:
            raise ValueError(f"alpha must be one of {self.alphas}; got {alpha}")
        return float(self.rates[self.alphas.index(alpha)])


def rejection_rates(
    draw: Callable[[np.random.Generator], TwoSides],
    *,
    measure: str,
    n_draws: int,
    n_permutations: int,
    seed: int,
    alphas: Sequence[float] = ALPHAS,
    **measure_options: Any,
) -> RejectionRates:
    """Test `n_draws` independent data sets.

    Args:
        draw: makes one data set; the same stream of generators for every measure, so that all see the same data.
        n_permutations: null scores a test; 1 / (1 + n_permutations) should not exceed the smallest alpha, or nothing can
            be rejected there.
    Raises:
        ValueError: no draws, or a draw for which the measure is undefined.
    """
    if n_draws < 1:
        raise ValueError(f"n_draws must be at least 1; got {n_draws}")
    p_values = np.empty(n_draws)
    for number, child in enumerate(np.random.SeedSequence(seed, spawn_key=(3,)).spawn(n_draws)):
        data_seed, test_seed = child.spawn(2)
        sides = draw(np.random.default_rng(data_seed))
        result = permutation_test(
            sides.x, sides.y, measure=measure, n_permutations=n_permutations,
            seed=int(test_seed.generate_state(1)[0]), **measure_options,
        )  # fmt: skip
        if result.p_value is None:
            raise ValueError(f"{measure} is undefined for this data: {result.undefined}")
        p_values[number] = result.p_value
    return RejectionRates(measure, p_values, tuple(alphas))
