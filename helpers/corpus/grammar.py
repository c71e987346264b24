"""From sentence forms (scenes.py) to templates that are filled by table look-ups.

Every slot of a form becomes a draw: one random index into parallel tables, so that "{A:mammal} ... {mammal}" or
"{weekday} ... {weekday+1}" always agree. Draws compare a random number with exact sums of 1 / (rank + 3); no platform's
`pow` or `log` is involved, so a seed gives the same text everywhere.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, product

from helpers.corpus.lexicon import Lexicon
from helpers.corpus.scenes import UNIONS, Scene

SLOT = re.compile(r"\{([^{}]+)\}")
PIECE = re.compile(r" ?%\(([^()]+)\)s| ?[A-Za-z]+| ?[^\sA-Za-z]|\s")
GAPS = range(2, 7)
# Slots filled by the story's characters, not by a draw.
HERO_SLOTS = ("he", "his", "him", "name", "role", "friend_name", "friend_role")
_CHARACTERS = {
    "hero": ("{name}", "the {role}"),
    "Hero": ("{name}", "The {role}"),
    "friend": ("{friend_name}", "the {friend_role}"),
    "Friend": ("{friend_name}", "The {friend_role}"),
}


@dataclass(frozen=True)
class Draw:
    """One random index and the tables it reads: (slot, words). `after` is the earlier draw it must differ from."""

    cumulative: tuple[float, ...]
    tables: tuple[tuple[str, tuple[str, ...]], ...]
    after: int | None = None


@dataclass(frozen=True)
class Form:
    """A compiled form: `template % values` is its text; `prompt` and `answer` are the probe's parts, if it has one."""

    template: str
    draws: tuple[Draw, ...]
    prompt: str | None = None
    answer: str | None = None

    def fill(self, base: Mapping[str, str], random: Callable[[], float]) -> dict[str, str]:
        """The values of all slots: those of the characters, and freshly drawn words."""
        values = dict(base)
        drawn: list[int] = []
        for draw in self.draws:
            index = bisect(draw.cumulative, random())
            while draw.after is not None and index == drawn[draw.after]:
                index = bisect(draw.cumulative, random())
            drawn.append(index)
            for slot, words in draw.tables:
                values[slot] = words[index]
        return values


def compile_scene(scene: Scene, lexicon: Lexicon) -> dict[tuple[int, int], tuple[tuple[Form, ...], ...]]:
    """All forms of a scene for each way to call hero and friend (0 = by name, 1 = by role).

    The outer tuple has one entry a form as written, drawn with equal weight; the inner one its variants (the gaps
    from two to six of the forms that have one).
    """
    styles = product((0, 1), (0, 1))
    return {style: tuple(_variants(form, style, lexicon) for form in scene.forms) for style in styles}


def cumulative_weights(weights: Iterable[float]) -> tuple[float, ...]:
    """Running sums, scaled so that the last is exactly 1 (`bisect` with a random number below 1 stays inside)."""
    sums = list(accumulate(weights))
    return (*(value / sums[-1] for value in sums[:-1]), 1.0)


def zipf_weights(n: int) -> list[float]:
    """1 / (rank + 3): the first of 40 words is 14 times as frequent as the last."""
    return [1.0 / (rank + 3) for rank in range(n)]


def _variants(form: str, style: tuple[int, int], lexicon: Lexicon) -> tuple[Form, ...]:
    for slot, calls in _CHARACTERS.items():
        form = form.replace("{" + slot + "}", calls[style[0] if slot in ("hero", "Hero") else style[1]])
    if "gap" not in form.lower():
        return (_compile(form, lexicon),)
    numbers = lexicon.concepts["number_word"]
    return tuple(
        _compile(
            form.replace("{Gap}", numbers[gap].capitalize()).replace("{gap}", numbers[gap]).replace("gap}", f"{gap}}}"),
            lexicon,
        )
        for gap in GAPS
    )


def _compile(form: str, lexicon: Lexicon) -> Form:
    slots = list(dict.fromkeys(SLOT.findall(form)))
    by_base: dict[str, list[str]] = {}
    for slot in slots:
        base = _base(slot)
        if base not in HERO_SLOTS:
            by_base.setdefault(base, []).append(slot)
    draws: list[Draw] = []
    bases = sorted(by_base, key=lambda base: (base.rstrip("0123456789"), base))
    for number, base in enumerate(bases):
        after = number - 1 if base[-1].isdigit() and bases[number - 1].rstrip("0123456789") == base[:-1] else None
        draws.append(_draw(base, by_base[base], lexicon, after))
    template = SLOT.sub(lambda match: f"%({match[1]})s", form)
    prompt, caret, rest = template.partition("^")
    if not caret:
        return Form(template, tuple(draws))
    answer = PIECE.match(rest)
    if answer is None or not prompt.endswith(" "):
        raise ValueError(f"a probe's ^ stands between a space and a word; got '{form}'; move it")
    return Form(prompt + rest, tuple(draws), prompt[:-1], " " + answer[0])


def _base(slot: str) -> str:
    """Slot without article, capital, offset and side of a relation: what shares one draw."""
    name = slot.split(":")[-1]
    name = re.split(r"[+\-.]", name)[0]
    return name[0].lower() + name[1:]


def _draw(base: str, slots: Sequence[str], lexicon: Lexicon, after: int | None) -> Draw:
    concept = base.rstrip("0123456789")
    if concept in lexicon.relations:
        pairs = lexicon.relations[concept]
        sides = {side: tuple(pair[number] for pair in pairs) for number, side in enumerate(("key", "value"))}
        tables = tuple((slot, _shaped(slot, sides[slot.rsplit(".", 1)[1]])) for slot in slots)
        return Draw(cumulative_weights(zipf_weights(len(pairs))), tables, after)
    if concept in lexicon.orders:
        return _ordered_draw(concept, slots, lexicon, after)
    members = UNIONS.get(concept, (concept,))
    unknown = [member for member in members if member not in lexicon.concepts]
    if unknown:
        raise ValueError(f"a slot names a concept, union or relation; got '{{{slots[0]}}}'; correct the form")
    words = tuple(word for member in members for word in lexicon.concepts[member])
    weights = [weight for member in members for weight in zipf_weights(len(lexicon.concepts[member]))]
    return Draw(cumulative_weights(weights), tuple((slot, _shaped(slot, words)) for slot in slots), after)


def _ordered_draw(concept: str, slots: Sequence[str], lexicon: Lexicon, after: int | None) -> Draw:
    words = lexicon.concepts[concept]
    offsets = {slot: int((re.search(r"[+\-]\d+$", slot) or ["0"])[0]) for slot in slots}
    starts = range(len(words))
    if lexicon.orders[concept] == "linear":
        starts = range(max(0, -min(offsets.values())), len(words) - max(0, *offsets.values()))
    tables = tuple(
        (slot, _shaped(slot, tuple(words[(start + offset) % len(words)] for start in starts)))
        for slot, offset in offsets.items()
    )
    return Draw(cumulative_weights([1.0] * len(starts)), tables, after)


def _shaped(slot: str, words: tuple[str, ...]) -> tuple[str, ...]:
    """The words as the slot writes them: with an article, with a capital, or as they are."""
    article, colon, name = slot.rpartition(":")
    if colon:
        return tuple(f"{article}{'n' if word[0] in 'aeiou' else ''} {word}" for word in words)
    return tuple(word[0].upper() + word[1:] for word in words) if name[0].isupper() else words
