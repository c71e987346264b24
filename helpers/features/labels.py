"""What is known of every feature of one dictionary: top examples, their whole words, density, histogram, a label.

Rows of every array = features. Only the *firing* token of an example counts, as a whole word, never its neighbours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numba
import numpy as np

from helpers.activations import ActivationStore, CsrRows
from helpers.features.examples import TopExamples, top_examples
from helpers.features.words import NO_WORD, WordTable
from helpers.storage import atomic_folder, read_json, write_json

FORMAT_VERSION = 1
TOP = 5  # `hits` and `min_hits` are of so many strongest examples
MIN_HITS = 3  # one or two hits in five are noise
EXAMPLES_FILE = "examples.npz"
FROM_WORDS = "words"
_ARRAYS_FILE, _TEXTS_FILE = "features.npz", "features.json"
_ARRAYS = {"top_words": np.int32, "density": np.float32, "max_activation": np.float32, "histogram": np.int32,
           "best_word": np.int32, "hits": np.int32, "agreement": np.float32}  # fmt: skip
_REMEDY = "run 03_save_activations again"


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """One dictionary's features. A dead feature has no examples, best word -1 and the label "".

    Shapes:
        top_words: (d_sae, n_examples) int32, whole word of the firing token of each example, -1 where there is none;
        density: (d_sae,) float32, share of the tokens on which the feature is not 0, in [0, 1];
        max_activation: (d_sae,) float32, of the strongest example, 0 for a dead feature;
        histogram: (d_sae, n_bins) int32, tokens by activation: equal bins from 0 to the feature's `max_activation`,
            each with its upper edge; activations at or below 0 are in none;
        best_word: (d_sae,) int32, the word that most of the top 5 examples share, -1 none; of words with equal hits
            the one that more of all examples share, and of those the one with the strongest example;
        hits: (d_sae,) int32, how many of the top 5 examples agree on it;
        agreement: (d_sae,) float32, share of all examples that agree on it, 0 for a dead feature.
    Args:
        examples: top examples of every feature.
        words: the words that `top_words` and `best_word` point into.
        n_tokens: rows of the store.
        labels: a short name of every feature, "" for one without.
        label_sources: where each label comes from: "words" (automatic), the name of an import, "" for no label.
        tokens_fingerprint: of the token batch.
        source: the store's notes on model, hook and dictionary.
    """

    examples: TopExamples
    words: tuple[str, ...]
    top_words: np.ndarray
    n_tokens: int
    density: np.ndarray
    max_activation: np.ndarray
    histogram: np.ndarray
    best_word: np.ndarray
    hits: np.ndarray
    agreement: np.ndarray
    labels: tuple[str, ...]
    label_sources: tuple[str, ...]
    tokens_fingerprint: str = ""
    source: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        one_each = {name: (self.d_sae,) for name in _ARRAYS} | {"top_words": self.examples.rows.shape}
        one_each["histogram"] = (self.d_sae, *self.histogram.shape[1:])
        for name, dtype in _ARRAYS.items():
            array = getattr(self, name)
            if array.shape != one_each[name] or array.dtype != dtype:
                raise ValueError(
                    f"{name} must be {np.dtype(dtype).name} of shape {one_each[name]}; got {array.dtype} {array.shape}"
                )
        for name in ("labels", "label_sources"):
            if len(getattr(self, name)) != self.d_sae:
                raise ValueError(f"{name} must hold one text a feature, {self.d_sae}; got {len(getattr(self, name))}")
        for name in ("top_words", "best_word"):
            array = getattr(self, name)
            if array.size and not -1 <= array.min() <= array.max() < len(self.words):
                raise ValueError(f"{name} must be in [-1, {len(self.words)}); got {array.min()} to {array.max()}")

    @property
    def d_sae(self) -> int:
        return self.examples.d_sae

    @property
    def n_examples(self) -> int:
        return self.examples.n_examples

    @property
    def dead(self) -> np.ndarray:
        """(d_sae,) bool, True where a feature has no example."""
        return self.examples.rows[:, 0] < 0

    def word(self, feature: int) -> str:
        """A feature's best word, "" if it has none."""
        return self._text(self.best_word[feature])

    def example_words(self, feature: int) -> list[str]:
        """Whole words of a feature's examples, the strongest first."""
        return [self._text(word) for word in self.top_words[feature, self.examples.rows[feature] >= 0]]

    def bin_edges(self, feature: int) -> np.ndarray:
        """(n_bins + 1,) edges of a feature's histogram, in units of its activation."""
        return np.linspace(0.0, float(self.max_activation[feature]), self.histogram.shape[1] + 1)

    def fingerprint(self) -> str:
        """Hex SHA-256 of the width, the tokens and every feature's firings and strongest example.

        Tells one dictionary on one token batch from every other; labels and the number of examples do not matter.
        """
        digest = hashlib.sha256(f"{self.d_sae}/{self.n_tokens}/{self.tokens_fingerprint}".encode())
        for array in (self.examples.counts, self.examples.rows[:, 0], self.examples.values[:, 0]):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def with_labels(self, labels: Mapping[int, str], *, source: str) -> FeatureTable:
        """The table with other labels for some features; the others keep theirs.

        Args:
            labels: feature -> label.
            source: where they come from; told by `label_sources`.
        Raises:
            ValueError: a feature that the dictionary does not have, an empty label, or no source.
        """
        if not source:
            raise ValueError("source must say where the labels come from, e.g. 'gpt-4o-mini'; got ''")
        surplus = sorted(feature for feature in labels if not 0 <= feature < self.d_sae)
        if surplus:
            raise ValueError(f"features must be in [0, {self.d_sae}); got {surplus[:5]}; labels of another dictionary?")
        empty = sorted(feature for feature, label in labels.items() if not label.strip())
        if empty:
            raise ValueError(f"features {empty[:5]} have empty labels; leave them out, and they keep what they have")
        new, sources = list(self.labels), list(self.label_sources)
        for feature, label in labels.items():
            new[feature], sources[feature] = label.strip(), source
        return replace(self, labels=tuple(new), label_sources=tuple(sources))

    def save(self, folder: str | Path) -> None:
        """Write `folder`, which then holds nothing else; `examples.npz` in it is what `TopExamples.load` reads."""
        texts = {name: getattr(self, name) for name in ("words", "labels", "label_sources", "n_tokens",
                                                        "tokens_fingerprint", "source")}  # fmt: skip
        with atomic_folder(folder) as partial:
            self.examples.save(partial / EXAMPLES_FILE)
            np.savez(partial / _ARRAYS_FILE, **{name: getattr(self, name) for name in _ARRAYS})
            write_json(partial / _TEXTS_FILE, {"format_version": FORMAT_VERSION} | texts)

    @classmethod
    def load(cls, folder: str | Path) -> FeatureTable:
        """Read what `save` wrote.

        Raises:
            ValueError: no such folder, not a table of features, damaged, or a newer format.
        """
        folder = Path(folder)
        if not (folder / _TEXTS_FILE).is_file():
            raise ValueError(f"expected a table of features in {folder}, found no {_TEXTS_FILE}; {_REMEDY}")
        examples = TopExamples.load(folder / EXAMPLES_FILE)
        try:
            texts = read_json(folder / _TEXTS_FILE)
            if (version := texts.pop("format_version")) > FORMAT_VERSION:
                raise ValueError(f"format {version} is newer than {FORMAT_VERSION}")
            texts |= {name: tuple(texts[name]) for name in ("words", "labels", "label_sources")}
            with np.load(folder / _ARRAYS_FILE, allow_pickle=False) as content:
                return cls(examples=examples, **{name: content[name] for name in _ARRAYS}, **texts)
        except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, BadZipFile) as error:
            raise ValueError(f"{folder} cannot be read as a table of features ({error}); {_REMEDY}") from error

    def _text(self, word: int) -> str:
        return self.words[int(word)] if word >= 0 else ""


assert set(_ARRAYS) < {field.name for field in fields(FeatureTable)}


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
