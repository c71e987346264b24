"""Is the test itself in order? Two comparisons of the very rows that are tested, whose answers are known.

Wrong pairings, tested as if they were the true one, must be called alike no more often than the level of the test allows.
One wrong pairing beside n shuffles lies outside of them all with probability 2 / (n + 1) by luck, so a single one cannot
be asked to lie inside in every comparison that is ever made; several, and the bound of a valid test, can. Where they are
above it, they are drawn again (see helpers.nulls.rejection).

A rotated copy of one side must be found (an exact copy, by a measure that compares coordinate with coordinate). Side and copy
have one rank, so a measure that has a value for two sides of different ranks may have none for the wider one and its
copy: then the narrower one is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from helpers.nulls.permutation import PermutationResult, permutation_test
from helpers.nulls.rejection import SECOND_DRAW, RejectionRate, is_broken, rejection_rate
from helpers.similarity import MEASURES

LEVEL = 0.05
#: 19 shuffles make every wrong pairing a test at exactly this level.
N_SHUFFLES = round(1 / LEVEL) - 1


@dataclass(frozen=True)
class KnownAnswers:
    """What one measure says where the answer is known.

    Args:
        wrong: how often wrong pairings are called alike; no tests for a measure that ignores the pairing.
        again: the same of a second, independent draw; None where the first was within its bound.
        copied: one side beside a copy of itself.
        rotated: whether the copy is rotated.
    """

    measure: str
    wrong: RejectionRate
    again: RejectionRate | None
    copied: PermutationResult
    rotated: bool

    @property
    def failure(self) -> str:
        """What is wrong with the test of this measure; "" if it is in order."""
        if is_broken(self.wrong, self.again):
            assert self.again is not None and self.again.bound is not None
            return (
                f"{self.measure}: wrong pairings stand out, {self.wrong.as_text()} and again {self.again.as_text()}; "
                f"a valid test has at most {self.again.bound:.1%}"
            )
        if self.copied.p_value != 1 / (1 + self.copied.settings["n_permutations"]):
            return f"{self.measure} does not recognise {self._copy}: p = {self.copied.p_value}"
        return ""

    @property
    def sentence(self) -> str:
        """Both answers in a line."""
        wrong = f"wrong pairings called alike: {self.wrong.as_text()}; " if self.wrong.n_tests else ""
        if self.again is not None:
            wrong += f"drawn again: {self.again.as_text()}; "
        return f"{self.measure}: {wrong}{self._copy} is found, p = {self.copied.p_value:.2g}"

    @property
    def _copy(self) -> str:
        return "a rotated copy" if self.rotated else "an exact copy"


def known_answers(
    x: Float[np.ndarray, "n d_x"],
    y: Float[np.ndarray, "n d_y"],
    *,
    measure: str,
    n_permutations: int = 99,
    n_pairings: int = 19,
    seed: int = 0,
    **measure_options: Any,
) -> KnownAnswers:
    """Test wrong pairings of x and y, and a copy of x (of y, if the measure has no value for that of x).

    Shapes:
        x: (n, d_x); y: (n, d_y); row i is one pair.
    Args:
        measure: name in MEASURES; it has a value for x and y.
        n_permutations: shuffles beside the copy.
        n_pairings: wrong pairings, each tested beside 19 shuffles of its own, at level 0.05; five times as many if they
            have to be drawn again.
    Raises:
        ValueError: the measure has no value for a copy of either side; n_pairings below 1, or as `permutation_test`.
    """
    if n_pairings < 1:
        raise ValueError(f"n_pairings must be at least 1; got {n_pairings}")
    rng = np.random.default_rng(seed)
    rotated = measure not in MEASURES or "column_permutation" in MEASURES[measure].invariances
    settings = {"measure": measure, **measure_options}
    copies = (
        permutation_test(
            side, side @ _rotation(side.shape[1], rng) if rotated else side, n_permutations=n_permutations, **settings
        )
        for side in (x, y)
    )
    copied = next((copy for copy in copies if copy.undefined is None), None)
    if copied is None:
        raise ValueError(f"{measure} has no value for a copy of either side; expected one that has a value for x and y")

    def wrong_pairings(n: int) -> RejectionRate:
        tests = (
            permutation_test(
                x, y[rng.permutation(len(y))], n_permutations=N_SHUFFLES, seed=int(rng.integers(2**31)), **settings
            )
            for _ in range(n)
        )
        return rejection_rate(tests, alpha=LEVEL)

    wrong = wrong_pairings(n_pairings if copied.null_kind == "pairing" else 0)
    again = None if wrong.within_bound else wrong_pairings(SECOND_DRAW * n_pairings)
    return KnownAnswers(measure, wrong, again, copied, rotated)


def _rotation(d: int, rng: np.random.Generator) -> Float[np.ndarray, "d d"]:
    return np.linalg.qr(rng.standard_normal((d, d)))[0]
