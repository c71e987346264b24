"""An .npy file written row by row: the header is rewritten with the final shape when the file is finished.

NumPy pads its header so that the first dimension can grow without moving the data; this module relies on it and
checks it. A stream can be reopened at a given number of rows, and what was written after them is cut off.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np


class ArrayStream:
    """Append-only .npy file of shape (n_rows, *tail).

    Args:
        path: file to write.
        dtype: type of the stored values.
        tail: the shape after the first dimension, () for a vector.
        n_rows: rows to keep of an existing file; None starts a new one.
    Raises:
        ValueError: the existing file holds fewer rows than `n_rows`.
    """

    def __init__(self, path: Path, *, dtype: np.dtype | str, tail: tuple[int, ...] = (), n_rows: int | None = None):
        self.path = path
        self.dtype = np.dtype(dtype)
        self.tail = tail
        self.n_rows = n_rows or 0
        self._row_bytes = self.dtype.itemsize * int(np.prod(tail, dtype=np.int64))
        header = self._header()
        if n_rows is None:
            self._file: BinaryIO = path.open("wb")
            self._file.write(header)
            return
        end = len(header) + n_rows * self._row_bytes
        if not path.is_file() or path.stat().st_size < end:
            raise ValueError(f"{path} holds fewer rows than the {n_rows} its journal names")
        self._file = path.open("r+b")
        self._file.truncate(end)
        self._file.seek(end)

    def append(self, values: np.ndarray) -> None:
        """Write rows; the caller has checked shape and range."""
        assert values.shape[1:] == self.tail
        self._file.write(np.ascontiguousarray(values, dtype=self.dtype).data)
        self.n_rows += values.shape[0]

    def flush(self) -> None:
        """Hand the written bytes to the operating system: they outlive this process."""
        self._file.flush()

    def finish(self) -> None:
        """Write the header with the final shape and close the file."""
        self._file.seek(0)
        self._file.write(self._header())
        self._file.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def _header(self) -> bytes:
        description = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (self.n_rows, *self.tail),
        }
        buffer = io.BytesIO()
        np.lib.format.write_array_header_1_0(buffer, description)
        return buffer.getvalue()
