"""Prompts as padded rows of tokens, and which of their tokens are steered.

A row's tokens stand together, with padding on the left or on the right. Every place is counted over the row's real tokens, so
padding moves none of them: position 0 is the first real token (BOS where there is one), -1 the last of the prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Int64

from helpers.corpus import TokenBatch
from helpers.corpus.tokenizer import masked_token_ids, start_token_id

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedTokenizerBase

Side = Literal["left", "right"]
Position = int | tuple[int, ...]
#: Which tokens an intervention changes: see `steered_columns`.
At = Literal["last", "new", "from_last", "everywhere"] | tuple[Position, ...]
_PLACES = ("last", "new", "from_last", "everywhere")


@dataclass(frozen=True, eq=False)
class Prompts:
    """Token sequences of different lengths in one array.

    Shapes:
        input_ids, attention_mask, keep_mask: (n_prompts, n_columns).
    Args:
        input_ids: int64; anything on padding.
        attention_mask: True on real tokens, BOS included; a row's real tokens are neighbours.
        keep_mask: True on tokens of text; False on padding, BOS and every other special token.
    """

    input_ids: Int64[np.ndarray, "n_prompts n_columns"]
    attention_mask: Bool[np.ndarray, "n_prompts n_columns"]
    keep_mask: Bool[np.ndarray, "n_prompts n_columns"]

    def __post_init__(self) -> None:
        shapes = {self.input_ids.shape, self.attention_mask.shape, self.keep_mask.shape}
        if self.input_ids.ndim != 2 or len(shapes) != 1 or not self.input_ids.size:
            raise ValueError(f"ids and masks share one shape (n_prompts, n_columns), not empty; got {sorted(shapes)}")
        if not self.attention_mask.any(axis=1).all():
            raise ValueError("every prompt has a real token; got an empty one; leave it out")
        if (np.abs(np.diff(self.attention_mask.astype(np.int8), axis=1)).sum(axis=1) > 1).any():
            raise ValueError(
                "a prompt's real tokens begin or end their row and are neighbours; got padding between them"
            )
        if bool((self.keep_mask & ~self.attention_mask).any()):
            raise ValueError("keep_mask is True on padding; steer real tokens only")

    @property
    def n_prompts(self) -> int:
        return self.input_ids.shape[0]

    @property
    def n_columns(self) -> int:
        """Length of every row, padding included."""
        return self.input_ids.shape[1]

    @property
    def lengths(self) -> Int64[np.ndarray, " n_prompts"]:
        """Real tokens of every prompt, BOS included."""
        return self.attention_mask.sum(axis=1)

    @property
    def first(self) -> Int64[np.ndarray, " n_prompts"]:
        """Column of every prompt's first real token."""
        return self.attention_mask.argmax(axis=1)

    @property
    def last(self) -> Int64[np.ndarray, " n_prompts"]:
        """Column of every prompt's last real token."""
        return self.first + self.lengths - 1

    @property
    def is_left_padded(self) -> bool:
        """Whether any row begins with padding; without padding False."""
        return bool((self.first > 0).any())

    def padded(self, side: Side) -> Prompts:
        """The same prompts with all padding on one side, and no more columns than the longest needs."""
        longest = int(self.lengths.max())
        shape = (self.n_prompts, longest)
        arrays = {
            "input_ids": np.full(shape, self.input_ids[0, self.first[0]], np.int64),  # any id that the model has
            "attention_mask": np.zeros(shape, bool),
            "keep_mask": np.zeros(shape, bool),
        }
        for row, (start, length) in enumerate(zip(self.first, self.lengths, strict=True)):
            to = slice(longest - length, longest) if side == "left" else slice(0, length)
            for name, array in arrays.items():
                array[row, to] = getattr(self, name)[row, start : start + length]
        return Prompts(**arrays)

    def part(self, start: int, stop: int) -> Prompts:
        """Prompts start..stop, in their order."""
        rows = slice(start, stop)
        return replace(
            self,
            input_ids=self.input_ids[rows],
            attention_mask=self.attention_mask[rows],
            keep_mask=self.keep_mask[rows],
        )

    def as_batch(self) -> TokenBatch:
        """A batch for whatever streams activations: padding on the right, one document a prompt."""
        right = self.padded("right")
        numbers = np.arange(self.n_prompts, dtype=np.int32)
        return TokenBatch(
            input_ids=right.input_ids.astype(np.int32),
            keep_mask=right.keep_mask,
            attention_mask=right.attention_mask,
            documents=numbers,
            starts=np.zeros_like(numbers),
            tokenizer_fingerprint="",
        )


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, side: Side = "left", prepend_bos: bool = True
) -> Prompts:
    """Tokenise texts as they stand, BOS first, and pad them to one length.

    Args:
        side: where the padding goes; results do not depend on it. On the left every prompt ends in the last column, so that
            only this column needs logits.
    Raises:
        ValueError: no text, one without tokens, or one with a word that the tokenizer does not know.
    """
    if not texts:
        raise ValueError("expected at least one prompt; got none")
    bos = [start_token_id(tokenizer)] if prepend_bos else []
    rows = [[*bos, *ids] for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]
    for text, row in zip(texts, rows, strict=True):
        if len(row) == len(bos) or tokenizer.unk_token_id in row[len(bos) :]:
            raise ValueError(f"a prompt is made of tokens that the tokenizer knows; got {text!r}; use its own words")
    longest = max(map(len, rows))
    input_ids = np.full((len(rows), longest), rows[0][0], np.int64)
    attention_mask = np.zeros(input_ids.shape, bool)
    for number, row in enumerate(rows):
        input_ids[number, : len(row)] = row
        attention_mask[number, : len(row)] = True
    keep_mask = attention_mask & ~np.isin(input_ids, list(masked_token_ids(tokenizer)))
    return Prompts(input_ids, attention_mask, keep_mask).padded(side)


