"""Pairs of features token by token, against dense arrays and counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.activations import ActivationStore
from helpers.features import feature_columns
from helpers.features.joint_activations import (
    JointActivations,
    SilentWord,
    drawn_places,
    joint_activations,
    silent_words,
)
from helpers.features.words import WordTable
from tests.activations.conftest import random_activations, write_store


def joint_of(a, b, n_tokens=None):
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    rows = np.flatnonzero((a != 0) | (b != 0))
    return JointActivations(rows, a[rows], b[rows], n_tokens or len(a))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), density=st.sampled_from([0.03, 0.3, 1.0]))
def test_a_pair_equals_the_dense_columns(tmp_path, seed, density):
    matrices = [random_activations(80, 7, density=density, seed=seed + i) for i in range(2)]
    stores = [write_store(tmp_path / name, matrix) for name, matrix in zip("ab", matrices, strict=True)]
    # Trap: the chosen features are in another order in either store, and none stands at its own number.
    columns_a, columns_b = feature_columns(stores[0], [5, 2]), feature_columns(stores[1], [6, 1, 4])
    joint = joint_activations(columns_a, columns_b, feature_a=2, feature_b=4)
    a, b = matrices[0].toarray()[:, 2], matrices[1].toarray()[:, 4]
    np.testing.assert_array_equal(joint.rows, np.flatnonzero((a > 0) | (b > 0)))
    np.testing.assert_array_equal(joint.a, a[joint.rows])
    np.testing.assert_array_equal(joint.b, b[joint.rows])
    counts = ((a > 0) & (b > 0)).sum(), ((a > 0) & (b == 0)).sum(), ((a == 0) & (b > 0)).sum()
    assert (joint.n_both, joint.n_only_a, joint.n_only_b) == counts
    if a.any() and b.any():
        # float64 sums of 80 values: right to 1e-14.
        assert joint.corr == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-12)
    else:
        assert joint.corr is None


def test_correlation_counts_the_silent_tokens():
    joint = joint_of([1, 2, 3, 0, 0, 0, 0, 0], [3, 2, 1, 0, 0, 0, 0, 0])
    # By hand: means 3/4; sum of products 10 - 8 * 9/16 = 5.5; either sum of squares 14 - 4.5 = 9.5.
    assert joint.corr == pytest.approx(5.5 / 9.5, abs=1e-12)
    # Trap: over the tokens on which they fire alone it would be -1.
    assert np.corrcoef(joint.a, joint.b)[0, 1] == pytest.approx(-1)


@pytest.mark.parametrize("a", [[0, 0, 0, 0], [2, 2, 2, 2]])
def test_a_partner_that_never_varies_has_no_correlation(a):
    joint = joint_of(a, [1, 0, 2, 0])
    assert joint.corr is None
    assert joint.swapped().corr is None
    assert joint_of([2, 2, 2, 0], [1, 0, 2, 0]).corr is not None
    assert joint_of([0, 0, 0], [0, 0, 0]).corr is None


def test_stores_of_other_tokens_are_refused(tmp_path):
    columns = [feature_columns(write_store(tmp_path / str(n), np.ones((n, 2))), [0]) for n in (10, 12)]
    with pytest.raises(ValueError, match="a has 10 tokens, b has 12, and they are not the same"):
        joint_activations(*columns, feature_a=0, feature_b=0)
    with ActivationStore.create(tmp_path / "other", d_sae=2) as writer:
        writer.append(np.ones((10, 2)), token_ids=np.arange(10)[::-1], documents=np.arange(10), positions=np.arange(10))
    other = feature_columns(ActivationStore.open(tmp_path / "other"), [0])
    with pytest.raises(ValueError, match="a has 10 tokens, b has 10, and they are not the same"):
        joint_activations(columns[0], other, feature_a=0, feature_b=0)


def test_a_small_scatter_shows_every_token():
    joint = joint_of(np.arange(1, 11), np.arange(1, 11))
    np.testing.assert_array_equal(drawn_places(joint, n_points=10), np.arange(10))


def test_a_large_scatter_shows_the_strongest_and_the_strongest_disagreements():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 2, 3000), rng.uniform(10, 20, 3000)
    a[1000:2000], b[2000:] = 0, 0
    joint = joint_of(a, b)
    drawn = drawn_places(joint, n_points=80, seed=5)
    assert len(drawn) == 80 and np.all(np.diff(drawn) > 0)
    # Trap: b is ten times larger; a sum of raw values would choose by b alone.
    strongest = np.argsort(-(a / a.max() + b / b.max()))[:20]
    only_a, only_b = 2000 + np.argsort(-a[2000:])[:10], 1000 + np.argsort(-b[1000:2000])[:10]
    assert set(strongest) | set(only_a) | set(only_b) <= set(drawn)
    rest = np.setdiff1d(drawn, np.concatenate([strongest, only_a, only_b]))
    assert len(rest) == 40
    # The rest is a fair draw: about a third of each kind (of 40; outside 4 to 24 with probability below 1e-3).
    for start in (0, 1000, 2000):
        assert 4 <= np.sum((rest >= start) & (rest < start + 1000)) <= 24
    np.testing.assert_array_equal(drawn, drawn_places(joint, n_points=80, seed=5))
    assert not np.array_equal(drawn, drawn_places(joint, n_points=80, seed=6))


def test_disagreements_by_hand():
    words = WordTable(("king", "queen", "the"), np.array([0, 0, 1, 2, 0, 1, -1, 2], dtype=np.int32))
    joint = joint_of([3, 5, 1, 0, 4, 9, 7, 0], [0, 0, 2, 6, 1, 0, 0, 0])
    # a fires where b is silent: king 3 and 5 (of three kings), queen 9 (of two); the row without a word is left out.
    assert silent_words(joint, words) == (SilentWord("queen", 1, 2, 9.0), SilentWord("king", 2, 3, 4.0))
    assert silent_words(joint, words, n_words=1) == (SilentWord("queen", 1, 2, 9.0),)
    # b fires where a is silent: on one "the" of its one.
    assert silent_words(joint.swapped(), words) == (SilentWord("the", 1, 1, 6.0),)
    with pytest.raises(ValueError, match="words are of 8 tokens, the stores have 9"):
        silent_words(joint_of([1] * 9, [0] * 9), words)


def test_partners_that_agree_everywhere_have_no_disagreements():
    words = WordTable(("king",), np.zeros(3, dtype=np.int32))
    assert silent_words(joint_of([1, 2, 0], [1, 2, 0]), words) == ()
