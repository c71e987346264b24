"""Whole words: the word that every row of a store belongs to, joined across the tokens that it is cut into.

Rows = tokens. A feature that fires on the "king" of "talking" fires on the word "talking", and one that fires on the
"on" of "Anderson" fires on "Anderson". What a word is, and which one a token has, is told in `word_borders`.

A token of spaces only has the word U+2423. A special token that is kept (the unknown token) has its name as its word.

Words are read in the text that the model reads. A token that `keep_mask` leaves out but the model attends to still
completes its neighbours' words; padding and special tokens do not. Words never join over the borders of a sequence: of
a word that a context window cuts in two, either part is a word; a character that it cuts in two gives no word (-1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.array_file import ArrayFile
from helpers.features.spelling import spell, token_bytes
from helpers.features.word_borders import BORDER, NO_WORD, SPACE, tidy, word_spans

if TYPE_CHECKING:
    from helpers.corpus import TokenBatch

_TOKENS_AT_ONCE = 1 << 18
_REMEDY = "run 03_save_activations again"
_FILE = ArrayFile("a table of words", remedy=_REMEDY)


@dataclass(frozen=True, eq=False)
class WordTable:
    """The whole word of every row of the stores of one token batch.

    Shapes:
        word_ids: (n_tokens,) int32, places in `words`; -1 where there is no readable word.
    Args:
        words: every word once, as written.
        tokens_fingerprint: of the batch ("" if not known).
    """

    words: tuple[str, ...]
    word_ids: np.ndarray
    tokens_fingerprint: str = ""

    def __post_init__(self) -> None:
        if self.word_ids.ndim != 1 or self.word_ids.dtype != np.int32:
            raise ValueError(f"word_ids is (n_tokens,) int32; got {self.word_ids.dtype} {self.word_ids.shape}")
        if self.word_ids.size and not -1 <= self.word_ids.min() <= self.word_ids.max() < len(self.words):
            raise ValueError(
                f"word_ids must be in [-1, {len(self.words)}), the number of words; "
                f"got {self.word_ids.min()} to {self.word_ids.max()}"
            )

    @property
    def n_tokens(self) -> int:
        return len(self.word_ids)

    def word(self, row: int) -> str:
        """The word of a row, "" if it has none."""
        number = int(self.word_ids[row])
        return self.words[number] if number >= 0 else ""

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        letters = np.frombuffer("\n".join(self.words).encode(), dtype=np.uint8)  # no word holds a line break
        _FILE.write(
            path,
            letters=letters,
            n_words=np.int64(len(self.words)),
            word_ids=self.word_ids,
            tokens_fingerprint=np.array(self.tokens_fingerprint),
        )

    @classmethod
    def load(cls, path: str | Path) -> WordTable:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, not a table of words, or a newer format.
        """
        with _FILE.read(path) as content:
            n_words = int(content["n_words"])
            words = tuple(content["letters"].tobytes().decode().split("\n")) if n_words else ()
            if len(words) != n_words:
                raise ValueError(f"it should hold {n_words} words and holds {len(words)}")
            return cls(words, content["word_ids"], str(content["tokens_fingerprint"]))


def build_words(tokens: TokenBatch, tokenizer: Any) -> WordTable:
    """Find the whole word of every row of a token batch.

    Shapes:
        Row r is the r-th kept position of `tokens`, as in every store.
    Args:
        tokenizer: the Hugging Face tokenizer that made the ids.
    Raises:
        ValueError: an id of the batch is not in the tokenizer's vocabulary.
    Notes:
        See the module for what a word is. Every token id is decoded once; memory is that of the result and of a block
        of sequences.
    """
    used = np.unique(tokens.input_ids[tokens.attention_mask])
    if used.size and used[-1] >= len(tokenizer):
        raise ValueError(
            f"token ids must be below {len(tokenizer)}, the size of the vocabulary; got {used[-1]}; "
            "was the batch made with this tokenizer?"
        )
    pieces = dict(zip(used.tolist(), token_bytes(tokenizer, used), strict=True))
    special = np.array(tokenizer.all_special_ids, dtype=np.int64)
    vocabulary = _Vocabulary()
    names = {int(number): vocabulary.add(str(tokenizer.convert_ids_to_tokens(int(number)))) for number in special}
    found = []
    step = max(1, _TOKENS_AT_ONCE // tokens.context_size)
    for start in range(0, tokens.n_sequences, step):
        block = slice(start, start + step)
        ids, keep_mask = tokens.input_ids[block], tokens.keep_mask[block]
        is_text = tokens.attention_mask[block] & ~np.isin(ids, special)
        words = np.full(ids.shape, NO_WORD, dtype=np.int32)
        words[is_text] = _text_words(ids, is_text, pieces, vocabulary)
        for number in np.unique(ids[keep_mask & ~is_text]):
            words[ids == number] = names[int(number)]
        found.append(words[keep_mask])
    word_ids = np.concatenate(found) if found else np.empty(0, np.int32)
    return vocabulary.table(word_ids, tokens.fingerprint())


class _Vocabulary:
    """Numbers for words; raw spellings of one word have one number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._raw: dict[str, int] = {}

    def add(self, word: str) -> int:
        return self._numbers.setdefault(word, len(self._numbers))

    def numbers(self, raw_words: Iterable[str]) -> np.ndarray:
        raw_words = list(raw_words)
        for raw in set(raw_words) - self._raw.keys():
            word = tidy(raw)
            self._raw[raw] = self.add(word) if word else NO_WORD
        return np.fromiter(map(self._raw.__getitem__, raw_words), dtype=np.int32, count=len(raw_words))

    def table(self, word_ids: np.ndarray, tokens_fingerprint: str) -> WordTable:
        """Words in alphabetical order, only those of a row; so equal batches have equal tables."""
        words = np.array(list(self._numbers), dtype=object)
        used = np.zeros(len(words), dtype=bool)
        used[word_ids[word_ids >= 0]] = True
        kept = np.flatnonzero(used)
        kept = kept[np.argsort(words[kept], kind="stable")]
        place = np.full(len(words) + 1, NO_WORD, dtype=np.int32)  # the last place is that of -1
        place[kept] = np.arange(len(kept))
        return WordTable(tuple(words[kept]), place[word_ids], tokens_fingerprint)


def _text_words(ids: np.ndarray, is_text: np.ndarray, pieces: dict[int, bytes], vocabulary: _Vocabulary) -> np.ndarray:
    """Number of the word of every token under the mask, in C order."""
    places = np.flatnonzero(is_text)
    if not places.size:
        return np.empty(0, np.int32)
    stream = ids.ravel()[places].tolist()
    # A border wherever the token before is not the one to the left.
    border = np.append(True, (np.diff(places) != 1) | (np.diff(places // ids.shape[1]) != 0))
    spelled = [BORDER + pieces[i] if cut else pieces[i] for i, cut in zip(stream, border.tolist(), strict=True)]
    spelling = spell(spelled)
    spans, text = word_spans(spelling), spelling.text
    numbers = vocabulary.numbers(text[i:j] for i, j in zip(spans.starts.tolist(), spans.stops.tolist(), strict=True))
    # The last two places are those of SPACES_ONLY and NO_WORD.
    return np.append(numbers, np.array([vocabulary.add(SPACE), NO_WORD], dtype=np.int32))[spans.of_token]
