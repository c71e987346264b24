"""Which bars are shape and which are chance: every bar beside the longest bars of random clouds.

Any cloud has bars, noise as well. The null is a Gaussian cloud with the mean and covariance of the rows (of the same
lengths too, where only directions count), on which landmarks are chosen anew and bars computed in the same way. Each
copy gives its *longest* bar of every dimension. A bar's p-value counts the copies whose longest is as long, so that the
chance that noise has any bar below alpha is at most alpha, however many bars it has: no further correction is needed
within a dimension.

A small p says that no single Gaussian blob looks like this. It does not say that the rows lie on a circle: clusters,
of which a Gaussian has none, can stand in a ring by chance. Which points the loop runs through has to be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from helpers.geometry.family_tests import Scale
from helpers.geometry.homology.persistence import Persistence, persistence
from helpers.nulls import gaussian_rows
from helpers.nulls.permutation import PermutationResult, shown_when_long, summarise


@dataclass(frozen=True)
class BarTest:
    """Bars beside those of random clouds.

    Shapes:
        null: one (n_runs,) float64 a dimension: the longest bar of every copy, in the metric's unit.
    Args:
        found: the bars.
        copies: those of the first random copies, for pictures.
    """

    found: Persistence
    null: tuple[Float[np.ndarray, " n_runs"], ...]
    copies: tuple[Persistence, ...]

    @property
    def n_runs(self) -> int:
        return len(self.null[0])

    def p_values(self, dim: int) -> Float[np.ndarray, " n_bars"]:
        """p of every bar of a dimension that ends, the longest first: (1 + copies with one as long) / (1 + copies)."""
        lengths = self.found.lengths(dim)
        # Lengths of voids are differences of float32 numbers.
        least = lengths * (1 - 1e-6)
        return (1 + (self.null[dim][:, None] >= least).sum(axis=0)) / (1 + self.n_runs)

    def p_longest(self, dim: int) -> float:
        """p of the longest bar of a dimension; 1 if there is no bar."""
        return float(self.p_values(dim).min(initial=1.0))

    def n_significant(self, dim: int, *, alpha: float = 0.05) -> int:
        """Bars of a dimension that chance does not reach, without the component that never ends."""
        return int((self.p_values(dim) <= alpha).sum())

    def betti(self, *, alpha: float = 0.05) -> tuple[int, ...]:
        """Components, loops (and voids) that are there beyond chance; one component always is."""
        return tuple(self.n_significant(dim, alpha=alpha) + (dim == 0) for dim in range(self.found.max_dim + 1))

    def result(self, dim: int) -> PermutationResult:
        """The longest bar of a dimension as a test, in the metric's unit."""
        about = {"dim": dim, "n_runs": self.n_runs, "n_landmarks": self.found.landmarks.n}
        n_rows = self.found.landmarks.n_rows
        scale = Scale(f"longest_bar_h{dim}")
        return summarise(scale, self.found.longest(dim), self.null[dim], n_rows, about, null_kind="random_matrix")

    def threshold(self, dim: int, *, alpha: float = 0.05) -> float:
        """Length that a bar has to exceed to be significant; infinity if there are too few copies for `alpha`."""
        allowed = int(np.floor(alpha * (1 + self.n_runs) * (1 + 1e-12))) - 1
        return float(np.sort(self.null[dim])[::-1][allowed]) if allowed >= 0 else float("inf")


def bar_test(
    rows: Any, *, n_runs: int = 99, seed: int = 0, keep_norms: bool | None = None, n_copies: int = 1, **settings: Any
) -> BarTest:
    """Compute bars, and the longest ones of random clouds with the same mean and covariance.

    Shapes:
        rows: (n, d).
    Args:
        n_runs: random clouds; p cannot fall below 1 / (1 + n_runs).
        keep_norms: random rows get the lengths of the given ones; None = with metric "cosine" only, where lengths do
            not count and the covariance of raw rows would be that of the longest.
        n_copies: random clouds whose bars are kept whole.
        settings: of `persistence`; the same for all clouds.
    Raises:
        ValueError: n_runs below 1; what `persistence` refuses.
    """
    if n_runs < 1 or n_copies < 0:
        raise ValueError(f"n_runs must be at least 1 and n_copies at least 0; got {n_runs} and {n_copies}")
    found = persistence(rows, seed=seed, **settings)
    kept: list[Persistence] = []
    longest = np.empty((n_runs, found.max_dim + 1))
    for run in shown_when_long(range(n_runs), total=n_runs, description="random clouds", unit="clouds"):
        copy = random_copy(rows, run=int(run), seed=seed, keep_norms=keep_norms, **settings)
        longest[int(run)] = [copy.longest(dim) for dim in range(found.max_dim + 1)]
        if run < n_copies:
            kept.append(copy)
    return BarTest(found, tuple(longest.T.copy()), tuple(kept))


def random_copy(rows: Any, *, run: int, seed: int, keep_norms: bool | None = None, **settings: Any) -> Persistence:
    """Bars of one random cloud with the mean and covariance of the rows.

    Args:
        run: number of the copy; settings: of `persistence`.
    """
    unit = settings.get("metric") == "cosine"
    x = np.asarray(rows, dtype=np.float64)
    if unit:
        x = x / np.linalg.norm(x, axis=1)[:, None]
    draw = int(np.random.SeedSequence(seed, spawn_key=(1, run)).generate_state(1)[0])
    drawn = gaussian_rows(x, seed=draw, keep_norms=unit if keep_norms is None else keep_norms)
    return persistence(drawn, seed=seed, **settings)
