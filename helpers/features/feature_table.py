"""What is known of every feature of one dictionary: top examples, their whole words, density, histogram, a label.

Rows of every array = features. `labels.describe_features` makes such a table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from helpers.features.examples import TopExamples
from helpers.storage import atomic_folder, read_json, write_json

FORMAT_VERSION = 1
EXAMPLES_FILE = "examples.npz"
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
