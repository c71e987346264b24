"""Figures of scores: beside their null distributions, and against a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.nulls import PermutationResult
from helpers.reports.style import BLUE, GREY, MANY, PALETTE, VERMILION, draw_legend, new_figure, styled
from helpers.similarity import MEASURES


def null_distributions(results: Sequence[PermutationResult], *, title: str = "") -> Figure:
    """A panel a measure: its null as a histogram, the observed score as a line, p in the title; reasons if undefined.

    Raises:
        ValueError: no results.
    """
    if not results:
        raise ValueError("there are no results to draw; pass the results of permutation_test")
    n_columns = min(3, len(results))
    n_rows = -(-len(results) // n_columns)
    with styled():
        figure, panels = new_figure(
            n_rows=n_rows, n_columns=n_columns, width=3.2 * n_columns, height=2.75 * n_rows + 0.4
        )
        for axes, result in zip(panels, results, strict=False):
            _null_panel(axes, result)
        for axes in panels[len(results) :]:
            axes.set_axis_off()
        drawn = [axes for axes, result in zip(panels, results, strict=False) if result.score is not None]
        if drawn:
            handles, labels = drawn[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper right", ncols=3)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        return figure


def _null_panel(axes: Axes, result: PermutationResult) -> None:
    entry = MEASURES[result.measure]
    axes.set_title(result.measure, fontsize=10.5)
    if result.score is None:
        axes.set_axis_off()
        reason = "\n".join(wrap(str(result.undefined), 42))
        axes.text(0.0, 0.98, f"undefined\n\n{reason}", transform=axes.transAxes, va="top", fontsize=8.5)
        return
    axes.hist(
        result.null,
        bins=min(20, max(3, len(np.unique(result.null)))),
        histtype="stepfilled",
        color=GREY,
        alpha=0.7,
        label="null",
    )
    axes.axvline(result.score, color=VERMILION, linewidth=2.2, label="observed")
    axes.axvline(entry.ideal, color=BLUE, linestyle=":", linewidth=1.6, label="ideal (identical)")
    axes.set_xlabel(f"{entry.direction} {result.score:.3f}, p {_p_text(result)}", fontsize=9.5)
    draws = "shuffles" if result.null_kind == "pairing" else "random matrices"
    axes.set_ylabel(f"of {len(result.null):,} {draws}", fontsize=9)


def _p_text(result: PermutationResult) -> str:
    """The p-value; one that no null score reached is a bound set by the number of draws."""
    assert result.p_value is not None
    sign = "\u2264" if result.p_value <= 1 / (1 + len(result.null)) else "="
    return f"{sign} {result.p_value:.2g}"


def score_vs_threshold(
    thresholds: Any,
    observed: Any,
    null: Any,
    *,
    counts: Any = None,
    x_label: str = "least correlation of a pair",
    y_label: str = "score",
    count_label: str = "pairs",
    title: str = "",
) -> Figure:
    """Score and null against a threshold, and, below, how many pairs are left.

    Shapes:
        thresholds, observed, null, counts: (n,); NaN or None where a score is undefined leaves a gap.
    Raises:
        ValueError: lengths differ.
    """
    columns = [
        np.array([np.nan if v is None else v for v in values], dtype=float) for values in (thresholds, observed, null)
    ]
    if len({len(column) for column in columns}) != 1 or (counts is not None and len(counts) != len(columns[0])):
        raise ValueError(f"thresholds, observed, null and counts must be equally long; got {[len(c) for c in columns]}")
    with styled():
        heights: dict[str, Any] = {} if counts is None else {"height_ratios": [2.2, 1]}
        figure, panels = new_figure(
            n_rows=1 if counts is None else 2, height=3.4 if counts is None else 4.6, sharex=True, **heights
        )
        panels[0].plot(columns[0], columns[1], marker="o", markersize=4, color=BLUE, label="observed")
        panels[0].plot(columns[0], columns[2], marker="o", markersize=4, color=GREY, linestyle="--", label="null")
        panels[0].set(ylabel=y_label, title=title)
        draw_legend(panels[0])
        if counts is not None:
            panels[1].plot(columns[0], np.asarray(counts, dtype=float), marker="o", markersize=4, color=PALETTE[2])
            panels[1].set_ylabel(count_label)
            panels[1].set_ylim(bottom=0)
            panels[1].yaxis.set_major_formatter(MANY)
        panels[-1].set_xlabel(x_label)
        return figure
