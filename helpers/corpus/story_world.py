"""The story world: endless short English stories whose every word carries a known concept.

Document i of (seed, split) is generated from its own generator, so any document is reached at once, and it is the same
in every process and on every machine. One document is a little shorter than 127 tokens of the world's tokenizer: with
its BOS it fills one sequence of 128.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from random import Random

from helpers.corpus.documents import Document
from helpers.corpus.grammar import PIECE, Form, compile_scene, cumulative_weights, zipf_weights
from helpers.corpus.lexicon import PUNCTUATION, Lexicon, load_lexicon
from helpers.corpus.scenes import SCENES

MAX_DOCUMENT_TOKENS = 126
PARAGRAPH_SHARE = 0.25  # of the sentence groups that start a new line
_MISSES = 4  # scenes that did not fit any more before the story ends
_PRONOUNS = {"female": ("she", "her", "her"), "male": ("he", "his", "him")}


@dataclass(frozen=True)
class Probe:
    """A prompt whose next word is determined: `answer` and `alternatives` are words with the space before them."""

    kind: str
    prompt: str
    answer: str
    alternatives: tuple[str, ...]


@dataclass(frozen=True)
class _Told:
    """A form with the number of tokens that its text has."""

    form: Form
    n_tokens: int


@dataclass(frozen=True)
class _Grammar:
    """All compiled scenes: for each way of calling the characters, scene -> form -> gap variant."""

    cumulative: tuple[float, ...]
    scenes: dict[tuple[int, int], tuple[tuple[tuple[_Told, ...], ...], ...]]
    probes: dict[str, dict[tuple[int, int], tuple[tuple[Form, ...], ...]]]
    vocabulary: tuple[str, ...]


class StoryWorld:
    """Seeded stories, their concepts, and probes of what a model of them must know.

    Args:
        seed: fixes the sample of documents together with `split`.
        split: name of an independent sample of the same world; "probes" is reserved for the probes.
    """

    def __init__(self, *, seed: int = 0, split: str = "train") -> None:
        self.seed = seed
        self.split = split
        self._lexicon = load_lexicon()
        self._grammar = _compiled_grammar()
        self._concept_by_word = self._lexicon.concept_by_word

    @property
    def name(self) -> str:
        """Name of this sample of the world."""
        return f"story world, seed {self.seed}, split {self.split}"

    @property
    def concepts(self) -> dict[str, tuple[str, ...]]:
        """Concept -> its words, the most frequent first."""
        return dict(self._lexicon.concepts)

    @property
    def taxonomy(self) -> dict[str, str]:
        """Concept -> the wider kind it belongs to."""
        return dict(self._lexicon.taxonomy)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Every token text that a document can contain, sorted; a token is a word or a mark with the space before it."""
        return self._grammar.vocabulary

    @property
    def probe_kinds(self) -> tuple[str, ...]:
        """Names that `probes` accepts."""
        return tuple(self._grammar.probes)

    def concept_of(self, token_text: str) -> str | None:
        """Concept of a token: spaces and a sentence's capital do not matter; marks have concepts of their own.

        Returns:
            The concept, or None for a text that is no word of the world (special tokens among them).
        """
        word = token_text.strip()
        if not any(character.isalnum() for character in word):
            return self._lexicon.marks.get(word or token_text, PUNCTUATION) if token_text else None
        return self._concept_by_word.get(word) or self._concept_by_word.get(word[:1].lower() + word[1:])

    def documents(self, start: int = 0) -> Iterator[Document]:
        """The documents from number `start` on, without end."""
        for index in count(start):
            yield self.document(index)

    def document(self, index: int) -> Document:
        """Document `index`, at once."""
        random = Random(f"{self.seed}/{self.split}/{index}").random
        return Document(index, self._tell(random, max_tokens=MAX_DOCUMENT_TOKENS))

    def probes(self, kind: str, *, n_probes: int = 200) -> list[Probe]:
        """Questions about one kind of fact, each at the end of a story that no `split` but "probes" contains.

        Args:
            kind: one of `probe_kinds`.
            n_probes: how many; the first n are always the same.
        Raises:
            ValueError: unknown kind.
        """
        if kind not in self._grammar.probes:
            raise ValueError(f"kind is one of {', '.join(self.probe_kinds)}; got '{kind}'")
        return [self._probe(kind, Random(f"{self.seed}/probes/{kind}/{number}").random) for number in range(n_probes)]

    def _probe(self, kind: str, random: Callable[[], float]) -> Probe:
        style, base = self._characters(random)
        story = self._tell(random, max_tokens=int(20 + 60 * random()), cast=(style, base))
        forms = self._grammar.probes[kind][style]
        variants = forms[int(random() * len(forms))]
        form = variants[int(random() * len(variants))]
        if form.prompt is None or form.answer is None:
            raise ValueError(f"a probe form needs its ^; got '{form.template}'")
        values = form.fill(base, random)
        options = sorted({form.answer % {**values, **option} for option in _options(form)})
        prompt = f"{story} {form.prompt % values}".lstrip()
        return Probe(kind, prompt, form.answer % values, tuple(options))

    def _tell(
        self,
        random: Callable[[], float],
        *,
        max_tokens: int,
        cast: tuple[tuple[int, int], dict[str, str]] | None = None,
    ) -> str:
        style, base = cast or self._characters(random)
        scenes = self._grammar.scenes[style]
        cumulative = self._grammar.cumulative
        parts: list[str] = []
        n_tokens = misses = 0
        while misses < _MISSES:
            forms = scenes[bisect(cumulative, random())]
            variants = forms[int(random() * len(forms))]
            told = variants[int(random() * len(variants))]
            line_break = bool(parts) and random() < PARAGRAPH_SHARE
            if n_tokens + told.n_tokens + line_break > max_tokens:
                misses += 1
                continue
            if parts:
                parts.append("\n" if line_break else " ")
            parts.append(told.form.template % told.form.fill(base, random))
            n_tokens += told.n_tokens + line_break
        return "".join(parts)

    def _characters(self, random: Callable[[], float]) -> tuple[tuple[int, int], dict[str, str]]:
        """A hero and a friend with different names: who they are, and how this document calls them."""
        gender, friend_gender = ("female" if random() < 0.5 else "male" for _ in range(2))
        cast = _cast_tables()
        name, role = (_pick(cast[gender, part], random) for part in ("name", "role"))
        friend_name, friend_role = name, role
        while friend_name == name or friend_role == role:
            friend_name, friend_role = (_pick(cast[friend_gender, part], random) for part in ("name", "role"))
        he, his, him = _PRONOUNS[gender]
        base = {
            "he": he, "He": he.capitalize(), "his": his, "His": his.capitalize(), "him": him, "name": name, "Name": name,
            "role": role, "friend_name": friend_name, "friend_role": friend_role,
        }  # fmt: skip
        return (int(random() < 0.5), int(random() < 0.5)), base


