"""Control groups: unrelated words of the same number and the same frequency as a concept group.

If a group is found because its words are frequent, or because it has many of them, its control group is found as well.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from helpers.features.concept_groups import ConceptGroup, ConceptGroups
from helpers.features.concept_truth import KnownConcepts

if TYPE_CHECKING:
    from helpers.features.words import WordTable

N_NEAREST = 10


@dataclass(frozen=True)
class ControlGroup:
    """A generated group beside the words that it was made for.

    Args:
        group: the control's words, to be searched like any group; it stands for no concept.
        counts: how often each of its words stands in the rows.
        replaced: the group's word in whose place each control word stands; replaced_counts: how often those stand there.
        absent: words of the group that stand in no row; they have no frequency and get no control word.
        seed: of the draw.
    """

    group: ConceptGroup
    counts: tuple[int, ...]
    replaced: tuple[str, ...]
    replaced_counts: tuple[int, ...]
    absent: tuple[str, ...]
    seed: int


def control_group(
    group: ConceptGroup,
    words: WordTable,
    *,
    groups: ConceptGroups,
    known: KnownConcepts | None = None,
    seed: int = 0,
    n_nearest: int = N_NEAREST,
) -> ControlGroup:
    """Draw a word of about the same frequency for every word of a group that the rows have.

    Every control word is drawn from the `n_nearest` free words that are nearest in frequency (ratio of counts). Words of
    any group are never drawn. Where concepts are known, neither is a word whose concept any group stands for ("bear"
    beside the animals), and of the nearest words only those are drawn whose concept has been drawn least often, so that
    the control's words have little to do with each other.

    Args:
        words: whose rows the frequencies are counted on.
        groups: all groups of the study; `group` need not be one of them.
        known: the corpus's concepts, if it knows any.
        seed: of the draw; the same arguments give the same words.
        n_nearest: more make a freer draw with a looser match of frequencies.
    Raises:
        ValueError: no word of the group stands in the rows; fewer free words than needed; n_nearest below 1.
    """
    if n_nearest < 1:
        raise ValueError(f"n_nearest must be at least 1; got {n_nearest}")
    counts = _counts(words, group)
    present = [word for word in group.words if counts[group.spelling(word)]]
    present.sort(key=lambda word: -counts[group.spelling(word)])
    if not present:
        raise ValueError(f"no word of group '{group.name}' stands in the rows, so there is no frequency to match")
    concepts = _concepts(words, group, known)
    free = _free_words(counts, concepts, group, groups, known)
    if len(free) < len(present):
        raise ValueError(
            f"group '{group.name}' needs {len(present)} control words; only {len(free)} words of the rows are in no "
            "group; take more tokens or fewer groups"
        )
    drawn = _draw([counts[group.spelling(word)] for word in present], free, counts, concepts, seed, n_nearest)
    return ControlGroup(
        group=ConceptGroup(name=f"control of {group.name}", words=tuple(drawn), case=group.case),
        counts=tuple(counts[word] for word in drawn),
        replaced=tuple(present),
        replaced_counts=tuple(counts[group.spelling(word)] for word in present),
        absent=tuple(word for word in group.words if not counts[group.spelling(word)]),
        seed=seed,
    )


def _counts(words: WordTable, group: ConceptGroup) -> Counter[str]:
    """Rows of every word, spelled as the group compares words."""
    rows = np.bincount(words.word_ids[words.word_ids >= 0], minlength=len(words.words))
    counts: Counter[str] = Counter()
    for word, n in zip(words.words, rows, strict=True):
        counts[group.spelling(word)] += int(n)
    return counts


def _concepts(words: WordTable, group: ConceptGroup, known: KnownConcepts | None) -> dict[str, str]:
    """Known concept of every word that has one, spelled as the group compares words."""
    if known is None:
        return {}
    found = ((group.spelling(word), known.of(word)) for word in words.words)
    return {word: concept for word, concept in found if concept}


def _free_words(
    counts: Counter[str],
    concepts: dict[str, str],
    group: ConceptGroup,
    groups: ConceptGroups,
    known: KnownConcepts | None,
) -> list[str]:
    taken = groups.all_words | {word.casefold() for word in group.words}
    named = [concept for entry in (*groups.groups, group) for concept in entry.concepts]
    spoken_for = known.under(named) if known else frozenset()
    free: dict[str, str] = {}  # one spelling of a word, the most frequent: "after" and "After" are no two words
    for word, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        folded = word.casefold()
        if n and word[0].isalpha() and folded not in taken and concepts.get(word) not in spoken_for:
            free.setdefault(folded, word)
    return sorted(free.values())


def _draw(
    wanted: list[int],
    free: list[str],
    counts: Counter[str],
    concept_of: dict[str, str],
    seed: int,
    n_nearest: int,
) -> list[str]:
    rng = np.random.default_rng(seed)
    log_counts = np.log([counts[word] for word in free])
    concepts = [concept_of.get(word) for word in free]
    is_free = np.ones(len(free), dtype=bool)
    used: Counter[str | None] = Counter()
    drawn = []
    for count in wanted:
        places = np.flatnonzero(is_free)
        distance = np.abs(log_counts[places] - np.log(count))
        nearest = places[np.argsort(distance, kind="stable")[:n_nearest]]
        least = min(used[concepts[place]] for place in nearest)
        place = int(rng.choice([place for place in nearest if used[concepts[place]] == least]))
        is_free[place] = False
        used[concepts[place]] += 1
        drawn.append(free[place])
    return drawn
