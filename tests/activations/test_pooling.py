"""Activations of units against a dense reference, and stores of different tokenizers brought to the same rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

from helpers.activations import ActivationStore, aligned_activations, share_rows
from helpers.activations.pooling import POOLS, pooled_blocks
from helpers.corpus import RowUnits, StoryWorld, align_rows, tokenize_corpus, train_bpe_tokenizer
from helpers.features import top_examples
from helpers.matching import match_features
from tests.activations.conftest import random_activations, write_store


def units(*of_rows: int) -> RowUnits:
    return RowUnits(np.array(of_rows, dtype=np.int64), max(of_rows) + 1, "")


def store_of(tmp_path, values, **options) -> ActivationStore:
    return write_store(tmp_path / "store", scipy.sparse.csr_array(np.asarray(values, dtype=np.float32)), **options)


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("max", [[4, 2, 0], [0, 0, 1]]),
        ("mean", [[2, 1, 0], [0, 0, 1]]),
        ("last", [[1, 0, 0], [0, 0, 1]]),
        ("sum", [[6, 3, 0], [0, 0, 1]]),
    ],
)
def test_pools_by_hand(tmp_path, pool, expected):
    store = store_of(tmp_path, [[1, 2, 0], [4, 1, 0], [1, 0, 0], [9, 9, 9], [0, 0, 1]])
    pooled = aligned_activations(store, units(0, 0, 0, -1, 1), pool=pool)
    np.testing.assert_array_equal(pooled.toarray(), expected)
    assert pooled.dtype == np.float32 and pooled.nnz == np.count_nonzero(expected)  # no zero is stored


def random_units(rng, n_tokens: int) -> RowUnits:
    """Neighbours joined at random, and some units left out."""
    groups = np.cumsum(rng.random(n_tokens) < 0.6)
    whole = rng.random(groups.max() + 1) < 0.9
    whole[groups[0]] = True
    numbers = np.where(whole, np.cumsum(whole) - 1, -1)[groups]
    _, numbers = np.unique(numbers, return_inverse=True)
    return RowUnits(numbers - 1, int(numbers.max()), "")


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("pool", POOLS)
def test_pools_against_a_dense_reference(tmp_path, pool, dtype):
    matrix = random_activations(500, 30)
    rows = random_units(np.random.default_rng(1), 500)
    assert rows.sizes.max() > 3 and (rows.of_rows == -1).any()
    store = write_store(tmp_path / "store", matrix, dtype=dtype)
    dense = matrix.toarray()
    reduce = {"max": np.max, "mean": np.mean, "sum": np.sum, "last": lambda part, axis: part.take(-1, axis)}[pool]
    expected = np.array([reduce(dense[rows.of_rows == unit], axis=0) for unit in range(rows.n_units)])
    for block_rows in (1, 7, 8192):
        pooled = aligned_activations(store, rows, pool=pool, block_rows=block_rows)
        # values are multiples of 1/8 below 8, so sums and maxima are exact; a mean is rounded once, to float32
        np.testing.assert_array_equal(pooled.toarray(), expected.astype(np.float32))
        assert pooled.has_sorted_indices
    sizes = [block.shape[0] for _, block in pooled_blocks(store, rows, pool=pool, block_rows=7)]
    assert sum(sizes) == rows.n_units and 1 < max(sizes) <= 7


def test_rows_that_are_their_own_units_stay_bit_for_bit(tmp_path, tokens):
    matrices = [random_activations(tokens.n_tokens, 40, seed=seed).toarray() for seed in (1, 2)]
    noise = np.random.default_rng(3).random(matrices[0].shape)
    matrices[1][:, :20] = matrices[0][:, 20:] * (noise[:, :20] < 0.7)  # real partners beside chance ones
    stores = [
        write_store(tmp_path / name, scipy.sparse.csr_array(matrix), tokens_fingerprint=tokens.fingerprint())
        for name, matrix in zip("ab", matrices, strict=True)
    ]
    plain = match_features(*stores)
    aligned = align_rows(tokens, tokens)
    for pool in POOLS:
        pooled = [aligned_activations(s, u, pool=pool) for s, u in zip(stores, (aligned.a, aligned.b), strict=True)]
        pairs = match_features(*pooled)
        np.testing.assert_array_equal(pairs.ids_a, plain.ids_a)
        np.testing.assert_array_equal(pairs.ids_b, plain.ids_b)
        assert pairs.corr.dtype == plain.corr.dtype == np.float32
        np.testing.assert_array_equal(pairs.corr.view(np.int32), plain.corr.view(np.int32))
    assert plain.n_pairs >= 20


def test_errors_of_pooling(tmp_path):
    store = store_of(tmp_path, np.eye(4), tokens_fingerprint="those")
    with pytest.raises(ValueError, match="pool must be one of max, mean, last, sum; got 'median'"):
        aligned_activations(store, units(0, 1, 2, 3), pool="median")
    with pytest.raises(ValueError, match="units must be of the tokens .* got 3 rows and 4 in the store"):
        aligned_activations(store, units(0, 1, 2))
    with pytest.raises(ValueError, match="units must be of the tokens"):
        aligned_activations(store, replace(units(0, 1, 2, 3), tokens_fingerprint="these"))
    dense = write_store(tmp_path / "dense", np.eye(4, dtype=np.float32), kind="hidden_pre")
    with pytest.raises(ValueError, match="only feature_acts that are never negative can be pooled"):
        aligned_activations(dense, units(0, 1, 2, 3))
    signed = write_store(tmp_path / "signed", -np.eye(4, dtype=np.float32), signed=True)
    with pytest.raises(ValueError, match="never negative"):
        aligned_activations(signed, units(0, 1, 2, 3))


@pytest.fixture(scope="module")
def pieces():
    return train_bpe_tokenizer(StoryWorld(), n_vocab=400, n_documents=200)


@pytest.fixture(scope="module")
def piece_tokens(pieces, tokens):
    """The documents of `tokens`, cut into pieces of words."""
    return tokenize_corpus(StoryWorld(), pieces, context_size=64, n_tokens=2 * tokens.n_tokens)


WATCHED = (" queen", " grandmother", " travelled", " Thursday", " was", ".")


def store_for_words(path, tokens, tokenizer, words, *, dtype="float16") -> ActivationStore:
    """Feature f fires on the last token of word f, where it follows the word's other tokens."""
    ids = tokens.token_ids()
    values = np.zeros((len(ids), len(words)), dtype=np.float32)
    for feature, word in enumerate(words):
        wanted = tokenizer.encode(word, add_special_tokens=False)
        starts = range(len(ids) - len(wanted) + 1)
        found = [at for at in starts if ids[at : at + len(wanted)].tolist() == wanted]
        values[[at + len(wanted) - 1 for at in found], feature] = 1.5 + feature
    options = {"tokens_fingerprint": tokens.fingerprint(), "tokenizer_fingerprint": tokens.tokenizer_fingerprint}
    with ActivationStore.create(path, d_sae=len(words), dtype=dtype, **options) as writer:
        places = {"documents": tokens.row_documents(), "positions": tokens.row_positions()}
        writer.append(values, token_ids=ids, **places)
    return ActivationStore.open(path)


