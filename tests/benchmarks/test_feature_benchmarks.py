"""What labels, the search index and the data of feature cards cost, and the figures that they have to reach."""

from __future__ import annotations

import pytest

from tests.benchmarks.tables import measure, show

pytestmark = pytest.mark.benchmark_suite


def test_describing_and_searching_a_large_dictionary():
    result = measure("feature_workloads", "describe")
    steps = {
        "words": "whole words of all tokens",
        "table": "examples, histograms, labels",
        "save": "save",
        "load": "load",
        "index": "index",
        "contexts": f"texts of {result['n_contexts']:,} contexts",
    }
    rows = [("step", "seconds"), *((text, f"{result[name]:.2f}") for name, text in steps.items())]
    total = sum(result[name] for name in steps)
    rows.append(("all of this", f"{total:.1f}"))
    rows.append(("peak memory, MiB", f"{result['peak_mib']:.0f}"))
    show(f"Describing 32,768 features on 1,000,000 tokens, L0 48 ({result['n_words']:,} different words)", rows)
    kinds = ("find", "find_1000_words", "prefix", "regex", "regex_all")
    queries = [(name, f"{result[f'{name}_median_ms']:.1f}", f"{result[f'{name}_ms']:.1f}") for name in kinds]
    title = f"Queries against 32,768 features ({result['vocabulary']:,} words of top 5 examples)"
    show(title, [("query", "median, ms", "slowest, ms"), *queries])
    assert total < 180
    assert result["peak_mib"] < 2048
    for name in ("find", "prefix", "regex"):
        assert result[f"{name}_median_ms"] < 50, name


def test_cards_of_many_features_take_one_pass():
    result = measure("feature_workloads", "cards")
    steps = {
        "columns": "activations of 200 features on all tokens (one pass)",
        "cards": "200 feature cards",
        "pair_cards": "200 pair cards",
        "html": f"HTML ({result['html_mib']:.0f} MiB)",
    }
    rows = [("step", "seconds"), *((text, f"{result[name]:.2f}") for name, text in steps.items())]
    rows.append(("memory added at most, MiB", f"{result['peak_mib'] - result['before_mib']:.0f}"))
    show("Cards from a store of 32,768 features and 1,000,000 tokens, L0 48", rows)
    assert sum(result[name] for name in steps) < 60
    assert result["peak_mib"] < 2048


def test_effects_on_logits_are_bounded_by_blocks():
    result = measure("feature_workloads", "effects")
    rows = [("features", "seconds"), ("all 32,768", f"{result['all']:.1f}"), ("200", f"{result['chosen']:.2f}")]
    added = result["peak_mib"] - result["before_mib"]
    rows.append(("memory added at most, MiB", f"{added:.0f}"))
    show("Tokens promoted and suppressed, of 50,257, d_model 768", rows)
    assert added < 1024  # all effects at once would be 6,283 MiB
