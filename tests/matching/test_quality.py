"""Scores of pairs against counting by hand, and their nulls."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from helpers.matching import same_concept_share, same_token_score
from helpers.matching.pairs import make_pairs


def pairs_of(ids_a, ids_b, d_sae_a, d_sae_b):
    settings = {"d_sae_a": d_sae_a, "d_sae_b": d_sae_b, "direction": "b_to_a"}
    # falling associations keep the given order
    return make_pairs(np.array(ids_a), np.array(ids_b), np.linspace(1, 0.1, len(ids_a)), settings=settings)


def test_the_shared_tokens_are_a_multiset():
    pairs = pairs_of([0, 1, 2], [1, 0, 2], 3, 4)
    tokens_a = np.array([[1, 1, 2, 2, 3], [4, 4, 4, 4, 4], [1, 2, -1, -1, -1]])
    tokens_b = np.array([[4, 9, 9, 9, 9], [1, 2, 2, 2, 5], [2, 1, -1, -1, -1], [0, 0, 0, 0, 0]])
    result = same_token_score(pairs, tokens_a, tokens_b, n_permutations=10)
    np.testing.assert_allclose(result.per_pair, [3 / 5, 1 / 5, 2 / 5])
    assert result.score == pytest.approx(0.4)
    assert result.n_pairs == 3


def test_scores_equal_counting_by_hand():
    rng = np.random.default_rng(0)
    tokens_a, tokens_b = rng.integers(-1, 6, size=(30, 5)), rng.integers(-1, 6, size=(40, 5))
    pairs = pairs_of(rng.permutation(30), rng.integers(0, 40, 30), 30, 40)
    expected = [
        sum((Counter(x[x >= 0].tolist()) & Counter(y[y >= 0].tolist())).values()) / 5
        for x, y in zip(tokens_a[pairs.ids_a], tokens_b[pairs.ids_b], strict=True)
    ]
    np.testing.assert_allclose(same_token_score(pairs, tokens_a, tokens_b, n_permutations=1).per_pair, expected)


def test_a_perfect_pairing_is_far_from_its_null():
    tokens = np.repeat(np.arange(50)[:, None], 5, axis=1)
    result = same_token_score(pairs_of(np.arange(50), np.arange(50), 50, 50), tokens, tokens, n_permutations=200)
    assert result.score == 1.0
    assert result.null_mean == pytest.approx(1 / 50, abs=0.01)  # one fixed point is expected in 50
    assert result.p_value == 1 / 201  # never 0


def test_a_null_that_cannot_differ_gives_p_1():
    """Every partner is the same feature: shuffling changes nothing, and nothing may be called significant."""
    tokens_a, tokens_b = np.random.default_rng(0).integers(0, 3, size=(20, 5)), np.zeros((2, 5), int)
    result = same_token_score(pairs_of(np.arange(20), [0] * 20, 20, 2), tokens_a, tokens_b, n_permutations=50)
    assert result.p_value == 1.0
    assert result.null_std == pytest.approx(0.0, abs=1e-12)


def test_concepts_that_are_unknown_never_agree():
    pairs = pairs_of([0, 1, 2, 3], [0, 1, 2, 3], 4, 4)
    result = same_concept_share(pairs, ["x", None, "y", "z"], ["x", None, "z", "z"], n_permutations=20)
    np.testing.assert_array_equal(result.per_pair, [1, 0, 0, 1])
    assert result.score == 0.5


def test_the_shuffle_is_seeded():
    rng = np.random.default_rng(0)
    labels = rng.choice(["a", "b", "c"], size=60)
    pairs = pairs_of(np.arange(60), rng.permutation(60), 60, 60)
    first, again, other = (same_concept_share(pairs, labels, labels, seed=seed) for seed in (1, 1, 2))
    assert (first.null_mean, first.p_value) == (again.null_mean, again.p_value)
    assert first.null_mean != other.null_mean
    assert first.null_mean == pytest.approx(1 / 3, abs=0.06)


def test_bad_input():
    pairs = pairs_of([0, 1], [0, 1], 2, 3)
    good_a, good_b = np.zeros((2, 5), int), np.zeros((3, 5), int)
    with pytest.raises(ValueError, match="are a and b swapped"):
        same_token_score(pairs, good_b, good_a)
    with pytest.raises(ValueError, match="equal n_examples"):
        same_token_score(pairs, good_a, good_b[:, :4])
    with pytest.raises(ValueError, match="integer ids; got float64"):
        same_token_score(pairs, good_a * 1.0, good_b)
    with pytest.raises(ValueError, match="n_permutations must be at least 1"):
        same_concept_share(pairs, ["x"] * 2, ["x"] * 3, n_permutations=0)
    with pytest.raises(ValueError, match="no pairs to score"):
        same_token_score(pairs.above(2.0), good_a, good_b)


def test_the_whole_null_is_kept():
    tokens = np.repeat(np.arange(12)[:, None], 5, axis=1)
    result = same_token_score(pairs_of(np.arange(12), np.arange(12), 12, 12), tokens, tokens, n_permutations=40, seed=1)
    assert result.null.shape == (40,)
    assert (result.null.mean(), result.null.std()) == (result.null_mean, result.null_std)
    # a fixed point of a permutation of 12 scores 1/12
    np.testing.assert_allclose(result.null * 12, np.round(result.null * 12), atol=1e-9)
