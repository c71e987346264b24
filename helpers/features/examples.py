"""Top examples of every feature: the tokens on which it fires most, found in one walk over a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from jaxtyping import Bool

from helpers.activations import ActivationStore, CsrRows
from helpers.array_file import ArrayFile

_FILE = ArrayFile("top examples", remedy="run 03_save_activations again")
MISSING = -1


@dataclass(frozen=True)
class TopExamples:
    """The strongest examples of every feature, strongest first, at most one a document.

    Shapes:
        rows: (d_sae, n_examples) int64, row of the store, -1 where a feature has fewer;
        values: (d_sae, n_examples) float32, 0 where there is no example; counts: (d_sae,) int64, firings in all.
    """

    rows: np.ndarray
    values: np.ndarray
    counts: np.ndarray

    @property
    def n_examples(self) -> int:
        return self.rows.shape[1]

    @property
    def d_sae(self) -> int:
        return self.rows.shape[0]

    def tokens(self, token_ids: np.ndarray) -> np.ndarray:
        """Token of every example, (d_sae, n_examples) int32, -1 where there is none.

        Shapes:
            token_ids: (n_tokens,), of the store's rows.
        """
        found = np.asarray(token_ids)[np.maximum(self.rows, 0)]
        return np.where(self.rows >= 0, found, MISSING).astype(np.int32)

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        _FILE.write(path, rows=self.rows, values=self.values, counts=self.counts)

    @classmethod
    def load(cls, path: str | Path) -> TopExamples:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, or not a file of top examples, or a newer format.
        """
        with _FILE.read(path) as content:
            return cls(content["rows"], content["values"], content["counts"])


def top_examples(
    store: ActivationStore, *, n_examples: int = 5, keep_mask: Bool[np.ndarray, " n_tokens"] | None = None
) -> TopExamples:
    """Find the `n_examples` strongest tokens of every feature, at most one a document.

    Equal values: the earlier row comes first. One walk over the store, whatever d_sae; memory is that of the result.
    Args:
        n_examples: examples kept of every feature.
        keep_mask: rows of the store that may be examples (True = used), e.g. those of some documents; None: all. Rows
            keep their numbers, and `counts` are of the kept rows.
    Raises:
        ValueError: n_examples below 1, or a mask that is not one bool a row.
    Notes:
        Pre-activations (hidden_pre) are ranked by value too, negative ones included; `counts` are then the tokens on
        which they are not 0.
    """
    if n_examples < 1:
        raise ValueError(f"n_examples must be at least 1; got {n_examples}")
    keep = np.ones(store.n_tokens, dtype=bool) if keep_mask is None else np.asarray(keep_mask)
    if keep.shape != (store.n_tokens,) or keep.dtype != bool:
        raise ValueError(f"keep_mask must be ({store.n_tokens},) bool, one a row; got {keep.dtype} {keep.shape}")
    rows = np.full((store.d_sae, n_examples), MISSING, dtype=np.int64)
    counts = np.zeros(store.d_sae, dtype=np.int64)
    values = np.full((store.d_sae, n_examples), -np.inf, dtype=np.float32)
    owners = np.full((store.d_sae, n_examples), MISSING, dtype=np.int64)
    for first, block in store.row_blocks():
        part = slice(first, first + block.shape[0])
        documents = np.ascontiguousarray(store.documents[part])
        if isinstance(block, CsrRows):
            data = block.data.astype(np.float32)
            _add_sparse(block.indptr, block.indices, data, first, documents, keep[part], rows, values, owners, counts)
        else:
            _add_dense(block.astype(np.float32), first, documents, keep[part], rows, values, owners, counts)
    values[rows < 0] = 0.0
    return TopExamples(rows, values, counts)


def majority_concepts(tokens: np.ndarray, concept_of: Callable[[int], str | None], *, min_hits: int = 3) -> np.ndarray:
    """The concept that most of a feature's top tokens share, (d_sae,) object array of str or None.

    Shapes:
        tokens: (d_sae, n_examples), -1 where there is none.
    Args:
        concept_of: concept of a token id, None if it has none.
        min_hits: a concept needs this many of the examples; fewer, or a tie for the first place, give None.
    """
    labels: dict[int, str | None] = {int(token): concept_of(int(token)) for token in np.unique(tokens) if token >= 0}
    return np.array([_majority((labels.get(int(token)) for token in row), min_hits) for row in tokens], dtype=object)


def _majority(labels: Iterable[str | None], min_hits: int) -> str | None:
    hits: dict[str, int] = {}
    for label in labels:
        if label is not None:
            hits[label] = hits.get(label, 0) + 1
    most = max(hits.values(), default=0)
    leaders = [label for label, count in hits.items() if count == most]
    return leaders[0] if most >= min_hits and len(leaders) == 1 else None


@numba.njit(cache=True, nogil=True)
def _offer(rows, values, owners, row, value, document):  # pragma: no cover (compiled)
    """Put one example into a feature's list if it belongs there. Rows come in ascending order."""
    at = rows.size - 1
    if not value > values[at]:
        return  # most activations: weaker than all that is kept
    for slot in range(rows.size):
        if rows[slot] >= 0 and owners[slot] == document:
            at = slot  # the document's own example gives way, if it is weaker
            break
    if not value > values[at]:
        return
    while at > 0 and value > values[at - 1]:
        rows[at], values[at], owners[at] = rows[at - 1], values[at - 1], owners[at - 1]
        at -= 1
    rows[at], values[at], owners[at] = row, value, document


@numba.njit(cache=True, nogil=True)
def _add_sparse(indptr, indices, data, first, documents, keep, rows, values, owners, counts):  # pragma: no cover
    for row in range(indptr.size - 1):
        if not keep[row]:
            continue
        for entry in range(indptr[row], indptr[row + 1]):
            f = indices[entry]
            counts[f] += data[entry] != 0
            _offer(rows[f], values[f], owners[f], first + row, data[entry], documents[row])


@numba.njit(cache=True, nogil=True)
def _add_dense(block, first, documents, keep, rows, values, owners, counts):  # pragma: no cover
    for row in range(block.shape[0]):
        if not keep[row]:
            continue
        for f in range(block.shape[1]):
            counts[f] += block[row, f] != 0
            _offer(rows[f], values[f], owners[f], first + row, block[row, f], documents[row])
