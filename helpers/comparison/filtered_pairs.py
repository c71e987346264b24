"""A matching's pairs held to stricter and stricter conditions, so that a comparison can be made after every one."""

from __future__ import annotations

from collections.abc import Sequence

from helpers.comparison.matched_sides import Read, load_sides
from helpers.features import build_words, describe_features
from helpers.matching import (
    ConceptTokens,
    FeaturePairs,
    FilterReport,
    MaxDensity,
    MinCorrelation,
    MinDensity,
    PairFilter,
    SharedTopToken,
    apply_filters,
    non_concept_words,
)


def filter_matching(
    read: Read,
    run: str,
    pairs: FeaturePairs,
    *,
    min_corr: float = 0.5,
    marks: Sequence[str] = (),
    min_density: float = 1e-4,
    max_density: float = 0.1,
) -> FilterReport:
    """Filter the pairs of a finished run of 04_match_features by correlation, meaning and density, one after another.

    Args:
        read: gives the result of a notebook's run, e.g. `stage.upstream`.
        run: of 04_match_features. pairs: all of its pairs, or some.
        min_corr: least correlation, in [0, 1].
        marks: words that stand for no concept, beside the usual marks and the tokenizer's special tokens.
        min_density, max_density: share of tokens on which both partners fire, in [0, 1].
    Returns:
        The report, with the pairs after every step. Where activations are never 0 (neurons), every feature fires on
        every token, and density is left out.
    Raises:
        ValueError: something that the run rests on is gone, or a limit is out of range.
    """
    sides = load_sides(read, run)
    words = build_words(sides.tokens, sides.tokenizer)
    described = [describe_features(store, words) for store in (sides.store_a, sides.store_b)]
    filters: list[PairFilter] = [
        MinCorrelation(min_corr),
        ConceptTokens(non_concept_words(sides.tokenizer, also=marks)),
        SharedTopToken(),
    ]
    if sides.store_a.is_sparse and sides.store_b.is_sparse:
        filters += [MinDensity(min_density), MaxDensity(max_density)]
    return apply_filters(pairs, filters, *described)
