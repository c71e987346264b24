"""Which features fire on a word: an inverted index over the whole words of every feature's top 5 examples.

Only the firing token of an example counts, never its neighbours, and only as a whole word: "king" is not in "talking",
"man" not in "Brockman", "son" not in "Anderson".
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
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
        used, numbers = np.unique(top[features, places], return_inverse=True)
        pairs, hits = np.unique(numbers.astype(np.int64) * table.d_sae + features, return_counts=True)
        self.d_sae = table.d_sae
        self._features = pairs % table.d_sae
        self._hits = hits
        self._starts = np.searchsorted(pairs // table.d_sae, np.arange(len(used) + 1))
        self._words = tuple(_WRITTEN.get(table.words[number], table.words[number]) for number in used)
        self._by_word = {word: number for number, word in enumerate(self._words)}
        self._by_fold: dict[str, list[int]] = {}
        for number, word in enumerate(self._words):
            self._by_fold.setdefault(word.casefold(), []).append(number)
        self._folds = sorted(self._by_fold)

    @property
    def words(self) -> tuple[str, ...]:
        """The vocabulary: every whole word of a top 5 example, a newline as "\\n"."""
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
        searched = list(dict.fromkeys(searched))
        owner: dict[int, int] = {}  # a spelling that two searched words share is found by the first of them
        for place, word in enumerate(searched):
            for number in self._spellings(self._as_word(word), ignore_case=ignore_case):
                owner.setdefault(number, place)
        return self._gather(searched, list(owner), list(owner.values()), min_hits)

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
        return self._gather_words([number for number, word in enumerate(self._words) if matches(word)], min_hits)

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
        mine = [number for number, word in enumerate(self._words) if concept_of(word) == concept]
        return self._gather_words(mine, min_hits)

    def prefix(self, start: str, *, min_hits: int = MIN_HITS) -> FoundFeatures:
        """Features that fire on words that begin like this, whatever the case: what a search box asks at every letter.

        Nothing is found for "".
        Raises:
            ValueError: min_hits out of range.
        """
        key = unicodedata.normalize("NFC", start.lstrip(" ")).casefold()
        low, high = (bisect_left(self._folds, end) for end in (key, key + chr(0x10FFFF))) if key else (0, 0)
        return self._gather_words([n for fold in self._folds[low:high] for n in self._by_fold[fold]], min_hits)

    def _spellings(self, word: str, *, ignore_case: bool) -> list[int]:
        if ignore_case:
            return self._by_fold.get(word.casefold(), [])
        return [self._by_word[word]] if word in self._by_word else []

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

    def _gather_words(self, numbers: list[int], min_hits: int) -> FoundFeatures:
        return self._gather([self._words[number] for number in numbers], numbers, range(len(numbers)), min_hits)

    def _gather(
        self, finders: Sequence[str], numbers: Sequence[int], places: Sequence[int], min_hits: int
    ) -> FoundFeatures:
        """Add up the hits of words of the vocabulary, each found by one of the searched words.

        Args:
            numbers: of words, each once; places: which finder each word belongs to.
        """
        if not 1 <= min_hits <= TOP:
            raise ValueError(f"min_hits must be in [1, {TOP}], of the top {TOP} examples; got {min_hits}")
        chosen = np.array(numbers, dtype=np.int64)
        n_entries = self._starts[chosen + 1] - self._starts[chosen]
        shift = self._starts[chosen] - (n_entries.cumsum() - n_entries)
        entries = np.arange(n_entries.sum()) + np.repeat(shift, n_entries)
        finder = np.repeat(np.array(places, dtype=np.int64), n_entries)
        feature, hits = self._features[entries], self._hits[entries]
        total = np.bincount(feature, weights=hits, minlength=self.d_sae).astype(np.int32)
        kept = total[feature] >= min_hits
        ids = np.flatnonzero(total >= min_hits)
        ids = ids[np.argsort(-total[ids], kind="stable")]
        best = self._best_finders(feature[kept], finder[kept], hits[kept], len(finders))[ids]
        useful = np.zeros(len(finders), dtype=bool)
        useful[finder[kept]] = True
        missing = tuple(word for word, used in zip(finders, useful.tolist(), strict=True) if not used)
        return FoundFeatures(ids, total[ids], tuple(finders[place] for place in best.tolist()), missing)

    def _best_finders(self, feature: np.ndarray, finder: np.ndarray, hits: np.ndarray, n_finders: int) -> np.ndarray:
        """(d_sae,) for every feature the finder with the most of its hits, of equals the first; -1 for the others."""
        pairs, of_pair = np.unique(feature * n_finders + finder, return_inverse=True)
        share = np.bincount(of_pair, weights=hits, minlength=len(pairs)).astype(np.int64)
        of_feature, of_finder = np.divmod(pairs, max(1, n_finders))
        # In one number: most hits first, then the earlier finder. The smallest of every feature wins.
        rank = (TOP - share) * n_finders + of_finder
        winner = np.full(self.d_sae, (TOP + 1) * n_finders, dtype=np.int64)
        np.minimum.at(winner, of_feature, rank)
        return np.where(winner < (TOP + 1) * n_finders, winner % max(1, n_finders), -1)
