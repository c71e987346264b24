"""Search finds features by the whole word of the firing token, and by nothing else."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.features import FeatureIndex, FeatureTable, TopExamples, build_words, describe_features
from tests.features.conftest import batch_of
from tests.features.test_labels import described, store_of, words_of

TEXTS = ("the king said", "talking to the king", "Brockman to Anderson", "the man said to Anderson:\nthe son") * 5
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@pytest.fixture(scope="module")
def by_token(tmp_path_factory, byte_level):
    """A dictionary with one feature for every token: it fires on that token and on no other."""
    tokens = batch_of(byte_level, *TEXTS)
    ids = tokens.token_ids()
    dense = (ids[:, None] == np.arange(len(byte_level))).astype(np.float32)
    store = store_of(tmp_path_factory.mktemp("by-token") / "s", dense, tokens.row_documents())
    table = describe_features(store, build_words(tokens, byte_level))
    return FeatureIndex(table), lambda piece: byte_level.convert_tokens_to_ids(piece)


def index_of(tmp_path, *features: list[str]) -> FeatureIndex:
    return FeatureIndex(described(tmp_path / "s", dict(enumerate(features))))


def test_parts_of_words_are_not_words(by_token):
    index, token = by_token
    # Traps: the token "king" is here only in "talking", "man" mostly in "Brockman", "son" in "Anderson".
    assert index.find("king", ignore_case=True).ids.tolist() == [token("Ġking")]
    assert token("king") in index.find("talking", ignore_case=False).ids
    assert index.find("man", ignore_case=True).ids.tolist() == [token("Ġman")]
    assert index.find("Brockman", ignore_case=False).words == ("Brockman",) * 2
    assert index.find("son", ignore_case=True).ids.tolist() == [token("Ġson")]
    assert set(index.find("Anderson", ignore_case=False).ids) == {token("ĠAnder"), token("son")}


def test_neighbours_of_the_firing_token_do_not_count(by_token):
    index, token = by_token
    # "the king said" is a context of all three; each is found by its own word only.
    for word in ("king", "said"):
        assert index.find(word, ignore_case=False).ids.tolist() == [token(f"Ġ{word}")]
    assert set(index.find("the", ignore_case=False).ids) == {token("the"), token("Ġthe")}


def test_a_newline_is_searched_as_itself(by_token):
    index, token = by_token
    assert index.find("\n", ignore_case=False).ids.tolist() == [token("Ċ")]
    assert index.find("\n", ignore_case=True).words == ("\n",)
    assert index.find_regex(r"\n").ids.tolist() == [token("Ċ")]
    assert "\n" in index.words
    # Trap: once "\n" was searched as a backslash and an n, and never found.
    with pytest.raises(ValueError, match="not one word but 2.*not a backslash and an n"):
        index.find(r"\n", ignore_case=False)


def test_hits_below_min_hits_are_noise(tmp_path):
    index = index_of(
        tmp_path, ["king", "a", "b", "c", "d", "king", "king"], ["king", "king", "king", "a", "b"], ["king"]
    )
    assert index.find("king", ignore_case=False).ids.tolist() == [1]
    found = index.find("king", ignore_case=False, min_hits=1)
    # The sixth and later examples do not count: feature 0 has one hit, not three.
    assert (found.ids.tolist(), found.hits.tolist()) == ([1, 0, 2], [3, 1, 1])
    for wrong in (0, 6):
        with pytest.raises(ValueError, match=rf"min_hits must be in \[1, 5\].*got {wrong}"):
            index.find("king", ignore_case=False, min_hits=wrong)


def test_case_is_a_rule_of_the_search(tmp_path):
    index = index_of(tmp_path, ["Mark"] * 4 + ["mark"], ["mark"] * 5, ["MARK"] * 3)
    assert index.find("Mark", ignore_case=False).ids.tolist() == [0]
    assert index.find("mark", ignore_case=True).ids.tolist() == [0, 1, 2]
    assert index.find(["Mark", "mark"], ignore_case=True).hits.tolist() == [5, 5, 3], "no hit counts twice"


def test_hits_of_a_group_add_up_and_the_finder_is_told(tmp_path):
    index = index_of(
        tmp_path,
        ["Monday", "Tuesday", "Monday", "Friday", "Sunday"],
        ["Monday", "day", "night", "Tuesday", "week"],
        ["Sunday", "Saturday", "Saturday", "x", "y"],
        ["x"] * 5,
    )
    found = index.find(DAYS, ignore_case=False)
    assert (found.ids.tolist(), found.hits.tolist()) == ([0, 2], [5, 3])
    assert found.words == ("Monday", "Saturday")
    assert found.missing == ("Wednesday", "Thursday")
    assert index.find("Monday", ignore_case=False).n == 0
    assert index.find("Monday", ignore_case=False).missing == ("Monday",)


def test_spaces_around_and_other_writings_of_a_word(tmp_path):
    index = index_of(tmp_path, ["king"] * 5, ["café"] * 5, ["don't"] * 5)
    assert index.find(" king", ignore_case=False).ids.tolist() == [0]
    assert index.find("cafe\u0301", ignore_case=False).ids.tolist() == [1]
    assert index.find("don’t", ignore_case=False).ids.tolist() == [2]


def test_regular_expressions(tmp_path):
    index = index_of(tmp_path, ["king"] * 5, ["talking", "walking", "talking", "x", "y"], ["King"] * 5)
    assert index.find_regex("king").ids.tolist() == [0]
    found = index.find_regex(".*ing")
    assert (found.ids.tolist(), found.hits.tolist(), found.words) == ([0, 2, 1], [5, 5, 3], ("king", "King", "talking"))
    assert index.find_regex("k", full_match=False).ids.tolist() == [0, 1]
    assert index.find_regex("king", ignore_case=True).ids.tolist() == [0, 2]
    with pytest.raises(ValueError, match=r"pattern must be a regular expression; got '\(king'"):
        index.find_regex("(king")


def test_concepts(tmp_path):
    index = index_of(tmp_path, ["dog", "cat", "dog", "x", "x"], ["red"] * 5, ["⏎", "⏎", "⏎", "dog", "cat"])
    concepts = {"dog": "animal", "cat": "animal", "red": "colour", "\n": "layout"}
    found = index.find_concept(concepts.get, "animal")
    assert (found.ids.tolist(), found.hits.tolist(), found.words) == ([0], [3], ("dog",))
    assert index.find_concept(concepts.get, "animal", min_hits=2).ids.tolist() == [0, 2]
    assert index.find_concept(concepts.get, "layout").ids.tolist() == [2]
    assert index.find_concept(concepts.get, "music").n == 0


def test_the_story_world_knows_the_concepts_of_words(tmp_path, world):
    index = index_of(tmp_path, ["dog", "cat", "horse", "lion", "dog"], ["Monday"] * 5, ["⏎"] * 5)
    for feature, word in enumerate(("dog", "Monday", "\n")):
        assert index.find_concept(world.concept_of, world.concept_of(word)).ids.tolist() == [feature]


def test_typing(tmp_path):
    index = index_of(tmp_path, ["Monday"] * 5, ["month"] * 3, ["moon"] * 5, ["kimono"] * 5)
    assert index.prefix("m").ids.tolist() == [0, 2, 1]
    assert index.prefix("Mon").words == ("Monday", "month")
    assert index.prefix("mond").ids.tolist() == [0]
    assert index.prefix("monx").n == index.prefix("").n == 0


def test_texts_that_are_not_one_word(tmp_path):
    index = index_of(tmp_path, ["New"] * 5)
    with pytest.raises(ValueError, match=r"'New York' is not one word but 2: \['New', 'York'\]"):
        index.find("New York", ignore_case=False)
    with pytest.raises(ValueError, match="'' is not one word but 0"):
        index.find("", ignore_case=False)
    with pytest.raises(ValueError, match="words is empty"):
        index.find([], ignore_case=False)


def test_a_dictionary_of_dead_features(tmp_path):
    index = FeatureIndex(describe_features(store_of(tmp_path / "s", np.zeros((2, 3), np.float32)), words_of("a", "b")))
    assert index.find("king", ignore_case=True).n == index.find_regex(".*").n == 0


def random_table(seed: int, d_sae: int = 40) -> FeatureTable:
    rng = np.random.default_rng(seed)
    words = ("a", "A", "b", "ba", "ab", "\u23ce")
    top = rng.integers(-1, len(words), size=(d_sae, 7)).astype(np.int32)
    examples = TopExamples(np.where(top >= 0, 1, -1).astype(np.int64), np.ones(top.shape, np.float32), np.ones(d_sae))
    zeros = np.zeros(d_sae, np.float32)
    return FeatureTable(
        examples, words, top, 9, zeros, zeros, np.zeros((d_sae, 2), np.int32),
        top[:, 0].copy(), np.zeros(d_sae, np.int32), zeros, ("",) * d_sae, ("",) * d_sae,
    )  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    min_hits=st.integers(1, 5),
    ignore_case=st.booleans(),
    chosen=st.sets(st.sampled_from(("a", "b", "ab", "\n", "z")), min_size=1),
)
def test_the_index_equals_a_scan(seed, min_hits, ignore_case, chosen):
    table = random_table(seed)
    words = sorted(chosen)
    wanted = {word.casefold() for word in words} if ignore_case else set(words)
    hits = np.zeros(table.d_sae, dtype=int)
    for feature in range(table.d_sae):
        for word in table.top_words[feature, :5]:
            if word >= 0:
                text = table.words[word].replace("\u23ce", "\n")
                hits[feature] += (text.casefold() if ignore_case else text) in wanted
    expected = sorted(np.flatnonzero(hits >= min_hits), key=lambda f: (-hits[f], f))
    found = FeatureIndex(table).find(words, ignore_case=ignore_case, min_hits=min_hits)
    assert found.ids.tolist() == [int(f) for f in expected]
    assert found.hits.tolist() == [int(hits[f]) for f in expected]
    assert found.ids.dtype == np.int64 and found.hits.dtype == np.int32
    if not ignore_case:
        pattern = "|".join(map(re.escape, words))
        assert FeatureIndex(table).find_regex(pattern, min_hits=min_hits).ids.tolist() == found.ids.tolist()
