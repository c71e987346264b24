"""Sentence forms with slots, filled with the words of ordered lists: "Today is {weekday}. Tomorrow is" -> {weekday+1}.

A slot names a list and may move along it: {weekday}, {weekday+1}, {weekday-1}. {weekday>month+1} is the word of another list
at the place of the weekday (plus one). One form gives one prompt for every choice of the words that it names; a slot of an
answer that the prompt does not name stands for every word of its list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from helpers.params.validation import near_key

_SLOT = re.compile(r"\{([a-z_]+)(?:>([a-z_]+))?([+-]\d+)?\}")


@dataclass(frozen=True)
class WordList:
    """Words in an order.

    Args:
        is_cyclic: after the last comes the first; otherwise there is nothing beyond the ends.
    """

    name: str
    words: tuple[str, ...]
    is_cyclic: bool = False

    def at(self, place: int) -> str | None:
        """The word at a place, None beyond the ends."""
        if self.is_cyclic:
            return self.words[place % len(self.words)]
        return self.words[place] if 0 <= place < len(self.words) else None


@dataclass(frozen=True)
class Filled:
    """A form with words in its slots: the prompt, and for each answer the words that are right."""

    prompt: str
    answers: tuple[tuple[str, ...], ...]


def filled(prompt: str, answers: Sequence[str], lists: Mapping[str, WordList]) -> list[Filled]:
    """A form as prompts, each with its answers.

    Args:
        prompt: may name several lists; every choice of their words is made.
        answers: each one slot, one word, or "" for none.
    Returns:
        A prompt each; answers that lead beyond a list's end have no word, and prompts that do are left out.
    Raises:
        ValueError: a list that is not there, a brace that is no slot, or an answer of several words or slots.
    """
    for text in (prompt, *answers):
        _check(text, lists)
    for answer in answers:
        if len(answer.split()) > 1 or (_SLOT.search(answer) and not _SLOT.fullmatch(answer)):
            raise ValueError(f"an answer is one word or one slot; got '{answer}'")
    names = list(dict.fromkeys(match[1] for match in _SLOT.finditer(prompt)))
    found = []
    for choice in product(*(range(len(lists[name].words)) for name in names)):
        places = dict(zip(names, choice, strict=True))
        words = [_word(match, places, lists) for match in _SLOT.finditer(prompt)]
        if None in words:
            continue
        rest = iter(words)
        text = _SLOT.sub(lambda _: str(next(rest)), prompt)  # noqa: B023 (used up at once)
        found.append(Filled(text, tuple(_answers(answer, places, lists) for answer in answers)))
    return found


def _answers(answer: str, places: Mapping[str, int], lists: Mapping[str, WordList]) -> tuple[str, ...]:
    match = _SLOT.fullmatch(answer)
    if match is None:
        return (answer,) if answer else ()
    if match[1] not in places:
        return lists[match[2] or match[1]].words
    word = _word(match, places, lists)
    return () if word is None else (word,)


def _word(match: re.Match[str], places: Mapping[str, int], lists: Mapping[str, WordList]) -> str | None:
    return lists[match[2] or match[1]].at(places[match[1]] + int(match[3] or 0))


def _check(text: str, lists: Mapping[str, WordList]) -> None:
    for match in _SLOT.finditer(text):
        for name in (match[1], match[2]):
            if name and name not in lists:
                raise ValueError(f"unknown list of words '{name}' in '{text}'{near_key(name, list(lists))}")
    if set("{}") & set(_SLOT.sub("", text)):
        raise ValueError(f"slots are written {{list}}, {{list+1}} or {{list>other+1}}; got '{text}'")
