"""Files that are either whole or absent: write beside the target, then rename.

A reader never meets a half-written artifact, and a failed rewrite leaves the earlier one as it was.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

# Names of what is being written or replaced, with the process that does it; see atomic_file and replace_folder.
_LEFTOVER = re.compile(r"\.(?P<target>.+)\.(?P<kind>partial|old)-\d+")
_FULL_DISK_BYTES = 1 << 18
PROJECT_ROOT = Path(__file__).resolve().parent.parent


def project_path(path: str | Path) -> Path:
    """A path of the parameters: absolute as it is, otherwise relative to the project, wherever the notebook runs."""
    return PROJECT_ROOT / path


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends without an exception."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with _full_disk_told(path):
            yield partial
        _flush(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; swap it into place when the block ends without an exception."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        with _full_disk_told(path):
            yield partial
        replace_folder(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def replace_folder(source: Path, target: Path) -> None:
    """Move `source` to `target`, replacing what is there; between the two renames the target is absent, never mixed."""
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    if target.exists():
        os.replace(target, old)
    os.replace(source, target)
    shutil.rmtree(old, ignore_errors=True)


def remove_folder(path: str | Path) -> None:
    """Delete a folder, if it is there; whoever comes when half of it is deleted finds none, not a part."""
    path = Path(path)
    old = path.with_name(f".{path.name}.old-{os.getpid()}")
    if path.exists():
        os.replace(path, old)
    shutil.rmtree(old, ignore_errors=True)


def clear_leftovers(folder: str | Path) -> None:
    """Delete what killed processes left half-written below `folder`, and put back what they were just replacing.

    Only for a folder that nobody else writes to.
    """
    for path in sorted(Path(folder).rglob(".*-*")):
        leftover = _LEFTOVER.fullmatch(path.name)
        if not leftover or not path.exists():
            continue
        target = path.with_name(leftover["target"])
        if leftover["kind"] == "old" and not target.exists():
            os.replace(path, target)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as strict, indented JSON (NaN and infinity are refused), atomically."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    with atomic_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read one JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def sha256_file(path: str | Path, *, chunk_bytes: int = 1 << 22) -> str:
    """Hex SHA-256 of a file, read in chunks."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(chunk_bytes):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _full_disk_told(path: Path) -> Iterator[None]:
    """Libraries have errors of their own for a full disk ("unexpected pos 651200 vs 651152"); say what it is."""
    try:
        yield
    except (RuntimeError, ValueError, SafetensorError) as error:
        if shutil.disk_usage(path.parent).free > _FULL_DISK_BYTES:
            raise
        raise OSError(errno.ENOSPC, "No space left on device; make room and run again", str(path)) from error


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
