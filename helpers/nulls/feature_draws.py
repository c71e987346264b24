"""Nulls of other features: are matched features more alike than as many features taken at random?

Two draws. *Random*: as many features of each side, whoever they are. *Matched on frequency*: every chosen feature is
replaced by one that fires about as often, because frequent features are alike in ways that have nothing to do with
being matched (and rare ones are noisier). Both keep copies: a feature that is in three pairs is replaced by one that is
in three pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from helpers.nulls.permutation import PermutationResult, null_rng, summarise
from helpers.progress import shown_when_long
from helpers.similarity import MEASURES, UndefinedMeasure
from helpers.similarity.inputs import as_matrix

#: Given a generator: new ids in the place of the chosen ones.
FeatureDraw = Callable[[np.random.Generator], np.ndarray]


def random_draw(ids: Any, *, candidates: Any) -> FeatureDraw:
    """As many features as `ids` names, drawn from the candidates without replacement.

    Shapes:
        ids: (n_pairs,) features that were chosen, copies allowed; candidates: features that could have been, e.g. all
        that fire often enough.
    Raises:
        ValueError: not integer ids, repeated candidates, or fewer candidates than distinct ids.
    """
    chosen, pool = _ids(ids, name="ids"), _pool(candidates)
    distinct, places = np.unique(chosen, return_inverse=True)
    if len(pool) < len(distinct):
        raise ValueError(f"{len(distinct)} features cannot be drawn from {len(pool)} candidates; pass more candidates")
    return lambda rng: rng.choice(pool, len(distinct), replace=False)[places]


def frequency_matched_draw(ids: Any, *, counts: Any, candidates: Any, n_bins: int = 20) -> FeatureDraw:
    """Like `random_draw`, but every feature is replaced by one of the same bin of firing counts.

    Shapes:
        ids: (n_pairs,); counts: (d_sae,) tokens on which each feature fires; candidates: (n_candidates,), the ids among
        them.
    Args:
        n_bins: bins of equally many candidates, from the rarest to the most frequent. Features of equal count share a
            bin, so there may be fewer.
    Raises:
        ValueError: as for `random_draw`; an id that is not a candidate; n_bins below 1.
    """
    chosen, pool, counts = _ids(ids, name="ids"), _pool(candidates), np.asarray(counts)
    if n_bins < 1:
        raise ValueError(f"n_bins must be at least 1; got {n_bins}")
    if counts.ndim != 1 or pool.max() >= len(counts):
        raise ValueError(f"counts must hold one number a feature; got shape {counts.shape}, ids up to {pool.max()}")
    missing = np.setdiff1d(chosen, pool)
    if missing.size:
        raise ValueError(f"{missing.size} chosen features (first: {missing[0]}) are no candidates; add them")
    edges = np.unique(np.quantile(counts[pool], np.linspace(0, 1, n_bins + 1)[1:-1]))
    bin_of = np.searchsorted(edges, counts, side="left")
    distinct, places = np.unique(chosen, return_inverse=True)
    groups = [(np.flatnonzero(bin_of[distinct] == b), pool[bin_of[pool] == b]) for b in range(len(edges) + 1)]

    def draw(rng: np.random.Generator) -> np.ndarray:
        drawn = np.empty(len(distinct), dtype=np.int64)
        for members, bin_pool in groups:
            drawn[members] = rng.choice(bin_pool, len(members), replace=False)
        return drawn[places]

    return draw


def random_features_test(
    rows_a: Any,
    rows_b: Any,
    ids_a: Any,
    ids_b: Any,
    *,
    draw_a: FeatureDraw,
    draw_b: FeatureDraw,
    measure: str = "svcca",
    n_draws: int = 1000,
    seed: int = 0,
    null_name: str = "random features",
    **measure_options: Any,
) -> PermutationResult:
    """Score matched features against features drawn in their place.

    Shapes:
        rows_a: (d_sae_a, d_a); rows_b: (d_sae_b, d_b), one row a feature; ids_a, ids_b: (n_pairs,), pair by pair.
    Args:
        draw_a, draw_b: `random_draw` or `frequency_matched_draw` of each side; both sides are drawn anew, so that row i
            of one has nothing to do with row i of the other.
        null_name: how tables call this null.
    Returns:
        As `permutation_test`, with `null_kind` "features"; undefined if the score or any draw is undefined.
    Raises:
        ValueError: unknown measure, n_draws below 1, ids of different lengths or out of range.
    """
    if measure not in MEASURES:
        raise ValueError(f"unknown measure {measure!r}; choose one of {', '.join(MEASURES)}")
    if n_draws < 1:
        raise ValueError(f"n_draws must be at least 1; got {n_draws}")
    a, b = as_matrix(rows_a, name="rows_a"), as_matrix(rows_b, name="rows_b")
    chosen_a, chosen_b = _ids(ids_a, name="ids_a"), _ids(ids_b, name="ids_b")
    if len(chosen_a) != len(chosen_b):
        raise ValueError(f"ids_a and ids_b must pair up; got {len(chosen_a)} and {len(chosen_b)}")
    for name, chosen, rows in (("ids_a", chosen_a, a), ("ids_b", chosen_b, b)):
        if chosen.max() >= len(rows):
            raise ValueError(
                f"{name} names feature {chosen.max()}, but there are {len(rows)} rows; are a and b swapped?"
            )
    entry = MEASURES[measure]
    settings = {"null": null_name, "n_permutations": n_draws, "seed": seed, **entry.options, **measure_options}
    rng = null_rng(seed)
    try:
        score = entry.score(a[chosen_a], b[chosen_b], **measure_options)
        scores = (entry.score(a[draw_a(rng)], b[draw_b(rng)], **measure_options) for _ in range(n_draws))
        shown = shown_when_long(scores, total=n_draws, description=f"{measure}, {null_name}", unit="draws")
        null = np.fromiter(shown, dtype=np.float64, count=n_draws)
    except UndefinedMeasure as reason:
        return PermutationResult.without_score(
            entry, null_kind="features", n_rows=len(chosen_b), reason=str(reason), settings=settings
        )
    return summarise(entry, score, null, len(chosen_b), settings, null_kind="features")


def _ids(values: Any, *, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu" or array.min() < 0:
        raise ValueError(
            f"{name} must be a list of feature ids (whole numbers from 0), at least one; got {array!r:.80}"
        )
    return array.astype(np.int64)


def _pool(candidates: Any) -> np.ndarray:
    pool = _ids(candidates, name="candidates")
    if len(np.unique(pool)) != len(pool):
        raise ValueError("candidates must be distinct; some id is there twice; pass np.unique(candidates)")
    return pool
