"""What a Mapper graph of a large dictionary costs, and how often its test takes noise for a shape."""

from __future__ import annotations

import pytest

from tests.benchmarks.tables import measure, show

pytestmark = pytest.mark.benchmark_suite


def test_a_large_dictionary():
    lenses = {"umap": 2, "isomap": 2, "pca": 1, "density": 1}
    found = {lens: measure("mapper_workloads", "large", lens=lens, n_components=n) for lens, n in lenses.items()}
    rows = [("lens", "components", "seconds", "peak memory, MiB", "nodes", "ties", "seconds to count")]
    rows += [
        (lens, str(lenses[lens]), f"{made['seconds']:.0f}", f"{made['peak_mib']:.0f}", f"{made['n_nodes']:.0f}",
         f"{made['n_edges']:.0f}", f"{made['statistics_seconds']:.1f}")
        for lens, made in found.items()
    ]  # fmt: skip
    show("Mapper graph of 16,384 x 512 unit rows, two threads (isomap: 2,000 landmarks)", rows)
    for lens, made in found.items():
        assert made["seconds"] + made["statistics_seconds"] < 180, lens
        assert made["peak_mib"] < 2048, lens


def test_noise_is_seldom_taken_for_a_shape():
    shares = measure("mapper_workloads", "false_alarms")
    rows = [("lens components, null, count", "false alarms at 5 %")]
    show("100 clouds of noise, 19 copies each", [*rows, *((name, f"{share:.0%}") for name, share in shares.items())])
    # 5 % are expected at most; 12 of 100 or more would happen in one of 230 such counts.
    assert max(shares.values()) <= 0.12
