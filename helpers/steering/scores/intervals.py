"""How sure a share of prompts is: bootstrap intervals, over prompts and over random directions alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool


@dataclass(frozen=True)
class Interval:
    """A share with the bounds between which it would lie on other prompts of the same kind; all in [0, 1]."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.0%} ({self.low:.0%} to {self.high:.0%})"


def share_interval(
    hits: Bool[np.ndarray, "*n_draws n_prompts"], *, level: float = 0.95, n_resamples: int = 2000, seed: int = 0
) -> Interval:
    """Share of hits with a percentile bootstrap interval.

    Shapes:
        hits: (n_prompts,), or (n_draws, n_prompts) for several random directions on the same prompts; both are then drawn again.
    Args:
        level: of the interval, in (0, 1).
    Raises:
        ValueError: no prompt, or a level outside (0, 1).
    Notes:
        Where all prompts agree there is nothing to resample and the bootstrap would be sure of what it cannot know; the exact
        binomial bounds of Clopper and Pearson for the number of prompts stand there instead. Prompts that differ in a name
        only are near copies: the interval tells of other words in the same sentence forms, not of other forms.
    Source:
        Efron and Tibshirani 1993, chapter 13; Clopper and Pearson 1934.
    """
    table = np.atleast_2d(np.asarray(hits, dtype=bool))
    n_draws, n_prompts = table.shape
    if not table.size or not 0 < level < 1:
        raise ValueError(f"expected prompts and a level in (0, 1); got shape {table.shape} and level {level}")
    value, tail = float(table.mean()), (1 - level) / 2
    if value in (0.0, 1.0):
        reach = tail ** (1 / n_prompts)  # the share at which n_prompts hits in a row have this probability
        return Interval(value, reach, 1.0) if value == 1.0 else Interval(value, 0.0, 1 - reach)
    rng = np.random.default_rng(seed)
    prompts = rng.multinomial(n_prompts, np.full(n_prompts, 1 / n_prompts), size=n_resamples) / n_prompts
    draws = rng.multinomial(n_draws, np.full(n_draws, 1 / n_draws), size=n_resamples) / n_draws
    means = np.einsum("rd,dp,rp->r", draws, table.astype(np.float64), prompts, optimize=True)
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(value, float(low), float(high))
