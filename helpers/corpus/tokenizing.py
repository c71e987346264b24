"""From documents to token batches: every document's tokens once, in order, never across documents.

A document that is longer than the context goes on in further sequences; nothing of it is cut away. Sequences are padded
on the right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from helpers.corpus.documents import Corpus, Document
from helpers.corpus.token_batch import TokenBatch
from helpers.corpus.tokenizer import masked_token_ids, start_token_id, tokenizer_fingerprint
from helpers.progress import progress_bar

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_DOCUMENTS_AT_ONCE = 512


@dataclass(frozen=True)
class _Sequence:
    """Token ids without BOS, from position `start` of a document on; with spans: (start, stop) of each, and the text's hash.

    Arrays, because lists of Python's numbers would take 200 bytes a token while all sequences of a sample are held.
    """

    document: int
    start: int
    ids: np.ndarray
    spans: np.ndarray | None = None
    text_hash: int = 0


class Sequencer:
    """Cuts documents into sequences of one context, and builds batches from them.

    with_spans: find the tokens' places in the texts, if the tokenizer can tell them.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, context_size: int, prepend_bos: bool, *, with_spans: bool = False
    ) -> None:
        if context_size < 2:
            raise ValueError(f"context_size is at least 2, one token beside BOS; got {context_size}; raise it")
        self.tokenizer = tokenizer
        self.context_size = context_size
        self.bos = [start_token_id(tokenizer)] if prepend_bos else []
        self.masked = np.array(sorted(masked_token_ids(tokenizer)), dtype=np.int32)
        pad = tokenizer.pad_token_id
        self.pad = int(pad) if pad is not None else 0  # any id does: padding is told by the mask, not by its id
        self.fingerprint = tokenizer_fingerprint(tokenizer)
        self.with_spans = with_spans and tokenizer.is_fast  # slow tokenizers do not tell offsets

    def sequences(self, documents: Iterator[Document]) -> Iterator[_Sequence]:
        """All sequences, documents in order; a document without tokens gives nothing."""
        room = self.context_size - len(self.bos)
        while chunk := list(islice(documents, _DOCUMENTS_AT_ONCE)):
            texts = [document.text for document in chunk]
            encoded = self.tokenizer(
                texts,
                add_special_tokens=False,
                return_attention_mask=False,
                return_offsets_mapping=self.with_spans,
                verbose=False,
            )
            for number, (document, ids) in enumerate(zip(chunk, encoded["input_ids"], strict=True)):
                first = int(bool(self.bos) and ids[:1] == self.bos)  # a text that brings its own BOS does not get two
                numbers, spans, text_hash = np.array(ids, dtype=np.int32), None, 0
                if self.with_spans:
                    spans = np.array(_text_spans(document.text, encoded["offset_mapping"][number]), dtype=np.int32)
                    text_hash = _text_hash(document.text)
                for start in range(first, len(ids), room):
                    part = slice(start, start + room)
                    of_part = None if spans is None else spans[part]
                    yield _Sequence(document.index, start, numbers[part], of_part, text_hash)

    def n_kept(self, ids: np.ndarray) -> int:
        return int((~np.isin(ids, self.masked)).sum())

    def batch(self, sequences: list[_Sequence]) -> TokenBatch:
        shape = (len(sequences), self.context_size)
        input_ids = np.full(shape, self.pad, dtype=np.int32)
        attention_mask = np.zeros(shape, dtype=np.bool_)
        char_spans = np.full((*shape, 2), -1, dtype=np.int32) if self.with_spans else None
        for row, sequence in enumerate(sequences):
            first, stop = len(self.bos), len(self.bos) + len(sequence.ids)
            input_ids[row, :first], input_ids[row, first:stop] = self.bos, sequence.ids
            attention_mask[row, :stop] = True
            if char_spans is not None and sequence.spans is not None:  # both or neither
                char_spans[row, first:stop] = sequence.spans
        keep_mask = attention_mask & ~np.isin(input_ids, self.masked)
        keep_mask[:, : len(self.bos)] = False
        return TokenBatch(
            input_ids=input_ids,
            keep_mask=keep_mask,
            attention_mask=attention_mask,
            documents=np.array([sequence.document for sequence in sequences], dtype=np.int32),
            starts=np.array([sequence.start for sequence in sequences], dtype=np.int32),
            tokenizer_fingerprint=self.fingerprint,
            bos_columns=len(self.bos),
            char_spans=char_spans,
            text_hashes=np.array([x.text_hash for x in sequences], dtype=np.int64) if self.with_spans else None,
        )


