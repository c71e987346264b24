"""Describe every feature of a dictionary by the whole words on which it fires most strongly.

Only the *firing* token of an example counts, as a whole word, never its neighbours.
"""

from __future__ import annotations

import numba
import numpy as np

from helpers.activations import ActivationStore, CsrRows
from helpers.features.examples import top_examples
from helpers.features.feature_table import FeatureTable
from helpers.features.word_borders import NO_WORD
from helpers.features.words import WordTable

TOP = 5  # `hits` and `min_hits` are of so many strongest examples
MIN_HITS = 3  # one or two hits in five are noise
FROM_WORDS = "words"


def describe_features(
    store: ActivationStore, words: WordTable, *, n_examples: int = 10, n_bins: int = 24, ignore_case: bool = True
) -> FeatureTable:
    """Describe every feature of a store: top examples with their words, density, histogram, agreement and a label.

    Args:
        words: of the store's token batch (`build_words`).
        n_examples: examples kept of every feature, at most one a document.
        n_bins: bins of the histograms.
        ignore_case: "The" and "the" agree; the label shows the spelling that is met most.
    Returns:
        The table. A label is the best word where at least 3 of the top 5 and half of all examples agree on it, else the
        two or three best words, e.g. "Monday/Tuesday/Friday".
    Raises:
        ValueError: `words` are of other tokens than the store's; n_examples or n_bins below 1.
    Notes:
        Two walks over the store (examples, then histograms); memory is that of the result. In a hidden_pre store every token fires that is not 0, so
        density is near 1, and examples may lie below 0.
    """
    if n_bins < 1:
        raise ValueError(f"n_bins must be at least 1; got {n_bins}")
    if words.n_tokens != store.n_tokens:
        raise ValueError(f"the store has {store.n_tokens} tokens, the words are of {words.n_tokens}; build them anew")
    fingerprints = store.manifest.tokens_fingerprint, words.tokens_fingerprint
    if all(fingerprints) and fingerprints[0] != fingerprints[1]:
        raise ValueError("the words are of other tokens than the store's; build them from the store's token batch")
    examples = top_examples(store, n_examples=n_examples)
    found = np.where(examples.rows >= 0, words.word_ids[examples.rows], NO_WORD)
    used = np.unique(found[found >= 0])
    vocabulary = tuple(words.words[number] for number in used)
    top_words = np.where(found >= 0, np.searchsorted(used, found), NO_WORD).astype(np.int32)
    max_activation = examples.values[:, 0].copy()
    agreed = _agree(top_words, _folded(vocabulary, ignore_case=ignore_case), examples.rows >= 0)
    labels = tuple(_label(vocabulary, *each) for each in zip(*agreed, strict=True))
    return FeatureTable(
        examples=examples,
        words=vocabulary,
        top_words=top_words,
        n_tokens=store.n_tokens,
        density=(examples.counts / store.n_tokens).astype(np.float32),
        max_activation=max_activation,
        histogram=_histograms(store, max_activation, n_bins),
        best_word=agreed[0][:, 0].copy(),
        hits=agreed[1],
        agreement=agreed[2],
        labels=labels,
        label_sources=tuple(FROM_WORDS if label else "" for label in labels),
        tokens_fingerprint=store.manifest.tokens_fingerprint,
        source=dict(store.manifest.source),
    )


def _folded(words: tuple[str, ...], *, ignore_case: bool) -> np.ndarray:
    """A number for every word; words that differ in case only share one."""
    if not ignore_case:
        return np.arange(len(words), dtype=np.int32)
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(word.casefold(), len(numbers)) for word in words], dtype=np.int32)


def _label(words: tuple[str, ...], leaders: np.ndarray, hits: int, agreement: float) -> str:
    alone = hits >= MIN_HITS and agreement >= 0.5
    return "/".join(words[word] for word in leaders[: 1 if alone else None] if word >= 0)


def _histograms(store: ActivationStore, max_activation: np.ndarray, n_bins: int) -> np.ndarray:
    histogram = np.zeros((store.d_sae, n_bins), dtype=np.int32)
    for _, block in store.row_blocks():
        if isinstance(block, CsrRows):
            _count_sparse(block.indices, block.data.astype(np.float32), max_activation, histogram)
        else:
            _count_dense(block.astype(np.float32), max_activation, histogram)
    return histogram


@numba.njit(cache=True, nogil=True)
def _bin(value, largest, n_bins):  # pragma: no cover (compiled)
    return max(0, min(n_bins - 1, int(np.ceil(value / largest * n_bins)) - 1))


@numba.njit(cache=True, nogil=True)
def _count_sparse(indices, data, max_activation, histogram):  # pragma: no cover (compiled)
    for entry in range(indices.size):
        if data[entry] > 0:
            feature = indices[entry]
            histogram[feature, _bin(data[entry], max_activation[feature], histogram.shape[1])] += 1


@numba.njit(cache=True, nogil=True)
def _count_dense(block, max_activation, histogram):  # pragma: no cover (compiled)
    for row in range(block.shape[0]):
        for feature in range(block.shape[1]):
            if block[row, feature] > 0:
                histogram[feature, _bin(block[row, feature], max_activation[feature], histogram.shape[1])] += 1


@numba.njit(cache=True, nogil=True)
def _agree(top_words, folded, is_example):  # pragma: no cover (compiled)
    """The three best words (-1 none), hits of the first in the top 5, its share of all examples."""
    d_sae, n_examples = top_words.shape
    leaders = np.full((d_sae, 3), NO_WORD, dtype=np.int32)
    hits = np.zeros(d_sae, dtype=np.int32)
    agreement = np.zeros(d_sae, dtype=np.float32)
    rank = np.empty(n_examples, dtype=np.int64)  # hits * (n + 1) + all examples, at the strongest example of a word
    for feature in range(d_sae):
        row = top_words[feature]
        for i in range(n_examples):
            rank[i] = 0
            for j in range(n_examples):
                if row[i] >= 0 and row[j] >= 0 and folded[row[j]] == folded[row[i]]:
                    if j < i:
                        rank[i] = 0
                        break
                    rank[i] += 1 + (n_examples + 1) * (j < TOP)
        for place in range(leaders.shape[1]):
            best = np.argmax(rank)  # the first of equals: the strongest
            if rank[best] == 0:
                break
            leaders[feature, place] = _spelling(row, folded, best)
            if place == 0:
                hits[feature] = rank[best] // (n_examples + 1)
                agreement[feature] = rank[best] % (n_examples + 1) / is_example[feature].sum()
            rank[best] = 0
    return leaders, hits, agreement


@numba.njit(cache=True, nogil=True)
def _spelling(row, folded, chosen):  # pragma: no cover (compiled)
    """The spelling of a word that is met most; of equals, that of the strongest example."""
    best, most = row[chosen], 0
    for i in range(row.size):
        if row[i] >= 0 and folded[row[i]] == folded[row[chosen]]:
            n = 0
            for j in range(row.size):
                n += row[j] == row[i]
            if n > most:
                best, most = row[i], n
    return best
