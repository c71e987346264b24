"""Both sides of a layer pair: which features a group has, who is whose partner, and what words themselves write."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from helpers.comparison.subspace_controls import AGAIN, EXPECTED_TO_HOLD, MUST_HOLD, SubspaceControls, run_controls
from helpers.comparison.subspace_scores import SubspaceTest
from helpers.comparison.subspace_sides import pair_sides, search_side, truth_of_groups, unrelated_groups, word_rows
from helpers.comparison.subspace_truth import wrong_pairing_tests
from helpers.features import ConceptGroup, ConceptGroups, KnownConcepts
from helpers.nulls import SECOND_DRAW, RejectionRate
from tests.comparison.subspace_stores import (
    COPIES,
    D_SAE,
    GROUPS,
    N_WORDS,
    arranged_alike,
    features_of,
    side,
    word_table,
)

NAMES = [group.name for group in GROUPS]


@pytest.fixture(scope="module")
def words():
    return word_table()


@pytest.fixture(scope="module")
def unrelated(words):
    return unrelated_groups(ConceptGroups(tuple(GROUPS)), words, known=None, seed=0)


@pytest.fixture(scope="module")
def pair(tmp_path_factory, words, unrelated):
    folder = tmp_path_factory.mktemp("sides")
    directions = arranged_alike()
    groups = [*GROUPS, *unrelated]
    sides = [
        side(name, folder / name, words, rows, seed=number, groups=groups)
        for number, (name, rows) in enumerate(zip("ab", directions, strict=True), start=1)
    ]
    return pair_sides(*sides, min_firings=5, n_threads=1)


def test_a_group_has_the_features_of_its_words_and_remembers_them(pair):
    for group in GROUPS:
        found = pair.a.groups[group.name]
        expected = {feature: word for word in group.words for feature in features_of(word)}
        assert dict(zip(found.ids.tolist(), found.words, strict=True)) == expected


def test_partners_are_of_the_group_and_stand_for_the_same_word(pair):
    for group in pair.matched(NAMES, min_corr=0.2):
        assert group.n_pairs == N_WORDS * COPIES and group.same_word_share == 1.0
        assert set(group.pairs.ids_a.tolist()) == set(pair.a.groups[group.name].ids.tolist())
        assert (group.pairs.ids_a // COPIES == group.pairs.ids_b // COPIES).all()


def test_shuffled_tokens_leave_no_correlation(pair):
    """Chance correlations of features that fire on 45 of 3,000 rows: one common row gives 1/45, ten are unheard of."""
    shuffled = pair.on_shuffled_tokens(seed=0, n_threads=1)
    assert shuffled.correlations.values.shape == pair.correlations.values.shape
    assert shuffled.correlations.values.max() < 10 / 45 < 0.5 < pair.correlations.values.max()
    assert [group.n_pairs for group in shuffled.matched(NAMES, min_corr=0.3)] == [0] * len(NAMES)


def test_groups_of_unrelated_words_have_no_word_of_any_group(unrelated):
    taken = {word for group in GROUPS for word in group.words}
    assert len(unrelated) == len(GROUPS)
    for group in unrelated:
        assert len(group.words) == N_WORDS and not taken & set(group.words)


def test_a_group_whose_words_stand_nowhere_has_no_unrelated_words(words):
    absent = ConceptGroup("absent", ("nowhere", "never"))
    made = unrelated_groups(ConceptGroups((GROUPS[0], absent)), words, known=None, seed=0)
    assert len(made) == 1 and len(made[0].words) == N_WORDS


def test_words_are_rows_in_both_sides(pair, words):
    """A word's row is the mean over its rows of acts @ directions: near the direction of its two features."""
    rows = word_rows(pair, [GROUPS[0]], words, min_count=5)
    x, y, names = rows["group0"]
    assert names == list(GROUPS[0].words) and x.shape == (N_WORDS, 10) and y.shape == (N_WORDS, 8)
    features = features_of(names[2])
    place = words.words.index(names[2])
    acts = np.zeros((words.n_tokens, D_SAE))
    for first, block in pair.a.store.row_blocks():
        dense = np.zeros(block.shape)
        dense[np.repeat(np.arange(block.shape[0]), np.diff(block.indptr)), block.indices] = block.data
        acts[first : first + block.shape[0]] = dense
    mean = acts[words.word_ids == place].mean(axis=0)
    assert set(np.flatnonzero(mean)) == set(features)
    assert x[2] == pytest.approx(mean @ pair.a.space.directions, rel=1e-6)
    assert word_rows(pair, [GROUPS[0]], words, min_count=10**6)["group0"][2] == []


def test_found_features_are_held_against_the_truth(pair, words):
    concept_of = {word: group.name for group in GROUPS for word in group.words}
    known = KnownConcepts(tuple(NAMES), {}, concept_of.get)
    concepts = [ConceptGroup(group.name, group.words, concepts=(group.name,)) for group in GROUPS]
    scored = truth_of_groups(pair.a, concepts, words, known)
    assert all(score.precision == score.recall == 1.0 for score in scored.values())


def test_parts_of_different_dictionaries_are_refused(pair):
    with pytest.raises(ValueError, match=rf"'a': the store has {D_SAE} features, there are 3 directions"):
        search_side("a", pair.a.store, np.ones((3, 2)), pair.a.table, GROUPS)


TEST = SubspaceTest(measures=("rsa", "linear_cka_debiased"), n_permutations=99, seed=1)


