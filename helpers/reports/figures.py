"""Figures of the suite: arrays and labels in, one Figure out. Numbers shown are always taken from the arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from helpers.reports.style import BLUE, GREY, LINE_STYLES, MANY, PALETTE, VERMILION, draw_legend, new_figure, styled

Curve = tuple[Sequence[float], Sequence[float]]


def curves(
    series: Mapping[str, Curve],
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    log_x: bool = False,
    log_y: bool = False,
    y_range: tuple[float, float] | None = None,
    markers: bool = False,
    references: Mapping[str, float] | None = None,
) -> Figure:
    """Lines over a common axis; the legend names them.

    Args:
        series: label -> (x values, y values).
        references: label -> height of a broken horizontal line, e.g. chance.
    Raises:
        ValueError: there is nothing to draw, or the lengths of a series differ.
    """
    _require_curves(series)
    with styled():
        figure, (axes,) = new_figure()
        for number, (label, (x, y)) in enumerate(series.items()):
            axes.plot(
                np.asarray(x), np.asarray(y), label=label, color=PALETTE[number % len(PALETTE)],
                linestyle=LINE_STYLES[number // len(PALETTE) % len(LINE_STYLES)], marker="o" if markers else None,
                markersize=4,
            )  # fmt: skip
        for number, (label, height) in enumerate((references or {}).items()):
            axes.axhline(height, color=GREY, linestyle=("--", ":", "-.")[number % 3], linewidth=1.6, label=label)
        axes.set(xlabel=x_label, ylabel=y_label, title=title)
        axes.set_xscale("log" if log_x else "linear")
        axes.set_yscale("log" if log_y else "linear")
        if not log_x and max(float(np.max(np.abs(x))) for x, _ in series.values()) >= 1000:
            axes.xaxis.set_major_formatter(MANY)
        if y_range is not None:
            axes.set_ylim(*y_range)
        if len(series) > 1 or references:
            draw_legend(axes)
        return figure


def curve_panels(
    panels: Mapping[str, Mapping[str, Curve]],
    *,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    y_range: tuple[float, float] | None = None,
    title: str = "",
) -> Figure:
    """Panels side by side over a common axis, panel title -> label -> (x, y); a label looks the same in all of them.

    Raises:
        ValueError: there is nothing to draw, or the lengths of a series differ.
    """
    if not panels:
        raise ValueError("there are no panels to draw; pass {title: {label: (x, y)}}")
    for series in panels.values():
        _require_curves(series)
    labels = list(dict.fromkeys(label for series in panels.values() for label in series))
    n_legend_rows = -(-len(labels) // 4)
    with styled():
        figure, axes_list = new_figure(
            n_columns=len(panels), width=max(4.5, 3.1 * len(panels)), height=2.9 + 0.25 * n_legend_rows, sharey=True
        )
        for axes, (heading, series) in zip(axes_list, panels.items(), strict=True):
            for label, (x, y) in series.items():
                number = labels.index(label)
                axes.plot(
                    np.asarray(x), np.asarray(y), label=label, color=PALETTE[number % len(PALETTE)], marker="o",
                    markersize=3.5, linestyle=LINE_STYLES[number // len(PALETTE) % len(LINE_STYLES)], linewidth=1.6,
                )  # fmt: skip
            axes.set_title(heading)
            axes.set_xlabel(x_label)
            if log_x:
                axes.set_xscale("log")
                measured = sorted({float(value) for x, _ in series.values() for value in x})
                axes.set_xticks(measured[:: -(-len(measured) // 6)])
                axes.xaxis.set_major_formatter(MANY)
                axes.minorticks_off()
            if y_range is not None:
                axes.set_ylim(*y_range)
        axes_list[0].set_ylabel(y_label)
        handles = {
            label: handle for axes in axes_list for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            [handles[label] for label in labels], labels, loc="outside lower center", ncols=min(4, len(labels))
        )
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        return figure


def share_bars(values: Mapping[str, Mapping[str, float]], *, x_label: str, title: str = "") -> Figure:
    """Horizontal bars of shares (0 to 1), series side by side: series -> category -> value; each bar carries its value.

    Raises:
        ValueError: there is nothing to draw.
    """
    categories = list(dict.fromkeys(name for series in values.values() for name in series))
    if not categories:
        raise ValueError("there are no values to draw; pass {series: {category: value}}")
    with styled():
        figure, (axes,) = new_figure(height=1.2 + 0.2 * len(categories) * (len(values) + 0.6))
        thickness = 0.8 / len(values)
        for number, (label, series) in enumerate(values.items()):
            places = [categories.index(name) + (number - (len(values) - 1) / 2) * thickness for name in series]
            bars = axes.barh(
                places, list(series.values()), thickness * 0.9, label=label, color=PALETTE[number % len(PALETTE)]
            )
            axes.bar_label(bars, fmt="{:.0%}", padding=3, fontsize=8.5)
        axes.set_yticks(range(len(categories)), [name.replace("_", " ") for name in categories])
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set(xlabel=x_label, title=title, xlim=(0, 1.12), xticks=[0, 0.25, 0.5, 0.75, 1])
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
        if len(values) > 1:
            draw_legend(axes, above=True)
        return figure


def correlation_histogram(
    observed: Any,
    null: Any,
    *,
    threshold: float | None = None,
    x_label: str = "activation correlation of matched features",
    observed_label: str = "matched",
    null_label: str = "shuffled",
    title: str = "",
    n_bins: int = 50,
) -> Figure:
    """Two distributions over common bins, as shares of each, with an optional threshold line.

    Raises:
        ValueError: a side is empty or not finite.
    """
    observed, null = _values(observed, name="observed"), _values(null, name="null")
    low, high = min(observed.min(), null.min()), max(observed.max(), null.max())
    bins = np.linspace(low, high if high > low else low + 1, n_bins + 1).tolist()
    with styled():
        figure, (axes,) = new_figure()
        for values, label, colour in ((null, null_label, GREY), (observed, observed_label, BLUE)):
            shares = np.full(values.shape, 1 / len(values))
            name = f"{label} ({len(values):,})"
            axes.hist(values, bins, weights=shares, color=colour, alpha=0.35, label=name)
            axes.hist(values, bins, weights=shares, color=colour, histtype="step", linewidth=1.5)
        if threshold is not None:
            above = float((observed > threshold).mean()), float((null > threshold).mean())
            axes.axvline(threshold, color=VERMILION, linestyle="--", linewidth=1.5)
            axes.plot([], [], color=VERMILION, linestyle="--", label=(
                f"threshold {threshold:g}: {above[0]:.1%} of {observed_label}, {above[1]:.1%} of {null_label} above"
            ))  # fmt: skip
        axes.set(xlabel=x_label, ylabel="share of pairs", title=title)
        draw_legend(axes, above=True)
        return figure


def feature_density_histogram(counts: Mapping[str, Any], *, n_tokens: int, title: str = "", n_bins: int = 40) -> Figure:
    """How often features fire: share of tokens on a log scale; dead features, which have no logarithm, in the legend.

    Args:
        counts: label -> (d_sae,) tokens on which each feature fires.
        n_tokens: tokens looked at.
    Raises:
        ValueError: there is nothing to draw, or n_tokens is below 1.
    """
    if not counts or n_tokens < 1:
        raise ValueError(f"expected firing counts and n_tokens >= 1; got {len(counts)} series and n_tokens={n_tokens}")
    sides = {label: _values(value, name=label) for label, value in counts.items()}
    top = max(1.0, max(float(side.max()) for side in sides.values()))
    # Edges between whole numbers of firings: no bin that no count can fall into.
    edges = np.unique(np.floor(np.geomspace(1, top + 1, n_bins + 1))) - 0.5
    bins = (np.append(edges, top + 0.5) if edges[-1] < top else edges) / n_tokens
    with styled():
        figure, (axes,) = new_figure()
        for number, (label, side) in enumerate(sides.items()):
            dead = float((side == 0).mean())
            name = f"{label}: {len(side):,} features, {dead:.1%} dead"
            colour = PALETTE[number % len(PALETTE)]
            axes.hist(side[side > 0] / n_tokens, bins.tolist(), histtype="stepfilled", alpha=0.25, color=colour)
            axes.hist(
                side[side > 0] / n_tokens, bins.tolist(), histtype="step", linewidth=1.6, color=colour, label=name
            )
        axes.set(xscale="log", xlabel=f"share of {n_tokens:,} tokens on which a feature fires", ylabel="features")
        axes.set_title(title)
        draw_legend(axes, above=True)
        return figure


def heatmap(
    values: Any, *, row_labels: Sequence[str], column_labels: Sequence[str], x_label: str, y_label: str,
    colour_label: str, title: str = "", value_range: tuple[float, float] | None = None,
) -> Figure:  # fmt: skip
    """A matrix as colours with its numbers written in; NaN (undefined) stays empty.

    Raises:
        ValueError: labels do not fit the matrix.
    """
    matrix = np.asarray(values, dtype=float)
    if matrix.shape != (len(row_labels), len(column_labels)):
        raise ValueError(
            f"got a {matrix.shape} matrix with {len(row_labels)} row and {len(column_labels)} column labels"
        )
    low, high = value_range or (float(np.nanmin(matrix)), float(np.nanmax(matrix)))
    with styled():
        # Inches: what labels need at this font size, and cells that hold a number.
        longest = max(len(line) for label in column_labels for line in label.splitlines() or [""])
        cell_width = max(0.75, 0.1 * longest)
        beside = 1.8 + 0.085 * max(len(label) for label in row_labels)
        width = max(4.1, beside + cell_width * matrix.shape[1])
        figure, (axes,) = new_figure(width=width, height=1.5 + 0.4 * matrix.shape[0])
        image = axes.imshow(matrix, cmap="cividis", vmin=low, vmax=high, aspect="auto")
        axes.grid(visible=False)
        axes.set_xticks(range(len(column_labels)), column_labels)
        axes.set_yticks(range(len(row_labels)), row_labels)
        axes.set(xlabel=x_label, ylabel=y_label, title=title)
        for (row, column), value in np.ndenumerate(matrix):
            if np.isfinite(value):
                colour = "white" if value < (low + high) / 2 else "black"
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8.5)
        figure.colorbar(image, ax=axes, label=colour_label)
        return figure


def _values(value: Any, *, name: str) -> np.ndarray:
    array = np.asarray(value, dtype=float).ravel()
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"{name} must hold finite numbers to draw; got {array.size} values, "
                         f"{int((~np.isfinite(array)).sum())} of them not finite")  # fmt: skip
    return array


def _require_curves(series: Mapping[str, Curve]) -> None:
    if not series:
        raise ValueError("there are no curves to draw; pass {label: (x, y)}")
    for label, (x, y) in series.items():
        if len(x) != len(y) or len(x) == 0:
            raise ValueError(f"curve '{label}' needs equally many x and y values; got {len(x)} and {len(y)}")
