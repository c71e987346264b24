"""Parts of the tokens, bands of correlation, matching again, all methods, chance for one-sided features."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from helpers.activations import ActivationStore
from helpers.matching import (
    correlation_bands,
    first_documents,
    first_rows,
    match_again,
    match_by_every_method,
    match_features,
    match_shuffled,
    one_sided_beside_chance,
    one_sided_features,
    random_documents,
    take_rows,
)
from helpers.matching.chance import shuffled_rows
from tests.activations.conftest import random_activations, write_store
from tests.matching.conftest import pair_set
from tests.matching.test_quality import pairs_of

N_TOKENS, D_A, D_B = 600, 30, 24


@pytest.fixture(scope="module")
def sides():
    a = random_activations(N_TOKENS, D_A, seed=1).toarray()
    b = random_activations(N_TOKENS, D_B, seed=2).toarray()
    b[:, :10] += a[:, :10]
    return scipy.sparse.csr_array(a), scipy.sparse.csr_array(b)


@pytest.mark.parametrize("kind", ["feature_acts", "hidden_pre"])
def test_rows_of_a_store_are_those_of_its_matrix(tmp_path, kind):
    dense = random_activations(80, 12).toarray().astype(np.float32)
    store = write_store(tmp_path / "s", dense, kind=kind)
    rows = np.array([5, 5, 0, 79, 31])  # repeated and out of order
    taken = take_rows(store, rows)
    np.testing.assert_array_equal(taken.toarray() if scipy.sparse.issparse(taken) else taken, dense[rows])
    assert take_rows(store, np.empty(0, np.int64)).shape == (0, 12)


def test_rows_of_plain_inputs():
    dense = np.arange(12.0).reshape(4, 3)
    np.testing.assert_array_equal(take_rows(dense, np.array([2, 0])), dense[[2, 0]])
    np.testing.assert_array_equal(take_rows(scipy.sparse.coo_array(dense), np.array([2, 0])).toarray(), dense[[2, 0]])


def test_a_split_never_cuts_a_document():
    """Trap: a split by token puts a document on both sides, and the unseen half is then not unseen."""
    documents = np.repeat([7, 3, 3, 9, 1, 4, 7], [5, 2, 2, 9, 1, 3, 4])  # 7 comes back
    for seed in range(20):
        inside = random_documents(documents, seed=seed)
        assert not set(documents[inside]) & set(documents[~inside])
        assert len(set(documents[inside])) == 2  # of five: round(2.5) is even
    assert len({random_documents(documents, seed=seed).tobytes() for seed in range(20)}) > 3
    for share, expected in ((0.01, 1), (0.99, 4), (0.6, 3)):
        assert len(set(documents[random_documents(documents, share=share)])) == expected
    with pytest.raises(ValueError, match="at least two; got 1"):
        random_documents([3, 3, 3])
    with pytest.raises(ValueError, match="share must be above 0 and below 1; got 1"):
        random_documents(documents, share=1)


def test_the_first_documents_are_whole_and_in_order_of_appearance():
    documents = np.array([7, 7, 3, 3, 3, 7, 1, 1])  # 7: three rows, 3: three, 1: two
    for n_tokens, expected in ((1, {7}), (3, {7}), (4, {7, 3}), (6, {7, 3}), (7, {7, 3, 1}), (100, {7, 3, 1})):
        np.testing.assert_array_equal(first_documents(documents, n_tokens=n_tokens), np.isin(documents, list(expected)))
    with pytest.raises(ValueError, match="n_tokens must be at least 1; got 0"):
        first_documents(documents, n_tokens=0)


def test_the_first_rows_of_a_store_are_its_first_whole_documents(tmp_path):
    dense = random_activations(80, 12).toarray().astype(np.float32)
    store = write_store(tmp_path / "s", dense)  # documents of 10 rows
    for n_tokens, n_rows in ((1, 10), (10, 10), (31, 40), (79, 80)):
        np.testing.assert_array_equal(first_rows(store, n_tokens=n_tokens).toarray(), dense[:n_rows])
    assert first_rows(store, n_tokens=0) is store
    assert first_rows(store, n_tokens=80) is store and first_rows(store, n_tokens=1000) is store
    with pytest.raises(ValueError, match="n_tokens must be at least 1; got -1"):
        first_rows(store, n_tokens=-1)


def test_bands_are_disjoint_and_hold_their_lower_edge():
    pairs = pairs_of(range(6), range(6), 6, 6)  # correlations 1, 0.82, 0.64, 0.46, 0.28, 0.1
    bands = correlation_bands(pairs, edges=(0.28, 0.5, 0.82, 1.0))
    assert {band: found.ids_a.tolist() for band, found in bands.items()} == {
        (0.28, 0.5): [3, 4], (0.5, 0.82): [2], (0.82, 1.0): [0, 1],
    }  # fmt: skip
    assert list(correlation_bands(pairs, edges=(0.28, 0.5, 0.82, 1.0), min_pairs=2)) == [(0.28, 0.5), (0.82, 1.0)]
    assert correlation_bands(pairs, edges=(0.7, 0.75)) == {}
    everything = correlation_bands(pairs, edges=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
    assert sum(found.n_pairs for found in everything.values()) == pairs.n_pairs
    for edges in ((0.2,), (0.2, 0.2), (0.5, 0.3)):
        with pytest.raises(ValueError, match="at least two ascending numbers"):
            correlation_bands(pairs, edges=edges)
    with pytest.raises(ValueError, match="min_pairs must be at least 1"):
        correlation_bands(pairs, min_pairs=0)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "nearest", "top_k": 2, "direction": "a_to_b", "min_firings": 4},
        {"method": "one_to_one", "max_partners": 3, "association": "cosine"},
        {"method": "ot", "regularization": 0.01},
    ],
    ids=lambda settings: settings["method"],
)
def test_matching_again_takes_the_settings_that_made_the_pairs(sides, settings):
    pairs = match_features(*sides, **settings)
    rows = np.arange(N_TOKENS // 2)
    again = match_again(pairs.above(0.3), *(take_rows(side, rows) for side in sides))
    expected = match_features(*(side[rows] for side in sides), **settings)
    assert pair_set(again) == pair_set(expected)
    assert again.settings == expected.settings


def test_every_method_gives_what_it_gives_alone(sides):
    found = match_by_every_method(*sides, min_firings=3)
    assert list(found) == ["nearest (b asks)", "nearest (a asks)", "mutual", "one_to_one", "hungarian", "ot"]
    alone = {
        "nearest (b asks)": {"method": "nearest"},
        "nearest (a asks)": {"method": "nearest", "direction": "a_to_b"},
    } | {name: {"method": name} for name in list(found)[2:]}
    for name, settings in alone.items():
        expected = match_features(*sides, min_firings=3, **settings)
        assert pair_set(found[name]) == pair_set(expected), name
        assert found[name].settings == expected.settings
    assert pair_set(found["nearest (b asks)"]) != pair_set(found["nearest (a asks)"])
    assert "ot" not in match_by_every_method(*sides, largest_transport=D_A * D_B - 1)
    assert "ot" in match_by_every_method(*sides, largest_transport=D_A * D_B)


def test_the_threshold_of_one_sided_features_is_that_of_the_shuffled_search(sides):
    observed, chance = one_sided_beside_chance(*sides, seed=3, quantile=0.9, min_firings=3)
    shuffled = (sides[0], shuffled_rows(sides[1], seed=3))
    best = np.concatenate(
        [
            match_features(*shuffled, method="nearest", direction=direction, min_firings=3).corr
            for direction in ("a_to_b", "b_to_a")
        ]
    )
    assert len(best) == D_A + D_B  # every feature finds something by chance
    assert observed.max_corr == chance.max_corr == pytest.approx(np.quantile(best, 0.9), abs=1e-6)
    again = one_sided_features(*sides, max_corr=observed.max_corr, min_firings=3)
    np.testing.assert_array_equal(observed.only_a, again.only_a)
    np.testing.assert_array_equal(observed.only_b, again.only_b)
    # The planted features are answered, and of the shuffled ones 90 % are not.
    assert not set(range(10)) & set(observed.only_a) and not set(range(10)) & set(observed.only_b)
    assert len(chance.only_a) + len(chance.only_b) == pytest.approx(0.9 * (D_A + D_B), abs=1)
    assert (np.diff(chance.best_a[chance.only_a]) >= 0).all()
    with pytest.raises(ValueError, match=r"quantile must be in \[0, 1\]; got 2"):
        one_sided_beside_chance(*sides, seed=0, quantile=2)
    with pytest.raises(ValueError, match="no feature of either side fires often enough"):
        one_sided_beside_chance(*sides, seed=0, min_firings=N_TOKENS + 1)


def test_a_shuffled_store_is_the_shuffled_matrix(tmp_path, sides):
    stores = [write_store(tmp_path / name, side) for name, side in zip("ab", sides, strict=True)]
    assert all(isinstance(store, ActivationStore) for store in stores)
    loaded = [scipy.sparse.csr_array(store.rows(0, N_TOKENS)) for store in stores]
    assert pair_set(match_shuffled(*stores, seed=5)) == pair_set(match_shuffled(*loaded, seed=5))
