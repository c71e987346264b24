"""Groups of words: the file of the project, and every way in which a file can be wrong."""

from __future__ import annotations

import pytest

from helpers.corpus.lexicon import load_lexicon
from helpers.features import ConceptGroup, ConceptGroups, load_concepts

FILE = "params/data/concepts.yaml"


def write(path, text):
    file = path / "concepts.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def groups():
    return load_concepts(FILE)


def test_the_projects_groups(groups):
    asked_for = {
        "time", "calendar", "month_names", "weekdays", "people_and_roles", "family", "nature", "emotions", "countries", "numbers",
        "animals", "colours", "food", "biology",
    }  # fmt: skip
    assert asked_for <= set(groups.names)
    assert groups["calendar"].overlaps == ("month_names", "weekdays")
    assert groups["weekdays"].words[:2] == ("Monday", "Tuesday")


def test_words_of_several_meanings_are_in_no_group(groups):
    """Trap: a generic word brings features that have nothing to do with the group."""
    poisonous = {
        "even",
        "second",
        "minute's",
        "bear",
        "orange",
        "fly",
        "bat",
        "seal",
        "cricket",
        "one",
        "last",
        "fall",
        "spring",
    }
    assert not poisonous & groups.all_words


def test_names_are_searched_as_written(groups):
    """ "may" and "march" are no months, "turkey" is no country, and Mr. Brown is no colour."""
    for name, word in (("month_names", "May"), ("calendar", "March"), ("countries", "Turkey"), ("colours", "brown")):
        assert word in groups[name].words
        assert not groups[name].ignore_case
        assert groups[name].spelling(word) == word


def test_the_groups_words_are_of_the_groups_concepts(groups):
    """Where the story world knows a word, its concept is one that the group stands for."""
    lexicon = load_lexicon()
    concept_of = {
        group.spelling(word): concept
        for group in [ConceptGroup("x", ("y",))]
        for word, concept in lexicon.concept_by_word.items()
    }
    for group in groups.groups:
        known = [concept_of.get(word.casefold()) for word in group.words]
        lines = [line(concept, lexicon.taxonomy) for concept in known if concept]
        assert all(set(group.concepts) & set(names) for names in lines)
        assert len(lines) >= 0.4 * len(group.words)


def line(concept, taxonomy):
    names = [concept]
    while taxonomy.get(names[-1], names[-1]) not in names:
        names.append(taxonomy[names[-1]])
    return names


def test_mismatched_pairs_share_no_word(groups):
    pairs = groups.mismatched_pairs()
    n = len(groups.names)
    assert len(pairs) == n * (n - 1) - 4  # calendar with month names and with weekdays, both ways round
    assert ("month_names", "weekdays") in pairs
    assert ("calendar", "weekdays") not in pairs and ("weekdays", "calendar") not in pairs
    for one, other in pairs:
        assert not {word.casefold() for word in groups[one].words} & {word.casefold() for word in groups[other].words}


def test_case_decides_what_is_common():
    names, verbs = ConceptGroup("names", ("May", "Will"), "exact"), ConceptGroup("verbs", ("may", "will"), "exact")
    assert names.common_words(verbs) == []
    assert names.common_words(ConceptGroup("verbs", ("may", "can"), "ignore")) == ["May"]


def test_choosing(groups):
    chosen = groups.choose(["weekdays", "calendar"])
    assert chosen.names == ["weekdays", "calendar"]
    assert chosen["calendar"].overlaps == ("weekdays",)
    assert groups.choose([]).names == groups.names
    with pytest.raises(ValueError, match="unknown group 'emotion'; did you mean 'emotions'"):
        groups.choose(["emotion"])


def test_other_scripts(tmp_path):
    text = "groups:\n  ملوك: {words: ملك ملكة}\n  pets: {words: 猫 कुत्ता cafe\u0301}\n"
    groups = load_concepts(write(tmp_path, text))
    assert groups["ملوك"].words == ("ملك", "ملكة")
    assert groups["pets"].words == ("猫", "कुत्ता", "caf\u00e9")
    assert groups["pets"].ignore_case


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("groups:\n  a: {words: x, cas: exact}", "group 'a': unknown key 'cas'; did you mean 'case'"),
        ("group:\n  a: {words: x}", "the file: unknown key 'group'; did you mean 'groups'"),
        ("groups:\n  a: {case: exact}", "group 'a': missing key 'words'"),
        ("groups:\n  a: {words: x, case: exakt}", "group 'a': case is exact or ignore; got 'exakt'"),
        ("groups:\n  a: {words: king Queen queen}", "group 'a' has the word 'queen' twice"),
        ("groups:\n  a: {words: king king, case: exact}", "group 'a' has the word 'king' twice"),
        ("groups:\n  a: {words: x-ray}", "group 'a': an entry is one word.*got 'x-ray', which is 'x' \\+ '-' \\+ 'ray'"),
        ("groups:\n  a: {words: 'king''s'}", "an entry is one word.*'king' \\+ \"'s\""),
        ("groups:\n  a: {words: king . queen}", "a word has letters or digits; got '.'"),
        ("groups:\n  a: {words: ''}", "group 'a': words are one text, at least one word"),
        ("groups:\n  a: {words: }", "group 'a': words are one text.*got None"),
        ("groups:\n  a: {words: [king, queen]}", "group 'a': words are one text.*got \\['king', 'queen'\\]"),
        ("groups:\n  a: {words: king, concepts: royalty}", "concepts is a list of names such as \\[a, b\\]; got 'royalty'"),
        ("groups:\n  a: king queen", "group 'a': expected keys with values; got 'king queen'"),
        ("groups: {}", "groups: expected keys with values"),
        ("[]", "the file: expected keys with values"),
        ("groups:\n  a: {words: king}\n  a: {words: queen}", "duplicate key 'a'"),
        ("groups:\n  a: {words: king queen}\n  b: {words: King man}", "'a' and 'b' share 1 words \\(king\\); write `overlaps"),
        ("groups:\n  a: {words: king, overlaps: [b]}\n  b: {words: man}", "'a' and 'b' are said to overlap and share no word"),
        ("groups:\n  a: {words: king, overlaps: [c]}\n  bc: {words: man}", "group 'a' overlaps with unknown group 'c'"),
        ("groups:\n  a: {words: king, overlaps: [a]}", "group 'a' overlaps with unknown group 'a'"),
    ],
)  # fmt: skip
def test_wrong_files(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as raised:
        load_concepts(write(tmp_path, text))
    assert "concepts.yaml" in str(raised.value)


def test_wrong_arguments(tmp_path):
    with pytest.raises(ValueError, match="there is no such file"):
        load_concepts(tmp_path / "none.yaml")
    with pytest.raises(ValueError, match="group 'a' has no words"):
        ConceptGroup("a", ())
    with pytest.raises(ValueError, match="an entry is one word.*got 'the king'"):
        ConceptGroup("a", ("the king",))
    with pytest.raises(ValueError, match="at least one group"):
        ConceptGroups(())
    with pytest.raises(ValueError, match="group names must differ; got a, a"):
        ConceptGroups((ConceptGroup("a", ("x",)), ConceptGroup("a", ("y",))))
