"""Matching after a shuffle of tokens: everything that is not chance is gone."""

import numpy as np
import pytest
import scipy.sparse

from helpers.activations import ActivationStore
from helpers.matching import match_features, match_shuffled
from helpers.matching.chance import shuffled_rows

N_TOKENS, D_SAE = 2000, 30


@pytest.fixture(scope="module")
def dense():
    rng = np.random.default_rng(0)
    values = rng.random((N_TOKENS, D_SAE)) * (rng.random((N_TOKENS, D_SAE)) < 0.05)
    return np.round(values * 64) / 64  # exact in half precision


@pytest.fixture(scope="module")
def store(dense, tmp_path_factory):
    rows = np.arange(N_TOKENS, dtype=np.int32)
    path = tmp_path_factory.mktemp("stores") / "a"
    with ActivationStore.create(path, d_sae=D_SAE) as writer:
        writer.append(dense, token_ids=rows, documents=rows, positions=rows)
    return ActivationStore.open(path)


def test_every_kind_of_input_is_shuffled_in_the_same_order(dense, store):
    from_array = shuffled_rows(dense, seed=3)
    for value in (store, scipy.sparse.csr_array(dense)):
        np.testing.assert_array_equal(shuffled_rows(value, seed=3).toarray(), from_array)
    assert not np.array_equal(from_array, dense)
    order = np.lexsort(from_array.T)
    np.testing.assert_array_equal(from_array[order], dense[np.lexsort(dense.T)])  # the same rows, none lost


def test_a_store_matches_itself_and_no_longer_after_a_shuffle(store):
    itself = match_features(store, store, method="one_to_one", min_firings=10)
    shuffled = match_shuffled(store, store, seed=0, method="one_to_one", min_firings=10)
    assert np.array_equal(itself.ids_a, itself.ids_b) and itself.corr.min() > 0.999
    # Under independence a correlation has standard deviation 1 / sqrt(n_tokens); the largest of 900 stays below 6 of them.
    assert shuffled.corr.max() < 6 / np.sqrt(N_TOKENS)


def test_the_seed_fixes_the_shuffle(store):
    one, again, other = (match_shuffled(store, store, seed=seed, min_firings=10).corr for seed in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