@pytest.fixture(scope="module")
def controls(pair, unrelated):
    among = list(permutations(NAMES, 2))
    return run_controls(pair, NAMES, [g.name for g in unrelated], among=among, test=TEST, min_corr=0.2, n_threads=2)


def test_controls_find_what_is_there_and_keep_their_level(controls):
    assert controls.rates["true groups"]["rsa"] == RejectionRate(4, 4, 0.05)
    assert (
        controls.rates["groups of unrelated words"]["rsa"].rate == 1.0
    )  # arranged alike, too: nothing is special here
    assert controls.rates["wrongly paired"]["rsa"].n_tests == 80
    assert controls.failures == controls.warnings == []
    assert set(MUST_HOLD) < set(controls.rates)


def test_partners_of_mismatched_groups_do_not_correlate_here(controls):
    """No two words of different groups fire together, so there is nothing to test at the study's correlation."""
    assert all(rate.n_tests == 0 for rate in controls.rates["mismatched, as true groups"].values())
    cells = controls.cells("rsa")
    assert np.isnan(cells.z[~np.eye(4, dtype=bool)]).all() and cells.significant.diagonal().all()
    assert controls.metrics()["alarms_rsa_mismatched_as_true_groups"] is None
    assert controls.metrics()["alarms_rsa_true_groups"] == 1.0
    assert controls.called_alike("rsa") == RejectionRate(12, 0, 0.05)


def test_a_rate_above_its_bound_is_a_failure_where_nothing_can_be_alike_and_else_a_warning():
    within, above = RejectionRate(100, 13, 0.05), RejectionRate(100, 14, 0.05)
    rates = {kind: {"rsa": within} for kind in (*MUST_HOLD, *EXPECTED_TO_HOLD)}
    rates["true groups"] = {"rsa": RejectionRate(4, 4, 0.05)}
    good = SubspaceControls(rates, {}, ("x",), (), 0.05)
    assert good.failures == good.warnings == []
    rates["wrongly paired"] = rates["mismatched, one pair a word"] = {"rsa": above}
    told = "rsa: 14 of 100 (14.0%) false alarms, a valid test has at most 13.0%"
    rates["wrongly paired, drawn again"] = {"rsa": above}
    assert good.failures == [f"wrongly paired, {told}; drawn again 14 of 100 (14.0%), at most 13.0%"]
    assert good.warnings == [f"mismatched, one pair a word, {told}"]
    rates["wrongly paired, drawn again"] = {"rsa": within}
    assert good.failures == []
    luck = f"wrongly paired, {told}; bad luck, for a second draw gives 13 of 100 (13.0%)"
    assert good.warnings == [luck, f"mismatched, one pair a word, {told}"]


@pytest.mark.parametrize("n_bad", [1, 2])
def test_blind_controls_are_drawn_again_before_a_test_is_called_broken(pair, unrelated, monkeypatch, n_bad):
    """Planted: every wrong pairing is called alike in the first draw (bad luck), or in both (a broken test)."""
    drawn = []

    def wrong_pairings(matched, *spaces, test, n_shuffles):
        results = wrong_pairing_tests(matched, *spaces, test=test, n_shuffles=n_shuffles)
        drawn.append([result.settings["seed"] for result in results if result.measure == "rsa"])
        return [replace(result, p_value=0.01) for result in results] if len(drawn) <= n_bad else results

    monkeypatch.setattr("helpers.comparison.subspace_controls.wrong_pairing_tests", wrong_pairings)
    among = list(permutations(NAMES, 2))
    found = run_controls(pair, NAMES, [g.name for g in unrelated], among=among, test=TEST, min_corr=0.2)
    assert found.rates["wrongly paired"]["rsa"] == RejectionRate(80, 80, 0.05)
    assert found.rates["wrongly paired, drawn again"]["rsa"].n_tests == 400
    assert list(found.rates).index("wrongly paired, drawn again") == list(found.rates).index("wrongly paired") + 1
    assert len(found.failures) == (0 if n_bad == 1 else 2) and len(found.warnings) == (2 if n_bad == 1 else 0)
    assert "mismatched, shuffled tokens, drawn again" not in found.rates  # was within its bound
    assert (
        found.metrics()["alarms_rsa_wrongly_paired_drawn_again"]
        == found.rates["wrongly paired, drawn again"]["rsa"].rate
    )
    assert len(set(drawn[0] + drawn[1])) == 80 + 400  # the second draw repeats nothing of the first


def test_shuffled_tokens_are_shuffled_anew_when_they_are_drawn_again(pair, unrelated, monkeypatch):
    seeds, shuffle = [], type(pair).on_shuffled_tokens

    def on_shuffled_tokens(side, *, seed, n_threads=None):
        seeds.append(seed)
        return shuffle(side, seed=seed, n_threads=n_threads)

    monkeypatch.setattr(type(pair), "on_shuffled_tokens", on_shuffled_tokens)
    monkeypatch.setattr(RejectionRate, "within_bound", False)  # planted: nothing is ever within its bound
    among = list(permutations(NAMES, 2))
    found = run_controls(pair, NAMES, [], among=among, test=TEST, min_corr=0.2)
    assert len(found.failures) == 2 * len(TEST.measures)
    first, second = (found.rates[kind]["rsa"] for kind in (MUST_HOLD[1], AGAIN.format(kind=MUST_HOLD[1])))
    assert len(seeds) == len(set(seeds)) == 1 + SECOND_DRAW
    assert 0 < first.n_tests < second.n_tests <= SECOND_DRAW * len(among)
