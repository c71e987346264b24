"""Groups beside their nulls: planted alignment found, noise kept at its level, copies of one word not mistaken for it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from helpers.comparison.subspace_scores import (
    FeatureSpace,
    SubspaceTest,
    leave_one_word_out,
    score_groups,
    score_words,
    specificity_test,
)
from helpers.matching.pairs import make_pairs
from helpers.nulls import permutation_test
from helpers.similarity import MEASURES
from tests.comparison.subspace_worlds import D_SAE, pairs_of, world

MEASURES_HERE = ("rsa", "linear_cka_debiased", "mutual_knn")
QUICK = SubspaceTest(
    measures=MEASURES_HERE, options={"mutual_knn": {"k": 3}}, n_permutations=99, n_draws=99, n_word_permutations=49
)


def scores_of(made, **changes):
    scored = score_groups([made.group], made.space_a, made.space_b, test=dataclasses.replace(QUICK, **changes))
    return {score.measure: score for score in scored}


def test_a_planted_group_is_above_every_null():
    for measure, score in scores_of(world(0, n_words=20, noise=0.2)).items():
        assert list(score.nulls) == ["shuffled pairing", "random features", "features as frequent"]
        assert score.p_value == 1 / 100, measure
        assert score.one_a_word.p_value == 1 / 100
        assert score.undefined is None and score.specificity is None


def test_the_score_and_its_shuffles_are_those_of_the_permutation_test():
    made = world(1)
    score = scores_of(made)["rsa"]
    x, y = made.space_a.directions[made.group.pairs.ids_a], made.space_b.directions[made.group.pairs.ids_b]
    again = permutation_test(x, y, measure="rsa", n_permutations=99, seed=score.shuffled.settings["seed"])
    assert np.array_equal(score.shuffled.null, again.null)
    assert score.shuffled.score == MEASURES["rsa"].score(x, y)


def test_p_is_the_largest_of_the_nulls_and_specificity_no_gate():
    score = scores_of(world(2, alike=False))["rsa"]
    assert score.p_value == max(result.p_value for result in score.nulls.values())
    made = world(0, noise=0.2)
    matched = made.group.pairs
    unspecific = score_groups([made.group], made.space_a, made.space_b, test=QUICK, matched=matched)[0]
    assert unspecific.p_value == 1 / 100
    assert "0 other matched pairs cannot stand in for 10" in unspecific.specificity.undefined


@pytest.mark.slow
def test_unrelated_groups_are_rejected_at_their_level():
    n_draws = 200
    found = {measure: [] for measure in MEASURES_HERE}
    test = dataclasses.replace(QUICK, n_permutations=19, n_draws=19, n_word_permutations=1)
    for seed in range(n_draws):
        made = world(1000 + seed, alike=False)
        seeded = dataclasses.replace(test, seed=seed)
        for score in score_groups([made.group], made.space_a, made.space_b, test=seeded):
            found[score.measure].append((score.shuffled.p_value, score.p_value, score.one_a_word.p_value))
    for measure, values in found.items():
        for alpha in (0.05, 0.1):
            bound = alpha + 3 * np.sqrt(alpha * (1 - alpha) / n_draws)
            rates = (np.array(values) <= alpha).mean(axis=0)
            assert (rates <= bound).all(), (measure, alpha, rates)


def test_copies_of_a_word_beat_shuffles_of_single_features_but_not_shuffles_of_words():
    """The trap: unrelated words, four near-copies each. Every block stays together in both spaces, which is no
    arrangement of words; single features are not exchangeable."""
    n_draws, alpha = 60, 0.05
    single, by_word = [], []
    for seed in range(n_draws):
        made = world(seed, n_words=6, copies=4, alike=False)
        score = scores_of(made, measures=("rsa",), n_permutations=99, n_draws=1, n_word_permutations=1, seed=seed)[
            "rsa"
        ]
        single.append(score.shuffled.p_value <= alpha)
        by_word.append(score.one_a_word.p_value <= alpha)
    assert np.mean(single) > 0.8
    assert np.mean(by_word) <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / n_draws)


def test_one_word_that_carries_a_score_is_named():
    """Nine unrelated words, and one whose many features lie far out in both spaces."""
    made = world(3, n_words=10, alike=False)
    rng = np.random.default_rng(0)
    extra_a, extra_b = np.arange(20, 26), np.arange(40, 46)
    made.space_a.directions[extra_a] = 5 * rng.standard_normal(12) + 0.1 * rng.standard_normal((6, 12))
    made.space_b.directions[extra_b] = 5 * rng.standard_normal(9) + 0.1 * rng.standard_normal((6, 9))
    group = pairs_of(
        np.concatenate([made.group.pairs.ids_a, extra_a]),
        np.concatenate([made.group.pairs.ids_b, extra_b]),
        (*made.group.words_a, *["king"] * 6),
        (*made.group.words_b, *["king"] * 6),
    )
    score = next(s for s in score_groups([group], made.space_a, made.space_b, test=QUICK) if s.measure == "rsa")
    word, left = score.largest_drop
    assert score.shuffled.p_value <= 0.05
    assert word == "king" and left.p_value > 0.05 and left.calibrated < 0.5 * score.shuffled.calibrated


def test_leaving_a_word_out_drops_its_pairs_on_either_side():
    made = world(4, n_words=8)
    group = pairs_of(
        made.group.pairs.ids_a, made.group.pairs.ids_b, tuple("aabbccdd"), ("a", "b", "b", "c", "c", "d", "d", "d")
    )
    left = leave_one_word_out(group, made.space_a, made.space_b, measure="rsa", test=QUICK, seed=0)
    assert {word: result.n_rows for word, result in left.items()} == {"a": 6, "b": 5, "c": 5, "d": 5}
    keep_mask = np.array([False, False, True, True, True, True, True, True])
    x = made.space_a.directions[group.pairs.ids_a[keep_mask]]
    y = made.space_b.directions[group.pairs.ids_b[keep_mask]]
    assert left["a"].score == MEASURES["rsa"].score(x, y)
    assert len(left["a"].null) == QUICK.n_word_permutations


def test_few_pairs_are_scored_by_the_measures_that_can_and_by_no_other():
    """Seven weekdays: rsa has a number, cca would be 1 for noise and has none."""
    made = world(5, n_words=7)
    found = scores_of(made, measures=("rsa", "cca", "mutual_knn"), options={"mutual_knn": {"k": 10}})
    assert found["rsa"].p_value is not None
    for measure in ("cca", "mutual_knn"):
        assert found[measure].p_value is None and found[measure].one_a_word is None and not found[measure].without_word
    assert "cca" in found["cca"].undefined and "needs at least 12 rows; got 7" in found["mutual_knn"].undefined


def test_a_group_without_pairs_is_undefined_and_does_not_stop_the_others():
    made = world(6)
    nobody = made.group.select(np.zeros(10, dtype=bool))
    scores = score_groups([nobody, made.group], made.space_a, made.space_b, test=QUICK)
    assert scores[0].undefined == "there is no pair" and scores[0].p_value is None and scores[0].largest_drop is None
    assert scores[-1].p_value is not None


def test_threads_change_nothing():
    made = world(7)
    groups = [made.group, made.group.select(np.arange(10) < 8), made.group.select(np.arange(10) < 6)]
    one, two = (
        score_groups(groups, made.space_a, made.space_b, test=QUICK, n_threads=n, matched=made.group.pairs)
        for n in (1, 2)
    )
    assert [s.p_value for s in one] == [s.p_value for s in two]
    assert all(np.array_equal(p.shuffled.null, q.shuffled.null) for p, q in zip(one, two, strict=True))
    assert not np.array_equal(one[0].shuffled.null, one[3].shuffled.null)  # every group has shuffles of its own


def test_specificity_compares_with_other_matched_pairs_only():
    """All features are matched and arranged alike: the group is above chance, and not more alike than the rest."""
    rng = np.random.default_rng(8)
    made = world(8, noise=0.2)
    rotation = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    rows_b = made.space_a.directions @ rotation
    space_b = FeatureSpace.of(rows_b, made.space_b.counts, min_firings=10)
    everyone = np.arange(D_SAE)
    matched = make_pairs(
        everyone, everyone, np.ones(D_SAE), settings={"d_sae_a": D_SAE, "d_sae_b": D_SAE, "direction": "b_to_a"}
    )
    ids = everyone[:15]
    group = pairs_of(ids, ids, ("w",) * 15, ("w",) * 15)
    result = specificity_test(group, made.space_a, space_b, matched, measure="rsa_cosine", n_draws=49, seed=0)
    assert result.p_value > 0.1 and result.null.min() > 0.999  # a rotation: every subset is alike
    noisy = FeatureSpace.of(
        rows_b + 3 * rng.standard_normal(rows_b.shape) * (everyone[:, None] >= 15), made.space_b.counts, min_firings=10
    )
    special = specificity_test(group, made.space_a, noisy, matched, measure="rsa_cosine", n_draws=49, seed=0)
    assert special.p_value == 1 / 50 and special.settings["null"] == "other matched pairs"


def test_words_are_paired_by_themselves_and_have_one_null():
    rng = np.random.default_rng(9)
    x = rng.standard_normal((12, 6))
    rows = {
        "days": (x, x + 0.1 * rng.standard_normal((12, 6)), [f"w{i}" for i in range(12)]),
        "none": (x[:0], x[:0], []),
    }
    days, none = score_words(rows, test=dataclasses.replace(QUICK, measures=("rsa",)))
    assert list(days.nulls) == ["shuffled pairing"] and days.p_value == 1 / 100 and days.n_pairs == 12
    assert none.undefined == "there is no pair"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SubspaceTest(measures=()), "measures must be of paired rows .*; got none"),
        (lambda: SubspaceTest(measures=("rsb",)), "measures must be of paired rows .*; got rsb"),
        (lambda: SubspaceTest(measures=("mmcs",)), "measures must be of paired rows .*; got mmcs"),
        (lambda: FeatureSpace.of(np.ones((3, 2)), np.ones(4), min_firings=1), "got 3 directions and 4 counts"),
        (
            lambda: score_groups(
                [pairs_of(np.array([D_SAE]), np.array([0]), ("w",), ("w",))], world(0).space_a, world(0).space_b, test=QUICK
            ),
            f"names feature {D_SAE} of a, which has {D_SAE} directions; pass the directions of the dictionaries",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
