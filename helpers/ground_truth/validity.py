"""Is a test honest? How often it cries wolf where there is nothing to find, and how often it sees what is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binom

from helpers.nulls import permutation_test

ALPHAS = (0.01, 0.05, 0.1)
#: Many tests are looked at together, and a false doubt stops a notebook.
DOUBT = 1e-4


@dataclass(frozen=True)
class TwoSides:
    """One draw of data to be compared: row i of x belongs to row i of y."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class RejectionRates:
    """How often a test rejected over independent draws.

    Shapes:
        p_values: (n_draws,).
    """

    measure: str
    p_values: np.ndarray

    def rate(self, alpha: float) -> float:
        """Share of draws with p <= alpha."""
        return float((self.p_values <= alpha).mean())

    def excess_p(self, alpha: float) -> float:
        """Probability that a test whose error rate is alpha rejects at least as often as this one did."""
        return float(binom.sf((self.p_values <= alpha).sum() - 1, len(self.p_values), alpha))

    def is_valid(self, *, alphas: Sequence[float] = ALPHAS, doubt: float = DOUBT) -> bool:
        """Whether the rejections can be those of a test that keeps its error rate.

        Args:
            doubt: called invalid only if an honest test would reject so often with a smaller probability than this.
        """
        return all(self.excess_p(alpha) >= doubt for alpha in alphas)


def rejection_rates(
    draw: Callable[[np.random.Generator], TwoSides],
    *,
    measure: str,
    n_draws: int,
    n_permutations: int,
    seed: int,
    **measure_options: Any,
) -> RejectionRates:
    """Test `n_draws` independent data sets.

    Args:
        draw: makes one data set; the same stream of generators for every measure, so that all see the same data.
        n_permutations: null scores a test; nothing can be rejected at an alpha below 1 / (1 + n_permutations).
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
    return RejectionRates(measure, p_values)
