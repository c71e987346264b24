"""Token batches limited to sentences or documents with chosen words, with a cap a word so that none dominates.

A sample (a sentence or a document) is taken for *one* word: of its chosen words that still have room, the one with the
fewest samples so far. Other chosen words in it do not count for their own caps, so a common word may well stand in a
rare word's samples, and the rare word still gets all of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.corpus.documents import Corpus, Document
from helpers.corpus.token_batch import TokenBatch
from helpers.corpus.tokenizing import Sequencer
from helpers.corpus.word_spans import comparable, sentence_spans, word_spans
from helpers.progress import progress_bar

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

UNITS = ("sentence", "document")


@dataclass(frozen=True)
class BalancedBatch:
    """Tokens of the samples, and what every word got.

    Args:
        tokens: whole documents, cut into sequences; kept (in `keep_mask`) are the samples' tokens only, so sentences are
            read in their context.
        words: the chosen words.
        samples: samples taken for each word; at most the cap.
        occurrences: how often each word stands in all samples, those of other words included.
        unit: "sentence" or "document", what a sample is.
        n_documents_read: documents that were looked at.
    """

    tokens: TokenBatch
    words: tuple[str, ...]
    samples: tuple[int, ...]
    occurrences: tuple[int, ...]
    cap: int
    unit: str
    n_documents_read: int

    @property
    def n_samples(self) -> int:
        return sum(self.samples)

    @property
    def fell_short(self) -> dict[str, int]:
        """Words with fewer samples than the cap -> their samples."""
        return {word: n for word, n in zip(self.words, self.samples, strict=True) if n < self.cap}

    @property
    def messages(self) -> list[str]:
        """A sentence for every word that fell short."""
        read = f"in {self.n_documents_read} documents"
        return [
            f"'{word}': {n} of {self.cap} {self.unit}s {read}"
            if n
            else f"'{word}' has no {self.unit} of its own {read}"
            for word, n in self.fell_short.items()
        ]


def balanced_batch(
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    *,
    words: Sequence[str],
    cap: int,
    context_size: int,
    unit: str = "sentence",
    ignore_case: bool = True,
    max_documents: int = 20_000,
    start_document: int = 0,
    prepend_bos: bool = True,
) -> BalancedBatch:
    """Read a corpus until every word has its cap of samples, or `max_documents` have been read.

    The same arguments give the same batch.

    Args:
        words: whole words; "king" is not in "talking".
        cap: most samples of a word.
        context_size: tokens in a sequence, BOS included.
        unit: "sentence": the cap counts sentences, and only their tokens are kept, the rest of a document is context;
            "document": the cap counts documents, and all their tokens are kept.
        max_documents: documents read at most; an endless corpus may not have a word at all.
        start_document: number of the first document.
        prepend_bos: open every sequence with BOS (EOS where the tokenizer has no BOS), never twice.
    Raises:
        ValueError: no word, one twice or not a single word; a number below 1; an unknown unit; a tokenizer without
            character offsets; no document; none of the words in the documents.
    """
    _check_arguments(words, ignore_case=ignore_case, cap=cap, unit=unit, max_documents=max_documents)
    if not getattr(tokenizer, "is_fast", False):
        raise ValueError(
            "balanced_batch needs a fast tokenizer, which knows where tokens stand in the text; got a slow one"
        )
    sequencer = Sequencer(tokenizer, context_size, prepend_bos)
    choice = _Choice(words, ignore_case, cap, unit)
    chosen: list[tuple[Document, list[tuple[int, int]]]] = []
    n_read = 0
    with progress_bar(total=cap * len(words), description="Balancing", unit=f"{unit}s") as bar:
        for document in islice(corpus.documents(start_document), max_documents):
            n_read += 1
            if spans := choice.take(document.text):
                chosen.append((document, spans))
                bar.update(len(spans))
            if choice.is_full:
                break
    if not chosen:
        found = "no document" if n_read == 0 else f"none in {n_read} documents"
        raise ValueError(
            f"expected texts with {', '.join(words[:5])} in {corpus.name} (from document {start_document}); got {found}; "
            "check the words, ignore_case and max_documents"
        )
    return BalancedBatch(
        tokens=_tokens(sequencer, tokenizer, chosen),
        words=tuple(words),
        samples=tuple(choice.samples),
        occurrences=tuple(choice.occurrences),
        cap=cap,
        unit=unit,
        n_documents_read=n_read,
    )


class _Choice:
    """Which samples are taken, and for which word."""

    def __init__(self, words: Sequence[str], ignore_case: bool, cap: int, unit: str) -> None:
        self.ignore_case, self.cap, self.unit = ignore_case, cap, unit
        self.number = {self.spelling(word): number for number, word in enumerate(words)}
        self.samples = [0] * len(words)
        self.occurrences = [0] * len(words)

    def spelling(self, word: str) -> str:
        return comparable(word, ignore_case=self.ignore_case)

    @property
    def is_full(self) -> bool:
        return min(self.samples) >= self.cap

    def take(self, text: str) -> list[tuple[int, int]]:
        """The character spans of the samples that this text gives."""
        found = [
            (start, self.number[spelled])
            for start, stop in word_spans(text)
            if (spelled := self.spelling(text[start:stop])) in self.number
        ]
        if not found:
            return []
        units = sentence_spans(text) if self.unit == "sentence" else [(0, len(text))]
        taken = []
        for start, stop in units:
            inside = [number for place, number in found if start <= place < stop]
            room = [number for number in inside if self.samples[number] < self.cap]
            if not room:
                continue
            self.samples[min(room, key=lambda number: (self.samples[number], number))] += 1
            for number in inside:
                self.occurrences[number] += 1
            taken.append((start, stop))
        return taken


def _tokens(
    sequencer: Sequencer, tokenizer: PreTrainedTokenizerBase, chosen: list[tuple[Document, list[tuple[int, int]]]]
) -> TokenBatch:
    """The chosen documents' sequences that have tokens of a sample; only those tokens are kept."""
    batch = sequencer.batch(list(sequencer.sequences(document for document, _ in chosen)))
    in_sample = dict(_sample_tokens(tokenizer, chosen))
    keep_mask = batch.keep_mask.copy()
    for row, (document, start) in enumerate(zip(batch.documents, batch.starts, strict=True)):
        mask = in_sample[int(document)][start : start + batch.context_size - batch.bos_columns]
        columns = slice(batch.bos_columns, batch.bos_columns + len(mask))
        keep_mask[row, columns] &= mask
    used = keep_mask.any(axis=1)
    return replace(
        batch,
        input_ids=batch.input_ids[used],
        keep_mask=keep_mask[used],
        attention_mask=batch.attention_mask[used],
        documents=batch.documents[used],
        starts=batch.starts[used],
    )


