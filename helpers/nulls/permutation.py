"""Is a similarity more than chance? The score against its own null distribution.

For measures of paired rows the null shuffles which row of y belongs to which row of x. The rows themselves, copies
included, stay what they are, so many-to-one matchings are compared with shuffles of the same copies. Measures that
ignore the pairing are compared with Gaussian matrices of y's shape instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from itertools import islice
from typing import Any, Literal, Protocol

import numpy as np
from scipy.stats import beta
from threadpoolctl import threadpool_limits

from helpers.progress import shown_when_long
from helpers.similarity import MEASURES, Comparison, Measure, UndefinedMeasure

#: Prepared scores agree with recomputed ones to this share; null scores this close to the observed one are ties.
TIE_TOLERANCE = 1e-9
CONFIDENCE = 0.95
_BATCH_PER_THREAD = 16

NullKind = Literal["pairing", "random_matrix", "features"]


class Scale(Protocol):
    """What a result must know of its score; a `Measure` is one."""

    @property
    def name(self) -> str: ...  # pragma: no cover
    @property
    def direction(self) -> Literal["similarity", "distance"]: ...  # pragma: no cover
    @property
    def ideal(self) -> float: ...  # pragma: no cover


@dataclass(frozen=True, eq=False)
class PermutationResult:
    """One score and its null distribution. Numbers that do not exist are None, never NaN.

    Attributes:
        measure: name in MEASURES.
        direction: "similarity" or "distance".
        null_kind: "pairing", "random_matrix" or "features" (other features in the place of the matched ones).
        score: the measure of the rows as paired; None if undefined.
        null: (n_permutations,) null scores; empty if undefined.
        null_mean, null_std: of the null scores; null_std (n - 1 in the denominator) needs two of them.
        z: (score - null_mean) / null_std, with the sign turned for distances: positive = more alike than chance.
        p_value: (1 + hits) / (1 + n_permutations), hits being null scores at least as alike (ties count).
        p_low, p_high: 95 % Clopper-Pearson interval of the hit rate that endlessly many permutations would give.
        calibrated: (score - null_mean) / (ideal - null_mean): 0 = chance, 1 = identical.
        n_rows: rows compared.
        undefined: why there is no score, or None.
        settings: options of the measure, seed, n_permutations, and what the measure reports beside its score.
    """

    measure: str
    direction: Literal["similarity", "distance"]
    null_kind: NullKind
    score: float | None
    null: np.ndarray
    null_mean: float | None
    null_std: float | None
    z: float | None
    p_value: float | None
    p_low: float | None
    p_high: float | None
    calibrated: float | None
    n_rows: int
    undefined: str | None
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "null": [float(value) for value in self.null]}

    @classmethod
    def without_score(
        cls, entry: Scale, *, null_kind: NullKind, n_rows: int, reason: str, settings: dict[str, Any]
    ) -> PermutationResult:
        """A test that could not be made, with its reason."""
        nothing = dict.fromkeys(("score", "null_mean", "null_std", "z", "p_value", "p_low", "p_high", "calibrated"))
        return cls(
            entry.name, entry.direction, null_kind, null=np.empty(0), n_rows=n_rows, undefined=reason,
            settings=settings, **nothing,
        )  # fmt: skip

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PermutationResult:
        """Inverse of `to_dict`; missing and unknown keys are refused."""
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ValueError(f"expected the keys of a permutation result; differing: {sorted(names ^ set(values))}")
        return cls(**{**values, "null": np.asarray(values["null"], dtype=np.float64)})


def permutation_test(
    x: Any,
    y: Any,
    *,
    measure: str = "svcca",
    n_permutations: int = 1000,
    seed: int = 0,
    n_threads: int | None = None,
    **measure_options: Any,
) -> PermutationResult:
    """Score x against y, and against y re-paired (or a random matrix) `n_permutations` times.

    Shapes:
        x: (n, d_x); y: (n, d_y); row i is one pair (mmcs and singular_value_distance: any numbers of rows).
    Args:
        measure: name in MEASURES.
        n_permutations: null scores; the p-value cannot fall below 1 / (1 + n_permutations).
        seed: of the permutations; the same for every measure with equally many rows.
        n_threads: permutations that are scored at once, each on one thread; None scores one after another, on as many
            threads as the numerical library takes. Scores of the same permutations agree to rounding.
        measure_options: options of the measure, e.g. variance=0.9.
    Returns:
        The result; `undefined` holds the reason if the measure has no value for this input.
    Raises:
        ValueError: unknown measure, n_permutations or n_threads below 1, or input that the measure refuses (rows that differ in
            number, NaN, an unknown option value).
    Source:
        Phipson and Smyth 2010, doi:10.2202/1544-6115.1585 (the p-value is never zero).
    """
    if measure not in MEASURES:
        raise ValueError(f"unknown measure {measure!r}; choose one of {', '.join(MEASURES)}")
    if n_permutations < 1:
        raise ValueError(f"n_permutations must be at least 1; got {n_permutations}")
    if n_threads is not None and n_threads < 1:
        raise ValueError(f"n_threads must be at least 1, or None; got {n_threads}")
    entry = MEASURES[measure]
    settings = {"n_permutations": n_permutations, "seed": seed, **entry.options, **measure_options}
    try:
        comparison = entry.compare(x, y, **measure_options)
    except UndefinedMeasure as reason:
        return PermutationResult.without_score(
            entry, null_kind=entry.null, n_rows=len(y), reason=str(reason), settings=settings
        )
    scores = shown_when_long(
        _null_scores(entry, comparison, n_permutations, seed, n_threads),
        total=n_permutations,
        description=f"{measure} null",
        unit="permutations",
    )
    null = np.fromiter(scores, dtype=np.float64, count=n_permutations)
    settings |= comparison.details
    return summarise(entry, comparison.score(), null, comparison.n_rows, settings, null_kind=entry.null)


def null_rng(seed: int) -> np.random.Generator:
    """The stream of null draws: its own, so that data made from `default_rng(seed)` does not come back as its null."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))


