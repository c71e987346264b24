"""The text around a token, for people: decoded tokens with their spaces, newlines made visible.

A letter that is cut into several tokens (Arabic, Chinese, emoji) is shown whole on each of them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.features.spelling import spell, token_bytes
from helpers.features.word_borders import BORDER, NEWLINE

if TYPE_CHECKING:
    from helpers.corpus import TokenBatch
    from helpers.features.examples import TopExamples

_SEQUENCES_AT_ONCE = 1024
_LONE_BYTE = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Context:
    """A token between what comes before and after it."""

    before: str
    token: str
    after: str

    @property
    def text(self) -> str:
        return self.before + self.token + self.after


def token_texts(tokenizer: Any, token_ids: Iterable[int]) -> list[str]:
    """Every token alone as text: a leading space is kept, a newline shows as \u23ce, -1 (no token) gives "".

    Args:
        tokenizer: a Hugging Face tokenizer.
    Notes:
        A token that is a part of a character has no text alone: its bytes are shown, as "<0xD8>". In a context
        (`context_text`) it shows the character.
    """
    ids = [int(token_id) for token_id in token_ids]
    known = sorted({token_id for token_id in ids if token_id >= 0})
    pieces = dict(zip(known, token_bytes(tokenizer, known), strict=True))
    return [visible(pieces.get(token_id, b"").decode("utf-8", "surrogateescape")) for token_id in ids]


def context_text(tokens: TokenBatch, row: int, tokenizer: Any, *, before: int = 8, after: int = 4) -> Context:
    """The token of a store's row with its neighbours in the same sequence; BOS, padding and special tokens are left out.

    Args:
        row: row of the store, that is the row-th kept position of the batch.
        before, after: most tokens on either side.
    Raises:
        ValueError: the row is not in the batch.
    Notes:
        Neighbours that the mask leaves out are shown: the model has read them.
    """
    if not 0 <= row < tokens.n_tokens:
        raise ValueError(f"row must be in [0, {tokens.n_tokens}); got {row}; is this the batch of the store?")
    (context,) = context_texts(tokens, [row], tokenizer, before=before, after=after)
    assert context is not None
    return context


def context_texts(
    tokens: TokenBatch, rows: Iterable[int], tokenizer: Any, *, before: int = 8, after: int = 4
) -> list[Context | None]:
    """`context_text` of many rows at once; -1 (no example) gives None.

    Raises:
        ValueError: a row is not in the batch.
    """
    rows = np.asarray(list(rows), dtype=np.int64)
    if rows.size and (rows.min() < -1 or rows.max() >= tokens.n_tokens):
        raise ValueError(f"rows must be in [-1, {tokens.n_tokens}); got {rows.min()} to {rows.max()}")
    locations = _locations(tokens, rows)
    found: list[Context | None] = [None] * len(rows)
    needed = np.unique(locations[rows >= 0, 0])
    for start in range(0, len(needed), _SEQUENCES_AT_ONCE):
        sequences = needed[start : start + _SEQUENCES_AT_ONCE]
        mine = np.flatnonzero((rows >= 0) & np.isin(locations[:, 0], sequences))
        contexts = _contexts(tokens, sequences, locations[mine], tokenizer, before=before, after=after)
        for place, context in zip(mine, contexts, strict=True):
            found[place] = context
    return found


def example_contexts(
    examples: TopExamples, feature: int, tokens: TokenBatch, tokenizer: Any, *, n: int | None = None
) -> list[Context]:
    """Contexts of a feature's strongest examples, the strongest first.

    Args:
        n: at most so many; None takes all that there are.
    """
    rows = examples.rows[feature]
    found = context_texts(tokens, rows[rows >= 0][:n], tokenizer)
    return [context for context in found if context is not None]


def _locations(tokens: TokenBatch, rows: np.ndarray) -> np.ndarray:
    """(sequence, column) of some rows, (n_rows, 2); anything for -1. Looks into their sequences only."""
    n_kept = tokens.keep_mask.sum(axis=1)
    stops = n_kept.cumsum()
    sequences = np.searchsorted(stops, np.maximum(rows, 0), side="right")
    needed, lines = np.unique(sequences, return_inverse=True)
    columns = np.nonzero(tokens.keep_mask[needed])[1]
    firsts = n_kept[needed].cumsum() - stops[needed]  # place in `columns` of a sequence's first row, less its number
    return np.stack([sequences, columns[np.maximum(rows, 0) + firsts[lines]]], axis=1)


def _contexts(
    tokens: TokenBatch, sequences: np.ndarray, locations: np.ndarray, tokenizer: Any, *, before: int, after: int
) -> list[Context]:
    """Contexts of some places of a few sequences, whose texts are spelled once."""
    ids, keep_mask = tokens.input_ids[sequences], tokens.keep_mask[sequences]
    shown = keep_mask | (tokens.attention_mask[sequences] & ~np.isin(ids, tokenizer.all_special_ids))
    known = np.unique(ids[shown])
    pieces = dict(zip(known.tolist(), token_bytes(tokenizer, known), strict=True))
    n_before = np.pad(shown.cumsum(axis=1), ((0, 0), (1, 0)))  # tokens shown to the left of every column
    of_sequence = np.concatenate([[0], n_before[:, -1].cumsum()])
    pieces_in_order = [pieces[token_id] for token_id in ids[shown].tolist()]
    for first in of_sequence[:-1].tolist():
        pieces_in_order[first] = BORDER + pieces_in_order[first]  # characters never join over sequences
    spelling = spell(pieces_in_order)
    first, stop = spelling.first.tolist(), spelling.stop.tolist()
    found = []
    for sequence, column in locations.tolist():
        line = int(np.searchsorted(sequences, sequence))
        places = (max(0, column - before), column, min(ids.shape[1], column + 1 + after))
        left, at, right = (int(of_sequence[line] + n_before[line, place]) for place in places)
        cuts = (first[left], first[at], stop[at], stop[right - 1])
        parts = (spelling.text[i:j].lstrip("\0") for i, j in itertools.pairwise(cuts))
        found.append(Context(*(visible(part) for part in parts)))
    return found


def visible(text: str) -> str:
    """Newlines as a sign, a byte of a character that is not whole as its number."""
    text = text.replace("\r", "").replace("\n", NEWLINE)
    return _LONE_BYTE.sub(lambda found: f"<0x{ord(found[0]) - 0xDC00:02X}>", text)
