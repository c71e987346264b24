"""Texts from local files and from Hugging Face datasets, streamed: memory holds one block of a file at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from requests import RequestException

from helpers.corpus.documents import Document
from helpers.hub import is_gated

EXTENSIONS = (".txt", ".jsonl", ".parquet")
_PARQUET_ROWS = 1024


class LocalCorpus:
    """Documents of a .txt, .jsonl or .parquet file, or of all such files of a folder in name order.

    In a .txt file a blank line ends a document; in the others every row is one. Texts without a visible character are
    left out and get no number.

    Args:
        path: file or folder.
        text_field: key or column that holds the text.
    Raises:
        ValueError: nothing there, a wrong extension; while reading: an unknown column, or a row that is no text.
    """

    def __init__(self, path: str | Path, *, text_field: str = "text") -> None:
        self.path = Path(path)
        self.text_field = text_field
        self.files = _text_files(self.path)

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def documents(self, start: int = 0) -> Iterator[Document]:
        """The documents from number `start` on (earlier ones are read past)."""
        texts = (text for file in self.files for text in self._texts(file) if text.strip())
        return (Document(index, text) for index, text in islice(enumerate(texts), start, None))

    def _texts(self, file: Path) -> Iterator[str]:
        if file.suffix == ".txt":
            return _blocks(file)
        if file.suffix == ".jsonl":
            return _json_rows(file, self.text_field)
        return _parquet_rows(file, self.text_field)


class HubCorpus:
    """A Hugging Face dataset, streamed: from the Hub, or from a dataset folder on this machine.

    Args:
        name: dataset name or folder.
        config: configuration, where a dataset has several.
        split: e.g. train.
        revision: commit or tag.
        text_field: column that holds the text.
    Raises:
        ValueError: while reading: no such dataset, split or column, or no network.
    """

    def __init__(
        self,
        name: str,
        *,
        config: str | None = None,
        split: str = "train",
        revision: str | None = None,
        text_field: str = "text",
    ) -> None:
        self.dataset_name, self.config, self.split, self.revision = name, config, split, revision
        self.text_field = text_field

    @property
    def name(self) -> str:
        """Dataset, configuration, split and revision."""
        parts = [self.dataset_name, self.config, self.split, self.revision]
        return " ".join(part for part in parts if part)

    def documents(self, start: int = 0) -> Iterator[Document]:
        """The documents from number `start` on; documents without a visible character keep their number."""
        rows = iter(self._rows(start))
        for index in range(start, start + (1 << 62)):
            try:
                row = next(rows, None)
            except (OSError, ValueError, HfHubHTTPError, RequestException) as error:
                raise ValueError(self._reason(error)) from error
            if row is None:
                return
            text = _field(row, self.text_field, where=f"{self.name}, row {index}")
            if text.strip():
                yield Document(index, text)

    def _rows(self, start: int) -> Any:
        from datasets import load_dataset
        from datasets.exceptions import DatasetNotFoundError

        try:
            dataset = load_dataset(
                self.dataset_name, self.config, split=self.split, revision=self.revision, streaming=True
            )
        except (DatasetNotFoundError, OSError, ValueError, HfHubHTTPError, RequestException) as error:
            raise ValueError(self._reason(error)) from error
        return dataset.skip(start)

    def _reason(self, error: Exception) -> str:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        offline = isinstance(error, (ConnectionError, OfflineModeIsEnabled, RequestException))
        advice = "connect to the network or use a local corpus" if offline else "check name, config, split and revision"
        if is_gated(error):
            advice = "accept its terms on the Hub and log in with `hf auth login`"
        return f"the dataset '{self.name}' could not be read ({first_line}); {advice}"


def _text_files(path: Path) -> list[Path]:
    if path.is_file():
        if path.suffix not in EXTENSIONS:
            raise ValueError(f"a local corpus is {', '.join(EXTENSIONS)}; got '{path}'; convert or rename it")
        return [path]
    if not path.is_dir():
        raise ValueError(f"a local corpus is a file or folder; there is nothing at '{path}'; correct the path")
    files = sorted(file for file in path.iterdir() if file.suffix in EXTENSIONS)
    if not files:
        raise ValueError(f"expected {', '.join(EXTENSIONS)} files in '{path}'; got none; put texts there")
    return files


def _blocks(file: Path) -> Iterator[str]:
    """Texts between blank lines."""
    lines: list[str] = []
    with file.open(encoding="utf-8-sig") as opened:
        try:
            for line in opened:
                if line.strip():
                    lines.append(line)
                elif lines:
                    yield "".join(lines).rstrip("\n")
                    lines = []
        except UnicodeDecodeError as error:
            raise ValueError(f"expected UTF-8 text in '{file}'; got {error}; save the file as UTF-8") from error
    if lines:
        yield "".join(lines).rstrip("\n")


def _json_rows(file: Path, text_field: str) -> Iterator[str]:
    with file.open(encoding="utf-8-sig") as opened:
        for number, line in enumerate(opened, start=1):
            if not line.strip():
                continue
            where = f"{file}, line {number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(
                    f"expected one JSON object a line; {where} is not ({error}); correct the line"
                ) from error
            if not isinstance(row, dict):
                raise ValueError(  # noqa: TRY004 (a fault of the data, not of the caller's types)
                    f"expected one JSON object a line; {where} is a {type(row).__name__}; correct the line"
                )
            yield _field(row, text_field, where=where)


def _parquet_rows(file: Path, text_field: str) -> Iterator[str]:
    try:
        opened = pyarrow.parquet.ParquetFile(file)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"expected a parquet file; '{file}' is not ({error}); write it again") from error
    with opened:
        columns = opened.schema_arrow.names
        if text_field not in columns:
            raise ValueError(
                f"'{file}' has no column '{text_field}' but {', '.join(columns)}; set text_field to one of them"
            )
        number = 0
        for block in opened.iter_batches(batch_size=_PARQUET_ROWS, columns=[text_field]):
            for text in block.column(0).to_pylist():
                yield _field({text_field: text}, text_field, where=f"{file}, row {number}")
                number += 1


def _field(row: dict[str, Any], text_field: str, *, where: str) -> str:
    if text_field not in row:
        raise ValueError(f"{where} has no '{text_field}' but {', '.join(map(str, row))}; set text_field to one of them")
    text = row[text_field]
    if not isinstance(text, str):
        got = type(text).__name__
        raise ValueError(f"{where}: '{text_field}' is a text; got {got}; clean the data")  # noqa: TRY004 (a fault of the data)
    return text
