"""Paired roles of two domains (params/data/analogies.yaml), read and checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from helpers.params.validation import near_key
from helpers.params.yaml_file import read_yaml
from helpers.storage import project_path

_KEYS = ["pairs", "alike"]
MIN_PAIRS = 5


@dataclass(frozen=True)
class Analogy:
    """One domain mapped onto another, word for word.

    Args:
        pairs: (source, target), every word once on its side.
        alike: groups of source words that share something known; words in none are a group together.
        dropped: words that `keep` did not know.
    Raises:
        ValueError: a word twice on one side, or a word of `alike` that is no source or is in two groups.
    """

    name: str
    pairs: tuple[tuple[str, str], ...]
    alike: tuple[tuple[str, ...], ...] = ()
    dropped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for side, words in (("source", self.sources), ("target", self.targets), ("alike", self._grouped)):
            twice = sorted({word for word in words if words.count(word) > 1})
            if twice:
                raise ValueError(f"analogy '{self.name}': '{twice[0]}' is there twice as {side}; take one out")
        for word in self._grouped:
            if word not in self.sources:
                raise ValueError(f"analogy '{self.name}': alike names '{word}'{near_key(word, list(self.sources))}")

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(source for source, _ in self.pairs)

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(target for _, target in self.pairs)

    @property
    def groups(self) -> Int[np.ndarray, " n_pairs"]:
        """Number of the group of every pair, 0 for pairs in none."""
        of = {word: number for number, group in enumerate(self.alike, start=1) for word in group}
        return np.array([of.get(source, 0) for source in self.sources], dtype=np.int64)

    def n_known(self, known: Collection[str]) -> int:
        """Pairs of which both words are known."""
        return sum(set(pair) <= set(known) for pair in self.pairs)

    def keep(self, known: Collection[str]) -> Analogy:
        """Only pairs of which both words are known.

        Raises:
            ValueError: fewer than five pairs are left; of fewer, no map can be learnt and tested.
        """
        known = set(known)
        pairs = tuple(pair for pair in self.pairs if set(pair) <= known)
        dropped = tuple(word for pair in self.pairs for word in pair if word not in known)
        if len(pairs) < MIN_PAIRS:
            raise ValueError(
                f"analogy '{self.name}': {len(pairs)} of {len(self.pairs)} pairs have two known words, at least "
                f"{MIN_PAIRS} are needed; unknown: {', '.join(dropped[:5]) or 'none'}"
            )
        kept = {source for source, _ in pairs}
        alike = tuple(tuple(word for word in group if word in kept) for group in self.alike)
        return replace(self, pairs=pairs, alike=alike, dropped=dropped)

    @property
    def _grouped(self) -> tuple[str, ...]:
        return tuple(word for group in self.alike for word in group)


def load_analogies(path: str | Path) -> tuple[Analogy, ...]:
    """Read and check a file of paired roles.

    Args:
        path: relative to the project.
    Raises:
        ValueError: no such file, no YAML, an unknown key, words twice. The message names the file.
    """
    path = project_path(path)
    content = read_yaml(path)
    try:
        entries = content.get("analogies") if isinstance(content, dict) else None
        if not isinstance(entries, dict) or not entries or len(content) != 1:
            raise ValueError(f"expected one key 'analogies' with at least one entry; got {content!r:.80}")
        return tuple(_read(str(name), entry) for name, entry in entries.items())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(name: str, entry: Any) -> Analogy:
    if not isinstance(entry, dict) or not isinstance(entry.get("pairs"), dict):
        raise ValueError(f"analogy '{name}': expected pairs, source: target; got {entry!r:.80}")  # noqa: TRY004
    for key in entry:
        if key not in _KEYS:
            raise ValueError(f"analogy '{name}': unknown key '{key}'{near_key(str(key), _KEYS)}")
    alike = entry.get("alike", [])
    if not isinstance(alike, list) or not all(isinstance(group, list) for group in alike):
        raise ValueError(f"analogy '{name}': alike is a list of lists of source words; got {alike!r:.80}")
    pairs = tuple((str(source), str(target)) for source, target in entry["pairs"].items())
    return Analogy(name, pairs, tuple(tuple(map(str, group)) for group in alike))
