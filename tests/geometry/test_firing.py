"""Firing patterns in few dimensions, against dense cosines in float64."""

import numpy as np
import pytest

from helpers.activations import ActivationStore
from helpers.geometry import firing, firing_rows
from tests.activations.conftest import random_activations

N_TOKENS, D_SAE = 900, 40


@pytest.fixture(scope="module")
def dense():
    """Four families of ten features; a family fires on its own quarter of the tokens, feature 7 never."""
    values = random_activations(N_TOKENS, D_SAE, density=0.5, seed=3).toarray()
    values *= (np.arange(N_TOKENS)[:, None] * 4 // N_TOKENS) == (np.arange(D_SAE) // 10)
    values[:, 7] = 0
    return values


@pytest.fixture(scope="module")
def store(dense, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "a"
    zeros = np.zeros(N_TOKENS, dtype=np.int64)
    with ActivationStore.create(path, d_sae=D_SAE) as writer:
        writer.append(dense, token_ids=zeros, documents=zeros, positions=np.arange(N_TOKENS))
    return ActivationStore.open(path)


def cosines(dense, ids):
    patterns = dense[:, ids].astype(np.float64)
    patterns /= np.linalg.norm(patterns, axis=0)
    return patterns.T @ patterns


def test_all_dimensions_give_the_cosines_of_the_patterns(store, dense, monkeypatch):
    monkeypatch.setattr(firing, "BLOCK_ROWS", 70)  # borders of blocks must not show
    ids = np.array([31, 2, 9, 15, 3, 27, 11, 38])  # ids are not places
    found = firing_rows(store, ids, n_components=8, k=3)
    truth = cosines(dense, ids)
    assert found.rows.shape == (8, 7)  # one fewer than features
    # The one direction that is left out carries the smallest eigenvalue.
    smallest = np.linalg.eigvalsh(truth)[0]
    np.testing.assert_allclose(found.rows @ found.rows.T, truth, atol=smallest + 1e-5)
    assert found.explained == pytest.approx(1 - smallest / 8, abs=1e-6)
    np.testing.assert_array_equal(found.ids, ids)


def test_families_stand_together_in_a_few_dimensions(store, dense):
    ids = np.delete(np.arange(D_SAE), 7)
    found = firing_rows(store, ids, n_components=4, k=5)
    near = found.rows @ found.rows.T > 0.5 * np.sqrt(np.outer(*2 * [(found.rows**2).sum(axis=1)]))
    np.testing.assert_array_equal(near, (ids[:, None] // 10) == (ids // 10))
    whole = firing_rows(store, ids, n_components=38, k=5)
    assert found.neighbours_kept < whole.neighbours_kept and whole.neighbours_kept > 0.95


def test_neighbours_kept_are_those_of_the_exact_cosines(store, dense):
    ids = np.delete(np.arange(D_SAE), 7)
    found = firing_rows(store, ids, n_components=14, k=5)
    truth = cosines(dense, ids)
    np.fill_diagonal(truth, -1)
    rows = found.rows / np.linalg.norm(found.rows, axis=1, keepdims=True)
    packed = rows @ rows.T
    np.fill_diagonal(packed, -1)
    best = [[set(np.argsort(-table[i])[:5]) for i in range(len(ids))] for table in (truth, packed)]
    kept = np.mean([len(x & y) / 5 for x, y in zip(*best, strict=True)])
    assert found.neighbours_kept == pytest.approx(kept, abs=0.01)  # nearly equal cosines may change places


def test_a_feature_that_fires_alone_is_left_out_and_counted(tmp_path):
    values = np.zeros((60, 8))
    values[:30, :7] = 1 + np.random.default_rng(0).random((30, 7))
    values[40, 7] = 2.0
    zeros = np.zeros(60, dtype=np.int64)
    with ActivationStore.create(tmp_path / "a", d_sae=8) as writer:
        writer.append(values, token_ids=zeros, documents=zeros, positions=np.arange(60))
    found = firing_rows(ActivationStore.open(tmp_path / "a"), np.arange(8), n_components=1, k=2)
    assert found.n_left_out == 1 and found.ids.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_what_has_no_pattern_is_refused(store):
    with pytest.raises(ValueError, match="feature 7 never fires and has no pattern"):
        firing_rows(store, np.arange(D_SAE))
    with pytest.raises(ValueError, match="more than 16 features; got 128 and 3"):
        firing_rows(store, [1, 2, 3])
