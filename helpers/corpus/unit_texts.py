"""The units of two aligned batches as a token batch of their own, with a tokenizer that knows their texts.

Whatever reads tokens (top examples, contexts, concepts, searches) reads units in the same way: a unit is a token whose text
is what it covers, with a space before it where white space parts it from the unit before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from helpers.corpus.alignment import AlignedRows, unit_token_ids
from helpers.corpus.token_batch import TokenBatch
from helpers.corpus.tokenizer import tokenizer_fingerprint, tokenizer_of_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast


@dataclass(frozen=True, eq=False)
class UnitBatch:
    """tokens: row u is unit u; tokenizer: decodes a unit's id to its text (`decode`, `convert_ids_to_tokens`)."""

    tokens: TokenBatch
    tokenizer: PreTrainedTokenizerFast


def unit_batch(
    aligned: AlignedRows,
    tokens_a: TokenBatch,
    tokens_b: TokenBatch,
    *,
    tokenizer_a: PreTrainedTokenizerBase,
    tokenizer_b: PreTrainedTokenizerBase,
) -> UnitBatch:
    """The units as tokens: one sequence a document (more if it is long), no BOS, every unit kept."""
    texts = unit_texts(aligned, tokens_a, tokens_b, tokenizer_a=tokenizer_a, tokenizer_b=tokenizer_b)
    tokenizer = tokenizer_of_texts(sorted(set(texts)))
    numbers = tokenizer.get_vocab()
    ids = np.array([numbers[text] for text in texts], dtype=np.int32)
    context_size = max(tokens_a.context_size, tokens_b.context_size)
    _, first, in_document = np.unique(aligned.documents, return_index=True, return_inverse=True)
    positions = np.arange(len(ids)) - first[in_document]
    opens = positions % context_size == 0
    rows, columns = np.cumsum(opens) - 1, positions % context_size
    input_ids = np.full((int(opens.sum()), context_size), tokenizer.pad_token_id, dtype=np.int32)
    keep_mask = np.zeros(input_ids.shape, dtype=np.bool_)
    input_ids[rows, columns], keep_mask[rows, columns] = ids, True
    tokens = TokenBatch(
        input_ids=input_ids,
        keep_mask=keep_mask,
        attention_mask=keep_mask.copy(),
        documents=aligned.documents[opens],
        starts=positions[opens].astype(np.int32),
        tokenizer_fingerprint=tokenizer_fingerprint(tokenizer),
        bos_columns=0,
    )
    return UnitBatch(tokens, tokenizer)


def unit_texts(
    aligned: AlignedRows,
    tokens_a: TokenBatch,
    tokens_b: TokenBatch,
    *,
    tokenizer_a: PreTrainedTokenizerBase,
    tokenizer_b: PreTrainedTokenizerBase,
) -> list[str]:
    """The text of every unit, decoded from a's tokens, or from b's where a does not know the word.

    Units of white space alone keep it; any other has one space before it where white space (or a token that is in no unit)
    parts it from the unit before, and none otherwise. Without spans the texts are the tokens', as they are decoded.
    """
    spaced = _spaced(aligned)
    ids_a, ids_b = unit_token_ids(aligned.a, tokens_a), unit_token_ids(aligned.b, tokens_b)
    known: dict[tuple[tuple[int, ...], tuple[int, ...], bool | None], str] = {}
    texts = []
    for one, other, space in zip(ids_a, ids_b, spaced, strict=True):
        unknown = tokenizer_a.unk_token_id in one
        key = (one, other if unknown else (), space)
        if key not in known:
            known[key] = _text(tokenizer_b, other, space) if unknown else _text(tokenizer_a, one, space)
        texts.append(known[key])
    return texts


def _spaced(aligned: AlignedRows) -> list[bool] | list[None]:
    """Whether white space is before a unit; None if it is not known."""
    if aligned.spans is None:
        return [None] * aligned.n_units
    same_document = aligned.documents[1:] == aligned.documents[:-1]
    return [False, *(same_document & (aligned.spans[1:, 0] > aligned.spans[:-1, 1])).tolist()]


def _text(tokenizer: PreTrainedTokenizerBase, ids: tuple[int, ...], space: bool | None) -> str:
    text = str(tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))
    return text if space is None or not text.strip() else " " * space + text.strip()
