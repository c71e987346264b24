"""The search for multi-dimensional features. The workload runs in a process of its own:

python -m tests.benchmarks.circle_workloads search d_sae=16384    prints one JSON line
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np


def search(
    *, d_sae: int = 16_384, n_tokens: int = 200_000, d: int = 512, n_runs: int = 999, n_threads: int = 2
) -> dict[str, float]:
    """Seconds from activations and directions to the ranked list, a planted circle among them, and what was found.

    Directions come in clouds of eight, as those of real dictionaries do, so that there is as much to cluster and to
    score as a real one has.
    """
    from helpers.geometry import cofiring_pairs
    from helpers.geometry.circles import (
        chance_cosine,
        cluster_features,
        cosine_graph,
        find_candidates,
        firing_graph,
        planted_circle,
    )

    world = planted_circle(n_tokens=n_tokens, n_features=d_sae - 10, d=d, share=0.02, rates=(5e-4, 0.01), seed=0)
    rng = np.random.default_rng(0)
    directions = world.directions.copy()
    centres = rng.standard_normal((d_sae // 8 + 1, d)) / np.sqrt(d)
    directions[10:] = 0.7 * directions[10:] + 0.7 * centres[np.arange(d_sae - 10) // 8]
    small = planted_circle(n_tokens=2000, n_features=20, seed=0)
    _compile(small)
    start = time.perf_counter()
    ids = np.arange(d_sae)
    ties = cosine_graph(directions, ids, min_cosine=chance_cosine(directions, ids))
    pairs = cofiring_pairs(world.acts, n_threads=n_threads)
    clusterings = [
        cluster_features(graph, method="spectral", name=name)
        for graph, name in ((ties, "cosine"), (firing_graph(pairs, min_jaccard=0.15), "firing"))
    ]
    clustered = time.perf_counter() - start
    found = find_candidates(world.acts, directions, clusterings, n_runs=n_runs, n_threads=n_threads)
    return {
        "seconds": time.perf_counter() - start,
        "seconds_clusters": clustered,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "clusters": len(found.candidates),
        "l0": world.acts.nnz / n_tokens,
        "circle_first": float(set(found.candidates[0].ids) <= set(world.circle)),
    }


def _compile(world) -> None:
    from helpers.geometry import cofiring_pairs
    from helpers.geometry.circles import FeatureClusters, find_candidates

    cofiring_pairs(world.acts, min_firings=2)
    clusters = FeatureClusters.of([world.circle], d_sae=len(world.directions), name="known")
    find_candidates(world.acts, world.directions, [clusters], n_runs=1)


def main(arguments: list[str]) -> None:
    options = dict(argument.split("=") for argument in arguments[1:])
    assert arguments[0] == "search"
    sys.stdout.write(json.dumps(search(**{key: int(value) for key, value in options.items()})) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
