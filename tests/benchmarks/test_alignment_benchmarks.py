"""What it costs to bring two models of different tokenizers to the same rows."""

from __future__ import annotations

import pytest

from tests.benchmarks.tables import measure, show

pytestmark = pytest.mark.benchmark_suite


def test_alignment():
    result = measure("alignment_workloads", "align")
    names = ("tokenise_words", "tokenise_pieces", "align", "texts")
    rows = [("step", "seconds"), *((name.replace("_", " "), f"{result[name]:.1f}") for name in names)]
    show(f"Aligning 1,000,000 words with pieces of words; {result['added_mib']:.0f} MiB added", rows)
    # Tokenising must stay what costs: aligning may not take longer than it.
    assert result["align"] + result["texts"] < result["tokenise_words"] + result["tokenise_pieces"]


def test_pooling():
    rows = [("pool", "seconds", "result MiB", "store MiB", "added MiB")]
    for pool in ("max", "last"):
        result = measure("alignment_workloads", "pool", pool=pool)
        sizes = (f"{result[name]:.0f}" for name in ("result_mib", "store_mib", "added_mib"))
        rows.append((pool, f"{result['seconds']:.1f}", *sizes))
        # The store is mapped, so its pages count; the result may not be there twice.
        assert result["added_mib"] < 1.5 * result["result_mib"] + result["store_mib"]
    show("Pooling 1,000,000 tokens of 32,768 features, L0 48, into half as many units", rows)
