"""Where words and sentences stand in a text, in any script that writes spaces between words."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

# A full stop inside a number or a name (3.5, Node.js) ends nothing; Chinese and Japanese stops need no space after them.
_END = re.compile(
    "[.!?\u061f\u06d4\u0964]+[\"'\u201d\u2019)\\]]*(?=\\s|$)|[\u3002\uff01\uff1f]+[\u201d\u2019\u300d)\\]]*|\n"
)


def word_spans(text: str) -> list[tuple[int, int]]:
    """(start, stop) of every word with a letter or digit in it, by the rules of helpers.features.words.

    Letters and digits with the marks on them, and apostrophes between them ("don't"); the ending "'s" is a
    word of its own. Vowel signs (Hindi, Arabic) belong to their word, so a stem is not found in an
    inflected word. Scripts without spaces (Chinese, Thai) give whole phrases: words cannot be searched there.
    """
    return [match.span() for match in _word_pattern().finditer(text)]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """(start, stop) of every sentence, without the spaces around it; a line break ends one too.

    Notes:
        Simple on purpose: "Mr. Brown" is two sentences.
    """
    spans, start = [], 0
    for stop in [*(match.end() for match in _END.finditer(text)), len(text)]:
        inner = text[start:stop]
        if inner.strip():
            spans.append((start + len(inner) - len(inner.lstrip()), start + len(inner.rstrip())))
        start = stop
    return spans


def comparable(word: str, *, ignore_case: bool) -> str:
    """A word as it is compared: one way to write accents and apostrophes, no soft hyphens, without case if asked."""
    plain = unicodedata.normalize("NFC", word.replace("\u00ad", "").replace("\u2019", "'"))
    return plain.casefold() if ignore_case else plain


@cache
def _word_pattern() -> re.Pattern[str]:
    # Python's \w leaves the combining marks out, and takes the underscore in. Joiners and soft hyphens stay inside words.
    marks = "".join(chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Mn", "Mc"))
    letter, inner = r"[^\W_]", rf"(?:[^\W_]|[{marks}\u200c\u200d\u00ad])"
    ending_s = rf"['\u2019][sS](?!{inner}|['\u2019]{letter})"
    return re.compile(
        rf"(?<={letter}){ending_s}|(?<=[{marks}]){ending_s}|{letter}(?:{inner}|(?!{ending_s})['\u2019](?={letter}))*"
    )
