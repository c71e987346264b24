"""Show the progress of a notebook that runs in another process: follow its progress file, print a line now and then."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# What tqdm writes: "Training SAE:  45%|####      | 765k/1.70M [00:27<00:33, 28.3k tokens/s]"
_BAR = re.compile(
    r"(?P<what>[^|\r\n]*?):?\s*(?P<percent>\d+)%\|[^|]*\|\s*\S+\s*\[(?P<spent>[\d:]+)<(?P<left>[\d:?]+),?\s*(?P<rate>[^\]]*)\]"
)


@dataclass(frozen=True)
class ProgressState:
    """The latest state that a progress file tells."""

    what: str
    percent: int
    left: str
    rate: str

    def line(self) -> str:
        """As text: "Training SAE:  45 %, 00:33 left, 28.3k tokens/s"."""
        remaining = f", {self.left} left" if self.percent < 100 and "?" not in self.left else ""
        rate = f", {self.rate.strip()}" if self.rate.strip() and "?" not in self.rate else ""
        return f"{self.what}: {self.percent:3d} %{remaining}{rate}"


def latest_state(text: str) -> ProgressState | None:
    """The last whole bar in what tqdm wrote, if any."""
    matches = list(_BAR.finditer(text))
    if not matches:
        return None
    last = matches[-1]
    return ProgressState(last["what"].strip(), int(last["percent"]), last["left"], last["rate"])


@contextmanager
def followed(path: Path, *, show: Callable[[str], None], every: float = 5.0) -> Iterator[None]:
    """While the block runs, call `show` with a new line about `path` at most once in `every` seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("", encoding="utf-8")
    stopped = threading.Event()
    follower = threading.Thread(target=_follow, args=(path, show, every, stopped), daemon=True)
    follower.start()
    try:
        yield
    finally:
        stopped.set()
        follower.join()


def _follow(path: Path, show: Callable[[str], None], every: float, stopped: threading.Event) -> None:
    shown: ProgressState | None = None
    shown_at = time.monotonic()
    while not stopped.wait(min(every, 0.5)):
        if time.monotonic() - shown_at < every:
            continue
        state = latest_state(_tail(path))
        if state and (shown is None or (state.what, state.percent) != (shown.what, shown.percent)):
            show(state.line())
            shown, shown_at = state, time.monotonic()


def _tail(path: Path, n_bytes: int = 4096) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - n_bytes))
            return file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
