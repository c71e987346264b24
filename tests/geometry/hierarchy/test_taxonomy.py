"""Taxonomies are read as they are written, and what cannot be one is refused in words."""

import re

import numpy as np
import pytest

from helpers.geometry.hierarchy import (
    Nest,
    load_taxonomy,
    make_taxonomy,
    moved_concepts,
    shuffled_words,
    story_taxonomy,
    unnested_sets,
)

TREE = make_taxonomy(
    {"mammal": "animal", "bird": "animal", "animal": None, "tool": None},
    {"mammal": ["dog", "cat"], "bird": ["owl", "crow", "hen"], "animal": ["pet"], "tool": ["saw"]},
)


def test_concepts_stand_after_their_parents_and_rows_belong_to_all_above():
    assert TREE.names == ("animal", "mammal", "bird", "tool")
    assert TREE.all_words == ("pet", "dog", "cat", "owl", "crow", "hen", "saw")
    nest = TREE.nest(["saw", "owl", "dog", "pet"])
    assert nest.members.astype(int).tolist() == [[0, 0, 0, 1], [1, 0, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]]
    assert nest.sizes.tolist() == [3, 1, 1, 1]
    assert nest.edges.tolist() == [[1, 0], [2, 0]]


def test_a_child_that_is_all_of_its_parent_is_no_edge():
    only = make_taxonomy({"bird": "animal"}, {"bird": ["owl", "hen"]})
    assert only.nest(["owl", "hen"]).edges.shape == (0, 2)


def test_unknown_words_are_dropped_and_told():
    kept = TREE.keep({"dog", "owl", "hen"})
    assert kept.names == ("animal", "mammal", "bird") and kept.all_words == ("dog", "owl", "hen")
    assert kept.dropped == {"animal": ("pet",), "mammal": ("cat",), "bird": ("crow",), "tool": ("saw",)}
    with pytest.raises(ValueError, match="none of the 7 words of the taxonomy is known"):
        TREE.keep({"nothing"})


def test_branches():
    assert TREE.branch(["mammal", "tool"]).parents == {"mammal": None, "tool": None}
    assert TREE.branch([]) is TREE
    with pytest.raises(ValueError, match="unknown concept 'mamal'; did you mean 'mammal'"):
        TREE.branch(["mamal"])


@pytest.mark.parametrize(
    ("parents", "words", "message"),
    [
        ({"a": "b", "b": "a"}, {"a": ["x"], "b": ["y"]}, "round in a circle: a -> b -> a"),
        ({"a": "a"}, {"a": ["x"]}, "round in a circle: a -> a"),
        ({"a": "top", "b": "top"}, {"a": ["x"], "b": ["x"]}, "'x' of 'b' is in 'a' as well"),
        ({"a": None}, {"a": ["x", "x"]}, "'x' of 'a' is twice in it"),
        ({"a": None, "b": None}, {"a": ["x"]}, "'b' has neither words nor children"),
        ({"a": None}, {"a": ["x"], "aa": ["y"]}, "words are given for 'aa', which is no concept"),
        ({}, {}, "at least one concept"),
    ],
)
def test_what_is_no_taxonomy_is_refused(parents, words, message):
    with pytest.raises(ValueError, match=message):
        make_taxonomy(parents, words)


def test_nests_of_words_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="unknown: horse"):
        TREE.nest(["dog", "horse"])
    with pytest.raises(ValueError, match="1 are there twice"):
        TREE.nest(["dog", "dog"])
    with pytest.raises(ValueError, match="'wolf' is no concept here"):
        TREE.nest(["dog"]).place("wolf")
    with pytest.raises(ValueError, match="each after its parent"):
        Nest(("a", "b"), np.array([1, -1]), np.array([0]))


def test_files_are_read_and_checked(tmp_path):
    file = tmp_path / "tree.yaml"
    file.write_text("concepts:\n  mammal: {parent: animal, words: dog cat}\n  bird: {parent: animal, words: owl}\n")
    assert load_taxonomy(file).names == ("animal", "mammal", "bird")
    for content, message in (
        ("words: dog", "expected one key 'concepts'"),
        ("concepts:\n  a: {word: dog}", "unknown key 'word'; did you mean 'words'"),
        ("concepts:\n  a: {words: [dog]}", "words is one text"),
        ("concepts:\n  a: {words: dog, parent: 3}", "parent is one name"),
        ("concepts:\n  a: dog", "expected keys with values"),
        ("concepts:\n  a: {words: dog}\n  b: {words: dog}", "'dog' of 'b' is in 'a' as well"),
    ):
        file.write_text(content)
        with pytest.raises(ValueError, match=f"{re.escape(str(file))}: .*{message}"):
            load_taxonomy(file)
    with pytest.raises(ValueError, match="there is no such file"):
        load_taxonomy(tmp_path / "none.yaml")


def test_the_story_world_is_a_taxonomy():
    story = story_taxonomy()
    assert story.line("weekday") == ["weekday", "calendar", "time"]
    assert story.line("mammal") == ["mammal", "animal", "living_thing"]
    assert "comma" not in story.names and len(story.all_words) > 1000


def test_shuffles_keep_the_shape_and_the_false_null_does_not():
    nest = TREE.nest(TREE.all_words)
    rng = np.random.default_rng(0)
    shuffled = shuffled_words(nest, rng)
    assert shuffled.sizes.tolist() == nest.sizes.tolist()
    assert not (shuffled.members[:, 1] & ~shuffled.members[:, 0]).any()
    moved, holds = moved_concepts(nest, rng)
    assert sorted(holds.tolist()) == [0, 1, 2, 3]
    for place in range(4):  # whole concepts, in the place that now holds them
        assert np.array_equal(moved.owners == place, nest.owners == holds[place])
    escaped = 0
    for _ in range(20):
        sets = unnested_sets(nest, rng)
        assert sets.sum(axis=0).tolist() == nest.sizes.tolist()
        escaped += int((sets[:, 1] & ~sets[:, 0]).any())
    assert escaped > 0
