"""Tables of semantic subspaces: every group beside its nulls, what failed and why, and the rates of the controls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helpers.comparison.subspace_sides import SubspacePair
from helpers.comparison.subspace_table import SubspaceRow, SubspaceTable
from helpers.comparison.subspaces import GroupPairs
from helpers.corpus import TokenBatch
from helpers.features import WordTable, example_contexts, feature_columns, pair_cards
from helpers.nulls import PermutationResult, RejectionRate
from helpers.reports.cards import cards_row
from helpers.reports.tables import PairRow, pairs_table, table

_NOTHING = "–"


def subspace_table(scores: SubspaceTable, pair: str, *, measure: str, caption: str = "") -> str:
    """A row a group of one layer pair under one measure: the score, its nulls, and what it rests on.

    Columns "one pair a word" and "without a word" tell what single words carry; "other matched pairs" is specificity.
    Raises:
        ValueError: the layer pair or the measure is not in the table.
    """
    rows = {
        _short(row.score.group): _row(row, ", ".join(scores.found_by(row.score.group, pair)))
        for row in scores.rows
        if row.pair == pair and row.score.measure == measure
    }
    if not rows:
        raise ValueError(f"the table has no tests of '{pair}' by '{measure}'; it has {', '.join(scores.pairs)}")
    return table(rows, caption=caption)


def failure_table(scores: SubspaceTable, pair: str, *, reference: str, caption: str = "") -> str:
    """A row a group that was not found in a layer pair, with the reason; a sentence if all were found."""
    failed = [group for group in scores.groups if scores.of(group, pair) and not scores.found_by(group, pair)]
    rows = {
        _short(group): {"why it is not found": scores.explain(group, pair, reference=reference)} for group in failed
    }
    return table(rows or {"every group": {"why it is not found": "all were found"}}, caption=caption)


def rate_table(rates: Mapping[str, Mapping[str, RejectionRate]], *, caption: str = "") -> str:
    """A row a kind of group; for every measure how many tests say "above chance", and the bound of a valid test."""
    rows = {}
    for name, by_measure in rates.items():
        row = {measure: rate.as_text() for measure, rate in by_measure.items()}
        bounds = [rate.bound for rate in by_measure.values() if rate.bound is not None]
        rows[name] = row | {"a valid test has at most": f"{max(bounds):.1%}" if bounds else _NOTHING}
    return table(rows, caption=caption)


def group_pairs_table(
    group: GroupPairs, pair: SubspacePair, tokens: TokenBatch, tokenizer: Any, *, n: int = 8, caption: str = ""
) -> str:
    """The best correlated pairs of a group, each with the contexts in which both partners fire most strongly.

    Args:
        tokens: of the stores of both sides.
    """
    rows = [
        PairRow(
            f"{corr:.2f}",
            id_a,
            id_b,
            example_contexts(pair.a.table.examples, id_a, tokens, tokenizer, n=3),
            example_contexts(pair.b.table.examples, id_b, tokens, tokenizer, n=3),
        )
        for id_a, id_b, corr in zip(group.pairs.ids_a[:n], group.pairs.ids_b[:n], group.pairs.corr[:n], strict=True)
    ]
    return pairs_table(rows, names=(pair.a.name, pair.b.name), caption=caption)


def group_cards(
    group: GroupPairs, pair: SubspacePair, tokens: TokenBatch, tokenizer: Any, words: WordTable, *, n: int = 3
) -> str:
    """The best correlated pairs of a group token by token; a sentence where activations are never 0, as of neurons.

    Args:
        tokens, words: of the stores of both sides.
    """
    if not (pair.a.store.is_sparse and pair.b.store.is_sparse):
        return "<p>Every token moves a neuron, so there are no tokens on which one partner is silent to be shown.</p>"
    ids_a, ids_b = group.pairs.ids_a[:n].tolist(), group.pairs.ids_b[:n].tolist()
    cards = pair_cards(
        feature_columns(pair.a.store, ids_a), feature_columns(pair.b.store, ids_b), zip(ids_a, ids_b, strict=True),
        tokens, tokenizer, words,
        dictionaries=(pair.a.name, pair.b.name), tables=(pair.a.table, pair.b.table),
    )  # fmt: skip
    return cards_row(cards)


def _row(row: SubspaceRow, found_by: str) -> dict[str, str]:
    score, drop = row.score, row.score.largest_drop
    return {
        "pairs (features)": f"{score.n_pairs} ({score.n_features_a}, {score.n_features_b})",
        "same word": f"{score.same_word_share:.0%}",
        "score": _value(score.shuffled.score),
        "p, corrected": _NOTHING if row.p_corrected is None else f"{row.p_corrected:.2g}",
        "one pair a word": _test(score.one_a_word),
        "without a word": _NOTHING if drop is None else f"{_value(drop[1].score)} ({drop[0]})",
        "other matched pairs": _test(score.specificity, chance=True),
        "found by": _short(found_by) or "nothing",
    }


def _short(names: str) -> str:
    """Names that may be broken into lines."""
    return names.replace("_", " ")


def _value(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.2f}"


def _test(result: PermutationResult | None, *, chance: bool = False) -> str:
    """A score (or the mean of its null) with its p-value."""
    if result is None or result.p_value is None:
        return _NOTHING
    return f"{_value(result.null_mean if chance else result.score)}, p {result.p_value:.2g}"
