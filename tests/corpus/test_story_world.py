"""The story world: the same for everyone, one meaning a word, facts that are true."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.corpus import StoryWorld
from helpers.corpus.lexicon import Lexicon, load_lexicon
from helpers.corpus.story_world import MAX_DOCUMENT_TOKENS

ROOT = Path(__file__).parents[2]
# Of the first 100 documents of StoryWorld(); a change of the grammar or the lexicon changes it and belongs in the changelog.
PINNED = "c53e1b0b07ea8d7d752fa3cfd4011fcef1ed2b1a5e1df75398a885b76c853475"
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
NUMBERS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]


@pytest.fixture(scope="module")
def world() -> StoryWorld:
    return StoryWorld()


@pytest.fixture(scope="module")
def texts(world: StoryWorld) -> list[str]:
    return [world.document(index).text for index in range(3000)]


def _digest(texts: list[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def test_first_documents_are_pinned(texts: list[str]) -> None:
    assert _digest(texts[:100]) == PINNED


def test_another_process_with_another_hash_seed_tells_the_same_stories(texts: list[str]) -> None:
    code = (
        "import hashlib; from helpers.corpus import StoryWorld; w = StoryWorld();"
        "print(hashlib.sha256('\\0'.join(w.document(i).text for i in range(100)).encode()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == _digest(texts[:100])


def test_a_document_does_not_depend_on_the_ones_before(world: StoryWorld, texts: list[str]) -> None:
    stream = world.documents(start=1234)
    first = next(stream)
    assert (first.index, first.text) == (1234, texts[1234])
    assert next(stream).text == texts[1235]


def test_seeds_and_splits_are_different_samples(texts: list[str]) -> None:
    for other in (StoryWorld(seed=1), StoryWorld(split="held_out")):
        theirs = {other.document(index).text for index in range(200)}
        assert len(theirs) == 200
        assert not theirs & set(texts)


def test_documents_fill_a_sequence_and_never_more(texts: list[str]) -> None:
    lengths = [len(re.findall(r" ?[A-Za-z]+| ?[^\sA-Za-z]|\s", text)) for text in texts]
    assert max(lengths) <= MAX_DOCUMENT_TOKENS <= 127
    assert min(lengths) >= 100


def test_every_token_is_in_the_vocabulary_and_has_a_concept(world: StoryWorld, texts: list[str]) -> None:
    found = {token for text in texts for token in re.findall(r" ?[A-Za-z]+| ?[^\sA-Za-z]|\s", text)}
    assert found <= set(world.vocabulary)
    assert not [token for token in world.vocabulary if world.concept_of(token) is None]


def test_every_word_of_the_lexicon_is_used(world: StoryWorld) -> None:
    used = {token.strip().lower() for token in world.vocabulary}
    assert not [word for words in world.concepts.values() for word in words if word.lower() not in used]
    assert 900 <= sum(map(len, world.concepts.values())) <= 1300


def test_concepts_of_tokens(world: StoryWorld) -> None:
    expected = {
        " Monday": "weekday", "Monday": "weekday", " king": "royalty", "King": "royalty", " May": "month", " The": "article",
        "\n": "line_break", ' "': "quotation_mark", ".": "sentence_end", " ?": "sentence_end", ";": "punctuation", " seven": "number_word", " She": "pronoun",
        " Anna": "female_name", " dog": "mammal", " joyful": "joy", " Paris": "city",
    }  # fmt: skip
    assert {token: world.concept_of(token) for token in expected} == expected
    for stranger in (" talking", "<|bos|>", "", " monday"):
        assert world.concept_of(stranger) is None, stranger


def test_taxonomy_is_a_forest_over_the_concepts(world: StoryWorld) -> None:
    assert world.taxonomy["mammal"] == "animal"
    for concept in world.concepts:
        seen = [concept]
        while seen[-1] in world.taxonomy:
            seen.append(world.taxonomy[seen[-1]])
            assert len(seen) < 10, seen


def _true_successors(texts: list[str], pattern: str, order: list[str], step: int, *, cyclic: bool) -> int:
    """Assert that every hit of `pattern` names an entry of `order` and the one `step` after it; return the number of hits."""
    n_hits = 0
    for text in texts:
        for before, after in re.findall(pattern, text):
            place = order.index(before.lower() if before.lower() in order else before) + step
            assert after == order[place % len(order) if cyclic else place], (before, after)
            n_hits += 1
    return n_hits


@pytest.mark.parametrize(
    ("pattern", "order", "step", "cyclic"),
    [
        (r"Today is (\w+)\. Tomorrow is (\w+)\.", DAYS, 1, True),
        (r"The day before (\w+) is (\w+)\.", DAYS, -1, True),
        (r"Three days after (\w+) is (\w+)\.", DAYS, 3, True),
        (r"Today is (\w+)\. In six days it will be (\w+)\.", DAYS, 6, True),
        (r"The month after (\w+) is (\w+)\.", MONTHS, 1, True),
        (r"The month before (\w+) is (\w+)\.", MONTHS, -1, True),
        (r"The number after (\w+) is (\w+)\.", NUMBERS, 1, False),
        (r"The number before (\w+) is (\w+)\.", NUMBERS, -1, False),
        (r"counted up: (\w+), \w+, \w+, (\w+)\.", NUMBERS, 3, False),
        (r"counted down: (\w+), \w+, \w+, (\w+)\.", NUMBERS, -3, False),
        (r"(\w+), \w+, \w+, (\w+day)\.", DAYS, 3, True),
    ],
)
def test_orders_are_true(texts: list[str], pattern: str, order: list[str], step: int, cyclic: bool) -> None:
    assert _true_successors(texts, pattern, order, step, cyclic=cyclic) > 20


def test_a_false_order_would_be_noticed() -> None:
    with pytest.raises(AssertionError):
        _true_successors(
            ["Today is Sunday. Tomorrow is Tuesday."], r"is (\w+)\. Tomorrow is (\w+)\.", DAYS, 1, cyclic=True
        )


def test_pronouns_agree_with_their_hero(texts: list[str]) -> None:
    lexicon = load_lexicon()
    female = set(lexicon.female) | set(lexicon.concepts["female_name"])
    male = set(lexicon.male) | set(lexicon.concepts["male_name"])
    counts = {"she": 0, "he": 0}
    for text in texts:
        for hero, pronoun in re.findall(r"(\w+) was \w+ because (he|she) ", text):
            assert hero in (female if pronoun == "she" else male)
            counts[pronoun] += 1
    assert min(counts.values()) > 50


def test_the_two_sides_of_a_pair_are_different_words(texts: list[str]) -> None:
    pairs = [pair for text in texts for pair in re.findall(r"The (\w+) is a mammal like the (\w+)\.", text)]
    assert len(pairs) > 50
    assert all(one != other for one, other in pairs)


def test_articles(texts: list[str]) -> None:
    together = " ".join(texts)
    assert not re.search(r"\b[Aa] [aeiou]", together)
    assert not re.search(r"\b[Aa]n [^aeiou]", together)


def test_words_of_a_concept_follow_their_rank(texts: list[str]) -> None:
    words = load_lexicon().concepts["female_name"]
    together = re.findall(r"[A-Za-z]+", " ".join(texts))
    counts = [together.count(word) for word in words]
    assert min(counts) > 0
    assert sum(counts[:5]) > 2 * sum(counts[-5:])


@pytest.mark.parametrize("kind", StoryWorld().probe_kinds)
def test_probes_are_repeatable_and_answerable(world: StoryWorld, kind: str) -> None:
    probes = world.probes(kind, n_probes=60)
    assert probes[:20] == world.probes(kind, n_probes=20)
    assert len({probe.prompt for probe in probes}) > 55
    assert len({probe.answer for probe in probes}) == 2 if kind in ("pronoun", "possessive") else True
    for probe in probes:
        assert probe.kind == kind
        assert probe.answer in probe.alternatives
        assert len(probe.alternatives) > 1
        assert set(probe.alternatives) <= set(world.vocabulary)
        assert probe.prompt == probe.prompt.strip()


def test_weekday_probes_ask_for_the_true_day(world: StoryWorld) -> None:
    asked = re.compile(r"(?:(\w+) days after (\w+) is|Today is (\w+)\. In (\w+) days it will be)$")
    for probe in world.probes("weekday_offset", n_probes=100):
        match = asked.search(probe.prompt)
        assert match is not None
        gap, day = match[1] or match[4], match[2] or match[3]
        assert probe.answer == " " + DAYS[(DAYS.index(day) + NUMBERS.index(gap.lower())) % 7]


def test_unknown_probe_kind(world: StoryWorld) -> None:
    with pytest.raises(ValueError, match="kind is one of weekday.*got 'weather'"):
        world.probes("weather")


def _lexicon(**changes: object) -> Lexicon:
    values: dict = {
        "concepts": {"fruit": ("apple",), "colour": ("red",)}, "taxonomy": {}, "orders": {}, "relations": {}, "female": (), "male": (), "marks": {},
    }  # fmt: skip
    return Lexicon(**{**values, **changes})


def test_a_word_has_one_concept_whatever_its_case() -> None:
    with pytest.raises(ValueError, match="'Red' is in 'colour' and in 'name'"):
        _lexicon(concepts={"colour": ("red",), "name": ("Red",)})


def test_a_word_is_one_word() -> None:
    with pytest.raises(ValueError, match="letters a-z only; got 'ice-cream'"):
        _lexicon(concepts={"dish": ("ice-cream",)})


def test_relations_use_known_words() -> None:
    with pytest.raises(ValueError, match="relation 'typical' has banana"):
        _lexicon(relations={"typical": (("banana", "red"),)})
