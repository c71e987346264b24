"""Conditions that matched pairs can be held to; `apply_filters` (filtering.py) says what each of them removed.

A filter looks at a pair's two features by their ids, always in the whole dictionaries' arrays, whatever was filtered
before. Words are whole words of the *firing* tokens of the top examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from helpers.matching.pairs import FeaturePairs

#: Marks and special tokens that stand for no concept. Brackets and apostrophes are not among them: in
#: published runs, removing those did not help.
NON_CONCEPT_WORDS = (
    ".", ",", "-", "!", "?", ":", ";", '"', "\u201c", "\u201d", "\n", "\u2423", "<|endoftext|>", "<|bos|>", "<|pad|>", "<|unk|>", "<bos>", "<eos>", "<pad>",
    "<unk>", "<s>", "</s>",
)  # fmt: skip
TOP = 5  # the examples that are looked at, as in `hits` and `min_hits` everywhere
MISSING = -1
_NEWLINES = {"\n", "\u23ce"}  # a newline, and how word tables show it


class FeatureWords(Protocol):
    """What the filters read of a dictionary's features (helpers.features.FeatureTable).

    Shapes:
        top_words: (d_sae, n_examples), place in `words` of every top example's word, the strongest first, -1 where there
        is none; density: (d_sae,), share of the tokens on which a feature fires.
    """

    @property
    def words(self) -> Sequence[str]: ...  # pragma: no cover
    @property
    def top_words(self) -> np.ndarray: ...  # pragma: no cover
    @property
    def density(self) -> np.ndarray: ...  # pragma: no cover


class PairFilter(Protocol):
    """A condition that pairs must fulfil."""

    @property
    def name(self) -> str:
        """What the pairs must fulfil, with the limits, for tables."""
        ...  # pragma: no cover

    def keep_mask(self, pairs: FeaturePairs, features_a: FeatureWords, features_b: FeatureWords) -> np.ndarray:
        """(n_pairs,) bool, True = kept."""
        ...  # pragma: no cover


@dataclass(frozen=True)
class ConceptTokens:
    """Drop pairs of which a partner fires on marks or special tokens.

    Args:
        words: words that stand for no concept, for this tokenizer (`non_concept_words` lists them).
        min_hits: a feature fires on such words if so many of its top 5 examples do; 1 = a single one is enough.
    Notes:
        A run of one mark ("...", "--") is that mark.
    """

    words: tuple[str, ...] = NON_CONCEPT_WORDS
    min_hits: int = 3

    def __post_init__(self) -> None:
        _at_least(self.min_hits, 1, "min_hits")
        if not self.words:
            raise ValueError("ConceptTokens needs the words to drop; got none; leave the filter out instead")

    @property
    def name(self) -> str:
        return f"fewer than {self.min_hits} of the top {TOP} tokens are marks or special tokens"

    def keep_mask(self, pairs: FeaturePairs, features_a: FeatureWords, features_b: FeatureWords) -> np.ndarray:
        return ~(self._fires(features_a)[pairs.ids_a] | self._fires(features_b)[pairs.ids_b])

    def _fires(self, features: FeatureWords) -> np.ndarray:
        """(d_sae,) bool: the feature fires on non-concept tokens."""
        chosen = {_plain(word) for word in self.words}
        is_chosen = np.array([_plain(word) in chosen for word in features.words], dtype=bool)
        return _looked_up(is_chosen, features.top_words[:, :TOP]).sum(axis=1) >= self.min_hits


@dataclass(frozen=True)
class SharedTopToken:
    """Drop pairs whose partners share no word among their top 5 tokens.

    Args:
        min_shared: so many different words must be shared.
        ignore_case: "The" and "the" are one word.
    """

    min_shared: int = 1
    ignore_case: bool = True

    def __post_init__(self) -> None:
        _at_least(self.min_shared, 1, "min_shared")

    @property
    def name(self) -> str:
        return f"at least {self.min_shared} shared {'word' if self.min_shared == 1 else 'words'} in the top {TOP}"

    def keep_mask(self, pairs: FeaturePairs, features_a: FeatureWords, features_b: FeatureWords) -> np.ndarray:
        # The two dictionaries may come from different word tables, whose numbers mean different words.
        codes: dict[str, int] = {}
        top_a, top_b = (self._codes(features, codes) for features in (features_a, features_b))
        sets_a, sets_b = (
            [set(row[row >= 0].tolist()) for row in top] for top in (top_a[pairs.ids_a], top_b[pairs.ids_b])
        )
        return np.array([len(a & b) >= self.min_shared for a, b in zip(sets_a, sets_b, strict=True)], dtype=bool)

    def _codes(self, features: FeatureWords, codes: dict[str, int]) -> np.ndarray:
        spelled = (_plain(word) for word in features.words)
        numbers = [codes.setdefault(word.casefold() if self.ignore_case else word, len(codes)) for word in spelled]
        return _looked_up(np.array(numbers, dtype=np.int64), features.top_words[:, :TOP], missing=MISSING)


@dataclass(frozen=True)
class MinCorrelation:
    """Drop pairs with a lower association than `min_corr`, in [0, 1]."""

    min_corr: float = 0.5

    def __post_init__(self) -> None:
        _in_unit(self.min_corr, "min_corr")

    @property
    def name(self) -> str:
        return f"correlation at least {self.min_corr:g}"

    def keep_mask(self, pairs: FeaturePairs, _a: FeatureWords, _b: FeatureWords) -> np.ndarray:
        return pairs.corr >= self.min_corr


@dataclass(frozen=True)
class OneToOne:
    """Keep every feature in one pair at most: the strongest pair first, as long as neither partner is taken."""

    @property
    def name(self) -> str:
        return "every feature in one pair"

    def keep_mask(self, pairs: FeaturePairs, _a: FeatureWords, _b: FeatureWords) -> np.ndarray:
        taken_a, taken_b = np.zeros(pairs.d_sae_a, dtype=bool), np.zeros(pairs.d_sae_b, dtype=bool)
        keep_mask = np.zeros(pairs.n_pairs, dtype=bool)
        for pair, (a, b) in enumerate(zip(pairs.ids_a, pairs.ids_b, strict=True)):  # pairs come strongest first
            if not (taken_a[a] or taken_b[b]):
                keep_mask[pair] = taken_a[a] = taken_b[b] = True
        return keep_mask


@dataclass(frozen=True)
class MinDensity:
    """Drop pairs of which a partner fires on a smaller share of the tokens, in [0, 1]."""

    min_density: float = 1e-4

    def __post_init__(self) -> None:
        _in_unit(self.min_density, "min_density")

    @property
    def name(self) -> str:
        return f"both fire on at least {100 * self.min_density:g}% of the tokens"

    def keep_mask(self, pairs: FeaturePairs, features_a: FeatureWords, features_b: FeatureWords) -> np.ndarray:
        density_a, density_b = features_a.density[pairs.ids_a], features_b.density[pairs.ids_b]
        return np.minimum(density_a, density_b) >= self.min_density


@dataclass(frozen=True)
class MaxDensity:
    """Drop pairs of which a partner fires on a larger share of the tokens, in [0, 1]."""

    max_density: float = 0.1

    def __post_init__(self) -> None:
        _in_unit(self.max_density, "max_density")

    @property
    def name(self) -> str:
        return f"both fire on at most {100 * self.max_density:g}% of the tokens"

    def keep_mask(self, pairs: FeaturePairs, features_a: FeatureWords, features_b: FeatureWords) -> np.ndarray:
        density_a, density_b = features_a.density[pairs.ids_a], features_b.density[pairs.ids_b]
        return np.maximum(density_a, density_b) <= self.max_density


def non_concept_words(tokenizer: Any, *, also: Iterable[str] = ()) -> tuple[str, ...]:
    """The usual marks with the special tokens of a tokenizer, and `also` what its texts need (e.g. "\u061f", "\u3002")."""
    special = [str(tokenizer.decode([token_id])).strip() for token_id in sorted(tokenizer.all_special_ids)]
    return tuple(dict.fromkeys([*NON_CONCEPT_WORDS, *special, *also]))


def _looked_up(values: np.ndarray, places: np.ndarray, *, missing: int = 0) -> np.ndarray:
    """values[places], and `missing` where a place is negative."""
    if len(values) == 0:
        return np.full(places.shape, missing, dtype=values.dtype)
    return np.where(places >= 0, values[np.maximum(places, 0)], np.asarray(missing, dtype=values.dtype))


def _plain(word: str) -> str:
    """A word as compared: without spaces around it; a run of one mark, and of line breaks however written, is one."""
    stripped = word.strip(" \t")
    if stripped and set(stripped) <= _NEWLINES:
        return "\n"
    return stripped[0] if len(set(stripped)) == 1 and not stripped[0].isalnum() else stripped


def _at_least(value: int, least: int, name: str) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}")


def _in_unit(value: float, name: str) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must be in [0, 1]; got {value}")
