"""Tests of semantic subspaces. Each workload runs in a process of its own:

python -m tests.benchmarks.subspace_workloads groups n_pairs=300    prints one JSON line
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np


def groups(
    *,
    n_groups: int = 15,
    n_pairs: int = 300,
    n_words: int = 40,
    d_sae: int = 16_384,
    d_a: int = 512,
    d_b: int = 768,
    n_permutations: int = 10_000,
    n_draws: int = 0,
    n_threads: int = 2,
) -> dict[str, float]:
    """Seconds of the shuffled nulls of all groups and default measures; with `n_draws`, of every null of the test."""
    from helpers.comparison.subspace_scores import FeatureSpace, SubspaceTest, score_groups, score_words
    from helpers.comparison.subspaces import GroupPairs
    from helpers.matching.pairs import make_pairs

    rng = np.random.default_rng(0)
    spaces = [
        FeatureSpace.of(rng.standard_normal((d_sae, d)), rng.integers(10, 10_000, d_sae), min_firings=10)
        for d in (d_a, d_b)
    ]
    settings = {"d_sae_a": d_sae, "d_sae_b": d_sae, "direction": "b_to_a"}
    words = tuple(f"word{number}" for number in np.arange(n_pairs) % n_words)
    made = []
    for number in range(n_groups):
        ids = [rng.choice(d_sae, n_pairs, replace=False) for _ in range(2)]
        pairs = make_pairs(*ids, rng.random(n_pairs), settings=settings)
        made.append(GroupPairs(f"group{number}", f"group{number}", pairs, words, words, n_pairs, n_pairs))
    test = SubspaceTest(n_permutations=n_permutations, n_draws=max(1, n_draws), options={"mutual_knn": {"k": 5}})
    score_groups([made[0].select(np.arange(n_pairs) < 20)], *spaces, test=SubspaceTest(n_permutations=2, n_draws=1))
    start = time.perf_counter()
    if n_draws:
        score_groups(made, *spaces, test=test, matched=make_pairs(
            np.arange(d_sae), np.arange(d_sae), np.ones(d_sae), settings=settings
        ), n_threads=n_threads)  # fmt: skip
    else:
        rows = {g.name: (spaces[0].directions[g.pairs.ids_a], spaces[1].directions[g.pairs.ids_b], words) for g in made}
        score_words(rows, test=test, n_threads=n_threads)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main(arguments: list[str]) -> None:
    options = dict(argument.split("=") for argument in arguments[1:])
    assert arguments[0] == "groups"
    sys.stdout.write(json.dumps(groups(**{key: int(value) for key, value in options.items()})) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
