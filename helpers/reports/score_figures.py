"""Figures of scores beside their nulls. A module of its own, so that notebooks without nulls do not depend on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.nulls import PermutationResult
from helpers.reports.style import BLUE, GREY, MANY, VERMILION, new_figure, styled
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
    axes.set_title(result.measure.replace("_", " "), fontsize=10.5)
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
    draws = {"pairing": "shuffles", "random_matrix": "random matrices", "features": "draws of features"}[
        result.null_kind
    ]
    axes.set_ylabel(f"of {len(result.null):,} {draws}", fontsize=9)


def _p_text(result: PermutationResult) -> str:
    """The p-value; one that no null score reached is a bound set by the number of draws."""
    assert result.p_value is not None
    sign = "\u2264" if result.p_value <= 1 / (1 + len(result.null)) else "="
    return f"{sign} {result.p_value:.2g}"


def score_curves(
    positions: Sequence[float],
    results: Mapping[str, Sequence[PermutationResult]],
    *,
    x_label: str,
    log_x: bool = False,
    title: str = "",
) -> Figure:
    """A panel a measure: its score along `positions`, over a band of its null (mean and two standard deviations).

    Where a measure is undefined its line has a gap. The number of rows is written along the top.

    Raises:
        ValueError: nothing to draw, or a measure without one result a position.
    """
    if not results or any(len(row) != len(positions) for row in results.values()):
        raise ValueError(f"expected one result for each of the {len(positions)} positions and measures to draw")
    n_columns = min(3, len(results))
    n_rows = -(-len(results) // n_columns)
    with styled():
        figure, panels = new_figure(
            n_rows=n_rows, n_columns=n_columns, width=max(4.5, 3.2 * n_columns), height=3.0 * n_rows + 0.3
        )
        figure.get_layout_engine().set(hspace=0.08)  # type: ignore[union-attr,call-arg]
        for number, (axes, (name, row)) in enumerate(zip(panels, results.items(), strict=False)):
            score, mean, spread = (
                np.array([np.nan if value is None else value for value in column], dtype=float)
                for column in zip(*((r.score, r.null_mean, r.null_std) for r in row), strict=True)
            )
            axes.fill_between(positions, mean - 2 * spread, mean + 2 * spread, color=GREY, alpha=0.3, linewidth=0)
            axes.plot(positions, mean, color=GREY, linestyle="--", label="wrong pairings")
            axes.plot(positions, score, color=BLUE, marker="o", markersize=4, label="true pairing")
            axes.set_title(name.replace("_", " "), pad=16)
            axes.set_xlabel(x_label, fontsize=9.5)
            axes.set(ylabel=MEASURES[name].direction if number % n_columns == 0 else "")
            _spread_positions(axes, positions, log_x=log_x)
            _row_counts(axes, positions, [r.n_rows for r in row])
        for axes in panels[len(results) :]:
            axes.set_axis_off()
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        return figure


def _spread_positions(axes: Axes, positions: Sequence[float], *, log_x: bool) -> None:
    """Room at both ends; on a log axis the positions themselves are the ticks."""
    low, high = float(min(positions)), float(max(positions))
    if not log_x:
        margin = 0.06 * (high - low) or 0.5
        axes.set_xlim(low - margin, high + margin)
        return
    factor = (high / low) ** 0.06 if high > low else 2.0
    axes.set_xscale("log")
    axes.set_xlim(low / factor, high * factor)
    axes.set_xticks(list(positions))
    axes.xaxis.set_major_formatter(MANY)
    axes.minorticks_off()


def _row_counts(axes: Axes, positions: Sequence[float], counts: Sequence[int]) -> None:
    """Numbers of rows above the axes: scores at the right end may come from few pairs."""
    for position, count in list(zip(positions, counts, strict=True))[:: max(1, len(positions) // 4)]:
        axes.annotate(
            f"{count:,}", (position, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3),
            textcoords="offset points", ha="center", va="bottom", fontsize=7.5, color="#444444",
        )  # fmt: skip
