"""Columns of a store against the dense matrix."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.activations import ActivationStore
from helpers.features import feature_columns
from tests.activations.conftest import random_activations, write_store


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), density=st.sampled_from([0.0, 0.02, 0.3, 1.0]), dtype=st.sampled_from(["16", "32"]))
def test_columns_equal_the_dense_matrix(tmp_path, seed, density, dtype):
    matrix = random_activations(90, 12, density=density, seed=seed)
    store = write_store(tmp_path / "s", matrix, dtype=f"float{dtype}")
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(12)[: rng.integers(0, 13)]
    columns = feature_columns(store, chosen)
    dense = matrix.toarray()
    for feature in chosen:
        np.testing.assert_array_equal(columns.rows_of(feature), np.flatnonzero(dense[:, feature]))
        np.testing.assert_array_equal(columns.values_of(feature), dense[dense[:, feature] != 0, feature])
        some = rng.integers(0, 90, size=(4, 5))
        np.testing.assert_array_equal(columns.at(feature, some), dense[some, feature])
    assert len(columns.rows) == (dense[:, chosen] != 0).sum()


def test_the_order_of_the_chosen_features_does_not_matter(tmp_path):
    # Trap: column 0 of the chosen ones is feature 7; a lookup by position would answer for feature 0.
    store = write_store(tmp_path / "s", random_activations(200, 9))
    up, down = feature_columns(store, [0, 3, 7]), feature_columns(store, [7, 3, 0])
    for feature in (0, 3, 7):
        np.testing.assert_array_equal(up.values_of(feature), down.values_of(feature))
    assert not np.array_equal(up.rows_of(0), up.rows_of(7))
    with pytest.raises(ValueError, match="feature 1 is not among the 3 chosen ones"):
        up.values_of(1)


def test_one_pass_serves_any_number_of_features(tmp_path, monkeypatch):
    store = write_store(tmp_path / "s", random_activations(300, 9))
    whole = feature_columns(store, np.arange(9))
    read = []
    original = ActivationStore.row_blocks

    def counted(self):
        for first, block in original(self, block_rows=7):
            read.append(first)
            yield first, block

    monkeypatch.setattr(ActivationStore, "row_blocks", counted)
    again = feature_columns(store, np.arange(9))
    assert read == list(range(0, 300, 7))
    np.testing.assert_array_equal(again.rows, whole.rows)
    np.testing.assert_array_equal(again.values, whole.values)


def test_bad_arguments_are_refused(tmp_path, tokens):
    dense = np.ones((20, 4))
    with pytest.raises(ValueError, match="holds hidden_pre.*kind='feature_acts'"):
        feature_columns(write_store(tmp_path / "pre", dense, kind="hidden_pre"), [0])
    store = write_store(tmp_path / "s", dense)
    with pytest.raises(ValueError, match=r"feature_ids must be in \[0, 4\); got 4"):
        feature_columns(store, [0, 4])
    with pytest.raises(ValueError, match=r"feature_ids must be in \[0, 4\); got -1"):
        feature_columns(store, [-1])
    with pytest.raises(ValueError, match="2 is named twice"):
        feature_columns(store, [2, 0, 2])
    with pytest.raises(ValueError, match="list of whole numbers; got bool"):
        feature_columns(store, np.ones(4, dtype=bool))
    with pytest.raises(ValueError, match="list of whole numbers; got int64 of shape"):
        feature_columns(store, np.arange(4).reshape(2, 2))
    with pytest.raises(ValueError, match="expected the 20 tokens"):
        feature_columns(store, [0]).require_tokens(tokens)


def test_other_tokens_of_the_same_number_are_refused(tmp_path, tokens):
    matrix = random_activations(tokens.n_tokens, 4)
    columns = feature_columns(write_store(tmp_path / "s", matrix, tokens_fingerprint=tokens.fingerprint()), [0])
    columns.require_tokens(tokens)
    other = replace(tokens, documents=tokens.documents[::-1].copy())
    with pytest.raises(ValueError, match="got another batch of 3000"):
        columns.require_tokens(other)
