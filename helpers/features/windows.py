"""The text around rows of a store, token by token, with letters whole where a tokenizer cuts them into bytes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.features.contexts import visible
from helpers.features.spelling import spell, token_bytes

if TYPE_CHECKING:
    from helpers.corpus import TokenBatch


@dataclass(frozen=True)
class Piece:
    """Text of one row, or of several whose tokens are parts of the same letter.

    Shapes:
        rows: (n_tokens,) int64, ascending.
    """

    text: str
    rows: np.ndarray


class RowWindows:
    """Stretches of a token batch by row; make one and ask it often.

    Args:
        tokens: the batch of the store.
        tokenizer: the Hugging Face tokenizer that made it.
    """

    def __init__(self, tokens: TokenBatch, tokenizer: Any):
        self._token_ids = tokens.token_ids()
        self._sequences = np.nonzero(tokens.keep_mask)[0]
        distinct = np.unique(self._token_ids)
        self._bytes = dict(zip(distinct.tolist(), token_bytes(tokenizer, distinct), strict=True))

    def around(self, row: int, *, before: int, after: int) -> tuple[Piece, ...]:
        """What is read around a row: at most `before` and `after` tokens, all of its own sequence.

        Raises:
            ValueError: the row is not in the batch.
        """
        if not 0 <= row < len(self._token_ids):
            raise ValueError(
                f"row must be in [0, {len(self._token_ids)}); got {row}; is this the token batch of the store?"
            )
        first, stop = max(0, row - before), min(len(self._token_ids), row + after + 1)
        rows = np.arange(first, stop)
        return self._pieces(rows[self._sequences[first:stop] == self._sequences[row]])

    def _pieces(self, rows: np.ndarray) -> tuple[Piece, ...]:
        spelling = spell([self._bytes[int(token_id)] for token_id in self._token_ids[rows]])
        # A token that begins inside a letter belongs to the piece of the token before.
        begins = np.append(True, spelling.first[1:] >= np.maximum.accumulate(spelling.stop)[:-1])
        places = np.append(np.flatnonzero(begins), len(rows))
        return tuple(
            Piece(visible(spelling.text[spelling.first[i] : spelling.stop[j - 1]]), rows[i:j])
            for i, j in pairwise(places.tolist())
        )
