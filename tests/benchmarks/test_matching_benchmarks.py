"""What collecting and matching cost, against the plain dense method, and the figures they have to reach."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.benchmark_suite
ROOT = Path(__file__).resolve().parents[2]


def measure(name: str, **options: object) -> dict[str, float]:
    """Run one workload in a process of its own."""
    arguments = [f"{key}={value}" for key, value in options.items()]
    command = [sys.executable, "-m", "tests.benchmarks.matching_workloads", name, *arguments]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def show(title: str, rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(f"\n{title}")  # noqa: T201 (a benchmark's table is its result)
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))  # noqa: T201


def test_matching_against_the_plain_method():
    dense = measure("plain_dense")
    rows = [("method", "seconds", "MiB added", "times faster")]
    rows.append(("plain dense, one block scaled", f"{dense['seconds']:.0f}", f"{dense['added_mib']:.0f}", "1"))
    nearest = measure("in_memory")
    variants = {
        "nearest": nearest,
        "nearest, top_k 10": measure("in_memory", top_k=10),
        "nearest, cosine": measure("in_memory", association="cosine"),
        "nearest, jaccard": measure("in_memory", association="jaccard"),
        "mutual": measure("in_memory", method="mutual"),
        "one_to_one": measure("in_memory", method="one_to_one"),
    }
    for name, result in variants.items():
        speed = dense["seconds"] / result["seconds"]
        rows.append((name, f"{result['seconds']:.2f}", f"{result['added_mib']:.0f}", f"{speed:.0f}"))
    show("Matching 64,000 tokens, 32,768 x 32,768 features, L0 48", rows)
    assert dense["seconds"] / nearest["seconds"] >= 200
    assert dense["added_mib"] / nearest["added_mib"] >= 30


def test_cost_follows_the_firing_pairs():
    base = measure("in_memory")
    wide = measure("in_memory", d_sae=65_536)
    long = measure("in_memory", n_tokens=128_000)
    show(
        "Scaling of nearest (CPU seconds)",
        [
            ("64,000 tokens, 32,768 features", f"{base['cpu_seconds']:.2f}", "1.00"),
            ("twice the width", f"{wide['cpu_seconds']:.2f}", f"{wide['cpu_seconds'] / base['cpu_seconds']:.2f}"),
            ("twice the tokens", f"{long['cpu_seconds']:.2f}", f"{long['cpu_seconds'] / base['cpu_seconds']:.2f}"),
        ],
    )
    assert wide["cpu_seconds"] / base["cpu_seconds"] < 2.3
    assert long["cpu_seconds"] / base["cpu_seconds"] < 2.2


def test_a_million_tokens_from_disk():
    result = measure("on_disk")
    show(
        "1,000,000 tokens, 32,768 x 32,768 features, L0 48, from disk",
        [("seconds", f"{result['seconds']:.1f}"), ("peak MiB", f"{result['peak_mib']:.0f}")],
    )
    assert result["seconds"] < 60
    assert result["peak_mib"] < 2048


def test_collecting_and_matching_stays_small():
    result = measure("collect")
    show(
        "200,000 tokens, two dictionaries of 16,384 features: collect, then match one to one",
        [(name, f"{value:.0f}") for name, value in result.items()],
    )
    assert result["peak_mib"] < 1.5 * 1024