def test_features_of_words_meet_across_tokenizers(tmp_path, tokens, tokenizer, piece_tokens, pieces):
    assert len(pieces.tokenize(" grandmother")) > 5
    store_a = store_for_words(tmp_path / "one", tokens, tokenizer, WATCHED)
    store_b = store_for_words(tmp_path / "other", piece_tokens, pieces, WATCHED[::-1], dtype="float32")
    with pytest.raises(ValueError, match="different tokenizers"):
        match_features(store_a, store_b)
    shared = share_rows(
        store_a,
        store_b,
        tokens_a=tokens,
        tokens_b=piece_tokens,
        tokenizer_a=tokenizer,
        tokenizer_b=pieces,
        folder=tmp_path / "units",
    )
    pairs = match_features(shared.store_a, shared.store_b)
    assert dict(zip(pairs.ids_a, pairs.ids_b, strict=True)) == {f: len(WATCHED) - 1 - f for f in range(len(WATCHED))}
    # the pieces of a word may begin a longer one, and the last word is cut off; otherwise both fire on the same units
    assert pairs.corr.min() > 0.95
    assert shared.alignment.share_one_to_one < 1
    assert (shared.store_a.manifest.dtype, shared.store_b.manifest.dtype) == ("float16", "float32")
    assert shared.store_a.n_tokens == shared.tokens.n_tokens == shared.alignment.n_units
    top = top_examples(shared.store_b, n_examples=1).tokens(shared.store_b.token_ids)[:, 0]
    assert [shared.tokenizer.decode([i]) for i in top] == list(WATCHED[::-1])


def test_stores_of_one_batch_stay_as_they_are(tmp_path, tokens, tokenizer):
    store = store_for_words(tmp_path / "one", tokens, tokenizer, WATCHED)
    earlier = replace(tokens, char_spans=None, text_hashes=None)  # saved before spans were kept
    sides = {"tokens_a": tokens, "tokens_b": earlier, "tokenizer_a": tokenizer, "tokenizer_b": tokenizer}
    shared = share_rows(store, store, **sides, folder=tmp_path / "units")
    assert shared.store_a is store and shared.tokens is tokens and shared.alignment is None
    assert not (tmp_path / "units").exists()


def test_batches_of_one_tokenizer_that_differ_share_their_tokens(tmp_path, tokens, tokenizer):
    shorter = tokenize_corpus(StoryWorld(), tokenizer, context_size=32, n_tokens=1500)
    stores = [store_for_words(tmp_path / str(n), t, tokenizer, WATCHED) for n, t in enumerate((tokens, shorter))]
    sides = {"tokens_a": tokens, "tokens_b": shorter, "tokenizer_a": tokenizer, "tokenizer_b": tokenizer}
    shared = share_rows(*stores, **sides, folder=tmp_path / "units", pool="mean")
    assert shared.alignment.n_units == 1500
    np.testing.assert_array_equal(shared.store_a.rows(0, 1500).toarray(), stores[0].rows(0, 1500).toarray())
    texts = [tokenizer.decode([i]) for i in shorter.token_ids()]
    assert [shared.tokenizer.decode([i]) for i in shared.store_b.token_ids] == texts
    assert shared.store_a.manifest.dtype == "float32"  # means are not exact in half precision
