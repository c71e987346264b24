"""Rows of two token batches that cover the same text, when their tokenizers cut it differently.

The common *units* are the smallest stretches of text whose borders are token borders in both batches: "grandmother" is one
unit if one tokenizer has it as a token and the other as grand|m|other. Tokens are compared by the characters that they
cover without surrounding white space, so " dog" and, of a tokenizer that drops spaces, "dog" are the same; tokens of white
space alone (a line break) form units with their like only. Tokens without a whole counterpart are left out and counted:
those of other documents, of the cut end of a batch, and those whose unit holds a special token.

Batches of one tokenizer are aligned by document and position instead, and exactly: every common token is a unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Int32, Int64

from helpers.corpus.token_batch import TokenBatch

LOST = -1


@dataclass(frozen=True, eq=False)
class RowUnits:
    """The unit of every row of one batch.

    Shapes:
        of_rows: (n_tokens,), -1 for a row in no unit; otherwise ascending, the rows of a unit being neighbours.
    Args:
        n_units: units in all; every one has a row.
        tokens_fingerprint: of the batch.
    """

    of_rows: Int64[np.ndarray, " n_tokens"]
    n_units: int
    tokens_fingerprint: str

    @property
    def n_tokens(self) -> int:
        """Rows of the batch."""
        return len(self.of_rows)

    @property
    def sizes(self) -> Int64[np.ndarray, " n_units"]:
        """Rows of every unit, at least 1."""
        return np.bincount(self.of_rows[self.of_rows != LOST], minlength=self.n_units)

    @property
    def first_rows(self) -> Int64[np.ndarray, " n_units"]:
        """The first row of every unit."""
        rows = np.flatnonzero(self.of_rows != LOST)
        return rows[np.searchsorted(self.of_rows[rows], np.arange(self.n_units))]


@dataclass(frozen=True, eq=False)
class AlignedRows:
    """Units that two batches share, in the order of the text.

    Shapes:
        documents: (n_units,), number of each unit's document; spans: (n_units, 2), its characters (start, stop) without
        surrounding white space, or None where one tokenizer made both batches and they do not say.
    Args:
        a, b: the unit of every row of each batch.
        n_documents, n_only_a, n_only_b: documents in both batches, and in one only (left out).
        n_rows_a, n_rows_b: rows of the documents in both.
    """

    a: RowUnits
    b: RowUnits
    documents: Int32[np.ndarray, " n_units"]
    spans: Int32[np.ndarray, "n_units 2"] | None
    n_documents: int
    n_only_a: int
    n_only_b: int
    n_rows_a: int
    n_rows_b: int

    @property
    def n_units(self) -> int:
        """Number of units: the rows of aligned activations."""
        return self.a.n_units

    @property
    def share_one_to_one(self) -> float:
        """Share of the units that are one token in both batches, in (0, 1]."""
        return float(np.mean((self.a.sizes == 1) & (self.b.sizes == 1)))

    def report(self) -> dict[str, float]:
        """How much the batches have in common: counts, shares in [0, 1], mean tokens a unit.

        Lost shares are of the rows of common documents: what the tokenizers, and the ends of the batches, cost.
        """
        return {
            "n_units": self.n_units,
            "share_one_to_one": self.share_one_to_one,
            "tokens_per_unit_a": float(self.a.sizes.mean()),
            "tokens_per_unit_b": float(self.b.sizes.mean()),
            "lost_share_a": 1 - int(self.a.sizes.sum()) / self.n_rows_a,
            "lost_share_b": 1 - int(self.b.sizes.sum()) / self.n_rows_b,
            "n_documents": self.n_documents,
            "n_documents_only_a": self.n_only_a,
            "n_documents_only_b": self.n_only_b,
        }


def align_rows(tokens_a: TokenBatch, tokens_b: TokenBatch) -> AlignedRows:
    """The common units of two batches of the same documents.

    Returns:
        The units and the rows that each consists of. A batch against itself: every row is a unit.
    Raises:
        ValueError: no document in common; a document of other text; documents out of order; different tokenizers and
            no character spans; no unit in common.
    """
    for name, tokens in (("a", tokens_a), ("b", tokens_b)):
        if bool((np.diff(tokens.documents) < 0).any()):
            raise ValueError(f"the documents of batch {name} must ascend; build batches with tokenize_corpus")
    documents_a, documents_b = tokens_a.row_documents(), tokens_b.row_documents()
    found_a, found_b = np.unique(documents_a), np.unique(documents_b)
    common = np.intersect1d(found_a, found_b)
    if len(common) == 0:
        raise ValueError(
            f"the batches must share documents; got {_range(found_a)} and {_range(found_b)}; tokenise the same documents"
        )
    align = _by_position if tokens_a.tokenizer_fingerprint == tokens_b.tokenizer_fingerprint else _by_characters
    units = align(tokens_a, tokens_b)
    n_units = len(units.documents)
    if n_units == 0:
        raise ValueError(
            "the batches share documents but no unit of text; are they parts of different length or place?"
        )
    return AlignedRows(
        a=RowUnits(units.of_rows_a, n_units, tokens_a.fingerprint()),
        b=RowUnits(units.of_rows_b, n_units, tokens_b.fingerprint()),
        documents=units.documents,
        spans=units.spans,
        n_documents=len(common),
        n_only_a=len(found_a) - len(common),
        n_only_b=len(found_b) - len(common),
        n_rows_a=int(np.isin(documents_a, common).sum()),
        n_rows_b=int(np.isin(documents_b, common).sum()),
    )


def unit_token_ids(units: RowUnits, tokens: TokenBatch) -> list[tuple[int, ...]]:
    """The token ids of every unit in one of its batches."""
    ids, first = tokens.token_ids().tolist(), units.first_rows
    return [tuple(ids[start:stop]) for start, stop in zip(first.tolist(), (first + units.sizes).tolist(), strict=True)]


class _Units(NamedTuple):
    of_rows_a: np.ndarray
    of_rows_b: np.ndarray
    documents: np.ndarray
    spans: np.ndarray | None


class _Stretches(NamedTuple):
    """Every token of a batch but BOS and padding, in order; rows: its row, or -1 if it is not kept."""

    documents: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    rows: np.ndarray


def _by_position(tokens_a: TokenBatch, tokens_b: TokenBatch) -> _Units:
    """Units of one token each: equal document, equal position."""
    places_a, places_b = (
        tokens.row_documents().astype(np.int64) << 32 | tokens.row_positions() for tokens in (tokens_a, tokens_b)
    )
    common, rows_a, rows_b = np.intersect1d(places_a, places_b, return_indices=True)
    differ = tokens_a.token_ids()[rows_a] != tokens_b.token_ids()[rows_b]
    if bool(differ.any()):
        raise ValueError(_other_text(int(common[np.argmax(differ)] >> 32)))
    of_rows_a, of_rows_b = (np.full(len(places), LOST, dtype=np.int64) for places in (places_a, places_b))
    of_rows_a[rows_a] = of_rows_b[rows_b] = np.arange(len(common))
    spans = None if tokens_a.char_spans is None else tokens_a.char_spans[tokens_a.keep_mask][rows_a]
    return _Units(of_rows_a, of_rows_b, (common >> 32).astype(np.int32), spans)


def _by_characters(tokens_a: TokenBatch, tokens_b: TokenBatch) -> _Units:
    """Units of tokens whose characters overlap, kept where both sides cover the same ones with kept tokens."""
    for name, tokens in (("a", tokens_a), ("b", tokens_b)):
        if not tokens.has_spans:
            raise ValueError(
                f"batches of different tokenizers are aligned by characters, and batch {name} does not say where its tokens "
                "stand in the texts: an earlier version saved it, or its tokenizer tells no offsets (only fast ones do); "
                "tokenise again (03_save_activations), with a fast tokenizer"
            )
    _check_texts(tokens_a, tokens_b)
    sides = [_stretches(tokens) for tokens in (tokens_a, tokens_b)]
    groups = _overlap_groups(*sides[0][:3], *sides[1][:3])
    n_groups = 1 + max(int(group.max(initial=-1)) for group in groups)
    covered, whole = [], np.ones(n_groups, dtype=bool)
    for side, group in zip(sides, groups, strict=True):
        low, high = np.full(n_groups, np.iinfo(np.int32).max, dtype=np.int32), np.full(n_groups, -1, dtype=np.int32)
        np.minimum.at(low, group, side.starts)
        np.maximum.at(high, group, side.stops)
        covered.append(np.stack([low, high], axis=1))
        whole[group[side.rows == LOST]] = False
    whole &= (covered[0] == covered[1]).all(axis=1)
    numbers = np.where(whole, np.cumsum(whole) - 1, LOST)
    documents = np.zeros(n_groups, dtype=np.int32)
    of_rows = []
    for side, group in zip(sides, groups, strict=True):
        documents[group] = side.documents
        of_rows.append(numbers[group[side.rows != LOST]])
    return _Units(of_rows[0], of_rows[1], documents[whole], covered[0][whole])


def _stretches(tokens: TokenBatch) -> _Stretches:
    assert tokens.char_spans is not None
    real = tokens.attention_mask.copy()
    real[:, : tokens.bos_columns] = False
    kept = tokens.keep_mask[real]
    spans = tokens.char_spans[real]
    rows = np.where(kept, np.cumsum(kept) - 1, LOST)
    documents = tokens.documents[np.nonzero(real)[0]]
    return _Stretches(documents, np.ascontiguousarray(spans[:, 0]), np.ascontiguousarray(spans[:, 1]), rows)


def _check_texts(tokens_a: TokenBatch, tokens_b: TokenBatch) -> None:
    """Refuse documents of one number and different texts."""
    hashes = []
    common = np.intersect1d(tokens_a.documents, tokens_b.documents)
    for tokens in (tokens_a, tokens_b):
        assert tokens.text_hashes is not None
        hashes.append(tokens.text_hashes[np.searchsorted(tokens.documents, common)])
    differ = hashes[0] != hashes[1]
    if bool(differ.any()):
        raise ValueError(_other_text(int(common[np.argmax(differ)])))


def _other_text(document: int) -> str:
    return f"document {document} has different texts in the two batches; tokenise the same corpus for both"


def _range(documents: np.ndarray) -> str:
    return f"documents {documents[0]} to {documents[-1]}" if len(documents) else "no document"


@numba.njit(cache=True, nogil=True)
def _overlap_groups(documents_a, starts_a, stops_a, documents_b, starts_b, stops_b):  # pragma: no cover (compiled)
    """Number the groups of tokens that are connected by overlapping characters, walking both batches in text order."""
    groups_a, groups_b = np.empty(starts_a.size, np.int64), np.empty(starts_b.size, np.int64)
    i, j, group, document, end = 0, 0, -1, -1, 0
    while i < starts_a.size or j < starts_b.size:
        from_a = j == starts_b.size
        if i < starts_a.size and not from_a:
            from_a = documents_a[i] < documents_b[j] or (
                documents_a[i] == documents_b[j] and starts_a[i] <= starts_b[j]
            )
        if from_a:
            at, start, stop = documents_a[i], starts_a[i], stops_a[i]
        else:
            at, start, stop = documents_b[j], starts_b[j], stops_b[j]
        if group < 0 or at != document or start >= end:
            group, document, end = group + 1, at, stop
        else:
            end = max(end, stop)
        if from_a:
            groups_a[i] = group
            i += 1
        else:
            groups_b[j] = group
            j += 1
    return groups_a, groups_b
