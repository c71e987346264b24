"""Are partners functionally more alike than chance, and the more so the better they match?

Two nulls. *Frequency*: partners are shuffled among pairs that fire about as often. *Cofiring*: every partner is replaced by one of
the features that fire most on the same tokens, as any two features that act in the same places have something in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from helpers.nulls import PermutationResult
from helpers.nulls.permutation import null_rng, summarise
from helpers.steering.effects.functional import FunctionalSimilarity

Null = Literal["frequency", "cofiring"]


@dataclass(frozen=True)
class _Score:
    name: str
    direction: Literal["similarity"] = "similarity"
    ideal: float = 1.0


def partners_beside_others(
    result: FunctionalSimilarity,
    *,
    null: Null = "frequency",
    group_size: int = 20,
    n_nearest: int = 5,
    n_runs: int = 1000,
    seed: int = 0,
) -> PermutationResult:
    """Mean similarity of matched partners, beside other features of b in their place.

    Args:
        null: see the module.
        group_size: pairs among which partners are shuffled ("frequency"): neighbours in the order of how often b's feature
            fires. A partner may come back to its own place, so groups must not be small.
        n_nearest: strangers from which one is drawn ("cofiring").
        n_runs: shuffles or draws.
    Returns:
        p = (1 + runs at least as alike) / (1 + runs).
    Raises:
        ValueError: another null, counts below 1 (groups below 2), or no stranger: all pairs share one feature of b.
    """
    if null not in ("frequency", "cofiring"):
        raise ValueError(f"null is 'frequency' or 'cofiring'; got {null!r}")
    if min(n_runs, n_nearest) < 1 or group_size < 2:
        raise ValueError(
            f"n_runs and n_nearest are at least 1, group_size at least 2; got {n_runs}, {n_nearest} and {group_size}"
        )
    rng, places = null_rng(seed), np.arange(result.n_pairs)
    if null == "frequency":
        groups = _groups(result, group_size)
        partners = (_shuffled(groups, rng) for _ in range(n_runs))
    else:
        strangers = [_strangers(result, place, n_nearest) for place in range(result.n_pairs)]
        partners = (np.array([rng.choice(each) for each in strangers]) for _ in range(n_runs))
    scores = np.array([result.similarity[places, chosen].mean() for chosen in partners])
    settings = {"null": null, "group_size": group_size, "n_nearest": n_nearest, "n_runs": n_runs, "seed": seed}
    score = float(result.matched.mean())
    return summarise(_Score("mean functional similarity"), score, scores, result.n_pairs, settings, null_kind="pairing")


def similarity_and_match(result: FunctionalSimilarity, *, n_runs: int = 1000, seed: int = 0) -> PermutationResult:
    """Spearman correlation, over pairs, of functional similarity with match correlation, beside shuffled correlations.

    Raises:
        ValueError: n_runs below 1, or pairs that all match, or all do, equally well.
    """
    if n_runs < 1:
        raise ValueError(f"n_runs is at least 1; got {n_runs}")
    ranks = [rankdata(values) for values in (result.corr, result.matched)]
    if min(np.ptp(each) for each in ranks) == 0:
        raise ValueError("expected pairs that differ in match correlation and in functional similarity; got equal ones")
    x, y = ((each - each.mean()) / np.linalg.norm(each - each.mean()) for each in ranks)
    rng = null_rng(seed)
    scores = np.array([rng.permutation(x) @ y for _ in range(n_runs)])
    settings = {"null": "shuffled correlations", "n_runs": n_runs, "seed": seed}
    return summarise(_Score("rank correlation"), float(x @ y), scores, result.n_pairs, settings, null_kind="pairing")


def _groups(result: FunctionalSimilarity, group_size: int) -> list[Int[np.ndarray, " n_here"]]:
    """Neighbours in firing; the last group takes the rest, so that none is smaller than asked (unless all pairs are)."""
    order = np.lexsort((result.ids_b, result.firings_b))
    n_groups = max(1, result.n_pairs // group_size)
    return np.array_split(order, n_groups)


def _shuffled(groups: list[np.ndarray], rng: np.random.Generator) -> Int[np.ndarray, " n_pairs"]:
    chosen = np.empty(sum(map(len, groups)), np.int64)
    for group in groups:
        chosen[group] = rng.permutation(group)
    return chosen


def _strangers(result: FunctionalSimilarity, place: int, n_nearest: int) -> Int[np.ndarray, " n_nearest"]:
    """Pairs whose feature of b fires most with a's feature of this pair, and is not its partner; each feature once."""
    _, first = np.unique(result.ids_b, return_index=True)
    others = first[result.ids_b[first] != result.ids_b[place]]
    if not len(others):
        raise ValueError("expected pairs with different features of b; got one feature in all of them")
    cofiring: Float[np.ndarray, " n_others"] = result.cofiring[place, others]
    return others[np.argsort(-cofiring, kind="stable")[:n_nearest]]
