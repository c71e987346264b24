"""Permutation tests, prepared against recomputed. Each workload runs in a process of its own:

python -m tests.benchmarks.permutation_workloads permutations measure=rsa    prints one JSON line
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np


def permutations(
    *, measure: str, n: int = 2000, d_x: int = 512, d_y: int = 768, n_permutations: int = 1000, n_rounds: int = 4
) -> dict[str, float]:
    """Seconds of a test of `n_permutations`, and of as many recomputations of the measure (of which a few are timed).

    Both are timed in turns, so that whatever else the machine does falls on both; every turn prepares anew. The rows
    share structure, so that the measure has something to keep: y is a noisy linear image of x.
    """
    from helpers.nulls import permutation_test
    from helpers.similarity import MEASURES

    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d_x)) @ np.diag(1 / np.arange(1, d_x + 1) ** 0.5)
    y = x @ rng.normal(size=(d_x, d_y)) + rng.normal(size=(n, d_y))
    entry = MEASURES[measure]
    permutation_test(x[:400, :20], y[:400, :20], measure=measure, n_permutations=3, n_threads=2)
    prepared = recomputed = 0.0
    for turn in range(n_rounds):
        start = time.perf_counter()
        permutation_test(x, y, measure=measure, n_permutations=n_permutations // n_rounds, seed=turn, n_threads=2)
        middle = time.perf_counter()
        entry.score(x, y[rng.permutation(n)])
        prepared, recomputed = prepared + middle - start, recomputed + time.perf_counter() - middle
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"prepared": prepared, "recomputed": recomputed / n_rounds * n_permutations, "peak_mib": peak}


def main(arguments: list[str]) -> None:
    options = dict(argument.split("=") for argument in arguments[1:])
    assert arguments[0] == "permutations"
    numbers = {key: int(value) if value.isdigit() else value for key, value in options.items()}
    sys.stdout.write(json.dumps(permutations(**numbers)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
