"""Tables of Mapper graphs: their counts beside chance, and what their nodes hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from helpers.geometry.mapper import STATISTICS, MapperChance, MapperGraph, NodeLabel
from helpers.nulls import PermutationResult
from helpers.nulls.correction import benjamini_hochberg
from helpers.reports.tables import table


def chance_table(results: Mapping[str, Mapping[str, MapperChance]], *, caption: str = "") -> str:
    """A row a graph and statistic: the count, and for every null its mean, range and p, corrected (Benjamini and
    Hochberg) over all tests of the table.

    Args:
        results: graph -> null -> result.
    """
    tests = {
        (name, statistic, null): result.p_value(statistic)
        for name, row in results.items()
        for statistic in STATISTICS
        for null, result in row.items()
    }
    corrected = dict(zip(tests, benjamini_hochberg(list(tests.values())), strict=True))
    rows: dict[str, dict[str, str]] = {}
    for (name, statistic, null), p_value in tests.items():
        result = results[name][null]
        drawn = result.drawn[statistic]
        cells = rows.setdefault(f"{name}, {statistic}", {"count": f"{getattr(result.observed, statistic)}"})
        cells[null] = f"{drawn.mean():.1f} ({drawn.min()} to {drawn.max()})"
        cells[f"p, {null}"] = f"{p_value:.2g}"
        cells[f"corrected, {null}"] = f"{corrected[name, statistic, null]:.2g}"
    return table(rows, caption=caption)


def graphs_table(graphs: Mapping[str, MapperGraph], *, caption: str = "") -> str:
    """A row a graph: what was read off the data, and what came out."""
    rows = {}
    for name, graph in graphs.items():
        found, about = graph.statistics(), graph.settings
        rows[name] = {
            "features": f"{graph.n_rows:,}",
            "cubes": f"{about['n_cubes']}",
            "eps": f"{about['eps']:.3f}",
            "nodes": f"{found.n_nodes}",
            "ties": f"{found.n_edges}",
            "features a node, median": f"{np.median(graph.sizes):.0f}",
            "features in no node": f"{found.unused:.0%}",
        }
    return table(rows, caption=caption)


def nodes_table(graph: MapperGraph, labels: Sequence[NodeLabel], *, n: int = 10, caption: str = "") -> str:
    """The nodes that are most of one group of words, fuller ones first among equals."""
    ranked = sorted(range(graph.n_nodes), key=lambda node: (-labels[node].group_share, -graph.sizes[node], node))
    rows = {
        f"node {node}": {
            "features": f"{graph.sizes[node]}",
            "group": labels[node].group.replace("_", " ") or "none",
            "of this group": f"{labels[node].group_share:.0%}",
            "their commonest words": labels[node].text(),
        }
        for node in ranked[:n]
    }
    return table(rows, caption=caption)


def shares_table(results: Mapping[str, Mapping[str, PermutationResult]], *, caption: str = "") -> str:
    """A row a question and null: score, chance, how many times as often, p."""
    rows = {}
    for question, row in results.items():
        for null, found in row.items():
            assert found.score is not None and found.null_mean is not None and found.p_value is not None
            times = f"{found.score / found.null_mean:.1f}" if found.null_mean > 0 else "only there"
            rows[f"{question}, {null}"] = {
                "share": f"{found.score:.1%}",
                "by chance": f"{found.null_mean:.1%}",
                "times as often": times,
                "p": f"{found.p_value:.2g}",
            }
    return table(rows, caption=caption)
