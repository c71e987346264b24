"""Paired roles are read as they are written, and mistakes are named."""

import re

import pytest

from helpers.corpus.lexicon import load_lexicon
from helpers.geometry.analogies import Analogy, load_analogies

PAIRS = (
    ("king", "queen"),
    ("duke", "duchess"),
    ("man", "woman"),
    ("boy", "girl"),
    ("son", "daughter"),
    ("uncle", "aunt"),
)


def test_pairs_and_groups():
    roles = Analogy("gender", PAIRS, alike=(("king", "duke"), ("son", "uncle")))
    assert roles.sources[:2] == ("king", "duke") and roles.targets[-1] == "aunt"
    assert roles.groups.tolist() == [1, 1, 0, 0, 2, 2]


def test_unknown_words_take_their_pair_with_them():
    roles = Analogy("gender", PAIRS, alike=(("king", "duke"),))
    words = [word for pair in PAIRS for word in pair if word != "queen"]
    kept = roles.keep(words)
    assert kept.sources[0] == "duke" and kept.dropped == ("queen",) and kept.alike == (("duke",),)
    assert roles.n_known(words) == 5
    with pytest.raises(
        ValueError, match="4 of 6 pairs have two known words, at least 5 are needed; unknown: queen, boy"
    ):
        roles.keep([word for word in words if word != "boy"])


@pytest.mark.parametrize(
    ("pairs", "alike", "message"),
    [
        ((("a", "b"), ("a", "c")), (), "'a' is there twice as source"),
        ((("a", "b"), ("c", "b")), (), "'b' is there twice as target"),
        ((("a", "b"),), (("a",), ("a",)), "'a' is there twice as alike"),
        ((("king", "b"),), (("kign",),), "alike names 'kign'; did you mean 'king'"),
    ],
)
def test_mistakes_are_named(pairs, alike, message):
    with pytest.raises(ValueError, match=message):
        Analogy("x", pairs, alike=alike)


def test_the_file_of_the_project_uses_words_of_the_world():
    known = load_lexicon().concept_by_word
    roles = load_analogies("params/data/analogies.yaml")
    assert {"months to numbers", "days to numbers", "royal to family"} <= {item.name for item in roles}
    assert all(item.keep(known).dropped == () for item in roles)


def test_bad_files_are_refused(tmp_path):
    file = tmp_path / "roles.yaml"
    for content, message in (
        ("a: 1", "expected one key 'analogies'"),
        ("analogies: {}", "expected one key 'analogies'"),
        ("analogies: {x: {pair: {a: b}}}", "expected pairs"),
        ("analogies: {x: {pairs: {a: b}, like: []}}", "unknown key 'like'; did you mean 'alike'"),
        ("analogies: {x: {pairs: {a: b}, alike: [a]}}", "alike is a list of lists"),
    ):
        file.write_text(content)
        with pytest.raises(ValueError, match=f"{re.escape(str(file))}: .*{message}"):
            load_analogies(file)