def _null_scores(
    entry: Measure, comparison: Comparison, n_permutations: int, seed: int, n_threads: int | None
) -> Iterator[float]:
    rng = null_rng(seed)
    if entry.null != "pairing":
        yield from (comparison.random_score(rng) for _ in range(n_permutations))
        return
    permutations = (rng.permutation(comparison.n_rows) for _ in range(n_permutations))
    if n_threads is None:
        yield from map(comparison.score, permutations)
        return
    # One permutation a thread is faster than all threads on one: its matrices are small, and eigenvalues hardly divide.
    with threadpool_limits(1), ThreadPoolExecutor(n_threads) as pool:
        while batch := list(islice(permutations, _BATCH_PER_THREAD * n_threads)):
            yield from pool.map(comparison.score, batch)


def summarise(
    entry: Scale, score: float, null: np.ndarray, n_rows: int, settings: dict[str, Any], *, null_kind: NullKind
) -> PermutationResult:
    """A score and its null scores, as a result.

    Shapes:
        null: (n_draws,) at least one.
    """
    sign = 1.0 if entry.direction == "similarity" else -1.0
    tolerance = TIE_TOLERANCE * max(abs(score), float(np.abs(null).max()))
    hits = int((sign * null >= sign * score - tolerance).sum())
    mean, spread = float(null.mean()), float(null.std(ddof=1)) if len(null) > 1 else None
    varies = spread is not None and spread > tolerance
    room = entry.ideal - mean
    return PermutationResult(
        measure=entry.name,
        direction=entry.direction,
        null_kind=null_kind,
        score=score,
        null=null,
        null_mean=mean,
        null_std=spread,
        z=sign * (score - mean) / spread if varies and spread else None,
        p_value=(1 + hits) / (1 + len(null)),
        p_low=float(beta.ppf((1 - CONFIDENCE) / 2, hits, len(null) - hits + 1)) if hits else 0.0,
        p_high=float(beta.ppf((1 + CONFIDENCE) / 2, hits + 1, len(null) - hits)) if hits < len(null) else 1.0,
        calibrated=(score - mean) / room if abs(room) > tolerance else None,
        n_rows=n_rows,
        undefined=None,
        settings=settings,
    )
