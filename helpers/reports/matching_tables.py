"""Tables of notebook 04: matchings, what their partners share, features without a counterpart, twins.

Each function gives the rows of `helpers.reports.table`, or the cards of `pairs_table` and `examples_table`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from helpers.corpus import TokenBatch
from helpers.features import Context, TopExamples, example_contexts
from helpers.matching import FeaturePairs, OneSided, PairAgreement
from helpers.reports.tables import PairRow

Rows = dict[str, dict[str, str]]


def matching_rows(matchings: Mapping[str, FeaturePairs], *, min_corr: float) -> Rows:
    """One row a matching: how many pairs, how strong, and whether partners are shared."""
    return {
        name: {
            "pairs": f"{pairs.n_pairs:,}",
            "median correlation": f"{np.median(pairs.corr):.2f}" if pairs.n_pairs else "",
            f"pairs above {min_corr:g}": f"{np.sum(pairs.corr >= min_corr):,}",
            "distinct features of a": f"{len(np.unique(pairs.ids_a)):,}",
            "distinct features of b": f"{len(np.unique(pairs.ids_b)):,}",
            "unique partners": f"{pairs.share_unique_partners:.0%}",
        }
        for name, pairs in matchings.items()
    }


def scored_rows(checks: Mapping[str, Mapping[str, PairAgreement]]) -> Rows:
    """One row a list of pairs: its scores beside shuffled partners of the same list.

    Args:
        checks: label -> what `Meanings.check` gave; the same scores for every label.
    """
    rows: Rows = {}
    for label, scores in checks.items():
        row: dict[str, str] = {}
        for name, found in scores.items():
            row["pairs"] = f"{found.n_pairs:,}"
            row |= {name: f"{found.score:.1%}", f"{name}, shuffled": f"{found.null_mean:.1%} ± {found.null_std:.1%}"}
            row |= {f"{name}, p": f"{found.p_value:.2g}"}
        rows[label] = row
    return rows


def one_sided_rows(
    observed: OneSided, chance: OneSided, counts: Mapping[str, np.ndarray], *, levels: Iterable[float] = (0.3, 0.5)
) -> Rows:
    """One row a dictionary: the share of its features that nothing in the other answers.

    Args:
        chance: of shuffled tokens.
        counts: the two dictionaries' names -> firing counts of their features, first a, then b.
        levels: higher thresholds, for comparison.
    """
    rows: Rows = {}
    sides = ((observed.best_a, chance.best_a, observed.only_a), (observed.best_b, chance.best_b, observed.only_b))
    for (name, firings), (best, by_chance, only) in zip(counts.items(), sides, strict=True):
        eligible = np.isfinite(best)
        others = np.setdiff1d(np.flatnonzero(eligible), only)
        rows[f"features of {name}"] = {
            "eligible": f"{eligible.sum():,}",
            f"best at most {observed.max_corr:.2f}": _share(best, observed.max_corr),
            "the same after shuffling": _share(by_chance, observed.max_corr),
            **{f"best at most {level:g}": _share(best, level) for level in levels},
            "median firings of these": f"{np.median(firings[only]):,.0f}" if len(only) else "",
            "of all others": f"{np.median(firings[others]):,.0f}" if len(others) else "",
        }
    return rows


def twin_rows(found: Mapping[str, FeaturePairs], chance: Mapping[str, FeaturePairs], *, min_corr: float) -> Rows:
    """One row a dictionary: how many of its features have a twin in it, beside shuffled tokens.

    Args:
        found, chance: dictionary -> every feature's nearest other feature, as seen and after shuffling.
    """
    return {
        f"features of {name}": {
            "with a nearest other feature": f"{pairs.n_pairs:,}",
            "its correlation, median": f"{np.median(pairs.corr):.2f}" if pairs.n_pairs else "",
            "after shuffling": f"{np.median(chance[name].corr):.2f}" if chance[name].n_pairs else "",
            f"twins above {min_corr:g}": f"{twin_share(pairs, min_corr):.1%}",
            f"after shuffling, above {min_corr:g}": f"{twin_share(chance[name], min_corr):.1%}",
            "twins above 0.9": f"{twin_share(pairs, 0.9):.1%}",
        }
        for name, pairs in found.items()
    }


def twin_share(twins: FeaturePairs, min_corr: float) -> float:
    """Share of the features with a nearest other feature whose correlation with it reaches `min_corr`."""
    return float(np.mean(twins.corr >= min_corr)) if twins.n_pairs else 0.0


def pair_cards(
    pairs: FeaturePairs,
    chosen: Iterable[int],
    examples_a: TopExamples,
    examples_b: TopExamples,
    tokens: TokenBatch,
    tokenizer: Any,
    *,
    n: int = 3,
) -> list[PairRow]:
    """The chosen pairs (numbers within `pairs`) with the strongest contexts of both partners."""
    return [
        PairRow(
            f"{pairs.corr[i]:.2f}",
            int(pairs.ids_a[i]),
            int(pairs.ids_b[i]),
            example_contexts(examples_a, int(pairs.ids_a[i]), tokens, tokenizer, n=n),
            example_contexts(examples_b, int(pairs.ids_b[i]), tokens, tokenizer, n=n),
        )
        for i in chosen
    ]


def feature_cards(
    features: Mapping[int, str], examples: TopExamples, tokens: TokenBatch, tokenizer: Any, *, n: int = 3
) -> dict[str, list[Context]]:
    """Features and their labels, as label -> strongest contexts."""
    return {
        f"feature {feature} {label}".rstrip(): example_contexts(examples, feature, tokens, tokenizer, n=n)
        for feature, label in features.items()
    }


def most_frequent(features: np.ndarray, counts: np.ndarray, *, n: int) -> list[int]:
    """The `n` of some features that fire most often, so that what is shown is not mere rarity."""
    order = np.argsort(-np.asarray(counts)[features], kind="stable")
    return [int(feature) for feature in np.asarray(features)[order[:n]]]


def _share(best: np.ndarray, level: float) -> str:
    eligible = best[np.isfinite(best)]
    return f"{np.mean(eligible <= level):.1%}" if eligible.size else ""
