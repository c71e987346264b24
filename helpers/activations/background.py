"""Writing in the background: one thread that does one task after another while the caller computes the next.

Few tasks wait at any time, so memory stays bounded: a caller that is faster than the disk waits for it. NumPy, files
and the waiting for a device let other threads run meanwhile. What is written does not depend on any of this.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

#: One is being written, one is ready to be.
MOST_WAITING = 2


class BackgroundWriter:
    """Takes tasks; made by `background_writer`.

    Tasks are done in the order in which they come. After one has failed none is done any more: what follows on it would
    be written in the wrong place.
    """

    def __init__(self, pool: ThreadPoolExecutor, *, most_waiting: int):
        self._pool = pool
        self._most_waiting = most_waiting
        self._waiting: deque[Future[None]] = deque()
        self._failed = False

    def submit(self, task: Callable[[], None]) -> None:
        """Have a task done; waits while too many are not done yet.

        Raises:
            what an earlier task raised, as soon as that is known.
        """
        while self._waiting and (self._waiting[0].done() or len(self._waiting) >= self._most_waiting):
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._do, task))

    def finish(self) -> None:
        """Wait for all tasks.

        Raises:
            what the first failed task raised.
        """
        while self._waiting:
            self._waiting.popleft().result()

    def _do(self, task: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            task()
        except BaseException:
            self._failed = True
            raise


@contextmanager
def background_writer(*, most_waiting: int = MOST_WAITING) -> Iterator[BackgroundWriter]:
    """A thread that does tasks while the block goes on; when the block ends all are done.

    Args:
        most_waiting: tasks that are handed over and not done yet, at most.
    Raises:
        what a task raised: at the next `submit`, at the latest at the end of the block.
    Notes:
        A block that ends with an exception of its own (an interruption by the user, too) waits for the tasks that it
        has handed over; a failure among them is added to the exception as a note.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="background-writer") as pool:
        writer = BackgroundWriter(pool, most_waiting=most_waiting)
        try:
            yield writer
        except BaseException as error:
            try:
                writer.finish()
            except Exception as failure:  # noqa: BLE001 (told with the exception that ended the block)
                error.add_note(f"in the background also: {failure!r}")
            raise
        writer.finish()
