"""Groups of words that stand for one concept each (params/data/concepts.yaml), read and checked.

The file's path is always given: a stage then depends on the words only if its parameters name the file.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

from helpers.features.word_borders import split_words
from helpers.params.validation import check_file_name, near_key
from helpers.params.yaml_file import read_yaml
from helpers.storage import project_path

CASES = ("exact", "ignore")
_KEYS = ["case", "words", "concepts", "overlaps"]


@dataclass(frozen=True)
class ConceptGroup:
    """Words of one concept.

    Args:
        name: how tables call the group.
        words: single words, each once.
        case: "exact" finds a word as it is written here, "ignore" in any case.
        concepts: concepts of the story world (or kinds of concepts) that the group stands for; empty = unknown.
        overlaps: names of groups that share words with this one.
    Raises:
        ValueError: no word, an entry that is not one word, a word twice, an unknown case rule.
    """

    name: str
    words: tuple[str, ...]
    case: str = "ignore"
    concepts: tuple[str, ...] = ()
    overlaps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.case not in CASES:
            raise ValueError(f"group '{self.name}': case is {' or '.join(CASES)}; got {self.case!r}")
        if not self.words:
            raise ValueError(f"group '{self.name}' has no words; add some or take the group out")
        seen: set[str] = set()
        for word in self.words:
            _check_word(word, self.name)
            if self.spelling(word) in seen:
                raise ValueError(f"group '{self.name}' has the word '{word}' twice; take one out")
            seen.add(self.spelling(word))

    @property
    def ignore_case(self) -> bool:
        return self.case == "ignore"

    def spelling(self, word: str) -> str:
        """The word as this group compares it."""
        return word.casefold() if self.ignore_case else word

    def common_words(self, other: ConceptGroup) -> list[str]:
        """Words that both groups can find, in this group's order; case counts only if it counts in both."""
        if self.ignore_case or other.ignore_case:
            theirs = {word.casefold() for word in other.words}
            return [word for word in self.words if word.casefold() in theirs]
        return [word for word in self.words if word in set(other.words)]


@dataclass(frozen=True)
class ConceptGroups:
    """All groups of a file.

    Raises:
        ValueError: no groups, two of one name, an overlap that is not stated or stated without a common word.
    """

    groups: tuple[ConceptGroup, ...]

    def __post_init__(self) -> None:
        if not self.groups:
            raise ValueError("expected at least one group of words; got none")
        if len(self._by_name) < len(self.groups):
            raise ValueError(f"group names must differ; got {', '.join(self.names)}")
        for group in self.groups:
            for name in group.overlaps:
                if name not in self._by_name or name == group.name:
                    others = [other for other in self.names if other != group.name]
                    raise ValueError(
                        f"group '{group.name}' overlaps with unknown group '{name}'{near_key(name, others)}"
                    )
        for one, other in combinations(self.groups, 2):
            _check_overlap(one, other)

    @property
    def names(self) -> list[str]:
        return [group.name for group in self.groups]

    def __getitem__(self, name: str) -> ConceptGroup:
        if name not in self._by_name:
            raise ValueError(f"unknown group '{name}'{near_key(name, self.names)}")
        return self._by_name[name]

    def choose(self, names: list[str] | tuple[str, ...]) -> ConceptGroups:
        """Only the named groups, in the order of the names; none named = all.

        Raises:
            ValueError: an unknown name.
        """
        chosen = [self[name] for name in names or self.names]
        kept = set(names or self.names)
        return ConceptGroups(
            tuple(replace(g, overlaps=tuple(name for name in g.overlaps if name in kept)) for g in chosen)
        )

    def mismatched_pairs(self) -> list[tuple[str, str]]:
        """Ordered pairs of groups without a common word: what a mismatched control may set against each other."""
        return [(x.name, y.name) for x, y in permutations(self.groups, 2) if not x.common_words(y)]

    @cached_property
    def all_words(self) -> frozenset[str]:
        """The words of all groups, without case."""
        return frozenset(word.casefold() for group in self.groups for word in group.words)

    @cached_property
    def _by_name(self) -> dict[str, ConceptGroup]:
        return {group.name: group for group in self.groups}


def load_concepts(path: str | Path) -> ConceptGroups:
    """Read and check a file of concept groups.

    Args:
        path: e.g. params/data/concepts.yaml; relative to the project.
    Raises:
        ValueError: no such file, no YAML, an unknown key or case rule, a word twice, an entry of two words, an empty
            group, an overlap that is not stated or is none. The message names the file.
    """
    path = project_path(path)
    content = read_yaml(path)
    try:
        _check_keys(content, ["groups"], "the file")
        _require_mapping(content["groups"], "groups")
        return ConceptGroups(tuple(_read_group(str(name), entry) for name, entry in content["groups"].items()))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read_group(name: str, entry: Any) -> ConceptGroup:
    where = f"group '{name}'"
    check_file_name(name, what="group")
    _check_keys(entry, _KEYS, where, required=("words",))
    words = entry["words"]
    if not isinstance(words, str) or not words.strip():
        raise ValueError(f"{where}: words are one text, at least one word, spaces between them; got {words!r:.80}")
    lists = {key: entry.get(key, []) for key in ("concepts", "overlaps")}
    for key, value in lists.items():
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"{where}: {key} is a list of names such as [a, b]; got {value!r:.80}")
    return ConceptGroup(
        name=name,
        words=tuple(unicodedata.normalize("NFC", words).split()),
        case=entry.get("case", "ignore"),
        concepts=tuple(lists["concepts"]),
        overlaps=tuple(lists["overlaps"]),
    )


def _check_keys(entry: Any, known: list[str], where: str, *, required: tuple[str, ...] | None = None) -> None:
    _require_mapping(entry, where)
    for key in entry:
        if key not in known:
            raise ValueError(f"{where}: unknown key '{key}'{near_key(str(key), known)}")
    for key in known if required is None else required:
        if key not in entry:
            raise ValueError(f"{where}: missing key '{key}'")


def _require_mapping(entry: Any, where: str) -> None:
    if not isinstance(entry, dict) or not entry:
        raise ValueError(f"{where}: expected keys with values; got {entry!r:.80}")


def _check_word(word: str, name: str) -> None:
    if split_words(word) != (word,):
        raise ValueError(
            f"group '{name}': an entry is one word as whole-word search reads it; got {word!r}, which is "
            f"{' + '.join(map(repr, split_words(word))) or 'none'}; write single words, with spaces between them"
        )
    if not any(character.isalnum() for character in word):
        raise ValueError(
            f"group '{name}': a word has letters or digits; got {word!r}; marks are filtered, not searched"
        )


def _check_overlap(one: ConceptGroup, other: ConceptGroup) -> None:
    common = one.common_words(other)
    stated = other.name in one.overlaps or one.name in other.overlaps
    if common and not stated:
        shown = ", ".join(common[:5])
        raise ValueError(
            f"groups '{one.name}' and '{other.name}' share {len(common)} words ({shown}); write "
            f"`overlaps: [{other.name}]` into '{one.name}' if that is meant, else take the words out of one"
        )
    if stated and not common:
        raise ValueError(f"groups '{one.name}' and '{other.name}' are said to overlap and share no word; take it out")
