"""Locks that die with their holder: no run that was killed leaves one behind."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.2


@contextmanager
def exclusive(path: Path, *, busy: str) -> Iterator[int]:
    """Hold the lock file `path`; yields its file descriptor, which a child process may keep.

    Raises:
        ValueError: another process holds it; the message is `busy` and that process's id.
    """
    descriptor = acquire(path, busy=busy)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def acquire(path: Path, *, busy: str, patience: float = 0.0) -> int:
    """Take the lock file `path` until the file descriptor that is returned is closed, or this process ends.

    Args:
        patience: seconds to wait for another holder to end.
    Raises:
        ValueError: another process still holds it; the message is `busy` and that process's id.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + patience
    while not _locked(descriptor):
        if time.monotonic() >= deadline:
            holder = os.pread(descriptor, 40, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise ValueError(f"{busy} (process {holder or 'unknown'}); wait for it or stop it")
        time.sleep(_POLL_SECONDS)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
    return descriptor


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
