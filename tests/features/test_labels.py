"""Descriptions of features against counting by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.activations import ActivationStore
from helpers.features import FeatureTable, TopExamples, WordTable, build_words, describe_features
from helpers.features import feature_table as table_module
from helpers.features.labels import _agree
from tests.features.conftest import batch_of


def store_of(path, dense, documents=None, *, tokens_fingerprint="", **options) -> ActivationStore:
    rows = np.arange(len(dense))
    fingerprint = {"tokens_fingerprint": tokens_fingerprint}
    with ActivationStore.create(path, d_sae=dense.shape[1], dtype="float32", **fingerprint, **options) as writer:
        writer.append(dense, token_ids=rows, documents=rows if documents is None else documents, positions=rows)
    return ActivationStore.open(path)


def words_of(*words: str) -> WordTable:
    vocabulary = tuple(sorted(set(words) - {""}))
    return WordTable(vocabulary, np.array([vocabulary.index(w) if w else -1 for w in words], dtype=np.int32))


def described(path, firings: dict[int, list[str]], **options) -> FeatureTable:
    """A dictionary whose features fire on given words, every word in a document of its own, strongest first."""
    words = [word for of_feature in firings.values() for word in of_feature]
    dense = np.zeros((len(words), max(firings) + 1), dtype=np.float32)
    row = 0
    for feature, of_feature in firings.items():
        for place in range(len(of_feature)):
            dense[row, feature] = 100 - place
            row += 1
    return describe_features(store_of(path, dense), words_of(*words), **options)


def test_labels_by_hand(tmp_path):
    table = described(
        tmp_path / "s",
        {
            0: ["dog", "Dog", "dog", "cat", "dog", "dog"],
            1: ["Monday", "Tuesday", "Monday", "Friday", "Sunday", "Sunday"],
            2: ["rare"],
            4: ["the", "a", "the"],
            5: ["x", "x", "x", "y", "y", "y", "y", "y", "y", "y"],
            6: ["", "", "king"],
        },
    )
    assert table.labels == ("dog", "Monday/Sunday/Tuesday", "rare", "", "the/a", "x/y", "king")
    assert table.label_sources == ("words", "words", "words", "", "words", "words", "words")
    assert table.hits.tolist() == [4, 2, 1, 0, 2, 3, 1]
    np.testing.assert_allclose(table.agreement, [5 / 6, 2 / 6, 1, 0, 2 / 3, 0.3, 1 / 3], rtol=1e-6)
    assert [table.word(f) for f in range(7)] == ["dog", "Monday", "rare", "", "the", "x", "king"]
    assert table.example_words(0) == ["dog", "Dog", "dog", "cat", "dog", "dog"]
    assert table.example_words(6) == ["", "", "king"]
    assert table.dead.tolist() == [False, False, False, True, False, False, False]


def test_case_counts_only_when_asked(tmp_path):
    firings = {0: ["Mark", "mark", "Mark", "mark", "mark"]}
    folded, exact = (described(tmp_path / "s", firings, ignore_case=flag) for flag in (True, False))
    assert (folded.hits[0], folded.labels[0]) == (5, "mark")  # the spelling that is met most
    assert (exact.hits[0], exact.labels[0]) == (3, "mark")


def test_only_the_firing_token_counts(tmp_path, byte_level):
    # Trap: the feature fires on "said"; the neighbour "king" is in every context.
    tokens = batch_of(byte_level, *["the king said", "a king said", "one king said to the king"] * 2)
    words = build_words(tokens, byte_level)
    is_said = np.array([words.word(row) == "said" for row in range(words.n_tokens)])
    store = store_of(tmp_path / "s", is_said[:, None].astype(np.float32), tokens.row_documents())
    table = describe_features(store, words)
    assert table.example_words(0) == ["said"] * 6
    assert table.words == ("said",)


def brute_agreement(words, folded, is_example):
    """Leaders, hits and agreement with Python's counters."""
    spelled = [(folded[w], w, place) for place, w in enumerate(words) if w >= 0]
    hits, counts = Counter(f for f, _, place in spelled if place < 5), Counter(f for f, _, _ in spelled)
    first = {f: min(place for g, _, place in spelled if g == f) for f in counts}
    order = sorted(counts, key=lambda f: (-hits[f], -counts[f], first[f]))[:3]
    spellings = []
    for f in order:
        mine = [w for g, w, _ in spelled if g == f]
        spellings.append(max(mine, key=lambda w: (mine.count(w), -mine.index(w))))
    best = order[0] if order else None
    return spellings, hits[best], counts[best] / max(1, sum(is_example))


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), n_examples=st.integers(1, 12), n_words=st.integers(1, 6))
def test_agreement_equals_counting(seed, n_examples, n_words):
    rng = np.random.default_rng(seed)
    words = rng.integers(-1, n_words, size=(20, n_examples)).astype(np.int32)
    folded = rng.integers(0, 3, size=n_words).astype(np.int32)
    is_example = words >= 0
    leaders, hits, agreement = _agree(words, folded, is_example)
    for f in range(20):
        spellings, n_hits, share = brute_agreement(words[f].tolist(), folded.tolist(), is_example[f])
        assert leaders[f].tolist() == spellings + [-1] * (3 - len(spellings))
        assert hits[f] == n_hits
        assert agreement[f] == pytest.approx(share, rel=1e-6)  # float32


