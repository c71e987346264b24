"""Persistent homology of large clouds. Each workload runs in a process of its own:

python -m tests.benchmarks.homology_workloads loops cloud=noise    prints one JSON line
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np


def rows_of(cloud: str, n: int, d: int) -> np.ndarray:
    """Directions: noise, or a torus blurred by as much noise as leaves it visible."""
    from helpers.geometry import point_cloud

    if cloud == "noise":
        return np.random.default_rng(0).standard_normal((n, d))
    return point_cloud(cloud, n_points=n, d=d, noise=0.1, seed=0).rows  # type: ignore[arg-type]


def loops(
    *, cloud: str, metric: str = "cosine", n: int = 32_768, d: int = 512, n_landmarks: int = 1500, max_dim: int = 1
) -> dict[str, float]:
    """Seconds and memory from rows to bars; compiled code is there, as after the first call on a machine."""
    from helpers.geometry.homology import persistence

    persistence(np.eye(8), metric=metric, max_dim=max_dim)  # type: ignore[arg-type]
    rows = rows_of(cloud, n, d)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    found = persistence(rows, metric=metric, n_landmarks=n_landmarks, max_dim=max_dim)  # type: ignore[arg-type]
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": seconds,
        "peak_mib": peak,
        "more_mib": peak - before,
        "rows_mib": 2 * rows.nbytes / 2**20,  # a copy is made ready, and squared a block at a time
        "estimate_mib": found.cost.mib,
        "n_bars": float(len(found.diagrams[max_dim])),
        "radius": found.landmarks.radius,
    }


def ripser_loops(*, n_landmarks: int = 300, d: int = 512) -> dict[str, float]:
    """The same bars of noise by ripser and by annotations."""
    from ripser import ripser

    from helpers.geometry.homology import persistence
    from helpers.geometry.homology.rips_loops import rips_bars

    distances = persistence(rows_of("noise", 4096, d), metric="cosine", n_landmarks=n_landmarks).distances
    start = time.perf_counter()
    found = rips_bars(distances)
    middle = time.perf_counter()
    expected = ripser(distances, distance_matrix=True)["dgms"][1]
    end = time.perf_counter()
    return {
        "seconds": middle - start,
        "ripser": end - middle,
        "n_bars": float(len(found.loops)),
        "n_ripser": float(len(expected)),
    }


def main(arguments: list[str]) -> None:
    options = dict(argument.split("=") for argument in arguments[1:])
    numbers = {key: int(value) if value.isdigit() else value for key, value in options.items()}
    workload = {"loops": loops, "ripser_loops": ripser_loops}[arguments[0]]
    sys.stdout.write(json.dumps(workload(**numbers)) + "\n")  # type: ignore[operator]


if __name__ == "__main__":
    main(sys.argv[1:])
