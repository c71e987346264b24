"""Whole words: the word that every row of a store belongs to, joined across the tokens that it is cut into.

Rows = tokens. A feature that fires on the "king" of "talking" fires on the word "talking", and one that fires on the
"on" of "Anderson" fires on "Anderson".

What a word is:
- a run of letters, digits and the marks on them; an apostrophe between letters belongs to it ("don't", "o'clock"), but
  the ending "'s" is a word of its own ("king", "'s"). A hyphen, an underscore and a decimal point part words;
- a punctuation mark, of which a run is one word ("...", "--"); a symbol or an emoji; a newline, shown as U+23CE;
- in scripts that put no space between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese), what one token holds, or
  the one character that several tokens make.
Case is kept as written. Words are in Unicode's composed form (NFC), without invisible format characters.

What a row's word is: of a token with several words, the first that has letters, or else the first mark. A token of
spaces only has the word U+2423. A special token that is kept (the unknown token) has its own name as its word.

Words are read in the text that the model reads. A token that `keep_mask` leaves out but the model attends to still
completes its neighbours' words; padding and special tokens do not. Words never join over the borders of a sequence: of
a word that a context window cuts in two, either part is a word; a character that it cuts in two gives no word (-1).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from helpers.features.spelling import Spelling, spell, token_bytes
from helpers.storage import atomic_file

if TYPE_CHECKING:
    from helpers.corpus import TokenBatch

FORMAT_VERSION = 1
NO_WORD = -1
NEWLINE = "\u23ce"
SPACE = "\u2423"
_TOKENS_AT_ONCE = 1 << 18
_REMEDY = "run 03_save_activations again"
_ZERO_WIDTH_JOINER = 0x200D
_BORDER = b"\0"

# Kinds of characters.
_GAP, _LETTER, _UNSPACED, _MARK, _SYMBOL, _NEWLINE, _APOSTROPHE, _EXTENDS, _BROKEN = range(9)
_UNSPACED_SCRIPTS = ("CJK UNIFIED", "CJK COMPAT", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


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
        with atomic_file(path) as partial, partial.open("wb") as file:
            np.savez(
                file,
                format_version=np.int64(FORMAT_VERSION),
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
        path = Path(path)
        if not path.is_file():
            raise ValueError(f"expected a table of words in {path}, found no such file; {_REMEDY}")
        try:
            with np.load(path, allow_pickle=False) as content:
                if int(content["format_version"]) > FORMAT_VERSION:
                    raise ValueError(f"format {int(content['format_version'])} is newer than {FORMAT_VERSION}")
                n_words = int(content["n_words"])
                words = tuple(content["letters"].tobytes().decode().split("\n")) if n_words else ()
                if len(words) != n_words:
                    raise ValueError(f"it should hold {n_words} words and holds {len(words)}")
                return cls(words, content["word_ids"], str(content["tokens_fingerprint"]))
        except (ValueError, KeyError, OSError, EOFError, BadZipFile) as error:
            raise ValueError(f"{path} cannot be read as a table of words ({error}); {_REMEDY}") from error


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
    special = np.array(sorted(set(tokenizer.all_special_ids)), dtype=np.int64)
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


def split_words(text: str) -> tuple[str, ...]:
    """The words of a text, in order, by the same rules as those of rows (the whole text counts as one token)."""
    spelling = spell([text.encode()])
    starts, stops, _ = _word_spans(spelling)
    return tuple(_tidy(text[start:stop]) for start, stop in zip(starts, stops, strict=True))


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
            word = _tidy(raw)
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
    spelled = [_BORDER + pieces[i] if cut else pieces[i] for i, cut in zip(stream, border.tolist(), strict=True)]
    spelling = spell(spelled)
    starts, stops, of_token = _word_spans(spelling)
    text = spelling.text
    numbers = vocabulary.numbers(text[i:j] for i, j in zip(starts.tolist(), stops.tolist(), strict=True))
    numbers = np.append(numbers, np.array([vocabulary.add(SPACE), NO_WORD], dtype=np.int32))
    return numbers[of_token]


def _word_spans(spelling: Spelling) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and last-but-one character of every word, and the word of every token (-2: only spaces, -1: none)."""
    codes = spelling.codes
    kinds, base = _kinds(codes)
    real = (kinds != _GAP) & (kinds != _BROKEN)
    starts = real & _word_starts(codes, kinds, base)
    begins = np.zeros(len(codes) + 1, dtype=bool)
    begins[spelling.first[spelling.begins]] = True
    starts |= (kinds == _UNSPACED) & (base == np.arange(len(codes))) & begins[:-1]
    ends = real & np.append(starts[1:] | ~real[1:], True)[: len(codes)]
    word = np.append(np.cumsum(starts) - 1, -1)
    choices = [_next_true((kinds == _LETTER) | (kinds == _UNSPACED)), _next_true(real)]
    of_token = np.full(len(spelling.first), NO_WORD, dtype=np.int64)
    spaces = _next_true((kinds == _GAP) & (codes != 0))[spelling.first] < spelling.stop
    of_token[spaces] = NO_WORD - 1
    for following in reversed(choices):  # letters have the last say
        at = following[spelling.first]
        inside = at < spelling.stop
        of_token[inside] = word[at[inside]]
    return np.flatnonzero(starts), np.flatnonzero(ends) + 1, of_token