def prompts_of_batch(batch: TokenBatch) -> Prompts:
    """The sequences of a token batch as prompts, e.g. held-out text on which steering must do no harm."""
    return Prompts(batch.input_ids.astype(np.int64), batch.attention_mask, batch.keep_mask)


def repeated_prompts(prompts: Prompts, n_times: int) -> Prompts:
    """All prompts, `n_times` one after another."""
    arrays = (prompts.input_ids, prompts.attention_mask, prompts.keep_mask)
    return Prompts(*(np.tile(array, (n_times, 1)) for array in arrays))


def require_fits(model: TransformerBridge, prompts: Prompts, *, n_new: int = 0) -> None:
    """Make sure that the model has room and a row of its embedding for every token.

    Raises:
        ValueError: a prompt with its new tokens is longer than the model's context, or an id is beyond its vocabulary.
    """
    longest, n_ctx = int(prompts.lengths.max()), model.cfg.n_ctx
    if n_ctx and longest + n_new > n_ctx:
        raise ValueError(
            f"prompts and {n_new} new tokens fit the model's {n_ctx} positions; got {longest} + {n_new}; shorten them"
        )
    largest = int(prompts.input_ids[prompts.attention_mask].max())
    if largest >= model.cfg.d_vocab:
        raise ValueError(
            f"token ids are below the model's {model.cfg.d_vocab}; got {largest}; encode with the model's own tokenizer"
        )


def steered_columns(prompts: Prompts, at: At, *, n_new: int = 0) -> Bool[np.ndarray, "n_prompts n_columns_and_new"]:
    """Which tokens an intervention changes.

    Args:
        at: "last", the last token of the prompt alone; "new", the tokens after the prompt; "from_last", both, which is
            whatever new tokens are predicted from; "everywhere", every token of text, old and new, but no BOS or other
            special token; or positions of the prompt, counted over its real tokens, negative from its end: the same for all
            prompts, as (3, -1), or a tuple for each, as ((3,), (2, 5)).
        n_new: tokens after the prompt.
    Returns:
        (n_prompts, n_columns + n_new) bool. What was generated after a right-padded prompt has no columns here: generation
        pads on the left.
    Raises:
        ValueError: an unknown place, no position, one that a prompt does not have, or not one tuple a prompt.
    """
    old = np.zeros((prompts.n_prompts, prompts.n_columns), bool)
    if at in ("last", "from_last"):
        old[np.arange(prompts.n_prompts), prompts.last] = True
    elif at == "everywhere":
        old |= prompts.keep_mask
    elif at != "new":
        for row, positions in enumerate(_positions(prompts, at)):
            old[row, positions] = True
    new = np.full((prompts.n_prompts, n_new), at in ("new", "from_last", "everywhere"))
    return np.concatenate([old, new], axis=1)


def require_place(at: object) -> None:
    """Make sure that `at` is one of the places, or positions.

    Raises:
        ValueError: it is not.
    """
    if isinstance(at, str) and at in _PLACES:
        return
    if not isinstance(at, tuple) or not at:
        raise ValueError(f"at is one of {', '.join(_PLACES)}, or a tuple of positions such as (-1,); got {at!r}")
    if not all(isinstance(entry, int) or (isinstance(entry, tuple) and len(entry) > 0) for entry in at):
        raise ValueError(f"positions are whole numbers, or one tuple of them a prompt; got {at!r}")


def _positions(prompts: Prompts, at: At) -> list[list[int]]:
    """Columns of the chosen positions, prompt by prompt."""
    require_place(at)
    assert isinstance(at, tuple)
    each = all(isinstance(entry, tuple) for entry in at)
    if each and len(at) != prompts.n_prompts:
        raise ValueError(f"expected one tuple of positions a prompt, {prompts.n_prompts}; got {len(at)}")
    columns = []
    for row, (first, length) in enumerate(zip(prompts.first.tolist(), prompts.lengths.tolist(), strict=True)):
        entry = at[row] if each else at
        wanted: list[int] = [int(position) for position in entry]  # type: ignore[union-attr, arg-type]
        beyond = [position for position in wanted if not -length <= position < length]
        if beyond:
            raise ValueError(f"prompt {row} has positions {-length} to {length - 1}; got {beyond[0]}")
        columns.append([first + (position % length) for position in wanted])
    return columns
