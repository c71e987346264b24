"""Mapper graphs of a large dictionary, and how often noise is taken for a shape. Each runs in a process of its own:

python -m tests.benchmarks.mapper_workloads large lens=umap    prints one JSON line
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np


def large(
    *, lens: str = "umap", n_components: int = 2, n: int = 16_384, d: int = 512, n_threads: int = 2
) -> dict[str, float]:
    """Seconds and memory of one graph of unit rows: families around 400 directions, and half of the rows by themselves."""
    import numba
    import torch
    from threadpoolctl import threadpool_limits

    from helpers.geometry.mapper import MapperSettings, mapper_graph

    torch.set_num_threads(n_threads)
    numba.set_num_threads(n_threads)
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n, d)).astype(np.float32)
    centres = rng.standard_normal((400, d)).astype(np.float32)
    rows[: n // 2] = 0.7 * rows[: n // 2] + centres[rng.integers(0, 400, n // 2)]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    start = time.perf_counter()
    with threadpool_limits(n_threads):
        graph = mapper_graph(rows, MapperSettings(lens=lens, n_components=n_components, metric="cosine"))
    made = time.perf_counter()
    found = graph.statistics()
    return {
        "seconds": made - start,
        "statistics_seconds": time.perf_counter() - made,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "n_nodes": found.n_nodes,
        "n_edges": found.n_edges,
        "loops": found.loops,
    }


def false_alarms(*, n_clouds: int = 100, n_runs: int = 19, n_points: int = 200, d: int = 64) -> dict[str, float]:
    """Shares of clouds of Gaussian noise that a test calls more than chance at 5 %, along one and two components."""
    from helpers.geometry.mapper import STATISTICS, MapperSettings, mapper_chance, mapper_graph
    from helpers.geometry.point_clouds import point_cloud

    shares: dict[str, float] = {}
    for n_components in (1, 2):
        settings = MapperSettings(n_components=n_components, n_cubes=8)
        for seed in range(n_clouds):
            rows = point_cloud("noise", n_points=n_points, d=d, noise=0, seed=seed).rows
            graph = mapper_graph(rows, settings)
            for null, result in mapper_chance(rows, graph, settings, n_runs=n_runs, seed=seed + 1).items():
                for statistic in STATISTICS:
                    name = f"{n_components}/{null}/{statistic}"
                    shares[name] = shares.get(name, 0.0) + (result.p_value(statistic) <= 0.05) / n_clouds
    return shares


def main(arguments: list[str]) -> None:
    options = dict(argument.split("=") for argument in arguments[1:])
    values = {name: value if name == "lens" else int(value) for name, value in options.items()}
    print(json.dumps({"large": large, "false_alarms": false_alarms}[arguments[0]](**values)))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
