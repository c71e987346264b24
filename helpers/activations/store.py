"""ActivationStore: the activations of one dictionary on one token batch, read from disk without loading them.

Rows are tokens, columns are features; row i is the same token in every store of a study. Post-activations are sparse
(0.1 to 0.3 % non-zero in real dictionaries) and never made dense; pre-activations are dense by nature.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from helpers.activations import manifest as layout
from helpers.activations.batches import CsrRows
from helpers.activations.manifest import Manifest, check_files, read_manifest
from helpers.activations.writer import StoreWriter


class ActivationStore:
    """A finished store, memory-mapped. Make one with `create`, read one with `open`.

    Attributes:
        path, manifest: where it is, what it is.
        token_ids, documents, positions: (n_tokens,) int32, of every row.
        feature_counts: (d_sae,) int64, tokens on which a feature is not 0.
    """

    def __init__(self, path: Path, manifest: Manifest):
        self.path = path
        self.manifest = manifest

    @classmethod
    def open(cls, path: str | Path, *, verify: bool = True) -> ActivationStore:
        """Open a store; sizes are checked always, checksums with `verify` (reads every byte, at a gigabyte a second).

        Raises:
            ValueError: no store there, a newer format, or a missing, truncated or altered file (named).
        """
        path = Path(path)
        manifest = read_manifest(path)
        check_files(path, manifest, verify=verify)
        store = cls(path, manifest)
        store._check_shapes()
        return store

    @classmethod
    @contextmanager
    def create(
        cls,
        path: str | Path,
        *,
        d_sae: int,
        dtype: str = "float16",
        kind: str = "feature_acts",
        signed: bool = False,
        tokens_fingerprint: str = "",
        tokenizer_fingerprint: str = "",
        source: dict[str, Any] | None = None,
        resume: bool = False,
    ) -> Iterator[StoreWriter]:
        """Write a store: a context manager whose value takes `append(batch, token_ids=, documents=, positions=)`.

        The files grow beside `path` and are renamed to it when the block ends without an exception; until then an
        earlier store at `path` stays as it was.

        Args:
            kind: "feature_acts" (stored sparse) or "hidden_pre" (stored dense).
            dtype: "float16" or "float32".
            signed: allow negative feature activations.
            source: free notes (model, hook, dictionary); part of what must agree for a resumption.
            resume: go on from the last complete batch of an interrupted writer with the same arguments, and keep a
                finished, unaltered store with the same arguments as it is (`source` must then name all that decides its
                values); the writer's `n_tokens` says how many rows are there. Without it, and with other arguments, it
                starts anew.
        Raises:
            ValueError: an argument or a batch is wrong. OSError: the disk is full or read-only, in one sentence.
        """
        writer = StoreWriter(
            Path(path),
            d_sae=d_sae,
            dtype=dtype,
            kind=kind,
            signed=signed,
            tokens_fingerprint=tokens_fingerprint,
            tokenizer_fingerprint=tokenizer_fingerprint,
            source=source or {},
            resume=resume,
        )
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()

    @property
    def d_sae(self) -> int:
        return self.manifest.d_sae

    @property
    def n_tokens(self) -> int:
        return self.manifest.n_tokens

    @property
    def nnz(self) -> int:
        return self.manifest.nnz

    @property
    def kind(self) -> str:
        return self.manifest.kind

    @property
    def is_sparse(self) -> bool:
        return self.kind == "feature_acts"

    @property
    def shape(self) -> tuple[int, int]:
        return self.n_tokens, self.d_sae

    @property
    def l0(self) -> float:
        """Mean number of non-zero features on a token."""
        return self.nnz / self.n_tokens

    @property
    def density(self) -> float:
        """Share of non-zero values: l0 / d_sae."""
        return self.l0 / self.d_sae

    @cached_property
    def token_ids(self) -> np.ndarray:
        return self._map(layout.ROW_FILES["token_ids"])

    @cached_property
    def documents(self) -> np.ndarray:
        return self._map(layout.ROW_FILES["documents"])

    @cached_property
    def positions(self) -> np.ndarray:
        return self._map(layout.ROW_FILES["positions"])

    @cached_property
    def feature_counts(self) -> np.ndarray:
        return np.load(self.path / layout.FEATURE_FILES["feature_counts"])

    @cached_property
    def feature_sums(self) -> np.ndarray:
        return np.load(self.path / layout.FEATURE_FILES["feature_sums"])

    @cached_property
    def feature_squares(self) -> np.ndarray:
        return np.load(self.path / layout.FEATURE_FILES["feature_squares"])

    @property
    def means(self) -> np.ndarray:
        """(d_sae,) float64, over all tokens, zeros included."""
        return self.feature_sums / self.n_tokens

    @property
    def stds(self) -> np.ndarray:
        """(d_sae,) float64, population standard deviation over all tokens, zeros included."""
        return np.sqrt(np.maximum(self.feature_squares / self.n_tokens - self.means**2, 0.0))

    def rows(self, start: int, stop: int) -> scipy.sparse.csr_array | np.ndarray:
        """Rows start..stop in float32: a CSR array for feature_acts, a dense (n_rows, d_sae) array for hidden_pre."""
        start, stop, _ = slice(start, stop).indices(self.n_tokens)
        stop = max(start, stop)
        if not self.is_sparse:
            return self.dense()[start:stop].astype(np.float32)
        block = self.csr_block(start, stop)
        shape = (stop - start, self.d_sae)
        return scipy.sparse.csr_array((block.data.astype(np.float32), block.indices.copy(), block.indptr), shape=shape)

    def csr(self) -> CsrRows:
        """The whole sparse matrix as its memory-mapped arrays, values in the stored type; nothing is read yet."""
        self._require_sparse()
        return CsrRows(*self._csr_files, self.d_sae)

    def csr_block(self, start: int, stop: int) -> CsrRows:
        """Rows start..stop as views of the memory-mapped arrays (indptr is rebased)."""
        self._require_sparse()
        indptr, indices, data = self._csr_files
        low, high = int(indptr[start]), int(indptr[stop])
        return CsrRows(np.asarray(indptr[start : stop + 1]) - low, indices[low:high], data[low:high], self.d_sae)

    def dense(self) -> np.ndarray:
        """The whole dense matrix of a hidden_pre store, memory-mapped, (n_tokens, d_sae)."""
        if self.is_sparse:
            raise ValueError(f"{self.path} holds sparse feature_acts; read it with rows() or csr()")
        return self._dense_file

    def row_blocks(self, *, block_rows: int = 8192) -> Iterator[tuple[int, CsrRows | np.ndarray]]:
        """Walk over the store once: (first row, CSR or dense rows in the stored type)."""
        for start in range(0, self.n_tokens, block_rows):
            stop = min(start + block_rows, self.n_tokens)
            yield start, self.csr_block(start, stop) if self.is_sparse else self._dense_file[start:stop]

    @property
    def n_bytes(self) -> int:
        """Size on disk, in bytes."""
        return sum(file.stat().st_size for file in self.path.iterdir())

    def checksum(self) -> str:
        """SHA-256 of the contents; equal for equal rows, features and values."""
        return self.manifest.checksum()

    def __repr__(self) -> str:
        return (
            f"ActivationStore({str(self.path)!r}, {self.kind}, n_tokens={self.n_tokens}, d_sae={self.d_sae}, "
            f"l0={self.l0:.1f}, density={self.density:.2%})"
        )

    @cached_property
    def _csr_files(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self._map(layout.INDPTR_FILE), self._map(layout.INDICES_FILE), self._map(layout.DATA_FILE)

    @cached_property
    def _dense_file(self) -> np.ndarray:
        return self._map(layout.DENSE_FILE)

    def _map(self, name: str) -> np.ndarray:
        try:
            # A plain array over the mapping: slices of np.memmap are slow to make and drag the class along.
            return np.asarray(np.load(self.path / name, mmap_mode="r", allow_pickle=False))
        except ValueError as error:
            raise ValueError(f"{self.path / name} is damaged ({error}); {layout.REMEDY}") from error

    def _require_sparse(self) -> None:
        if not self.is_sparse:
            raise ValueError(f"{self.path} holds dense hidden_pre; read it with rows() or dense()")

    def _check_shapes(self) -> None:
        n_tokens, d_sae = self.shape
        expected: dict[str, tuple[int, ...]] = {name: (n_tokens,) for name in layout.ROW_FILES.values()}
        expected |= {name: (d_sae,) for name in layout.FEATURE_FILES.values()}
        if self.is_sparse:
            expected |= {layout.INDPTR_FILE: (n_tokens + 1,)}
            expected |= {layout.INDICES_FILE: (self.nnz,), layout.DATA_FILE: (self.nnz,)}
        else:
            expected |= {layout.DENSE_FILE: (n_tokens, d_sae)}
        for name, shape in expected.items():
            if (found := self._map(name).shape) != shape:
                raise ValueError(f"{self.path / name} should have shape {shape}, has {found}; {layout.REMEDY}")