def tokenize_corpus(
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    *,
    context_size: int,
    n_tokens: int,
    prepend_bos: bool = True,
    start_document: int = 0,
) -> TokenBatch:
    """The first `n_tokens` kept tokens of a corpus, as one batch.

    Args:
        context_size: tokens in a sequence, BOS included.
        n_tokens: kept tokens; exact, because the last sequence's surplus is masked out (not used, still attended).
        prepend_bos: open every sequence with BOS (EOS where the tokenizer has no BOS), never twice.
        start_document: number of the first document.
    Returns:
        The batch, with the tokens' places in the texts (`char_spans`) if the tokenizer tells them: fast ones do.
    Raises:
        ValueError: the corpus has no document, or fewer tokens than asked for.
    """
    if n_tokens < 1:
        raise ValueError(f"n_tokens is at least 1; got {n_tokens}; raise it")
    sequencer = Sequencer(tokenizer, context_size, prepend_bos, with_spans=True)
    chosen: list[_Sequence] = []
    kept = 0
    with progress_bar(total=n_tokens, description="Tokenising", unit="tokens") as bar:
        for sequence in sequencer.sequences(corpus.documents(start_document)):
            new = sequencer.n_kept(sequence.ids)
            chosen.append(sequence)
            bar.update(min(new, n_tokens - kept))
            kept += new
            if kept >= n_tokens:
                break
    if kept < n_tokens:
        raise ValueError(
            f"expected {n_tokens} tokens from {corpus.name} (from document {start_document}); got {kept}; "
            "lower n_tokens or give more text"
        )
    batch = sequencer.batch(chosen)
    surplus = kept - n_tokens
    if surplus:
        rows, columns = np.nonzero(batch.keep_mask)
        batch.keep_mask[rows[-surplus:], columns[-surplus:]] = False
    return batch


def stream_sequences(
    corpus: Corpus,
    tokenizer: PreTrainedTokenizerBase,
    *,
    context_size: int,
    sequences_per_batch: int,
    start_document: int = 0,
    skip_sequences: int = 0,
    prepend_bos: bool = True,
) -> Iterator[TokenBatch]:
    """Batches of sequences, in corpus order, for as long as the corpus has documents; the last may be smaller.

    Args:
        context_size: tokens in a sequence, BOS included.
        sequences_per_batch: rows of every batch.
        start_document: number of the first document.
        skip_sequences: sequences left out at the start (to go on inside a long document).
        prepend_bos: open every sequence with BOS (EOS where the tokenizer has no BOS), never twice.
    Raises:
        ValueError: sequences_per_batch below 1; the corpus has no token at all.
    """
    if sequences_per_batch < 1:
        raise ValueError(f"sequences_per_batch is at least 1; got {sequences_per_batch}; raise it")
    sequencer = Sequencer(tokenizer, context_size, prepend_bos)
    sequences = islice(sequencer.sequences(corpus.documents(start_document)), skip_sequences, None)
    empty = skip_sequences == 0
    while chosen := list(islice(sequences, sequences_per_batch)):
        empty = False
        yield sequencer.batch(chosen)
    if empty:
        raise ValueError(f"{corpus.name} has no text from document {start_document} on; check path, split and column")


def _text_spans(text: str, offsets: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Offsets without surrounding white space, so that " dog" and, from a tokenizer that drops spaces, "dog" are alike."""
    spans = []
    for start, stop in offsets:
        piece = text[start:stop]
        if piece and not piece.isspace():
            start += len(piece) - len(piece.lstrip())
            stop = start + len(piece.strip())
        spans.append((start, max(stop, start + 1)))
    return spans


def _text_hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
