"""Control groups: as many words, as frequent, and of nothing in common."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from helpers.corpus import StoryWorld
from helpers.features import (
    ConceptGroup,
    ConceptGroups,
    KnownConcepts,
    WordTable,
    build_words,
    control_group,
    known_concepts,
    load_concepts,
)


def table(**counts: int) -> WordTable:
    words = tuple(sorted(counts))
    return WordTable(words, np.repeat(np.arange(len(words)), [counts[word] for word in words]).astype(np.int32))


PETS = ConceptGroup("pets", ("dog", "cat", "newt"), concepts=("animal",))
KINGS = ConceptGroup("kings", ("king",), concepts=("royalty",))
GROUPS = ConceptGroups((PETS, KINGS))
CONCEPTS = {"bear": "mammal", "dog": "mammal", "red": "colour", "blue": "colour", "run": "verb", "sea": "water"}
KNOWN = KnownConcepts(("mammal", "royalty", "colour", "verb", "water"), {"mammal": "animal"}, CONCEPTS.get)


def test_words_of_the_nearest_frequency_are_drawn():
    words = table(dog=100, cat=10, red=101, blue=11, run=1000, sea=1)
    control = control_group(PETS, words, groups=GROUPS, n_nearest=1)
    assert control.group.words == ("red", "blue")
    assert control.group.name == "control of pets" and control.group.concepts == ()
    assert (control.counts, control.replaced, control.replaced_counts) == ((101, 11), ("dog", "cat"), (100, 10))
    assert control.absent == ("newt",)


def test_no_word_of_any_group_nor_of_its_concept_is_drawn():
    """Trap: the king is in another group, and the bear is an animal that no group lists."""
    words = table(dog=100, Dog=5, king=105, King=1, bear=105, red=300)
    assert control_group(ConceptGroup("g", ("dog",)), words, groups=GROUPS, n_nearest=1).group.words == ("bear",)
    pets = ConceptGroup("pets", ("dog",), concepts=("animal",))
    assert control_group(pets, words, groups=GROUPS, known=KNOWN, n_nearest=1).group.words == ("red",)


def test_drawn_words_are_of_different_concepts():
    words = table(dog=100, cat=100, red=100, blue=100, sea=100)
    for seed in range(30):
        drawn = control_group(PETS, words, groups=GROUPS, known=KNOWN, seed=seed).group.words
        assert len({CONCEPTS[word] for word in drawn}) == 2
    colours = [control_group(PETS, words, groups=GROUPS, seed=seed).group.words for seed in range(30)]
    assert {"red", "blue"} in [set(drawn) for drawn in colours]  # where nothing is known, this cannot be avoided


def test_case_is_counted_as_the_group_compares():
    words = table(dog=3, Dog=7, red=4, Red=6, blue=3, cat=1, sea=1)
    control = control_group(ConceptGroup("g", ("dog",)), words, groups=GROUPS, n_nearest=1)
    assert (control.group.words, control.counts, control.replaced_counts) == (("red",), (10,), (10,))
    control = control_group(ConceptGroup("g", ("dog",), "exact"), words, groups=GROUPS, n_nearest=1)
    assert (control.group.words, control.counts, control.replaced_counts) == (("blue",), (3,), (3,))


def test_two_spellings_are_one_word():
    words = table(dog=10, cat=10, after=10, After=9, sea=1)
    drawn = control_group(ConceptGroup("g", ("dog", "cat"), "exact"), words, groups=GROUPS, n_nearest=1).group.words
    assert drawn == ("after", "sea")


def test_marks_numbers_and_special_tokens_are_no_words():
    words = table(**{"dog": 10, ".": 10, "7": 10, "<|unk|>": 10, "'s": 10, "sea": 1})
    assert control_group(ConceptGroup("g", ("dog",)), words, groups=GROUPS).group.words == ("sea",)


def test_the_story_worlds_groups_have_controls(tokens, tokenizer):
    words, groups, known = (
        build_words(tokens, tokenizer),
        load_concepts("params/data/concepts.yaml"),
        known_concepts(StoryWorld()),
    )
    total: Counter[str] = Counter()
    for word, n in zip(
        words.words, np.bincount(words.word_ids[words.word_ids >= 0], minlength=len(words.words)), strict=True
    ):
        total[word.casefold()] += int(n)
    for name in ("emotions", "animals", "weather"):
        control = control_group(groups[name], words, groups=groups, known=known, seed=1)
        assert len(control.group.words) == len(control.replaced) == len(groups[name].words) - len(control.absent)
        assert not {word.casefold() for word in control.group.words} & groups.all_words
        # ten nearest words of a Zipf-like list: the sums agree within a third
        assert sum(control.counts) == pytest.approx(sum(control.replaced_counts), rel=1 / 3)
        again = control_group(groups[name], words, groups=groups, known=known, seed=1)
        other = control_group(groups[name], words, groups=groups, known=known, seed=2)
        assert again == control and set(other.group.words) != set(control.group.words)
    ignored = control_group(groups["emotions"], words, groups=groups, known=known, seed=1)
    assert all(total[word] == n for word, n in zip(ignored.group.words, ignored.counts, strict=True))


def test_bad_input():
    words = table(dog=10, cat=5, red=1)
    with pytest.raises(ValueError, match="no word of group 'kings' stands in the rows"):
        control_group(KINGS, words, groups=GROUPS)
    with pytest.raises(
        ValueError, match="group 'pets' needs 2 control words; only 1 words of the rows are in no group"
    ):
        control_group(PETS, words, groups=GROUPS)
    with pytest.raises(ValueError, match="n_nearest must be at least 1; got 0"):
        control_group(PETS, words, groups=GROUPS, n_nearest=0)
    with pytest.raises(ValueError, match="no word of group 'pets' stands in the rows"):
        control_group(PETS, WordTable((), np.empty(0, np.int32)), groups=GROUPS)