def _sample_tokens(
    tokenizer: PreTrainedTokenizerBase, chosen: list[tuple[Document, list[tuple[int, int]]]]
) -> Iterator[tuple[int, np.ndarray]]:
    """(document number, bool a token: its last character is in a sample). A leading space belongs to the word after it."""
    for document, spans in chosen:
        encoded: Any = tokenizer(
            document.text,
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
        )
        covered = np.zeros(len(document.text), dtype=bool)
        for start, stop in spans:
            covered[start:stop] = True
        offsets = encoded["offset_mapping"]
        yield document.index, np.array([stop > start and covered[stop - 1] for start, stop in offsets], dtype=bool)


def _check_arguments(words: Sequence[str], *, ignore_case: bool, cap: int, unit: str, max_documents: int) -> None:
    if isinstance(words, str) or not words:
        raise ValueError(f"words is a list of at least one word; got {words!r}")
    for word in words:
        if word_spans(word) != [(0, len(word))]:
            raise ValueError(f"every entry is one word; got {word!r}; write its parts, without spaces and marks")
    spelled = [comparable(word, ignore_case=ignore_case) for word in words]
    if twice := sorted({word for word in spelled if spelled.count(word) > 1}):
        raise ValueError(f"every word stands once; got '{twice[0]}' twice; take one out")
    for name, value in (("cap", cap), ("max_documents", max_documents)):
        if value < 1:
            raise ValueError(f"{name} is at least 1; got {value}; raise it")
    if unit not in UNITS:
        raise ValueError(f"unit is {' or '.join(UNITS)}; got {unit!r}")
