"""Taxonomies of words: which concept a word belongs to, and which wider kind the concept belongs to.

The story world brings its own; any other is a YAML file with one line a concept:

    concepts:
      mammal: {parent: animal, words: dog cat horse}
      bird: {parent: animal, words: owl eagle crow}
      animal: {parent: living_thing}

A concept has words, children, or both. A parent that has no line of its own is a kind without words and without a
parent. Every word belongs to one concept, so that siblings share none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from helpers.corpus.lexicon import load_lexicon
from helpers.geometry.hierarchy.nest import ROOT, Nest
from helpers.params.validation import near_key
from helpers.params.yaml_file import read_yaml
from helpers.storage import project_path

_KEYS = ["parent", "words"]


@dataclass(frozen=True)
class Taxonomy:
    """Concepts, their parents and their own words, parents before their children (depth first).

    Args:
        parents: concept -> the wider one, None for those at the top.
        words: concept -> words that belong to it and to none of its children; may be empty for a parent.
        dropped: concept -> words that `keep` took out.
    """

    parents: Mapping[str, str | None]
    words: Mapping[str, tuple[str, ...]]
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.parents)

    @property
    def all_words(self) -> tuple[str, ...]:
        """Every word once, concept by concept."""
        return tuple(word for name in self.names for word in self.words[name])

    def keep(self, known: Collection[str]) -> Taxonomy:
        """Only the known words; concepts that have no words left, neither own nor below, go. `dropped` says which went.

        Raises:
            ValueError: not one word of the taxonomy is known.
        """
        known = set(known)
        words = {name: tuple(word for word in own if word in known) for name, own in self.words.items()}
        if not any(words.values()):
            shown = ", ".join(self.all_words[:5])
            raise ValueError(f"none of the {len(self.all_words)} words of the taxonomy is known here ({shown}, ...)")
        dropped = {name: tuple(word for word in own if word not in known) for name, own in self.words.items()}
        alive = {above for name, own in words.items() if own for above in self.line(name)}
        return Taxonomy(
            {name: parent for name, parent in self.parents.items() if name in alive},
            {name: own for name, own in words.items() if name in alive},
            {name: gone for name, gone in dropped.items() if gone},
        )

    def branch(self, roots: Sequence[str]) -> Taxonomy:
        """Only the named concepts and what is below them; none named = all.

        Raises:
            ValueError: an unknown name.
        """
        for name in roots:
            if name not in self.parents:
                raise ValueError(f"unknown concept '{name}'{near_key(name, list(self.names))}")
        if not roots:
            return self
        kept = [name for name in self.names if set(self.line(name)) & set(roots)]
        above = {name: parent if parent in kept else None for name in kept for parent in [self.parents[name]]}
        return Taxonomy(above, {name: self.words[name] for name in kept})

    def line(self, name: str) -> list[str]:
        """The concept, its parent, the parent's parent and so on."""
        return list(_climb(name, self.parents))

    def nest(self, words: Sequence[str]) -> Nest:
        """The taxonomy over the rows of a matrix.

        Args:
            words: one a row, words of the taxonomy, each once.
        Raises:
            ValueError: a word that is not in the taxonomy, or twice.
        """
        place = {name: number for number, name in enumerate(self.names)}
        owner = {word: place[name] for name, own in self.words.items() for word in own}
        unknown = [word for word in words if word not in owner]
        if unknown or len(set(words)) < len(words):
            raise ValueError(
                f"expected words of the taxonomy, each once; unknown: {', '.join(unknown[:5]) or 'none'}; "
                f"{len(words) - len(set(words))} are there twice"
            )
        return Nest(
            self.names,
            np.array([ROOT if parent is None else place[parent] for parent in self.parents.values()], dtype=np.int64),
            np.array([owner[word] for word in words], dtype=np.int64),
        )


