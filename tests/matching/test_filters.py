"""Filters of pairs against filtering by hand, one pair at a time; the traps of published filters are planted."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pytest

from helpers.matching import (
    NON_CONCEPT_WORDS,
    ConceptTokens,
    MaxDensity,
    MinCorrelation,
    MinDensity,
    OneToOne,
    SharedTopToken,
    apply_filters,
    non_concept_words,
)
from helpers.matching.pairs import make_pairs


@dataclass(frozen=True)
class Features:
    words: tuple[str, ...]
    top_words: np.ndarray
    density: np.ndarray


def features(*tops: str, density=None) -> Features:
    """A feature a text: the whole words of its top examples, strongest first; `_` = no example."""
    rows = [top.split(" ") for top in tops]
    words = tuple(dict.fromkeys(word for row in rows for word in row if word != "_"))
    places = [[words.index(word) if word != "_" else -1 for word in row] for row in rows]
    return Features(words, np.array(places, np.int32), np.asarray(density or [0.01] * len(rows), np.float32))


def pairs_of(ids_a, ids_b, d_sae_a, d_sae_b, corr=None):
    corr = np.linspace(1, 0.1, len(ids_a)) if corr is None else corr
    settings = {"d_sae_a": d_sae_a, "d_sae_b": d_sae_b, "direction": "b_to_a"}
    return make_pairs(np.array(ids_a), np.array(ids_b), np.array(corr), settings=settings)


def kept(report) -> list[tuple[int, int]]:
    return list(zip(report.pairs.ids_a.tolist(), report.pairs.ids_b.tolist(), strict=True))


def test_every_step_counts_and_shows_what_it_removed():
    a = features(". . . . .", "king king king queen queen", "dog dog dog cat cat")
    b = features(", , , , ,", "dog dog dog dog dog", "queen cow cow cow cow", "red red red red red")
    pairs = pairs_of([0, 1, 2, 1], [0, 2, 1, 3], 3, 4, corr=[0.9, 0.8, 0.7, 0.3])
    report = apply_filters(pairs, [MinCorrelation(0.5), ConceptTokens(), SharedTopToken()], a, b)
    assert [(step.n_before, step.n_removed, step.n_after) for step in report.steps] == [(4, 1, 3), (3, 1, 2), (2, 0, 2)]
    assert kept(report) == [(1, 2), (2, 1)]
    assert report.pairs.corr.tolist() == np.array([0.8, 0.7], np.float32).tolist()
    assert report.pairs.unmatched_b.tolist() == [0, 3]
    (removed,) = report.steps[1].removed
    assert (removed.id_a, removed.id_b, removed.words_a, removed.words_b) == (0, 0, (".",), (",",))
    assert removed.corr == pytest.approx(0.9)
    assert report.messages[0].endswith("removed 1 of 4 pairs")
    assert report.messages[2].endswith("removed nothing, all 2 pairs stay")
    assert report.pairs.settings["filters"] == [step.name for step in report.steps]
    assert [found.n_pairs for found in report.after] == [step.n_after for step in report.steps]
    assert report.after[-1] is report.pairs


def test_no_filters_and_no_pairs():
    a = features("x x", "y y")
    pairs = pairs_of([0, 1], [1, 0], 2, 2)
    report = apply_filters(pairs, [], a, a)
    assert report.pairs is pairs and report.steps == ()
    report = apply_filters(
        pairs, [MinDensity(1.0), OneToOne(), SharedTopToken(), ConceptTokens(), MinCorrelation(), MaxDensity()], a, a
    )
    assert report.pairs.n_pairs == 0
    assert report.messages[0].endswith("removed all 2 pairs")
    assert all(message.endswith("there was no pair left to filter") for message in report.messages[1:])


def test_ten_at_most_are_shown_the_strongest_first():
    a = features(*(["x x x"] * 30))
    report = apply_filters(pairs_of(range(30), range(30), 30, 30), [MinDensity(0.5)], a, a)
    assert [pair.id_a for pair in report.steps[0].removed] == list(range(10))


@pytest.mark.parametrize("place", range(3))
def test_trap_for_else_every_listed_word_acts(place):
    """The published loop went on after a match and let the last listed word decide: it removed nothing at all."""
    listed = (".", ",", "-")
    a = features("king king king king king", " ".join([listed[place]] * 5))
    report = apply_filters(pairs_of([0, 1], [0, 1], 2, 2), [ConceptTokens(words=listed)], a, a)
    assert kept(report) == [(0, 0)]


@pytest.mark.parametrize("side", ["a", "b"])
def test_either_partner_is_enough(side):
    marks, words = features("! ! ! king king"), features("king king king king king")
    a, b = (marks, words) if side == "a" else (words, marks)
    assert kept(apply_filters(pairs_of([0], [0], 1, 1), [ConceptTokens()], a, b)) == []


def test_hits_decide_and_examples_after_the_fifth_do_not_count():
    a = features("king , king , king . . . . .", "king , , , king queen queen queen queen queen")
    pairs = pairs_of([0, 1], [0, 1], 2, 2)
    assert kept(apply_filters(pairs, [ConceptTokens()], a, a)) == [(0, 0)]
    assert kept(apply_filters(pairs, [ConceptTokens(min_hits=4)], a, a)) == [(0, 0), (1, 1)]
    assert kept(apply_filters(pairs, [ConceptTokens(min_hits=2)], a, a)) == []
    b = features("x x x x x king x x x x", "y y y y king y y y y y")
    assert kept(apply_filters(pairs, [SharedTopToken()], a, b)) == [(1, 1)]


def test_words_are_whole_words():
    """A mark inside a word, or a word that begins with one, is no mark; a run of one mark is."""
    a = features(
        "king- king- king- king- king-", "... ... -- !! .", "\u23ce \u23ce \u23ce x x", "\u2423 \u2423 \u2423 x x"
    )
    assert kept(apply_filters(pairs_of([0, 1, 2, 3], [0, 1, 2, 3], 4, 4), [ConceptTokens()], a, a)) == [(0, 0)]
    line_break = ConceptTokens(words=("\n",))  # it was once searched as a backslash and an n
    assert kept(apply_filters(pairs_of([2], [2], 4, 4), [line_break], a, a)) == []


def test_shared_words_are_compared_as_text():
    """Trap: word 0 of one table is not word 0 of another; and a missing example is shared with nothing."""
    a, b = features("king queen", "dog dog", "_ _"), features("dog queen", "king cow", "_ _")
    pairs = pairs_of([0, 1, 1, 2], [0, 0, 1, 2], 3, 3)
    assert kept(apply_filters(pairs, [SharedTopToken()], a, b)) == [(0, 0), (1, 0)]
    assert kept(apply_filters(pairs, [SharedTopToken(min_shared=2)], a, b)) == []
    a, b = features("The The"), features("the the")
    assert kept(apply_filters(pairs_of([0], [0], 1, 1), [SharedTopToken()], a, b)) == [(0, 0)]
    assert kept(apply_filters(pairs_of([0], [0], 1, 1), [SharedTopToken(ignore_case=False)], a, b)) == []


def test_one_to_one_takes_the_strongest_first():
    pairs = pairs_of([0, 0, 1, 1, 2], [0, 1, 0, 1, 1], 3, 2)
    a, b = features("x", "x", "x"), features("x", "x")
    assert kept(apply_filters(pairs, [OneToOne()], a, b)) == [(0, 0), (1, 1)]


def test_densities_are_of_both_partners_and_limits_are_kept():
    a = features("x", "x", "x", density=[0.25, 0.5, 0.125])
    pairs = pairs_of([0, 1, 2, 0], [0, 1, 2, 1], 3, 3)
    assert kept(apply_filters(pairs, [MinDensity(0.25)], a, a)) == [(0, 0), (1, 1), (0, 1)]
    assert kept(apply_filters(pairs, [MaxDensity(0.25)], a, a)) == [(0, 0), (2, 2)]


def reference(pairs, filters, a, b):
    """Pair by pair, by the words of the definition; every feature is looked up by its own id."""
    rows = list(zip(pairs.ids_a.tolist(), pairs.ids_b.tolist(), pairs.corr.tolist(), strict=True))

    def top(side, feature):
        return [side.words[word] for word in side.top_words[feature][:5] if word >= 0]

    for condition in filters:
        passed = []
        for i, j, corr in rows:
            if isinstance(condition, MinCorrelation):
                good = corr >= condition.min_corr
            elif isinstance(condition, ConceptTokens):
                marks = [sum(word in condition.words for word in top(*x)) for x in ((a, i), (b, j))]
                good = max(marks) < condition.min_hits
            elif isinstance(condition, SharedTopToken):
                good = bool(set(top(a, i)) & set(top(b, j)))
            elif isinstance(condition, OneToOne):
                good = all(i != k and j != l for k, l, _ in passed)
            elif isinstance(condition, MinDensity):
                good = min(a.density[i], b.density[j]) >= condition.min_density
            else:
                good = max(a.density[i], b.density[j]) <= condition.max_density
            if good:
                passed.append((i, j, corr))
        rows = passed
    return [(i, j) for i, j, _ in rows]


def random_features(rng, d_sae):
    words = tuple("abcdef.,")
    return Features(
        words, rng.integers(-1, len(words), size=(d_sae, 7)).astype(np.int32), rng.random(d_sae).astype(np.float32)
    )


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_filters_equals_filtering_by_hand(seed):
    """Trap: a mask of the already filtered pairs used on all of them, or positions used for ids."""
    rng = np.random.default_rng(seed)
    a, b = random_features(rng, 40), random_features(rng, 50)
    pairs = pairs_of(rng.integers(0, 40, 120), rng.integers(0, 50, 120), 40, 50, corr=rng.uniform(0.1, 1, 120))
    conditions = [
        MinCorrelation(0.3),
        ConceptTokens(min_hits=3),
        SharedTopToken(),
        OneToOne(),
        MinDensity(0.05),
        MaxDensity(0.95),
    ]
    results = set()
    for order in list(permutations(range(6)))[:: 720 // 24]:
        filters = [conditions[place] for place in order]
        report = apply_filters(pairs, filters, a, b)
        assert kept(report) == reference(pairs, filters, a, b)
        assert sum(step.n_removed for step in report.steps) == 120 - report.pairs.n_pairs
        assert (np.diff(report.pairs.corr) <= 0).all()
        results.add(tuple(kept(report)))
    assert len(results) > 1  # the order matters (one-to-one), so it is the given order that is kept


def test_listed_words_of_a_tokenizer(tokenizer):
    words = non_concept_words(tokenizer, also=["\u061f"])
    assert set(NON_CONCEPT_WORDS) | {tokenizer.bos_token, tokenizer.pad_token, "\u061f"} <= set(words)
    assert len(set(words)) == len(words)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MinCorrelation(1.5), r"min_corr must be in \[0, 1\]; got 1.5"),
        (lambda: MinDensity(-0.1), r"min_density must be in \[0, 1\]; got -0.1"),
        (lambda: MaxDensity(2), r"max_density must be in \[0, 1\]; got 2"),
        (lambda: ConceptTokens(min_hits=0), "min_hits must be at least 1; got 0"),
        (lambda: ConceptTokens(words=()), "needs the words to drop; got none"),
        (lambda: SharedTopToken(min_shared=0), "min_shared must be at least 1; got 0"),
    ],
)
def test_bad_limits(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_swapped_or_filtered_tables_are_refused():
    a, b = features("x", "x"), features("x", "x", "x")
    with pytest.raises(
        ValueError, match="features_a must hold all 2 features of the pairs' dictionary; got 3; are a and b swapped"
    ):
        apply_filters(pairs_of([0], [0], 2, 3), [OneToOne()], b, a)
