"""Tables of concept hierarchies and analogies; p-values are corrected over each table."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from helpers.geometry.hierarchy import Simplex, StepCosines
from helpers.nulls import PermutationResult, correct_tests
from helpers.reports.tables import table

COLUMNS = ("score", "chance", "p, corrected", "verdict")


def tests_table(results: Mapping[str, PermutationResult], *, rows: str, caption: str = "", alpha: float = 0.05) -> str:
    """One row a test: score, mean of its shuffles, corrected p and verdict.

    Args:
        rows: what a test counts, e.g. "concepts".
    """
    corrected = correct_tests(results, alpha=alpha)
    texts = {
        test.name: {rows: f"{test.n_rows:,}"} | {column: test.as_text()[column] for column in COLUMNS}
        for test in corrected
    }
    return table(texts, caption=caption)


def kinds_table(
    results: Mapping[str, Mapping[str, Mapping[str, PermutationResult]]], *, caption: str = "", alpha: float = 0.05
) -> str:
    """Parents and models: the share of outside words below the left-out child's, and where these lie on the parent.

    Args:
        results: model -> parent -> "held_out_kinds" and "held_out_projection".
    """
    flat = {(model, name): of_name for model, of_model in results.items() for name, of_name in of_model.items()}
    corrected = [
        correct_tests({" ".join(key): of_name[measure] for key, of_name in flat.items()}, alpha=alpha)
        for measure in ("held_out_kinds", "held_out_projection")
    ]
    rows = {}
    for (model, name), share, projection in zip(flat, *corrected, strict=True):
        rows[f"{name.replace('_', ' ')}, {model}"] = {
            "children": f"{share.n_rows}",
            "outside words below": f"{share.score:.0%}",
            "by chance": f"{share.null_mean:.0%}",
            "p, corrected": f"{share.p_corrected:.2g}",
            "place on the parent (1 = as its own)": f"{projection.score:z.2f}",
            "chance": f"{projection.null_mean:z.2f}",
            "p of the place": f"{projection.p_corrected:.2g}",
            "verdict": "found" if share.significant else "not found",
        }
    return table(rows, caption=caption)


def steps_table(steps: Mapping[str, StepCosines], *, caption: str = "") -> str:
    """Mean absolute cosines beside all nulls, the false one included."""
    rows = {}
    for name, found in steps.items():
        for label, result in (
            ("random words, nested", found.against_nested),
            ("concepts moved", found.against_moved),
            ("random words, not nested: a false null", found.against_unnested),
        ):
            rows[f"{name}; {label}"] = {
                "mean |cosine|": f"{result.score:.3f}",
                "of the null": f"{result.null_mean:.3f}",
                "p": f"{result.p_value:.2g}",
            }
    return table(rows, caption=caption)


def simplex_table(
    observed: Mapping[str, Mapping[str, Simplex]],
    shuffled: Mapping[str, Mapping[str, Simplex]],
    *,
    names: Collection[str],
    caption: str = "",
) -> str:
    """Siblings of every parent as a simplex, beside the same sets of random words.

    Args:
        observed, shuffled: model -> parent -> simplex. names: parents to show; those without a simplex are left out.
    Raises:
        ValueError: none of them has a simplex.
    """
    rows = {
        f"{name.replace('_', ' ')}, {model}": {
            "siblings": f"{found.n}",
            "cosine in a regular simplex": f"{found.regular_cosine:z.2f}",
            "spread of the cosines": f"{found.spread:.2f}",
            "of random words": f"{shuffled[model][name].spread:.2f}",
            "flatness (1 = regular)": f"{found.flatness:.2f}",
            "flatness of random words": f"{shuffled[model][name].flatness:.2f}",
        }
        for model, of_model in observed.items()
        for name, found in of_model.items()
        if name in names
    }
    return table(rows, caption=caption)


def recognition_table(
    results: Mapping[str, Mapping[str, PermutationResult]], *, caption: str = "", alpha: float = 0.05
) -> str:
    """One row a kind of rows and model: how many concepts recognise the words left out.

    Args:
        results: row -> concept -> result; every row is corrected by itself, undefined concepts do not count.
    """
    rows = {}
    for name, tests in results.items():
        scored = [test for test in correct_tests(tests, alpha=alpha) if test.score is not None]
        scores, chance = ([getattr(test, key) for test in scored] for key in ("score", "null_mean"))
        rows[name] = {
            "concepts": f"{len(scored)}",
            "found": f"{sum(bool(test.significant) for test in scored)}",
            "mean score": f"{np.mean(scores):.3f}" if scored else "",
            "chance": f"{np.mean(chance):.3f}" if scored else "",
            "not found": ", ".join(test.name.replace("_", " ") for test in scored if not test.significant)[:120],
        }
    return table(rows, caption=caption)
