"""The words of the story world: concepts, their taxonomy, ordered lists and pairs of words (params/data/story_world.yaml)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

LEXICON_FILE = Path(__file__).resolve().parents[2] / "params" / "data" / "story_world.yaml"
PUNCTUATION = "punctuation"


@dataclass(frozen=True)
class Lexicon:
    """Concepts with their words, and what is known about the words.

    Args:
        concepts: concept -> words, the most frequent first.
        taxonomy: concept -> its parent (a concept or a wider kind).
        orders: concept -> "cyclic" or "linear", for the concepts whose order of words means something.
        relations: name -> pairs of words.
        marks: punctuation mark or line break -> its concept.
        female: words spoken of as she.
        male: words spoken of as he.
    """

    concepts: dict[str, tuple[str, ...]]
    taxonomy: dict[str, str]
    orders: dict[str, str]
    relations: dict[str, tuple[tuple[str, str], ...]]
    female: tuple[str, ...]
    male: tuple[str, ...]
    marks: dict[str, str]

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        for concept, words in self.concepts.items():
            for word in words:
                _check_word(word, concept, seen)
        for name, pairs in self.relations.items():
            _check_known([word for pair in pairs for word in pair], seen, f"relation '{name}'")
        _check_known(self.female + self.male, seen, "the lists female and male")

    @property
    def concept_by_word(self) -> dict[str, str]:
        """Word as written -> its concept."""
        return {word: concept for concept, words in self.concepts.items() for word in words}


@cache
def load_lexicon(path: Path = LEXICON_FILE) -> Lexicon:
    """Read and check a lexicon file.

    Raises:
        ValueError: a word stands in two concepts, is no single word, or a relation uses an unknown word.
    """
    raw: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    entries: dict[str, dict[str, str]] = raw["concepts"]
    return Lexicon(
        concepts={concept: tuple(entry["words"].split()) for concept, entry in entries.items()},
        taxonomy=_taxonomy(
            {concept: entry["parent"] for concept, entry in entries.items()}
            | dict.fromkeys(raw["marks"].values(), PUNCTUATION),
            raw.get("kinds", {}),
        ),
        orders={concept: entry["order"] for concept, entry in entries.items() if "order" in entry},
        relations={name: tuple(pairs.items()) for name, pairs in raw["relations"].items()},
        female=tuple(raw["female"].split()),
        male=tuple(raw["male"].split()),
        marks=dict(raw["marks"]),
    )


def _taxonomy(parents: dict[str, str], kinds: dict[str, str]) -> dict[str, str]:
    return {child: parent for child, parent in {**kinds, **parents}.items() if child != parent}


def _check_word(word: str, concept: str, seen: dict[str, str]) -> None:
    if not (word.isascii() and word.isalpha()):
        raise ValueError(f"a word of the lexicon is letters a-z only; got '{word}' in '{concept}'; reword it")
    folded = word.lower()
    if folded in seen:
        raise ValueError(
            f"a word has one concept; '{word}' is in '{seen[folded]}' and in '{concept}'; take it out of one"
        )
    seen[folded] = concept


def _check_known(words: list[str] | tuple[str, ...], seen: dict[str, str], where: str) -> None:
    unknown = sorted({word for word in words if word.lower() not in seen})
    if unknown:
        raise ValueError(f"every word needs a concept; {where} has {', '.join(unknown)}; add them to a concept")
