"""The text around a token, for people: decoded tokens with their spaces, newlines made visible."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from helpers.corpus import TokenBatch
    from helpers.features.examples import TopExamples

NEWLINE = "\u23ce"
REPLACEMENT = "\ufffd"  # what decoding gives for a token that is a part of a character


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
    """Every token as text: a leading space is kept, a newline shows as \u23ce.

    Args:
        tokenizer: a Hugging Face tokenizer.
        token_ids: ids; -1 (no token) gives "".
    """
    return [_token_text(tokenizer, int(token_id)) for token_id in token_ids]


def context_text(tokens: TokenBatch, row: int, tokenizer: Any, *, before: int = 8, after: int = 4) -> Context:
    """The token of a store's row with its neighbours in the same sequence; BOS, padding and special tokens are left out.

    Args:
        row: row of the store, that is the row-th kept position of the batch.
        before, after: most tokens on either side.
    Raises:
        ValueError: the row is not in the batch.
    """
    if not 0 <= row < tokens.n_tokens:
        raise ValueError(f"row must be in [0, {tokens.n_tokens}); got {row}; is this the batch of the store?")
    return _context(tokens, tokens.row_locations()[row], tokenizer, before=before, after=after)


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
    locations = tokens.row_locations()
    return [
        _context(tokens, locations[row], tokenizer, before=before, after=after) if row >= 0 else None for row in rows
    ]


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


def _context(tokens: TokenBatch, location: np.ndarray, tokenizer: Any, *, before: int, after: int) -> Context:
    sequence, column = (int(value) for value in location)
    ids, keep_mask = tokens.input_ids[sequence], tokens.keep_mask[sequence]
    earlier = [i for i in range(max(0, column - before), column) if keep_mask[i]]
    later = [i for i in range(column + 1, min(len(ids), column + 1 + after)) if keep_mask[i]]
    left, right = ("".join(token_texts(tokenizer, ids[part])) for part in (earlier, later))
    return Context(left, _token_text(tokenizer, int(ids[column])), right)


def _token_text(tokenizer: Any, token_id: int) -> str:
    if token_id < 0:
        return ""
    piece = tokenizer.convert_ids_to_tokens(token_id)
    if isinstance(piece, str) and piece.startswith("\u2581"):
        text = piece.replace("\u2581", " ")  # SentencePiece: decoding one token would drop its leading space
    else:
        text = tokenizer.decode([token_id], clean_up_tokenization_spaces=False)
        if REPLACEMENT in text and isinstance(piece, str):
            text = piece
    return text.replace("\r", "").replace("\n", NEWLINE)