def _pick(table: tuple[tuple[float, ...], tuple[str, ...]], random: Callable[[], float]) -> str:
    return table[1][bisect(table[0], random())]


def _options(form: Form) -> list[dict[str, str]]:
    """Every value of the slots in a probe's answer."""
    options = [
        dict(zip((slot for slot, _ in draw.tables), words, strict=True))
        for draw in form.draws
        for words in zip(*(words for _, words in draw.tables), strict=True)
    ]
    return options + [dict(zip(("he", "his", "him"), words, strict=True)) for words in _PRONOUNS.values()]


@cache
def _cast_tables() -> dict[tuple[str, str], tuple[tuple[float, ...], tuple[str, ...]]]:
    lexicon = load_lexicon()
    words = {
        ("female", "name"): lexicon.concepts["female_name"], ("male", "name"): lexicon.concepts["male_name"],
        ("female", "role"): lexicon.female, ("male", "role"): lexicon.male,
    }  # fmt: skip
    return {key: (cumulative_weights(zipf_weights(len(entry))), entry) for key, entry in words.items()}


@cache
def _compiled_grammar() -> _Grammar:
    lexicon = load_lexicon()
    compiled = [compile_scene(scene, lexicon) for scene in SCENES]
    vocabulary: set[str] = {"\n"}
    scenes: dict[tuple[int, int], tuple[tuple[tuple[_Told, ...], ...], ...]] = {}
    probes: dict[str, dict[tuple[int, int], tuple[tuple[Form, ...], ...]]] = {}
    for style in compiled[0]:
        scenes[style] = tuple(
            tuple(tuple(_Told(form, _read_tokens(form, vocabulary)) for form in forms) for forms in scene[style])
            for scene in compiled
        )
        for scene, forms in zip(SCENES, compiled, strict=True):
            asked = tuple(variants for variants in forms[style] if variants[0].prompt)
            if scene.probe and asked:
                probes.setdefault(scene.probe, {})[style] = asked
    _check_words(vocabulary, lexicon)
    weights = cumulative_weights(scene.weight for scene in SCENES)
    return _Grammar(weights, scenes, probes, tuple(sorted(vocabulary)))


def _slot_values(form: Form) -> dict[str, set[str]]:
    values = {slot: set(words) for draw in form.draws for slot, words in draw.tables}
    cast = _cast_tables()
    for part in ("name", "role"):
        people = set(cast["female", part][1]) | set(cast["male", part][1])
        values |= {part: people, part.capitalize(): people, f"friend_{part}": people}
    for number, pronoun in enumerate(("he", "his", "him")):
        words = {entry[number] for entry in _PRONOUNS.values()}
        values |= {pronoun: words, pronoun.capitalize(): {word.capitalize() for word in words}}
    return values


def _read_tokens(form: Form, vocabulary: set[str]) -> int:
    """Add every token that the form can produce to `vocabulary`; return how many tokens its text has."""
    values = _slot_values(form)
    n_tokens = 0
    for match in PIECE.finditer(form.template):
        slot = match[1]
        texts = [match[0]] if slot is None else [match[0].replace(f"%({slot})s", word) for word in values[slot]]
        if match.start() == 0:  # the first word follows a space, a line break or nothing
            texts += [" " + text for text in texts]
        pieces = [re.findall(r" ?[^ ]+|\n", text) for text in texts]
        vocabulary.update(piece for tokens in pieces for piece in tokens)
        n_tokens += len(pieces[0])
    return n_tokens


def _check_words(vocabulary: set[str], lexicon: Lexicon) -> None:
    known = lexicon.concept_by_word
    words = {text.strip() for text in vocabulary if text.strip().isalpha()}
    unknown = sorted(word for word in words if word not in known and word[0].lower() + word[1:] not in known)
    if unknown:
        raise ValueError(f"every word of a form needs a concept; add to the lexicon: {', '.join(unknown)}")