def _kinds(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kind of every character (marks on a letter and joiners take the kind of what they stand on), and its base."""
    table = np.zeros(0x110000, dtype=np.uint8)
    present = np.flatnonzero(np.bincount(codes, minlength=len(table)))
    table[present] = [_kind(code) for code in present.tolist()]
    kinds = table[codes]
    base = np.maximum.accumulate(np.where(kinds != _EXTENDS, np.arange(len(codes)), 0))
    carried = kinds[base]
    alone = (kinds == _EXTENDS) & np.isin(carried, (_GAP, _NEWLINE, _BROKEN, _EXTENDS))
    carried[alone] = _LETTER
    letter = carried == _LETTER
    between = np.zeros_like(letter)
    between[1:-1] = (carried[1:-1] == _APOSTROPHE) & letter[:-2] & letter[2:]
    carried[carried == _APOSTROPHE] = _MARK
    carried[between] = _LETTER
    return carried, base


def _word_starts(codes: np.ndarray, kinds: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Where a character begins a new word, whatever the tokens."""
    n = len(codes)
    starts = np.ones(n, dtype=bool)
    if n < 2:
        return starts
    stands = base[1:] == np.arange(1, n)  # it is no mark on the character before
    other = codes[base[1:]] != codes[base[:-1]]
    starts[1:] = kinds[1:] != kinds[:-1]
    starts[1:] |= (kinds[1:] == _MARK) & other
    starts[1:] |= (kinds[1:] == _SYMBOL) & stands & (codes[:-1] != _ZERO_WIDTH_JOINER)
    letter = np.append(kinds == _LETTER, [False, False])
    apostrophe = letter[:n] & np.isin(codes, (0x27, 0x2019))
    s = np.append(np.isin(codes, (ord("s"), ord("S"))), False)
    starts |= apostrophe & s[1:] & ~letter[2:]
    return starts


@cache
def _kind(code: int) -> int:
    character = chr(code)
    if 0xD800 <= code <= 0xDFFF:
        return _BROKEN
    if character == "\n":
        return _NEWLINE
    if character in "'\u2019":
        return _APOSTROPHE
    category = unicodedata.category(character)
    if category[0] == "M" or category == "Cf" or 0x1F3FB <= code <= 0x1F3FF:  # the last are skin colours
        return _EXTENDS
    if category[0] in "LN":
        return _UNSPACED if unicodedata.name(character, "").startswith(_UNSPACED_SCRIPTS) else _LETTER
    if category[0] in "ZC" and category != "Co":
        return _GAP
    return _SYMBOL if category == "So" else _MARK


def _next_true(flags: np.ndarray) -> np.ndarray:
    """The first place at or after each place where `flags` is True, or one past the end; one place more than flags."""
    n = len(flags)
    places = np.append(np.where(flags, np.arange(n), n), n)
    return np.minimum.accumulate(places[::-1])[::-1]


def _tidy(raw: str) -> str:
    if raw.startswith("\n"):
        return NEWLINE
    kept = "".join(c for c in raw if c in "\u200c\u200d" or unicodedata.category(c) != "Cf")
    word = unicodedata.normalize("NFC", kept)
    return word.replace("\u2019", "'") if len(word) > 1 else word
