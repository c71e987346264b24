"""Texts that nothing was trained on, for every kind of corpus.

The story world has another sample of documents for it. Any other corpus is divided by document number: every
`HELD_OUT_EVERY`-th document is held out, the others are for training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from helpers.corpus.documents import Corpus, Document
from helpers.corpus.opening import open_corpus
from helpers.corpus.story_world import StoryWorld
from helpers.params import CorpusParams

HELD_OUT_EVERY = 10


@dataclass(frozen=True)
class PartOfCorpus:
    """The held-out documents of a corpus, or all others; documents keep their numbers."""

    whole: Corpus
    part: Literal["train", "held_out"]

    @property
    def name(self) -> str:
        """Name of the whole, and which part."""
        return f"{self.whole.name} ({self.part.replace('_', '-')} part)"

    def documents(self, start: int = 0) -> Iterator[Document]:
        """This part's documents from number `start` on."""
        for document in self.whole.documents(start):
            if (document.index % HELD_OUT_EVERY == 0) == (self.part == "held_out"):
                yield document


def training_corpus(params: CorpusParams) -> Corpus:
    """The documents that may be trained on.

    Raises:
        ValueError: the corpus cannot be opened.
    """
    corpus = open_corpus(params)
    return corpus if isinstance(corpus, StoryWorld) else PartOfCorpus(corpus, "train")


def held_out_corpus(params: CorpusParams) -> Corpus:
    """The documents that `training_corpus` of the same parameters leaves out.

    Raises:
        ValueError: the corpus cannot be opened.
    """
    corpus = open_corpus(params)
    if isinstance(corpus, StoryWorld):
        return StoryWorld(seed=corpus.seed, split=f"{corpus.split}.held_out")
    return PartOfCorpus(corpus, "held_out")
