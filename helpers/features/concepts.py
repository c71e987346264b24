"""A concept group as a set of features: those that fire on its words, and what became of every word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.features.concept_groups import ConceptGroup
from helpers.features.labels import MIN_HITS

if TYPE_CHECKING:
    from helpers.features.search import FeatureIndex
    from helpers.features.words import WordTable

#: Why a word found no feature, as messages say it.
ABSENT = "stand in no context"
NO_EXAMPLE = "are no feature's top token"
TOO_FEW_HITS = "are top tokens of features that fire as much on other words"
_SHOWN = 8  # words in a message


@dataclass(frozen=True, eq=False)
class ConceptFeatures:
    """The features of one dictionary that fire on a group's words, those with the most hits first, then by id.

    Shapes:
        ids: (n,) int64; hits: (n,) int32, how many of a feature's top 5 examples fire on words of the group.
    Args:
        group: whose features these are.
        words: for each feature the group's word with the most of its hits.
        silent: words that none of the features fires on -> why (`ABSENT`, `NO_EXAMPLE`, `TOO_FEW_HITS`).
        split: words that the tokenizer cuts into several tokens; they are searched as whole words all the same.
    """

    group: ConceptGroup
    ids: np.ndarray
    hits: np.ndarray
    words: tuple[str, ...]
    silent: Mapping[str, str]
    split: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        return len(self.ids)

    @property
    def n_by_word(self) -> dict[str, int]:
        """Word of the group -> features that it found, the most first; words that found none are left out."""
        return dict(Counter(self.words).most_common())

    @property
    def largest_share(self) -> float:
        """Share of the features that the most frequent word found, in [0, 1]; near 1, one word carries the group."""
        return max(self.n_by_word.values()) / self.n if self.n else 0.0

    @property
    def messages(self) -> list[str]:
        """What a reader should know of the group's words, a sentence each; empty if every word found features."""
        name = f"group '{self.group.name}'"
        lines = [] if self.n else [f"{name} has no features"]
        for reason in (ABSENT, NO_EXAMPLE, TOO_FEW_HITS):
            concerned = [word for word, why in self.silent.items() if why == reason]
            if concerned:
                lines.append(f"{name}: {len(concerned)} of {len(self.group.words)} words {reason}: {_list(concerned)}")
        if self.split:
            lines.append(
                f"{name}: {len(self.split)} words are several tokens each and are found as whole words: "
                f"{_list(self.split)}"
            )
        return lines


def concept_features(
    index: FeatureIndex,
    group: ConceptGroup,
    *,
    min_hits: int = MIN_HITS,
    words: WordTable | None = None,
    tokenizer: Any = None,
) -> ConceptFeatures:
    """The features that fire on words of a group: the firing token, as a whole word, by the group's rule for case.

    Args:
        min_hits: examples among a feature's top 5 that must fire on words of the group (on any of them, together). In
            the story world 3 balances precision and recall; 1 finds three times as many features, most of them wrong.
        words: of the stores' rows; with them, words that stand nowhere are told from words that nothing fires on.
        tokenizer: with it, words that it splits are named.
    Raises:
        ValueError: min_hits out of range.
    """
    found = index.find(group.words, ignore_case=group.ignore_case, min_hits=min_hits)
    of_examples = {group.spelling(word) for word in index.words}
    of_rows = of_examples if words is None else {group.spelling(word) for word in words.words}
    silent = {}
    for word in found.missing:
        spelled = group.spelling(word)
        if words is not None and spelled not in of_rows:
            silent[word] = ABSENT
        else:
            silent[word] = TOO_FEW_HITS if spelled in of_examples else NO_EXAMPLE
    return ConceptFeatures(
        group=group,
        ids=found.ids,
        hits=found.hits,
        words=found.words,
        silent=silent,
        split=() if tokenizer is None else _split_words(tokenizer, group.words),
    )


def one_sided_groups(features: Mapping[str, Mapping[str, ConceptFeatures]]) -> list[str]:
    """A sentence for every group that some of the models have no features for.

    Args:
        features: model -> group name -> its features.
    """
    names = list(dict.fromkeys(name for by_group in features.values() for name in by_group))
    lines = []
    for name in names:
        sizes = {model: by_group[name].n for model, by_group in features.items() if name in by_group}
        without = [model for model, n in sizes.items() if n == 0]
        others = ", ".join(f"{n} in {model}" for model, n in sizes.items() if n)
        if without:
            lines.append(f"group '{name}' has no features in {', '.join(without)}" + (f" ({others})" if others else ""))
    return lines


def _split_words(tokenizer: Any, words: tuple[str, ...]) -> tuple[str, ...]:
    """The words that are several tokens, with a space before them and without."""
    forms = [f" {word}" for word in words] + list(words)
    lengths = np.array([len(ids) for ids in tokenizer(forms, add_special_tokens=False)["input_ids"]])
    shortest = lengths.reshape(2, len(words)).min(axis=0)
    return tuple(word for word, length in zip(words, shortest, strict=True) if length > 1)


def _list(words: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more