def test_density_and_histograms(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    dense = (rng.integers(1, 9, size=(300, 6)) / 2 * (rng.random((300, 6)) < 0.3)).astype(np.float32)
    dense[:, 5] = 0
    original = ActivationStore.row_blocks
    monkeypatch.setattr(ActivationStore, "row_blocks", lambda self: original(self, block_rows=7))
    table = describe_features(store_of(tmp_path / "s", dense), words_of(*["w"] * 300), n_bins=4)
    np.testing.assert_allclose(table.density, (dense > 0).mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(table.max_activation, dense.max(axis=0))
    for f in range(5):
        # Bins of width 1 with their upper edge: 0.5 and 1 in the first, 1.5 and 2 in the second, ...
        assert table.bin_edges(f).tolist() == [0, 1, 2, 3, 4]
        expected = [((dense[:, f] > k) & (dense[:, f] <= k + 1)).sum() for k in range(4)]
        assert table.histogram[f].tolist() == expected
    assert table.histogram[5].tolist() == [0, 0, 0, 0]
    assert table.n_tokens == 300


def test_pre_activations_are_described_too(tmp_path):
    dense = np.array([[-3, 2.0], [-1, 4.0], [-2, -1.0]], dtype=np.float32)
    table = describe_features(store_of(tmp_path / "s", dense, kind="hidden_pre"), words_of("a", "b", "c"), n_bins=2)
    assert table.example_words(0) == ["b", "c", "a"]  # the least negative first
    assert table.histogram.tolist() == [[0, 0], [1, 1]]
    assert table.density.tolist() == [1, 1]
    assert table.max_activation.tolist() == [-1, 4]


def test_words_of_other_tokens_are_refused(tmp_path):
    store = store_of(tmp_path / "s", np.ones((3, 1), np.float32), tokens_fingerprint="here")
    with pytest.raises(ValueError, match="the store has 3 tokens, the words are of 2"):
        describe_features(store, words_of("a", "b"))
    elsewhere = WordTable(("a",), np.zeros(3, np.int32), tokens_fingerprint="elsewhere")
    with pytest.raises(ValueError, match="the words are of other tokens than the store's"):
        describe_features(store, elsewhere)
    with pytest.raises(ValueError, match="n_bins must be at least 1; got 0"):
        describe_features(store, words_of("a", "b", "c"), n_bins=0)


def test_saving(tmp_path):
    table = described(tmp_path / "s", {0: ["a", "b"], 2: ["⏎"]})
    table.save(tmp_path / "features")
    loaded = FeatureTable.load(tmp_path / "features")
    for name in ("words", "labels", "label_sources", "n_tokens", "tokens_fingerprint", "source"):
        assert getattr(loaded, name) == getattr(table, name)
    for name in ("top_words", "density", "max_activation", "histogram", "best_word", "hits", "agreement"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(table, name))
        assert getattr(loaded, name).dtype == getattr(table, name).dtype
    assert loaded.fingerprint() == table.fingerprint()
    # The examples are stored once, and read as before.
    np.testing.assert_array_equal(TopExamples.load(tmp_path / "features" / "examples.npz").rows, table.examples.rows)


@pytest.mark.parametrize("name", ["features.npz", "features.json", "examples.npz"])
def test_a_damaged_table_is_refused(tmp_path, name):
    described(tmp_path / "s", {0: ["a", "b"]}).save(tmp_path / "features")
    file = tmp_path / "features" / name
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ValueError, match="cannot be read as .*run 03_save_activations again"):
        FeatureTable.load(tmp_path / "features")
    file.unlink()
    with pytest.raises(ValueError, match="found no|cannot be read"):
        FeatureTable.load(tmp_path / "features")


def test_files_of_two_tables_do_not_mix(tmp_path, monkeypatch):
    for name, firings in (("small", {0: ["a"]}), ("large", {0: ["a"], 1: ["b"]})):
        described(tmp_path / "s", firings).save(tmp_path / name)
    (tmp_path / "small" / "examples.npz").write_bytes((tmp_path / "large" / "examples.npz").read_bytes())
    with pytest.raises(ValueError, match="top_words must be int32 of shape"):
        FeatureTable.load(tmp_path / "small")
    monkeypatch.setattr(table_module, "FORMAT_VERSION", 0)
    with pytest.raises(ValueError, match="format 1 is newer than 0"):
        FeatureTable.load(tmp_path / "large")


def test_labels_of_others_replace_only_what_they_name(tmp_path):
    table = described(tmp_path / "s", {0: ["a"], 1: ["b"], 3: ["c"]})
    new = table.with_labels({1: " the second letter ", 2: "dead, says someone"}, source="reader")
    assert new.labels == ("a", "the second letter", "dead, says someone", "c")
    assert new.label_sources == ("words", "reader", "reader", "words")
    assert table.labels == ("a", "b", "", "c"), "the table itself does not change"
    assert new.fingerprint() == table.fingerprint()
    with pytest.raises(ValueError, match=r"features must be in \[0, 4\); got \[-1, 4\]"):
        table.with_labels({4: "x", -1: "y"}, source="reader")
    with pytest.raises(ValueError, match=r"features \[0\] have empty labels"):
        table.with_labels({0: " "}, source="reader")
    with pytest.raises(ValueError, match="source must say where"):
        table.with_labels({0: "x"}, source="")


def test_fingerprints_tell_dictionaries_apart(tmp_path):
    table = described(tmp_path / "s", {0: ["a"], 1: ["b", "c"]})
    assert table.fingerprint() == described(tmp_path / "s", {0: ["a"], 1: ["b", "c"]}, n_examples=2).fingerprint()
    assert table.fingerprint() != described(tmp_path / "s", {1: ["a"], 0: ["b", "c"]}).fingerprint()
    assert table.fingerprint() != described(tmp_path / "s", {0: ["a"], 1: ["b", "c"], 2: []}).fingerprint()
