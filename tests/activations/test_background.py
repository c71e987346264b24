"""Tasks of a background writer: in order, few at a time, nothing lost, no failure swallowed."""

from __future__ import annotations

import threading
import time

import pytest

from helpers.activations.background import background_writer

LONG = 30  # seconds after which a test has hung


def fail() -> None:
    raise OSError("the disk is full")


def alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("background-writer")]


def test_tasks_are_done_in_order_while_the_caller_goes_on():
    done, caller_went_on = [], threading.Event()

    def first() -> None:
        assert caller_went_on.wait(LONG)  # would hang if it were done by the caller
        done.append(0)

    with background_writer() as writer:
        writer.submit(first)
        caller_went_on.set()
        for number in range(1, 20):
            writer.submit(lambda number=number: done.append(number))
    assert done == list(range(20)) and not alive()


def test_only_a_few_tasks_wait():
    done, most = [], 0

    def slow() -> None:
        time.sleep(0.005)
        done.append(1)

    with background_writer(most_waiting=3) as writer:
        for handed_over in range(1, 15):
            writer.submit(slow)
            most = max(most, handed_over - len(done))
    # The tasks take longer than handing over, so the bound is reached; without it most would be near 14.
    assert most == 3 and len(done) == 14


def test_a_failure_reaches_the_caller_and_stops_what_follows():
    done, failed = [], threading.Event()

    def fails() -> None:
        try:
            fail()
        finally:
            failed.set()

    with pytest.raises(OSError, match="the disk is full"), background_writer(most_waiting=10) as writer:
        writer.submit(lambda: done.append("before"))
        writer.submit(fails)
        assert failed.wait(LONG)
        for _ in range(1000):
            writer.submit(lambda: done.append("after"))
            time.sleep(0.001)
        done.append("never told")
    assert done == ["before"] and not alive()


def test_a_failure_of_the_last_task_is_raised_at_the_end():
    with pytest.raises(OSError, match="the disk is full"), background_writer() as writer:
        writer.submit(fail)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_caller_leaves_no_task_half_done(error):
    done = []

    def slow() -> None:
        time.sleep(0.02)
        done.append(1)

    with pytest.raises(error), background_writer() as writer:
        writer.submit(slow)
        writer.submit(slow)
        raise error
    assert done == [1, 1] and not alive()


def test_a_failure_beside_the_callers_own_is_told_with_it():
    with pytest.raises(RuntimeError, match="mine") as caught, background_writer() as writer:
        writer.submit(fail)
        raise RuntimeError("mine")
    assert caught.value.__notes__ == ["in the background also: OSError('the disk is full')"]
