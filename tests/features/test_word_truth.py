"""What a feature stands for in a known tree of words: by hand, and its edges."""

import numpy as np
import pytest

from helpers.corpus import StoryWorld
from helpers.features import (
    ConceptMass,
    KnownConcepts,
    concepts_above,
    effective_number,
    known_words,
    narrowest_concepts,
)

KNOWN = KnownConcepts(
    ("dog", "cat", "owl", "red"),
    {"dog": "mammal", "cat": "mammal", "owl": "bird", "mammal": "animal", "bird": "animal"},
    {}.get,
)


def mass(*rows):
    return ConceptMass(KNOWN, np.array(rows, dtype=float), np.ones(len(rows), dtype=np.int64))


def test_the_narrowest_branch_that_holds_most():
    rows = mass(
        [9, 1, 0, 0, 0],  # a word
        [5, 5, 0, 0, 0],  # no word holds more than half: their concept
        [3, 2, 3, 1, 0],  # mammals 5 of 9: the concept, not the kind
        [2, 2, 3, 1, 0],  # mammals exactly half: the kind
        [0, 0, 0, 4, 0],  # a word without a kind
        [1, 1, 1, 1, 4],  # mostly words without a concept
        [0, 0, 0, 0, 0],  # dead
        [2, 2, 0, 4, 0],  # half and half
    )
    assert narrowest_concepts(rows).tolist() == ["dog", "mammal", "mammal", "animal", "red", None, None, None]
    assert narrowest_concepts(rows, min_share=0.95).tolist() == [
        "mammal",
        "mammal",
        None,
        None,
        "red",
        None,
        None,
        None,
    ]


def test_the_number_of_words_by_hand():
    found = effective_number(mass([1, 1, 1, 1, 0], [0, 7, 0, 0, 0], [0, 0, 0, 0, 0], [1, 1, 0, 0, 2], [2, 1, 1, 0, 0]))
    # Shares 1/2, 1/4, 1/4: entropy 1.5 bits, which is 2 ** 1.5 words.
    np.testing.assert_allclose(found, [4, 1, 0, 2**1.5, 2**1.5], rtol=1e-12)


def test_words_are_lifted_to_their_concepts_and_nothing_else():
    names = np.array(["dog", "mammal", "animal", "red", None], dtype=object)
    assert concepts_above(names, KNOWN).tolist() == ["mammal", "mammal", "animal", "red", None]


def test_words_of_the_story_world():
    world = StoryWorld()
    known = known_words(world)
    assert known.line(known.of(" dog")) == ['"dog"', "mammal", "animal", "living_thing"]
    assert known.of("Dog") == '"dog"' and known.of("Monday") == '"Monday"' and known.of("monday") is None
    assert known.of("xyzzy") is None and known.of(".") is None and known.of("") is None
    # "season" is a word (of the words for categories) and a concept.
    assert known.line('"season"')[1] == "category" and known.line("season")[1] == "calendar"
    assert {known.of(word) for words in world.concepts.values() for word in words} == set(known.names)
    for word in ("dog", "Monday", "seven"):
        assert known.line(known.of(word))[1] == world.concept_of(word)
    assert known_words(object()) is None


@pytest.mark.parametrize("min_share", [0.4, 1.0])
def test_a_share_that_two_words_could_hold_is_refused(min_share):
    with pytest.raises(ValueError, match="min_share must be at least 0.5 and below 1"):
        narrowest_concepts(mass([1, 0, 0, 0, 0]), min_share=min_share)
