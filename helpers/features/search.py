"""Which features fire on a word: an inverted index over the whole words of every feature's top 5 examples.

Only the firing token of an example counts, never its neighbours, and only as a whole word: "king" is not in "talking",
"man" not in "Brockman", "son" not in "Anderson".
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from helpers.features.feature_table import FeatureTable
from helpers.features.labels import MIN_HITS, TOP
from helpers.features.word_borders import NEWLINE, SPACE, split_words

_WRITTEN = {NEWLINE: "\n", SPACE: " "}


@dataclass(frozen=True, eq=False)
class FoundFeatures:
    """Features that a search found, those with the most hits first, then by id.

    Shapes:
        ids: (n,) int64; hits: (n,) int32, examples among each feature's top 5 that fire on one of the searched words.
    Args:
        words: for each feature the searched word with the most of its hits (of equals, the one named first).
        missing: searched words on which none of these features fires.
    """

    ids: np.ndarray
    hits: np.ndarray
    words: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def n(self) -> int:
        return len(self.ids)


class FeatureIndex:
    """Inverted index of one dictionary: word -> the features that have it among their top 5, and how often.

    A feature is found if at least `min_hits` of its top 5 examples fire on the searched words, all of them taken
    together: a feature of Monday, Monday, Tuesday, Friday and Sunday has five hits for the names of the days and two
    for "Monday". One or two hits are noise.
    """

    def __init__(self, table: FeatureTable):
        top = table.top_words[:, :TOP]
        features, places = np.nonzero(top >= 0)
        pairs, hits = np.unique(top[features, places].astype(np.int64) * table.d_sae + features, return_counts=True)
        self.d_sae = table.d_sae
        self._features = pairs % table.d_sae
        self._hits = hits
        self._starts = np.searchsorted(pairs // table.d_sae, np.arange(len(table.words) + 1))
        self._words = tuple(_WRITTEN.get(word, word) for word in table.words)
        self._by_word = {word: number for number, word in enumerate(self._words)}
        self._by_fold: dict[str, list[int]] = {}
        for number, word in enumerate(self._words):
            self._by_fold.setdefault(word.casefold(), []).append(number)
        self._folds = sorted(self._by_fold)

    @property
    def words(self) -> tuple[str, ...]:
        """The vocabulary: every whole word of an example, a newline as "\\n"."""
        return self._words

    def find(self, words: str | Iterable[str], *, ignore_case: bool, min_hits: int = MIN_HITS) -> FoundFeatures:
        """Features that fire on a word, or on the words of a group.

        Args:
            words: one or more words; spaces around them do not matter. A newline is "\\n", the character itself.
            ignore_case: also find other spellings; names need False ("Mark" is not "mark").
            min_hits: hits that a feature needs among its top 5, in [1, 5].
        Raises:
            ValueError: no word; a text that is not one word; min_hits out of range.
        """
        searched = [words] if isinstance(words, str) else list(words)
        if not searched:
            raise ValueError("words is empty; search for at least one word")
        found: dict[str, list[int]] = {}
        for word in searched:
            key = self._as_word(word)
            if ignore_case:
                found[word] = self._by_fold.get(key.casefold(), [])
            else:
                found[word] = [self._by_word[key]] if key in self._by_word else []
        return self._gather(found, min_hits)

    def find_regex(
        self,
        pattern: str,
        *,
        full_match: bool = True,
        ignore_case: bool = False,
        min_hits: int = MIN_HITS,
    ) -> FoundFeatures:
        """Features that fire on words that a regular expression matches; `words` of the result tells which.

        Args:
            pattern: matched against whole words, never against a text.
            full_match: the whole word must match; False: a part of it is enough.
        Raises:
            ValueError: not a regular expression; min_hits out of range.
        """
        try:
            compiled = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
        except re.error as error:
            raise ValueError(f"pattern must be a regular expression; got {pattern!r} ({error})") from error
        matches = compiled.fullmatch if full_match else compiled.search
        return self._gather({word: [number] for word, number in self._by_word.items() if matches(word)}, min_hits)

    def find_concept(
        self, concept_of: Callable[[str], str | None], concept: str, *, min_hits: int = MIN_HITS
    ) -> FoundFeatures:
        """Features that fire on words of a concept.

        Args:
            concept_of: concept of a whole word (a newline as "\\n"), None for a word without one; case is its affair.
            concept: the one that is searched.
        Raises:
            ValueError: min_hits out of range.
        """
        mine = {word: [number] for word, number in self._by_word.items() if concept_of(word) == concept}
        return self._gather(mine, min_hits)

    def prefix(self, start: str, *, min_hits: int = MIN_HITS) -> FoundFeatures:
        """Features that fire on words that begin like this, whatever the case: what a search box asks at every letter.

        Nothing is found for "".
        Raises:
            ValueError: min_hits out of range.
        """
        key = unicodedata.normalize("NFC", start.lstrip(" ")).casefold()
        found: dict[str, list[int]] = {}
        if key:
            low, high = (bisect_left(self._folds, end) for end in (key, key + chr(0x10FFFF)))
            found = {self._words[number]: [number] for fold in self._folds[low:high] for number in self._by_fold[fold]}
        return self._gather(found, min_hits)

    def _as_word(self, text: str) -> str:
        if text in self._by_word:
            return text
        words = split_words(text) or ((SPACE,) if text else ())
        if len(words) != 1:
            raise ValueError(
                f"{text!r} is not one word but {len(words)}: {list(words)}; search for each of them "
                "(a newline is one character, not a backslash and an n)"
            )
        return _WRITTEN.get(words[0], words[0])

    def _gather(self, found: Mapping[str, list[int]], min_hits: int) -> FoundFeatures:
        """Add up the hits of all words; of a spelling that two searched words share, the first is the finder."""
        if not 1 <= min_hits <= TOP:
            raise ValueError(f"min_hits must be in [1, {TOP}], of the top {TOP} examples; got {min_hits}")
        finders = list(found)
        owner: dict[int, int] = {}
        for place, numbers in enumerate(found.values()):
            for number in numbers:
                owner.setdefault(number, place)
        spans = [(int(self._starts[number]), int(self._starts[number + 1])) for number in owner]
        entries = np.concatenate([np.arange(low, high) for low, high in spans] or [np.empty(0, np.int64)])
        places = np.repeat(np.array(list(owner.values()), dtype=np.int64), [high - low for low, high in spans])
        features, hits = self._features[entries], self._hits[entries]
        total = np.bincount(features, weights=hits, minlength=self.d_sae).astype(np.int32)
        kept = total[features] >= min_hits
        keys, inverse = np.unique(features[kept] * max(1, len(finders)) + places[kept], return_inverse=True)
        shares = np.bincount(inverse, weights=hits[kept], minlength=len(keys))
        of_feature, of_finder = np.divmod(keys, max(1, len(finders)))
        order = np.lexsort((of_finder, -shares, of_feature, -total[of_feature]))
        ids, first = _first_of_each(of_feature[order])
        best = of_finder[order][first]
        contributing = set(of_finder.tolist())
        missing = tuple(word for place, word in enumerate(finders) if place not in contributing)
        return FoundFeatures(ids, total[ids], tuple(finders[place] for place in best), missing)


def _first_of_each(grouped: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values of runs of equal numbers, and where each run begins."""
    first = np.flatnonzero(np.append(True, grouped[1:] != grouped[:-1])[: len(grouped)])
    return grouped[first], first
