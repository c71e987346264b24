"""What a sweep of steering settings costs."""

from __future__ import annotations

import pytest

from tests.benchmarks.tables import measure, show

pytestmark = pytest.mark.benchmark_suite


def test_sweep():
    rows = [("100 settings of 50 prompts", "seconds", "all layers each time", "one prompt at a time", "peak MiB")]
    for kind in ("add", "clamp", "reconstruct"):
        result = measure("steering_workloads", "sweep", kind=kind)
        names = ("seconds", "seconds_whole", "seconds_alone", "peak_mib")
        rows.append((kind, *(f"{result[name]:.1f}" for name in names)))
        assert result["difference"] < 1e-4  # the same logits
        assert result["seconds"] < 120  # what a sweep of the demo may take
        assert result["seconds"] < result["seconds_alone"] / 5
    show("Steering a model of 3 layers, 96 wide, at its second, dictionary of 2,048 features, one thread", rows)
