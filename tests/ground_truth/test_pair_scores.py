"""Precision and recall of pairs, by hand, against scikit-learn, and on planted matchings."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from helpers.ground_truth import Truth, WorldSettings, build_worlds, match_every_way, score_above, score_pairs
from helpers.matching.methods import METHODS
from helpers.matching.pairs import make_pairs


def pairs_of(ids_a, ids_b, corr, *, d_sae_a=6, d_sae_b=6):
    settings = {"d_sae_a": d_sae_a, "d_sae_b": d_sae_b, "direction": "b_to_a"}
    return make_pairs(np.array(ids_a, int), np.array(ids_b, int), np.array(corr, float), settings=settings)


# Features 0, 1, 2 of a are 5, 4, 3 of b; the others are nobody's.
PARTNER = np.array([5, 4, 3, -1, -1, -1])
FEATURES = Truth.of_features(PARTNER)


def test_by_hand():
    score = score_pairs(pairs_of([0, 3, 1], [5, 0, 4], [0.9, 0.8, 0.7]), FEATURES)
    assert (score.n_pairs, score.n_correct, score.n_shared, score.n_findable) == (3, 2, 3, 3)
    assert score.precision == pytest.approx(2 / 3)
    assert score.recall == pytest.approx(2 / 3)
    assert score.f1 == pytest.approx(2 / 3)
    assert score.average_precision == pytest.approx((1 / 1 + 2 / 3) / 3)
    assert score.best_f1 == pytest.approx(2 / 3)  # 1/2, 2/5, 2/3 for the first one, two and three pairs


def test_a_shared_feature_found_twice_counts_once():
    """Two columns of a stand for true feature 0: both pairs are right, one feature is found."""
    truth = Truth(PARTNER, identity_a=np.array([0, 0, 1]), identity_b=np.array([5, 5, 4]))
    score = score_pairs(pairs_of([0, 1], [0, 1], [0.9, 0.8], d_sae_a=3, d_sae_b=3), truth)
    assert score.precision == 1.0
    assert score.recall == pytest.approx(1 / 3)
    assert score.average_precision == pytest.approx(1 / 3)


def test_columns_without_identity_are_never_right():
    """-1 must not be read as the last feature, and two unknowns are not the same feature."""
    truth = Truth(np.array([0, 1]), identity_a=np.array([-1, -1]), identity_b=np.array([1, -1]))
    score = score_pairs(pairs_of([0, 1], [0, 1], [0.9, 0.8], d_sae_a=2, d_sae_b=2), truth)
    assert score.n_correct == 0 and score.n_findable == 0
    unshared = score_pairs(pairs_of([3, 4], [0, 1], [0.9, 0.8]), FEATURES)
    assert unshared.n_correct == 0


def test_findable_needs_both_sides():
    truth = Truth(PARTNER, identity_a=np.array([0, 1, 2]), identity_b=np.array([5, 3, 3]))
    assert list(truth.findable) == [0, 2]


def test_average_precision_agrees_with_scikit_learn():
    """Where every right pair is proposed, ours is the textbook's."""
    rng = np.random.default_rng(0)
    partner = np.where(np.arange(200) < 80, np.arange(200), -1)
    pairs = pairs_of(np.arange(200), np.arange(200), rng.random(200), d_sae_a=200, d_sae_b=200)
    expected = average_precision_score(pairs.ids_a < 80, pairs.corr)
    assert score_pairs(pairs, Truth.of_features(partner)).average_precision == pytest.approx(expected, abs=1e-12)


def test_no_pairs_have_no_precision_and_no_recall():
    score = score_pairs(pairs_of([], [], []), FEATURES)
    assert score.precision is None
    assert score.recall == score.f1 == score.average_precision == score.best_f1 == 0.0


def test_the_best_f1_is_the_best_of_all_thresholds():
    rng = np.random.default_rng(1)
    pairs = pairs_of(np.arange(50), np.arange(50), rng.random(50) + 0.3 * (np.arange(50) < 20), d_sae_a=50, d_sae_b=50)
    truth = Truth.of_features(np.where(np.arange(50) < 20, np.arange(50), -1))
    best = score_pairs(pairs, truth).best_f1
    assert best == pytest.approx(max(score.f1 for score in score_above(pairs, truth, pairs.corr)))
    assert best > score_pairs(pairs, truth).f1


def test_thresholds_drop_the_weaker_pairs():
    pairs = pairs_of([0, 3, 1], [5, 0, 4], [0.9, 0.8, 0.7])
    scores = score_above(pairs, FEATURES, [0.0, 0.85, 0.95])
    assert [score.n_pairs for score in scores] == [3, 1, 0]
    assert scores[1].precision == 1.0


def test_every_method_and_association_finds_a_permutation():
    """Trap: the columns of b are those of a in another order; every method must give the order back."""
    worlds = build_worlds(WorldSettings(n_features=40, d_model=16, n_clusters=5, mean_l0=3, shared=1.0), seed=0)
    sample = worlds.sample(5000, seed=0)
    found = match_every_way(sample.feature_acts_a, sample.feature_acts_b, n_threads=1)
    assert {name.partition(",")[0] for name in found} == set(METHODS)
    assert {"one_to_one, cosine", "one_to_one, jaccard", "nearest, a to b", "nearest, b to a"} <= set(found)
    for name, pairs in found.items():
        score = score_pairs(pairs, Truth.of_features(worlds.partner))
        assert (score.precision, score.recall, score.average_precision) == (1.0, 1.0, 1.0), name


def test_shuffled_tokens_destroy_it():
    worlds = build_worlds(WorldSettings(n_features=40, d_model=16, n_clusters=5, mean_l0=3, shared=1.0), seed=0)
    sample = worlds.sample(5000, seed=0)
    shuffled = sample.feature_acts_b[np.random.default_rng(0).permutation(5000)]
    for name, pairs in match_every_way(sample.feature_acts_a, shuffled, n_threads=1).items():
        assert score_pairs(pairs, Truth.of_features(worlds.partner)).recall < 0.2, name


def test_a_truth_of_other_dictionaries_is_refused():
    with pytest.raises(ValueError, match="expected one identity a feature, 6 and 6; got 3 and 6; are a and b swapped"):
        score_pairs(pairs_of([0], [0], [0.5]), Truth(PARTNER, np.arange(3), np.arange(6)))


def test_nothing_shared_is_refused():
    with pytest.raises(ValueError, match="share no feature, so there is nothing to find"):
        score_pairs(pairs_of([0], [0], [0.5]), Truth.of_features(np.full(6, -1)))
