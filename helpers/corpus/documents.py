"""What a corpus is: numbered documents, in an order that never changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Document:
    """One text and its number in the corpus."""

    index: int
    text: str


@runtime_checkable
class Corpus(Protocol):
    """Anything that yields its documents in a fixed order, from a chosen one on; it may be endless."""

    @property
    def name(self) -> str:
        """Short name for messages and results."""
        ...

    def documents(self, start: int = 0) -> Iterator[Document]:
        """The documents from number `start` on."""
        ...
