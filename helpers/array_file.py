"""Results as one .npz file: arrays and short texts, what they are, a version; errors say what to do where reading fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from helpers.storage import atomic_file


@dataclass(frozen=True)
class ArrayFile:
    """One kind of result file.

    Args:
        holds: what such a file holds, for messages: "feature pairs".
        remedy: what to do without it: "run 04_match_features again".
        version: of the format; files of a newer one are refused.
    """

    holds: str
    remedy: str
    version: int = 1

    def write(self, path: str | Path, **arrays: Any) -> None:
        """Write arrays by name, atomically."""
        with atomic_file(path) as partial, partial.open("wb") as file:
            np.savez(file, holds=np.array(self.holds), format_version=np.int64(self.version), **arrays)

    @contextmanager
    def read(self, path: str | Path) -> Iterator[Any]:
        """Open the file; gives name -> array. What cannot be made of its content in the block is its fault, too.

        Raises:
            ValueError: no such file, one that holds something else, a damaged one, a newer format, or content that the
                block refuses.
        """
        path = Path(path)
        if not path.is_file():
            raise ValueError(f"expected {self.holds} in {path}, found no such file; {self.remedy}")
        try:
            with np.load(path, allow_pickle=False) as content:
                if int(content["format_version"]) > self.version:
                    raise ValueError(f"format {int(content['format_version'])} is newer than {self.version}")
                if str(content["holds"]) != self.holds:
                    raise ValueError(f"it holds {content['holds']}")
                yield content
        except (ValueError, LookupError, TypeError, OSError, EOFError, BadZipFile, StopIteration) as error:
            raise ValueError(f"{path} cannot be read as {self.holds} ({error}); {self.remedy}") from error
