"""Tables of notebook 04: matchings, what their partners share, features without a counterpart, twins.

The functions give the rows of `helpers.reports.table`; `ContextTables` gives whole tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from helpers.corpus import TokenBatch
from helpers.features import Context, TopExamples, example_contexts
from helpers.matching import FeaturePairs, OneSided, PairAgreement
from helpers.matching.meanings import Meanings
from helpers.reports.tables import PairRow, examples_table, pairs_table, table

Rows = dict[str, dict[str, str]]
NO_BREAK = "\u00a0"
SHORT = 16  # letters; row names up to this length are kept on one line
#: Tokens; a feature that fires on as many is unlikely to look one-sided only because it is rare.
OFTEN = 100


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


def alignment_table(report: Mapping[str, float], names: tuple[str, str]) -> str:
    """What two samples of tokens that were cut differently have in common, one row a dictionary.

    Args:
        report: of `AlignedRows`.
    """
    rows = {
        f"dictionary {name}": {
            "tokens a unit": f"{report[f'tokens_per_unit_{side}']:.2f}",
            "tokens in no unit": f"{report[f'lost_share_{side}']:.1%}",
            "documents left out": f"{report[f'n_documents_only_{side}']:,}",
        }
        for side, name in zip("ab", names, strict=True)
    }
    caption = f"{report['n_units']:,} units in the {report['n_documents']:,} documents that both have; "
    return table(rows, caption=f"{caption}{report['share_one_to_one']:.0%} of them are one token in both")


def scored_rows(checks: Mapping[str, Mapping[str, PairAgreement]]) -> Rows:
    """One row a list of pairs: its scores beside shuffled partners of the same list, with the p-value.

    Args:
        checks: label -> what `Meanings.check` gave; the same scores for every label.
    """
    rows: Rows = {}
    for label, scores in checks.items():
        row: dict[str, str] = {}
        for name, found in scores.items():
            row["pairs"] = f"{found.n_pairs:,}"
            row[name] = f"{found.score:.1%}"
            row[f"{name}, shuffled partners"] = f"{found.null_mean:.1%} (p {found.p_value:.2g})"
        rows[label.replace(" ", NO_BREAK) if len(label) <= SHORT else label] = row
    return rows


def sweep_rows(
    matchings: Mapping[str, FeaturePairs], meanings: Meanings, *, n_permutations: int = 200, seed: int = 0
) -> Rows:
    """One row a matching: its scores beside shuffled partners, and how many of its partners are distinct."""
    checks = {
        label: meanings.check(pairs, n_permutations=n_permutations, seed=seed) for label, pairs in matchings.items()
    }
    rows = zip(matchings.values(), scored_rows(checks).items(), strict=True)
    return {label: {"unique partners": f"{pairs.share_unique_partners:.0%}"} | row for pairs, (label, row) in rows}


def one_sided_rows(
    observed: OneSided, chance: OneSided, examples: Mapping[str, TopExamples], *, levels: Iterable[float] = (0.3, 0.5)
) -> Rows:
    """One row a dictionary: the share of its features that nothing in the other answers.

    Args:
        chance: of shuffled tokens.
        examples: the two dictionaries' names -> their examples, which know how often features fire; first a, then b.
        levels: higher thresholds, for comparison.
    """
    rows: Rows = {}
    sides = ((observed.best_a, chance.best_a, observed.only_a), (observed.best_b, chance.best_b, observed.only_b))
    for (name, known), (best, by_chance, only) in zip(examples.items(), sides, strict=True):
        firings = known.counts
        eligible = np.isfinite(best)
        others = np.setdiff1d(np.flatnonzero(eligible), only)
        rows[f"features of {name}"] = {
            "eligible": f"{eligible.sum():,}",
            f"best at most {observed.max_corr:.2f}": _share(best, observed.max_corr),
            "the same after shuffling": _share(by_chance, observed.max_corr),
            f"the same, of features on {OFTEN} tokens or more": _share(best[firings >= OFTEN], observed.max_corr),
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


@dataclass(frozen=True)
class ContextTables:
    """Tables of what features fire on, as HTML.

    Args:
        examples: the two dictionaries' names -> the examples of their features, first a, then b.
        tokens, tokenizer: of the stores that the examples come from.
        n: contexts of a feature that are shown.
    """

    examples: Mapping[str, TopExamples]
    tokens: TokenBatch
    tokenizer: Any
    n: int = 3

    def pairs(self, pairs: FeaturePairs, chosen: Iterable[int], *, caption: str, inside: str = "") -> str:
        """The chosen pairs (numbers within `pairs`), both partners side by side.

        Args:
            inside: for twins: the dictionary that both partners are in.
        """
        name_a, name_b = (inside, inside) if inside else tuple(self.examples)
        rows = [
            PairRow(
                f"{pairs.corr[i]:.2f}",
                int(pairs.ids_a[i]),
                int(pairs.ids_b[i]),
                self._contexts(name_a, pairs.ids_a[i]),
                self._contexts(name_b, pairs.ids_b[i]),
            )
            for i in chosen
        ]
        return pairs_table(rows, names=(name_a, name_b), caption=caption)

    def features(self, name: str, labels: Mapping[int, str], *, caption: str) -> str:
        """Features of one dictionary, id -> what is to be said of it."""
        shown = {f"feature {f}, {label}": self._contexts(name, f) for f, label in labels.items()}
        return examples_table(shown, caption=caption)

    def _contexts(self, name: str, feature: Any) -> list[Context]:
        return example_contexts(self.examples[name], int(feature), self.tokens, self.tokenizer, n=self.n)


def one_sided_labels(only: np.ndarray, best: np.ndarray, examples: TopExamples, *, n: int = 6) -> dict[int, str]:
    """The `n` one-sided features that fire most often, so that what is shown is not mere rarity, and their numbers."""
    order = np.argsort(-examples.counts[only], kind="stable")[:n]
    return {int(f): f"{examples.counts[f]:,} tokens, best correlation {best[f]:.2f}" for f in np.asarray(only)[order]}


def each_twin_once(twins: FeaturePairs) -> FeaturePairs:
    """Twins name each other mostly; every unordered pair once."""
    ordered = np.sort(np.stack([twins.ids_a, twins.ids_b], axis=1), axis=1)
    first = np.zeros(twins.n_pairs, dtype=bool)
    first[np.unique(ordered, axis=0, return_index=True)[1]] = True
    return twins.select(first)


def _share(best: np.ndarray, level: float) -> str:
    eligible = best[np.isfinite(best)]
    return f"{np.mean(eligible <= level):.1%}" if eligible.size else ""
