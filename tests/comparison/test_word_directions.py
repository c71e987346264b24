"""Directions of words: the mean of what a dictionary writes at their rows, from sparse and dense stores alike."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from helpers.activations import ActivationStore
from helpers.comparison.word_directions import word_directions

VOCABULARY = ("Dog", "cat", "dog", "cats")
WORD_IDS = np.array([0, 1, 2, -1, 1, 3, 2, 2, -1, 0], dtype=np.int32)


def store_of(path, acts: np.ndarray, *, kind: str = "feature_acts") -> ActivationStore:
    rows = np.arange(len(acts))
    with ActivationStore.create(path, d_sae=acts.shape[1], kind=kind, dtype="float32") as writer:
        batch = scipy.sparse.csr_array(acts) if kind == "feature_acts" else acts
        writer.append(batch, token_ids=rows, documents=rows, positions=rows)
    return ActivationStore.open(path)


@pytest.fixture(scope="module")
def acts():
    rng = np.random.default_rng(0)
    return (rng.integers(1, 9, (10, 6)) * (rng.random((10, 6)) < 0.5)).astype(np.float32)


@pytest.mark.parametrize("kind", ["feature_acts", "hidden_pre"])
def test_a_direction_is_the_mean_over_the_rows_of_the_word(tmp_path, acts, kind):
    directions = np.random.default_rng(1).standard_normal((6, 4))
    store = store_of(tmp_path / "store", acts, kind=kind)
    found = word_directions(store, directions, vocabulary=VOCABULARY, word_ids=WORD_IDS, wanted=["DOG", "cat"])
    assert found.words == ("Dog", "cat", "dog") and found.counts.tolist() == [2, 2, 3]
    written = acts.astype(np.float64) @ directions
    exact = found.means(["dog", "cat"], ignore_case=False)
    assert exact == pytest.approx(np.array([written[[2, 6, 7]].mean(axis=0), written[[1, 4]].mean(axis=0)]), rel=1e-12)
    folded = found.means(["dog"], ignore_case=True)
    assert folded == pytest.approx(written[[0, 2, 6, 7, 9]].mean(axis=0)[None], rel=1e-12)


def test_other_words_that_begin_alike_do_not_count(tmp_path, acts):
    found = word_directions(
        store_of(tmp_path / "store", acts), np.eye(6), vocabulary=VOCABULARY, word_ids=WORD_IDS, wanted=["cat"]
    )
    assert found.words == ("cat",)
    assert found.known(["cat", "cats", "dog"], ignore_case=True) == ["cat"]
    assert found.known(["cat"], ignore_case=True, min_count=3) == []


def test_what_is_missing_is_refused(tmp_path, acts):
    store = store_of(tmp_path / "store", acts)
    found = word_directions(store, np.eye(6), vocabulary=VOCABULARY, word_ids=WORD_IDS, wanted=["cat"])
    with pytest.raises(ValueError, match="'cow' stands in no row; ask only for words that are `known`"):
        found.means(["cow"], ignore_case=True)
    with pytest.raises(
        ValueError, match="a word of each of 10 rows and a direction of each of 6 features; got 10 and 5"
    ):
        word_directions(store, np.eye(5), vocabulary=VOCABULARY, word_ids=WORD_IDS, wanted=["cat"])
    with pytest.raises(ValueError, match="got 9 and 6; take words and directions of the store's own tokens"):
        word_directions(store, np.eye(6), vocabulary=VOCABULARY, word_ids=WORD_IDS[:9], wanted=["cat"])
