"""A lock that dies with its holder: no run that was killed leaves one behind."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path, *, busy: str) -> Iterator[int]:
    """Hold the lock file `path`; yields its file descriptor, which a child process may keep.

    Raises:
        ValueError: another process holds it; the message is `busy` and that process's id.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 40, 0).decode("ascii", "replace").strip()
            raise ValueError(f"{busy} (process {holder or 'unknown'}); wait for it or stop it") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
        yield descriptor
    finally:
        os.close(descriptor)
