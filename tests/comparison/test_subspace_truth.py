"""Error rates over groups whose answer is known: true, wrongly paired, and mismatched groups of a whole world."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from helpers.comparison.subspace_scores import FeatureSpace, SubspaceTest
from helpers.comparison.subspace_truth import (
    mismatch_cells,
    mismatched_groups,
    pair_tests,
    wrong_pairing_tests,
)
from helpers.comparison.subspaces import FeatureGroup, correlate_groups
from helpers.nulls import RejectionRate, permutation_test, rejection_rate, rejection_rates

N_GROUPS, N_WORDS, COPIES = 8, 6, 3
TEST = SubspaceTest(measures=("rsa", "linear_cka_debiased"), n_permutations=99)
NAMES = [f"group{number}" for number in range(N_GROUPS)]
EVERY_TWO = list(permutations(NAMES, 2))


def story(seed: int, *, second_meanings: float = 0.0):
    """Tokens, dictionaries and groups of a world: every word has three near-copies in both dictionaries, and groups are
    arranged alike.

    Args:
        second_meanings: strength with which a word of a fires on the tokens of a word of the next group, too.
    """
    rng = np.random.default_rng(seed)
    n_words = N_GROUPS * N_WORDS
    words = rng.integers(0, n_words, 4000)
    fires = np.repeat(np.eye(n_words)[words], COPIES, axis=1)
    second = np.roll(np.concatenate([N_WORDS * g + rng.permutation(N_WORDS) for g in range(N_GROUPS)]), -N_WORDS)
    other = np.repeat(np.eye(n_words)[:, second][words], COPIES, axis=1)
    a, b = (fires * rng.random(fires.shape) * (rng.random(fires.shape) < 0.8) for _ in range(2))
    a = a + second_meanings * other * rng.random(fires.shape)
    centres = rng.standard_normal((n_words, 10))
    rotation = np.linalg.qr(rng.standard_normal((10, 10)))[0]
    rows_a = np.repeat(centres, COPIES, axis=0) + 0.3 * rng.standard_normal((n_words * COPIES, 10))
    rows_b = np.repeat(centres @ rotation, COPIES, axis=0) + 0.3 * rng.standard_normal((n_words * COPIES, 10))
    spaces = [FeatureSpace.of(rows, (side > 0).sum(axis=0), min_firings=1) for rows, side in ((rows_a, a), (rows_b, b))]
    groups = {}
    for number, name in enumerate(NAMES):
        ids = np.arange(number * N_WORDS * COPIES, (number + 1) * N_WORDS * COPIES)
        groups[name] = FeatureGroup(name, ids, tuple(f"word{word}" for word in ids // COPIES))
    return correlate_groups(a, b, groups.values(), groups.values(), min_firings=1), groups, *spaces


@pytest.fixture(scope="module")
def plain():
    return story(0)


def test_true_groups_are_found(plain):
    correlations, groups, space_a, space_b = plain
    found = pair_tests(correlations, groups, groups, space_a, space_b, [(n, n) for n in NAMES], test=TEST)
    assert rejection_rate(found.values()).rate == 1.0
    assert rejection_rate(found.values(), measure="rsa").n_tests == N_GROUPS


def test_wrong_pairings_are_called_alike_at_the_level_only(plain):
    correlations, groups, space_a, space_b = plain
    matched = [correlations.match(groups[name], groups[name]) for name in NAMES]
    tests = wrong_pairing_tests(matched, space_a, space_b, test=TEST, n_shuffles=30)
    for measure in TEST.measures:
        rate = rejection_rate(tests, measure=measure)
        assert rate.n_tests == 240 and rate.within_bound


def test_a_wrong_pairing_is_none_of_the_shuffles_that_it_is_compared_with(plain):
    """The trap: the same stream for the wrong pairing and for its null puts the pairing into its own null."""
    correlations, groups, space_a, space_b = plain
    matched = correlations.match(groups["group0"], groups["group0"])
    (first,) = wrong_pairing_tests(
        [matched], space_a, space_b, test=SubspaceTest(measures=("rsa",), n_permutations=99), n_shuffles=1
    )
    assert np.abs(first.null - first.score).min() > 1e-12


def test_mismatched_groups_keep_the_level_word_by_word_and_not_feature_by_feature():
    """The trap: partners of a mismatched group are chosen by correlation. A second meaning lets the copies of a word
    choose the copies of another word, so the pairs come in blocks."""
    n_tests, n_rejected = np.zeros((2, 2), dtype=int)
    for seed in range(6):
        correlations, groups, space_a, space_b = story(seed, second_meanings=0.5)
        chosen = mismatched_groups(groups, groups, among=EVERY_TWO)
        assert len(chosen) == N_GROUPS * (N_GROUPS - 1)
        for one_a_word in (False, True):
            tests = pair_tests(correlations, groups, groups, space_a, space_b, chosen, test=TEST, one_a_word=one_a_word)
            rate = rejection_rate(tests.values(), measure="rsa")
            n_tests[int(one_a_word)] += rate.n_tests
            n_rejected[int(one_a_word)] += rate.n_rejected
    assert n_tests.tolist() == [6 * N_GROUPS] * 2
    single, words = n_rejected / n_tests
    assert single > 0.5
    assert words <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / n_tests[1])


def test_the_pairs_are_matched_and_tested_as_true_groups_are(plain):
    correlations, groups, space_a, space_b = plain
    chosen = [("group1", "group1")]
    found = pair_tests(correlations, groups, groups, space_a, space_b, chosen, test=TEST, min_corr=0.2)
    result = found["group1", "group1", "rsa"]
    pairs = correlations.match(groups["group1"], groups["group1"], min_corr=0.2).pairs
    again = permutation_test(
        space_a.directions[pairs.ids_a], space_b.directions[pairs.ids_b],
        measure="rsa", n_permutations=99, seed=result.settings["seed"],
    )  # fmt: skip
    assert result.score == again.score and np.array_equal(result.null, again.null)
    two = pair_tests(correlations, groups, groups, space_a, space_b, chosen, test=TEST, min_corr=0.2, n_threads=2)
    assert np.array_equal(two["group1", "group1", "rsa"].null, result.null)


def test_too_few_pairs_are_undefined_and_no_test(plain):
    correlations, groups, space_a, space_b = plain
    tests = pair_tests(correlations, groups, groups, space_a, space_b, [("group0", "group1")], test=TEST, min_corr=0.9)
    rate = rejection_rate(tests.values())
    assert rate.n_tests == 0 and rate.rate is None and rate.bound is None
    assert rate.within_bound and rate.as_text() == "no test"


def test_related_groups_are_no_control():
    def group(name, ids):
        return FeatureGroup(name, np.array(ids), ("w",) * len(ids))

    a = {"days": group("days", [1, 2]), "months": group("months", [2, 3]), "animals": group("animals", [4])}
    b = {"days": group("days", [1]), "months": group("months", [3]), "animals": group("animals", [9])}
    every_two = [*permutations(a, 2), ("days", "days")]
    # days and months share feature 2 of a.
    assert mismatched_groups(a, b, among=every_two) == [
        ("days", "animals"), ("months", "animals"), ("animals", "days"), ("animals", "months"),
    ]  # fmt: skip
    assert mismatched_groups(a, b, among=[("animals", "days")]) == [("animals", "days")]


def test_cells_are_arranged_by_name_and_corrected_together(plain):
    correlations, groups, space_a, space_b = plain
    names = NAMES[:3]
    mismatched = [("group0", "group2"), ("group2", "group0")]
    tests = pair_tests(
        correlations, groups, groups, space_a, space_b, [*((n, n) for n in names), *mismatched], test=TEST
    )
    cells = mismatch_cells(tests, names, mismatched, measure="rsa")
    assert cells.z[0, 0] == tests["group0", "group0", "rsa"].z
    assert cells.significant.diagonal().all() and cells.significant.sum() == 3
    assert cells.related.tolist() == [[False, True, False], [True, False, True], [False, True, False]]
    assert np.isnan(cells.z[0, 1])  # no control, not tested
    # Five p-values of 0.01 at best: below this level the correction takes all of them.
    assert not mismatch_cells(tests, names, mismatched, measure="rsa", alpha=0.009).significant.any()


def test_rates_of_every_measure(plain):
    correlations, groups, space_a, space_b = plain
    found = pair_tests(correlations, groups, groups, space_a, space_b, [(n, n) for n in NAMES], test=TEST)
    rates = rejection_rates(found.values(), alpha=0.1)
    assert list(rates) == ["rsa", "linear_cka_debiased"]
    assert rates["rsa"] == RejectionRate(N_GROUPS, N_GROUPS, 0.1)
