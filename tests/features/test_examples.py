"""Top examples against a search that sorts everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.activations import ActivationStore
from helpers.features import TopExamples, majority_concepts, top_examples
from tests.activations.conftest import random_activations, write_store


def reference(dense: np.ndarray, documents: np.ndarray, n_examples: int, *, every_value: bool = False) -> np.ndarray:
    """Best row of each document, then the best of those; ties to the earlier row."""
    rows = np.full((dense.shape[1], n_examples), -1)
    for feature in range(dense.shape[1]):
        taken: set[int] = set()
        for row in np.argsort(-dense[:, feature], kind="stable"):
            if (every_value or dense[row, feature] > 0) and documents[row] not in taken and len(taken) < n_examples:
                rows[feature, len(taken)] = row
                taken.add(int(documents[row]))
    return rows


def store_of(path, dense, documents, **options):
    with ActivationStore.create(path, d_sae=dense.shape[1], **options) as writer:
        writer.append(dense, token_ids=np.arange(len(dense)), documents=documents, positions=np.arange(len(dense)))
    return ActivationStore.open(path)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    density=st.sampled_from([0.02, 0.2, 1.0]),
    n_examples=st.integers(1, 6),
    contiguous=st.booleans(),
)
def test_examples_equal_the_full_search(tmp_path, seed, density, n_examples, contiguous):
    rng = np.random.default_rng(seed)
    # Few distinct values, so that ties are everywhere; documents need not be contiguous.
    dense = rng.integers(1, 5, size=(90, 6)) * (rng.random((90, 6)) < density)
    documents = np.arange(90) // 9 if contiguous else rng.integers(0, 10, size=90)
    found = top_examples(store_of(tmp_path / "s", dense.astype(np.float32), documents), n_examples=n_examples)
    expected = reference(dense, documents, n_examples)
    np.testing.assert_array_equal(found.rows, expected)
    np.testing.assert_array_equal(
        found.values, np.where(expected >= 0, dense[np.maximum(expected, 0), np.arange(6)[:, None]], 0)
    )
    np.testing.assert_array_equal(found.counts, (dense > 0).sum(axis=0))


def test_pre_activations_are_ranked_by_value_even_below_zero(tmp_path):
    dense = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32) - 3
    documents = np.arange(60) // 6
    store = store_of(tmp_path / "s", dense, documents, kind="hidden_pre", dtype="float32")
    np.testing.assert_array_equal(top_examples(store).rows, reference(dense, documents, 5, every_value=True))


@pytest.mark.parametrize("kind", ["feature_acts", "hidden_pre"])
def test_examples_of_a_part_of_the_rows_are_those_of_a_store_of_these_rows(tmp_path, kind):
    """Trap: examples that were looked at already (here the strongest of all) must not come back."""
    rng = np.random.default_rng(4)
    dense = rng.integers(1, 5, size=(90, 6)) * (rng.random((90, 6)) < 0.4)
    documents = np.arange(90) // 9
    keep = np.isin(documents, [1, 4, 5, 8])
    dense[3] = 9  # the strongest row of every feature is not kept
    store = store_of(tmp_path / "all", dense.astype(np.float32), documents, kind=kind)
    part = store_of(tmp_path / "part", dense[keep].astype(np.float32), documents[keep], kind=kind)
    found, expected = top_examples(store, keep_mask=keep), top_examples(part)
    np.testing.assert_array_equal(
        found.rows, np.where(expected.rows >= 0, np.flatnonzero(keep)[np.maximum(expected.rows, 0)], -1)
    )
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.counts, (dense[keep] != 0).sum(axis=0))
    assert (top_examples(store).rows[:, 0] == 3).all()
    with pytest.raises(ValueError, match=r"keep_mask must be \(90,\) bool, one a row; got int64 \(4,\)"):
        top_examples(store, keep_mask=np.array([1, 4, 5, 8]))


def test_block_borders_do_not_matter(tmp_path, monkeypatch):
    store = write_store(tmp_path / "s", random_activations(500, 20))
    whole = top_examples(store)
    original = ActivationStore.row_blocks
    monkeypatch.setattr(ActivationStore, "row_blocks", lambda self: original(self, block_rows=7))
    np.testing.assert_array_equal(top_examples(store).rows, whole.rows)


def test_one_document_fills_one_place_only(tmp_path):
    # Trap: without the document rule all five examples would be the one long document.
    dense = np.concatenate([np.full((50, 1), 9.0), np.ones((3, 1))])
    documents = np.concatenate([np.zeros(50, int), [1, 2, 3]])
    found = top_examples(store_of(tmp_path / "s", dense, documents))
    np.testing.assert_array_equal(found.rows[0], [0, 50, 51, 52, -1])


def test_a_dead_feature_has_no_examples(tmp_path):
    dense = np.array([[0.0, 1.0], [0.0, 0.0]])
    found = top_examples(store_of(tmp_path / "s", dense, np.arange(2)), n_examples=3)
    np.testing.assert_array_equal(found.rows, [[-1, -1, -1], [0, -1, -1]])
    np.testing.assert_array_equal(found.tokens(np.array([7, 8])), [[-1, -1, -1], [7, -1, -1]])
    np.testing.assert_array_equal(found.values, [[0, 0, 0], [1, 0, 0]])


def test_saving(tmp_path):
    found = top_examples(write_store(tmp_path / "s", random_activations(100, 8)), n_examples=4)
    found.save(tmp_path / "top.npz")
    loaded = TopExamples.load(tmp_path / "top.npz")
    for name in ("rows", "values", "counts"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(found, name))
    assert (loaded.n_examples, loaded.d_sae) == (4, 8)
    (tmp_path / "top.npz").write_bytes((tmp_path / "top.npz").read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read as top examples"):
        TopExamples.load(tmp_path / "top.npz")
    with pytest.raises(ValueError, match="found no such file"):
        TopExamples.load(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="n_examples must be at least 1"):
        top_examples(ActivationStore.open(tmp_path / "s"), n_examples=0)


def test_majority_concepts():
    concepts = {0: "animal", 1: "animal", 2: "colour", 3: None}
    tokens = np.array([[0, 1, 1, 2, 3], [0, 0, 2, 2, 3], [3, 3, 3, 3, 0], [0, 1, -1, -1, -1], [2, 2, 2, 2, 2]])
    assert majority_concepts(tokens, concepts.get).tolist() == ["animal", None, None, None, "colour"]
    assert majority_concepts(tokens, concepts.get, min_hits=2).tolist() == ["animal", None, None, "animal", "colour"]
