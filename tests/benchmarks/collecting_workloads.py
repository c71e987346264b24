"""Workloads of the collecting benchmarks. Each runs in a process of its own:

python -m tests.benchmarks.collecting_workloads NAME [key=value ...]    prints one JSON line
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.matching_workloads import collecting_task, synthetic


class InTurn:
    """The baseline: every batch is written before the next one is computed. Counts the seconds of writing."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def submit(self, task: Callable[[], None]) -> None:
        start = time.perf_counter()
        task()
        self.seconds += time.perf_counter() - start


def cpu(*, n_tokens: int = 20_000, d_sae: int = 16_384, k: int = 32, repeats: int = 3) -> dict[str, float]:
    """Collect on one CPU thread, in turn and in the background alternately; the fastest of each."""
    import torch

    from helpers.activations import collect, collect_activations

    torch.set_num_threads(1)
    behind = collect.background_writer
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model, dictionaries, tokens = collecting_task(folder, n_tokens=n_tokens, d_sae=d_sae, k=k)
        collect_activations(model, dictionaries, tokens.sequences(0, 32), folder / "warm_up")
        seconds: dict[str, list[float]] = {"in_turn": [], "behind": [], "writing": []}
        cpu_seconds: dict[str, list[float]] = {"in_turn": [], "behind": []}
        for number in range(repeats):
            in_turn = InTurn()
            for name, writing in (("in_turn", lambda turn=in_turn: nullcontext(turn)), ("behind", behind)):
                collect.background_writer = writing
                start, cpu_start = time.perf_counter(), time.process_time()
                collect_activations(model, dictionaries, tokens, folder / f"{name}-{number}")
                seconds[name].append(time.perf_counter() - start)
                cpu_seconds[name].append(time.process_time() - cpu_start)
            seconds["writing"].append(in_turn.seconds)
    best = int(np.argmin(seconds["in_turn"]))
    return {
        "in_turn_seconds": seconds["in_turn"][best],
        "behind_seconds": min(seconds["behind"]),
        "in_turn_cpu_seconds": min(cpu_seconds["in_turn"]),
        "behind_cpu_seconds": min(cpu_seconds["behind"]),
        "writing_share": seconds["writing"][best] / seconds["in_turn"][best],
    }


def fast_device(*, n_batches: int = 100, d_sae: int = 32_768, l0: int = 64, repeats: int = 3) -> dict[str, float]:
    """A device that takes as long for a batch of 4,096 tokens as writing it does, pretended by sleeping."""
    from helpers.activations.background import background_writer

    rows = synthetic(4096, d_sae, l0, seed=1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run = partial(_write_batches, rows, n_batches=n_batches)
        run(folder / "warm_up", nullcontext(InTurn()), seconds=0.0)
        writing = min(run(folder / f"alone-{n}", nullcontext(InTurn()), seconds=0.0) for n in range(repeats))
        pause = writing / n_batches
        found = {"writing_seconds": writing, "computing_seconds": pause * n_batches}
        for name, contexts in (("in_turn", lambda: nullcontext(InTurn())), ("behind", background_writer)):
            times = [run(folder / f"{name}-{n}", contexts(), seconds=pause) for n in range(repeats)]
            found[f"{name}_seconds"] = min(times)
    return found


def _write_batches(rows: Any, path: Path, writing: AbstractContextManager, *, n_batches: int, seconds: float) -> float:
    """Seconds for so many batches, each `seconds` in the making, up to the last byte; closing the store not counted."""
    from helpers.activations import ActivationStore

    numbers = np.arange(rows.shape[0])
    with ActivationStore.create(path, d_sae=rows.shape[1], resume=True) as writer:
        start = time.perf_counter()
        with writing as background:
            for _ in range(n_batches):
                time.sleep(seconds)
                task = partial(writer.append, rows, token_ids=numbers, documents=numbers, positions=numbers)
                background.submit(task)
        return time.perf_counter() - start


WORKLOADS: dict[str, Callable[..., dict[str, float]]] = {function.__name__: function for function in (cpu, fast_device)}


def main(arguments: list[str]) -> None:
    options = {key: int(value) for key, value in (argument.split("=") for argument in arguments[1:])}
    sys.stdout.write(json.dumps(WORKLOADS[arguments[0]](**options)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
