"""Counts of co-firing are exact, covers are Loevinger's H, and what is no firing is refused."""

import numpy as np
import pytest
import scipy.sparse

from helpers.activations import ActivationStore
from helpers.geometry import cofiring_pairs


def by_hand(dense, *, min_cover, min_firings):
    """rarer, wider -> (together, cover), pair by pair in float64."""
    fires = np.asarray(dense) != 0
    n_tokens, d_sae = fires.shape
    counts = fires.sum(axis=0)
    expected = {}
    for i in range(d_sae):
        for j in range(d_sae):
            wider_than = (counts[j], -j) > (counts[i], -i)  # of equals the lower id is the wider
            usable = all(min_firings <= counts[f] < n_tokens for f in (i, j))
            if i == j or not wider_than or not usable:
                continue
            together = int((fires[:, i] & fires[:, j]).sum())
            # Loevinger 1948: 1 - (tokens of the rarer without the wider) / (those expected if they were independent)
            cover = 1 - (counts[i] - together) / (counts[i] * (1 - counts[j] / n_tokens))
            if together and cover >= min_cover:
                expected[i, j] = (together, cover)
    return expected


def as_dict(pairs):
    columns = (pairs.rarer, pairs.wider, pairs.together, pairs.cover)
    return {(int(i), int(j)): (int(t), c) for i, j, t, c in zip(*columns, strict=True)}


def assert_equal_pairs(found, expected):
    assert found.keys() == expected.keys()
    for pair, (together, cover) in expected.items():
        assert found[pair][0] == together
        assert found[pair][1] == pytest.approx(cover, abs=1e-12)  # a few operations in float64


@pytest.fixture(scope="module")
def dense():
    rng = np.random.default_rng(1)
    values = rng.random((300, 24)) * (rng.random((300, 24)) < rng.uniform(0.02, 0.5, 24))
    values[:, 3] = values[:, 4]  # a copy
    values[:, 5] *= values[:, 4] > 0  # inside 4
    values[:, 6], values[:, 7] = 0, 1  # dead; always there
    return values


@pytest.mark.parametrize("block_values", [1, 100, 1 << 20])
def test_pairs_equal_those_counted_one_by_one(dense, block_values):
    pairs = cofiring_pairs(dense, min_cover=0.05, min_firings=5, block_values=block_values)
    expected = by_hand(dense, min_cover=0.05, min_firings=5)
    assert len(expected) > 10
    assert_equal_pairs(as_dict(pairs), expected)
    assert not {6, 7} & set(np.concatenate([pairs.rarer, pairs.wider]).tolist())


def test_a_hand_computed_pair():
    """0 fires on tokens 0 and 1, 1 on 0, 1, 2 and 4 of eight: together twice, (1 - 1/2) / (1 - 1/2) = 1; 2 on 1 and 3."""
    fires = np.zeros((8, 3))
    fires[[0, 1], 0] = fires[[0, 1, 2, 4], 1] = fires[[1, 3], 2] = 1
    pairs = cofiring_pairs(fires, min_cover=0.01, min_firings=1)
    # 2 and 0 are together once of two: (1/2 - 1/4) / (1 - 1/4) = 1/3; of these equals 0 is the wider.
    # 2 and 1 are together once of two: (1/2 - 1/2) / (1 - 1/2) = 0, which is no pair.
    assert as_dict(pairs) == {(0, 1): (2, 1.0), (2, 0): (1, pytest.approx(1 / 3))}
    assert dict(zip(pairs.rarer.tolist(), pairs.jaccard, strict=True)) == pytest.approx({0: 2 / 4, 2: 1 / 3})
    assert pairs.degrees.tolist() == [2, 1, 1]


def test_a_frequent_feature_covers_nothing_by_being_frequent():
    """The trap: half of a rare feature's tokens lie under a feature that fires on half of all tokens."""
    rng = np.random.default_rng(0)
    fires = np.column_stack([rng.random(40_000) < 0.5, rng.random(40_000) < 0.05])
    together = (fires[:, 0] & fires[:, 1]).sum() / fires[:, 1].sum()
    assert together > 0.45
    # The share under it has a standard error of 0.5 / sqrt(2,000) = 0.011; the cover twice that. 0.1 is four of them.
    assert cofiring_pairs(fires, min_cover=0.1).n_pairs == 0


def test_stores_sparse_and_dense_input_give_the_same(dense, tmp_path):
    rows = np.arange(len(dense), dtype=np.int32)
    with ActivationStore.create(tmp_path / "store", d_sae=dense.shape[1], dtype="float32") as writer:
        writer.append(dense, token_ids=rows, documents=rows, positions=rows)
    store = ActivationStore.open(tmp_path / "store")
    settings = {"min_cover": 0.05, "min_firings": 5}
    expected = as_dict(cofiring_pairs(dense, **settings))
    explicit = scipy.sparse.csr_array(dense)
    explicit.data[::7] = 0  # stored zeros do not fire
    assert_equal_pairs(as_dict(cofiring_pairs(store, **settings)), expected)
    assert_equal_pairs(
        as_dict(cofiring_pairs(explicit, **settings)), as_dict(cofiring_pairs(explicit.toarray(), **settings))
    )


def test_selections(dense):
    pairs = cofiring_pairs(dense, min_cover=0.05, min_firings=5)
    assert pairs.above(0.5).cover.min() >= 0.5 and 0 < pairs.above(0.5).n_pairs < pairs.n_pairs
    assert set(np.unique(pairs.among([3, 4, 5]).edges)) == {3, 4, 5}
    assert pairs.among([]).n_pairs == 0


def test_pre_activations_and_negative_values_are_refused(dense, tmp_path):
    rows = np.arange(len(dense), dtype=np.int32)
    for name, options in {"pre": {"kind": "hidden_pre"}, "signed": {"signed": True}}.items():
        with ActivationStore.create(tmp_path / name, d_sae=dense.shape[1], **options) as writer:
            writer.append(dense - 0.3, token_ids=rows, documents=rows, positions=rows)
        with pytest.raises(ValueError, match="do not say what fires; save feature activations"):
            cofiring_pairs(ActivationStore.open(tmp_path / name))
    with pytest.raises(ValueError, match="negative or NaN values; pass activations after the non-linearity"):
        cofiring_pairs(dense - 0.3)


def test_bad_input_is_refused_with_a_remedy(dense):
    with pytest.raises(ValueError, match=r"none of 24 features fires on at least 10 of 300 tokens .*lower min_firings"):
        cofiring_pairs(np.zeros((300, 24)))
    with pytest.raises(ValueError, match=r"shape \(n_tokens, d_sae\), both at least 1; got \(0, 5\)"):
        cofiring_pairs(np.zeros((0, 5)))
    with pytest.raises(ValueError, match="shape"):
        cofiring_pairs(np.zeros(5))
    with pytest.raises(ValueError, match=r"min_cover must be in \(0, 1\]; got 0"):
        cofiring_pairs(dense, min_cover=0)
