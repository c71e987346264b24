"""Where words begin and end in a text, and which word each token belongs to.

What a word is:
- a run of letters, digits and the marks on them; an apostrophe between letters belongs to it ("don't", "o'clock"), but
  the ending "'s" is a word of its own ("king", "'s"). A hyphen, an underscore and a decimal point part words;
- a punctuation mark, of which a run is one word ("...", "--"); a symbol or an emoji; a newline, shown as U+23CE;
- in scripts that put no space between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese), what one token holds, or
  the one character that several tokens make.
Case is kept as written. Words are in Unicode's composed form (NFC), without invisible format characters.

A token's word is the first in it that has letters, or else its first mark.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np

from helpers.features.spelling import Spelling, spell

NEWLINE = "\u23ce"
SPACE = "\u2423"
BORDER = b"\0"  # stands where words may not join
NO_WORD, SPACES_ONLY = -1, -2  # in place of a word's number
_ZERO_WIDTH_JOINER = 0x200D
_SHORT = 10_000  # characters; one word is read a hundred times faster without a table of all characters

# Kinds of characters.
_GAP, _LETTER, _UNSPACED, _MARK, _SYMBOL, _NEWLINE, _APOSTROPHE, _EXTENDS, _BROKEN = range(9)
_UNSPACED_SCRIPTS = ("CJK UNIFIED", "CJK COMPAT", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")


@dataclass(frozen=True)
class WordSpans:
    """The words of a text.

    Shapes:
        starts, stops: (n_words,) a word is the characters start .. stop - 1;
        of_token: (n_tokens,) number of each token's word, or NO_WORD, or SPACES_ONLY.
    """

    starts: np.ndarray
    stops: np.ndarray
    of_token: np.ndarray


def split_words(text: str) -> tuple[str, ...]:
    """The words of a text, in order, by the same rules as those of rows (the whole text counts as one token)."""
    spans = word_spans(spell([text.encode()]))
    return tuple(tidy(text[start:stop]) for start, stop in zip(spans.starts, spans.stops, strict=True))


def word_spans(spelling: Spelling) -> WordSpans:
    """Find the words of consecutive tokens."""
    codes = spelling.codes
    kinds, base = _kinds(codes)
    real = (kinds != _GAP) & (kinds != _BROKEN)
    starts = real & _word_starts(codes, kinds, base)
    token_begins = np.zeros(len(codes) + 1, dtype=bool)
    token_begins[spelling.first[spelling.begins]] = True
    starts |= (kinds == _UNSPACED) & (base == np.arange(len(codes))) & token_begins[:-1]
    ends = real & np.append(starts[1:] | ~real[1:], True)[: len(codes)]
    word = np.append(np.cumsum(starts) - 1, NO_WORD)
    of_token = np.full(len(spelling.first), NO_WORD, dtype=np.int64)
    spaces = (kinds == _GAP) & (codes != ord(BORDER))
    of_token[_next_true(spaces)[spelling.first] < spelling.stop] = SPACES_ONLY
    for wanted in (real, (kinds == _LETTER) | (kinds == _UNSPACED)):  # letters have the last say
        at = _next_true(wanted)[spelling.first]
        inside = at < spelling.stop
        of_token[inside] = word[at[inside]]
    return WordSpans(np.flatnonzero(starts), np.flatnonzero(ends) + 1, of_token)


def tidy(raw: str) -> str:
    """A word as it is shown and searched: composed letters, no invisible characters, a newline as its sign."""
    if raw.startswith("\n"):
        return NEWLINE
    kept = "".join(c for c in raw if c in "\u200c\u200d" or unicodedata.category(c) != "Cf")
    word = unicodedata.normalize("NFC", kept)
    return word.replace("\u2019", "'") if len(word) > 1 else word


def _kinds(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kind of every character (marks on a letter and joiners take the kind of what they stand on), and its base."""
    if len(codes) < _SHORT:
        kinds = np.array([_kind(code) for code in codes.tolist()], dtype=np.uint8)
    else:
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
