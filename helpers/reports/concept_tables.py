"""Concept groups, their features and the known truth, as tables and as a figure."""

from __future__ import annotations

from collections.abc import Mapping

from helpers.features import ConceptFeatures, TruthScore
from helpers.reports.tables import table

_UNKNOWN = "\u2013"  # a share of nothing
_N_WORDS = 3


def group_table(features: Mapping[str, Mapping[str, ConceptFeatures]], *, caption: str = "") -> str:
    """One row a group; for every model how many features it has and which words found most of them.

    Args:
        features: model -> group name -> its features; the same groups for every model.
    Raises:
        ValueError: no groups, or models with different groups.
    """
    rows: dict[str, dict[str, str]] = {}
    for name in _group_names(features):
        row = {"words": str(len(next(iter(features.values()))[name].group.words))}
        for model, by_group in features.items():
            row[f"features in {model}"] = f"{by_group[name].n:,}"
            row[f"most found in {model} by"] = _finders(by_group[name])
        rows[name.replace("_", " ")] = row
    return table(rows, caption=caption)


def truth_table(scores: Mapping[str, Mapping[str, TruthScore]], *, caption: str = "") -> str:
    """One row a group; for every model precision (with that of random features) and recall of its feature set.

    Raises:
        ValueError: no groups, or models with different groups.
    """
    rows: dict[str, dict[str, str]] = {}
    for name in _group_names(scores):
        row: dict[str, str] = {}
        for model, by_group in scores.items():
            score = by_group[name]
            row[f"{model}: found / true"] = f"{score.n_found:,} / {score.n_true:,}"
            row[f"{model}: precision (random features)"] = f"{_share(score.precision)} ({_share(score.chance)})"
            row[f"{model}: recall"] = _share(score.recall)
        rows[name.replace("_", " ")] = row
    return table(rows, caption=caption)


def _group_names(by_model: Mapping[str, Mapping[str, object]]) -> list[str]:
    names = [list(by_group) for by_group in by_model.values()]
    if not names or not names[0]:
        raise ValueError("expected at least one model with at least one group; got none")
    for model, found in zip(by_model, names, strict=True):
        if found != names[0]:
            raise ValueError(f"every model needs the same groups; '{model}' has {found}, the first has {names[0]}")
    return names[0]


def _finders(features: ConceptFeatures) -> str:
    found = list(features.n_by_word.items())
    more = f" and {len(found) - _N_WORDS} more" if len(found) > _N_WORDS else ""
    return (", ".join(f"{word} {n}" for word, n in found[:_N_WORDS]) + more) or "no word"


def _share(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.1%}"
