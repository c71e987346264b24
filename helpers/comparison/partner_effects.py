"""Do matched features do the same? Pairs drawn at random, both partners ablated, and what their similarity depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from helpers.comparison.steering_transfer import TransferPair
from helpers.matching import FeaturePairs
from helpers.matching.pairs import make_pairs
from helpers.nulls import PermutationResult
from helpers.steering import prompts_of_batch
from helpers.steering.effects import FunctionalSimilarity, functional_similarity, similarity_and_match

Measured = Literal["match", "effect"]
_LEVEL = (0.025, 0.975)


def drawn_pairs(pairs: FeaturePairs, *, n_pairs: int, seed: int) -> FeaturePairs:
    """Some pairs, drawn at random from all: weak and strong ones, rare and frequent ones; all where there are not so many.

    Raises:
        ValueError: fewer than two asked for.
    """
    if n_pairs < 2:
        raise ValueError(f"n_pairs is at least 2; got {n_pairs}")
    keep_mask = np.zeros(pairs.n_pairs, bool)
    chosen = np.random.default_rng(seed).choice(pairs.n_pairs, min(n_pairs, pairs.n_pairs), replace=False)
    keep_mask[chosen] = True
    return pairs.select(keep_mask, n_drawn=int(keep_mask.sum()))


def partner_effects(both: TransferPair, *, n_pairs: int, n_texts: int, seed: int) -> FunctionalSimilarity:
    """Functional similarity of pairs drawn at random, on the first texts.

    Raises:
        ValueError: counts below 1 (pairs below 2); as `functional_similarity`.
    """
    if n_texts < 1:
        raise ValueError(f"n_texts is at least 1; got {n_texts}")
    pairs = drawn_pairs(both.pairs, n_pairs=n_pairs, seed=seed)
    texts = prompts_of_batch(both.tokens.sequences(0, min(n_texts, both.tokens.n_sequences)))
    return functional_similarity(both.a.model, both.b.model, texts, both.a.loaded, both.b.loaded, pairs)


def self_similarity(both: TransferPair, found: FunctionalSimilarity, *, n_features: int = 5, n_texts: int = 5) -> float:
    """The control whose answer is known: features of a as their own partners; the least similarity, 1 but for rounding.

    Args:
        found: its features that fire most take part, on the first texts.
    """
    ids = found.ids_a[np.argsort(-found.firings_a, kind="stable")[:n_features]]
    d_sae = both.a.loaded.sae.cfg.d_sae
    settings = {"d_sae_a": d_sae, "d_sae_b": d_sae, "direction": "both"}
    pairs = make_pairs(ids, ids, np.ones(len(ids)), settings=settings)
    texts = prompts_of_batch(both.tokens.sequences(0, min(n_texts, both.tokens.n_sequences)))
    result = functional_similarity(both.a.model, both.a.model, texts, both.a.loaded, both.a.loaded, pairs)
    return float(result.matched.min())


@dataclass(frozen=True)
class Band:
    """Some pairs that match, or do, about equally well.

    Args:
        low, high: of what they were sorted by; n_pairs: of them.
        mean, mean_low, mean_high: their functional similarity, with a bootstrap interval (95%, pairs drawn anew).
        strangers: mean similarity of a's features with the partners of all other pairs.
    """

    low: float
    high: float
    n_pairs: int
    mean: float
    mean_low: float
    mean_high: float
    strangers: float


def similarity_bands(
    found: FunctionalSimilarity, by: Measured, *, n_bands: int = 4, n_resamples: int = 999, seed: int = 0
) -> list[Band]:
    """Functional similarity in bands of equally many pairs, by match correlation or by the size of the effect.

    Args:
        by: "match", or "effect": the smaller of both partners' mean total variation distances.
    Raises:
        ValueError: something else to sort by, or fewer pairs than bands.
    """
    if by not in ("match", "effect"):
        raise ValueError(f"by is 'match' or 'effect'; got {by!r}")
    if not 1 <= n_bands <= found.n_pairs:
        raise ValueError(f"n_bands is from 1 to the number of pairs, {found.n_pairs}; got {n_bands}")
    sizes = found.corr if by == "match" else effect_sizes(found)
    rng = np.random.default_rng(seed)
    bands = []
    for places in np.array_split(np.argsort(sizes, kind="stable"), n_bands):
        alike = found.matched[places]
        drawn = alike[rng.integers(0, len(alike), (n_resamples, len(alike)))].mean(axis=1)
        foreign = found.ids_b[None, :] != found.ids_b[places][:, None]
        bands.append(
            Band(
                low=float(sizes[places].min()),
                high=float(sizes[places].max()),
                n_pairs=len(places),
                mean=float(alike.mean()),
                mean_low=float(np.quantile(drawn, _LEVEL[0])),
                mean_high=float(np.quantile(drawn, _LEVEL[1])),
                strangers=float(found.similarity[places][foreign].mean()) if foreign.any() else 0.0,
            )
        )
    return bands


def effect_sizes(found: FunctionalSimilarity) -> Float[np.ndarray, " n_pairs"]:
    """How much a pair changes what is predicted: the smaller of its partners' mean total variation distances, in [0, 1]."""
    return np.minimum(found.effects_a, found.effects_b)


def effect_and_similarity(found: FunctionalSimilarity, *, n_runs: int = 1000, seed: int = 0) -> PermutationResult:
    """Spearman correlation, over pairs, of functional similarity with the size of the effect, beside shuffled sizes.

    Raises:
        ValueError: n_runs below 1, or values that are all equal.
    """
    return similarity_and_match(replace(found, corr=effect_sizes(found)), n_runs=n_runs, seed=seed)


def partner_metrics(
    found: FunctionalSimilarity, tests: Mapping[str, PermutationResult], rises: Mapping[str, PermutationResult]
) -> dict[str, float | None]:
    """Mean similarity, every null's mean and p, and every rank correlation with its p.

    Args:
        tests: null -> result; rises: what similarity may rise with -> rank correlation.
    """
    metrics: dict[str, float | None] = {"functional": float(found.matched.mean()), "functional_pairs": found.n_pairs}
    for name, test in tests.items():
        metrics |= {f"functional_{name}": test.null_mean, f"functional_{name}_p": test.p_value}
    for name, test in rises.items():
        key = name.replace(" ", "_")
        metrics |= {f"functional_with_{key}": test.score, f"functional_with_{key}_p": test.p_value}
    return metrics
