"""What writing in the background gains over writing every batch before the next one is computed.

Each test prints a table and runs alone: pytest -q -s -m benchmark_suite tests/benchmarks -k collecting
"""

from __future__ import annotations

from functools import partial

import pytest

from tests.benchmarks.tables import measure as run_workload
from tests.benchmarks.tables import show

pytestmark = pytest.mark.benchmark_suite
measure = partial(run_workload, "collecting_workloads")
#: CPU seconds of the same work differ by so much on a machine with something else to do.
NOISE = 1.15


def test_collecting_on_one_cpu_thread():
    result = measure("cpu")
    gain = result["in_turn_seconds"] / result["behind_seconds"]
    show(
        f"Collecting 20,000 tokens, two dictionaries of 16,384 features, L0 32, one CPU thread; writing takes "
        f"{result['writing_share']:.1%} of the time, and no more can be gained",
        [
            ("writing", "seconds", "faster", "CPU seconds"),
            ("in turn (baseline)", f"{result['in_turn_seconds']:.1f}", "1.00", f"{result['in_turn_cpu_seconds']:.1f}"),
            (
                "in the background",
                f"{result['behind_seconds']:.1f}",
                f"{gain:.2f}",
                f"{result['behind_cpu_seconds']:.1f}",
            ),
        ],
    )
    assert result["behind_cpu_seconds"] < NOISE * result["in_turn_cpu_seconds"]


def test_collecting_with_a_device_as_fast_as_the_disk():
    result = measure("fast_device")
    gain = result["in_turn_seconds"] / result["behind_seconds"]
    show(
        "100 batches of 4,096 tokens, L0 64, each computed (pretended) in the time that writing takes",
        [
            ("writing", "seconds", "faster"),
            ("alone, nothing computed", f"{result['writing_seconds']:.1f}", ""),
            ("in turn (baseline)", f"{result['in_turn_seconds']:.1f}", "1.00"),
            ("in the background; 2.00 at best", f"{result['behind_seconds']:.1f}", f"{gain:.2f}"),
        ],
    )
    assert gain > 1.2