def make_taxonomy(parents: Mapping[str, str | None], words: Mapping[str, Sequence[str]]) -> Taxonomy:
    """Check concepts and put them in order.

    Args:
        parents: concept -> its parent or None; parents that are no key themselves are kinds at the top.
        words: concept -> its own words; concepts left out have none.
    Raises:
        ValueError: no concept, a circle, a word in two concepts or twice in one, a concept without words and without
            children, words of a concept that has no parent entry.
    """
    above: dict[str, str | None] = dict(parents)
    for parent in parents.values():
        if parent is not None:
            above.setdefault(parent, None)
    for name in words:
        if name not in above:
            raise ValueError(f"words are given for '{name}', which is no concept{near_key(name, list(above))}")
    for name in above:
        list(_climb(name, above))
    _check_words(words)
    has_children = set(above.values())
    for name in above:
        if not words.get(name) and name not in has_children:
            raise ValueError(f"concept '{name}' has neither words nor children; add some or take it out")
    if not above:
        raise ValueError("a taxonomy needs at least one concept; got none")
    ordered = [name for root in above if above[root] is None for name in _downwards(root, above)]
    return Taxonomy({name: above[name] for name in ordered}, {name: tuple(words.get(name, ())) for name in ordered})


def load_taxonomy(path: str | Path) -> Taxonomy:
    """Read and check a file like the one above.

    Args:
        path: relative to the project.
    Raises:
        ValueError: no such file, no YAML, an unknown key, or what `make_taxonomy` refuses. The message names the file.
    """
    path = project_path(path)
    content = read_yaml(path)
    try:
        if not isinstance(content, dict) or list(content) != ["concepts"] or not isinstance(content["concepts"], dict):
            raise ValueError(f"expected one key 'concepts' with an entry a concept; got {content!r:.80}")
        entries = {str(name): entry or {} for name, entry in content["concepts"].items()}
        for name, entry in entries.items():
            _check_entry(name, entry)
        return make_taxonomy(
            {name: entry.get("parent") for name, entry in entries.items()},
            {name: unicodedata.normalize("NFC", entry.get("words", "")).split() for name, entry in entries.items()},
        )
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def story_taxonomy() -> Taxonomy:
    """The story world's own taxonomy (marks are left out)."""
    lexicon = load_lexicon()
    kinds = {name: parent for name, parent in lexicon.taxonomy.items() if name not in lexicon.marks.values()}
    return make_taxonomy({**{name: None for name in lexicon.concepts}, **kinds}, lexicon.concepts)


def _check_entry(name: str, entry: Any) -> None:
    if not isinstance(entry, dict):
        raise ValueError(f"concept '{name}': expected keys with values; got {entry!r:.80}")  # noqa: TRY004
    for key, value in entry.items():
        if key not in _KEYS:
            raise ValueError(f"concept '{name}': unknown key '{key}'{near_key(str(key), _KEYS)}")
        if not isinstance(value, str) or not value.strip():
            what = "one name" if key == "parent" else "one text, spaces between the words"
            raise ValueError(f"concept '{name}': {key} is {what}; got {value!r:.80}")


def _check_words(words: Mapping[str, Sequence[str]]) -> None:
    owner: dict[str, str] = {}
    for name, own in words.items():
        for word in own:
            if word in owner:
                where = "twice in it" if owner[word] == name else f"in '{owner[word]}' as well"
                raise ValueError(
                    f"a word belongs to one concept; '{word}' of '{name}' is {where}; take it out of one (a child's words "
                    "count for its parents without being repeated)"
                )
            owner[word] = name


def _climb(name: str, parents: Mapping[str, str | None]) -> Iterator[str]:
    seen: list[str] = []
    at: str | None = name
    while at is not None:
        if at in seen:
            raise ValueError(
                f"concepts go round in a circle: {' -> '.join([*seen[seen.index(at) :], at])}; cut it open"
            )
        seen.append(at)
        yield at
        at = parents.get(at)


def _downwards(name: str, parents: Mapping[str, str | None]) -> Iterator[str]:
    yield name
    for child, parent in parents.items():
        if parent == name:
            yield from _downwards(child, parents)
