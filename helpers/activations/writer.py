"""Write an activation store batch by batch, beside its target, so that an interrupted writer can be continued.

Memory is bounded by a batch. A journal in the unfinished folder names the rows that are complete; a continued writer
cuts off what was written after them. The per-feature totals are computed from the stored values at the end, in row
order, so a continued store equals an undisturbed one byte for byte.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from helpers.activations import manifest as layout
from helpers.activations.batches import CsrRows, csr_rows, dense_rows
from helpers.activations.manifest import Manifest, check_files, describe_files, library_versions, read_manifest
from helpers.activations.moments import column_moments
from helpers.activations.streams import ArrayStream
from helpers.storage import read_json, replace_folder, write_json

JOURNAL_FILE = "journal.json"


class StoreWriter:
    """Takes batches; made by `ActivationStore.create`."""

    def __init__(
        self,
        path: Path,
        *,
        d_sae: int,
        dtype: str,
        kind: str,
        signed: bool,
        tokens_fingerprint: str,
        tokenizer_fingerprint: str,
        source: dict[str, Any],
        resume: bool,
    ):
        if d_sae < 1:
            raise ValueError(f"d_sae must be at least 1; got {d_sae}")
        if kind not in layout.KINDS:
            raise ValueError(f"kind must be one of {', '.join(layout.KINDS)}; got {kind!r}")
        if dtype not in layout.DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(layout.DTYPES)}; got {dtype!r}")
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")
        self.resume = resume
        self.finished = False
        self._identity: dict[str, Any] = {
            "format_version": layout.FORMAT_VERSION,
            "d_sae": d_sae,
            "dtype": dtype,
            "kind": kind,
            "signed": signed,
            "tokens_fingerprint": tokens_fingerprint,
            "tokenizer_fingerprint": tokenizer_fingerprint,
            "source": source,
        }
        self.n_tokens = 0
        self.nnz = 0
        self._streams: dict[str, ArrayStream] = {}
        with self._disk_errors():
            if not (resume and (self._take_finished() or self._reopen())):
                self._start()

    def append(self, batch: Any, *, token_ids: Any, documents: Any, positions: Any) -> None:
        """Add rows.

        Shapes:
            batch: (n_rows, d_sae), dense array, tensor or SciPy sparse; token_ids, documents, positions: (n_rows,).
        Raises:
            ValueError: shapes disagree, values are not finite, negative, or too large for the stored type, or the store
                was finished before.
        """
        if self.finished:
            raise ValueError(f"{self.path} is finished and takes no more rows")
        label = str(self._identity["source"].get("hook_name", self.path.name))
        options = {"d_sae": self._identity["d_sae"], "dtype": self._identity["dtype"], "label": label}
        values: CsrRows | np.ndarray
        if self._identity["kind"] == "hidden_pre":
            values = dense_rows(batch, first_row=self.n_tokens, **options)
        else:
            values = csr_rows(batch, signed=self._identity["signed"], first_row=self.n_tokens, **options)
        row_values = {"token_ids": token_ids, "documents": documents, "positions": positions}
        row_arrays = {name: _row_array(name, array, values.shape[0]) for name, array in row_values.items()}
        with self._disk_errors():
            self._write(values, row_arrays)

    def finish(self) -> None:
        """Complete the files and rename the folder to its target; nothing is left to do for one that was finished before.

        Raises:
            ValueError: nothing was appended.
        """
        if self.finished:
            return
        if self.n_tokens == 0:
            raise ValueError(f"no rows were appended to {self.path}; an empty activation store is not written")
        with self._disk_errors():
            for stream in self._streams.values():
                stream.finish()
            self._write_moments()
            fields = {key: value for key, value in self._identity.items() if key != "format_version"}
            manifest = Manifest(
                **fields,
                n_tokens=self.n_tokens,
                nnz=self.nnz,
                files=describe_files(self.partial),
                versions=library_versions(),
            )
            manifest.write(self.partial)
            (self.partial / JOURNAL_FILE).unlink(missing_ok=True)
            replace_folder(self.partial, self.path)
        self.finished = True

    def close(self) -> None:
        """Close the files; an unfinished folder stays only where it can be continued."""
        for stream in self._streams.values():
            stream.abandon()
        if not self.finished and not self.resume:
            shutil.rmtree(self.partial, ignore_errors=True)

    def _start(self) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        self._streams = {name: ArrayStream(self.partial / name, **options) for name, options in self._layout().items()}
        if layout.INDPTR_FILE in self._streams:
            self._streams[layout.INDPTR_FILE].append(np.zeros(1, dtype=np.int64))

    def _take_finished(self) -> bool:
        """Keep a whole and unaltered store of the same identity; False if there is none."""
        try:
            manifest = read_manifest(self.path)
            if {key: getattr(manifest, key) for key in self._identity} != self._identity:
                return False
            check_files(self.path, manifest, verify=True)
        except ValueError:
            # None is there, or it is damaged: the rows are collected anew.
            return False
        shutil.rmtree(self.partial, ignore_errors=True)
        self.n_tokens, self.nnz, self.finished = manifest.n_tokens, manifest.nnz, True
        return True

    def _reopen(self) -> bool:
        """Continue an interrupted writer; False if there is none that fits."""
        journal_path = self.partial / JOURNAL_FILE
        if not journal_path.is_file():
            return False
        try:
            journal = read_json(journal_path)
            if journal["identity"] != self._identity:
                return False
            for name, options in self._layout().items():
                n_rows = journal["rows"][name]
                self._streams[name] = ArrayStream(self.partial / name, n_rows=n_rows, **options)
            self.n_tokens, self.nnz = journal["n_tokens"], journal["nnz"]
        except (ValueError, KeyError, TypeError):
            # A journal or a file that does not fit is no loss: the rows are collected anew.
            for stream in self._streams.values():
                stream.abandon()
            return False
        return True

    def _write(self, values: CsrRows | np.ndarray, row_arrays: dict[str, np.ndarray]) -> None:
        if isinstance(values, CsrRows):
            self._streams[layout.INDPTR_FILE].append(values.indptr[1:] + self.nnz)
            self._streams[layout.INDICES_FILE].append(values.indices)
            self._streams[layout.DATA_FILE].append(values.data)
            self.nnz += len(values.data)
        else:
            self._streams[layout.DENSE_FILE].append(values)
            self.nnz += int(np.count_nonzero(values))
        for name, array in row_arrays.items():
            self._streams[layout.ROW_FILES[name]].append(array)
        self.n_tokens += values.shape[0]
        if self.resume:
            for stream in self._streams.values():
                stream.flush()
            rows = {name: stream.n_rows for name, stream in self._streams.items()}
            journal = {"identity": self._identity, "n_tokens": self.n_tokens, "nnz": self.nnz, "rows": rows}
            write_json(self.partial / JOURNAL_FILE, journal)

    def _write_moments(self) -> None:
        moments = column_moments(self._stored_blocks(), d_sae=self._identity["d_sae"])
        for name, array in zip(
            layout.FEATURE_FILES.values(), (moments.counts, moments.sums, moments.squares), strict=True
        ):
            np.save(self.partial / name, array)

    def _stored_blocks(self) -> Iterator[CsrRows | np.ndarray]:
        """The finished files again, in blocks of about 32 MiB."""
        if self._identity["kind"] == "hidden_pre":
            dense = np.load(self.partial / layout.DENSE_FILE, mmap_mode="r")
            step = max(1, (1 << 22) // self._identity["d_sae"])
            for start in range(0, self.n_tokens, step):
                yield np.asarray(dense[start : start + step])
            return
        indices = np.load(self.partial / layout.INDICES_FILE, mmap_mode="r") if self.nnz else np.empty(0, np.int32)
        data = np.load(self.partial / layout.DATA_FILE, mmap_mode="r") if self.nnz else np.empty(0)
        for start in range(0, self.nnz, 1 << 22):
            stop = min(start + (1 << 22), self.nnz)
            # Row borders do not matter for totals: a block is one long row.
            yield CsrRows(
                np.array([0, stop - start]),
                np.asarray(indices[start:stop]),
                np.asarray(data[start:stop]),
                self._identity["d_sae"],
            )

    def _layout(self) -> dict[str, dict[str, Any]]:
        if self._identity["kind"] == "hidden_pre":
            dense = {"dtype": self._identity["dtype"], "tail": (self._identity["d_sae"],)}
            files: dict[str, dict[str, Any]] = {layout.DENSE_FILE: dense}
        else:
            files = {
                layout.INDPTR_FILE: {"dtype": "int64"},
                layout.INDICES_FILE: {"dtype": "int32"},
                layout.DATA_FILE: {"dtype": self._identity["dtype"]},
            }
        return files | {name: {"dtype": "int32"} for name in layout.ROW_FILES.values()}

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Turn an error of the disk into one sentence that says what to do; what was half written goes."""
        try:
            yield
        except OSError as error:
            for stream in self._streams.values():
                with contextlib.suppress(OSError):  # closing flushes, which fails again on a full disk
                    stream.abandon()
            shutil.rmtree(self.partial, ignore_errors=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                cause = "the disk is full: free space or choose another runs_folder"
            elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                cause = "the folder cannot be written: choose another runs_folder"
            else:
                cause = f"{error.strerror or error}: choose another runs_folder"
            raise OSError(f"cannot write the activation store {self.path}; {cause}, then {layout.REMEDY}") from error


def _row_array(name: str, values: Any, n_rows: int) -> np.ndarray:
    array = np.asarray(values.cpu() if hasattr(values, "cpu") else values)
    if array.shape != (n_rows,) or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must be ({n_rows},) integers, one a row; got {array.dtype} of shape {array.shape}")
    return array
