"""Pictures of persistent homology: diagrams with the band of chance, barcodes with names, Betti curves, images.

A module of its own, so that other notebooks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.geometry.homology import BarTest, Persistence, PersistenceImages, common_scales
from helpers.geometry.homology.persistence import KINDS
from helpers.geometry.homology.rows import UNITS
from helpers.reports.style import BLUE, GREY, PALETTE, VERMILION, new_figure, styled

SHORT = 74  # letters of a loop's names beside its bar


def diagram_panels(tests: Mapping[str, BarTest], *, dim: int = 1, alpha: float = 0.05) -> Figure:
    """A panel a cloud: its bars as points (birth, death), those of a random cloud behind them, and the band of chance.

    Args:
        tests: title of the panel -> test.
        dim: 1 loops, 2 voids.
    Raises:
        ValueError: nothing to draw.
    """
    if not tests:
        raise ValueError("there are no clouds to draw; pass {title: test}")
    n_columns = min(3, len(tests))
    n_rows = -(-len(tests) // n_columns)
    with styled():
        figure, panels = new_figure(
            n_rows=n_rows, n_columns=n_columns, width=max(4.6, 3.2 * n_columns), height=0.5 + 3.0 * n_rows
        )
        for axes, (title, test) in zip(panels, tests.items(), strict=False):
            _draw_diagram(axes, test, dim, alpha)
            axes.set_title(title, fontsize=10)
            axes.set(xlabel=f"birth ({UNITS[test.found.landmarks.metric]})")
        for axes in panels[len(tests) :]:
            axes.set_axis_off()
        for axes in panels[::n_columns]:
            axes.set_ylabel("death")
        handles = {
            label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4)
        return figure


def barcode(test: BarTest, names: Sequence[str], *, dim: int = 1, alpha: float = 0.05, n_bars: int = 12) -> Figure:
    """The longest bars, each with the points it runs through; those that chance does not reach in colour.

    Args:
        names: text of the first bars, the longest first; the others have none.
    Raises:
        ValueError: no bar to draw.
    """
    bars = test.found.bars(dim)[:n_bars]
    if not len(bars):
        raise ValueError(f"there are no {KINDS[dim]} to draw; take more landmarks")
    p_values = test.p_values(dim)
    low, high = float(bars.min()), float(bars.max())
    with styled():
        figure, (axes,) = new_figure(width=9.5, height=1.1 + 0.3 * len(bars))
        for place, (birth, death) in enumerate(bars):
            colour = VERMILION if p_values[place] <= alpha else GREY
            axes.plot([birth, death], [place, place], color=colour, linewidth=5, solid_capstyle="butt")
            text = names[place] if place < len(names) else ""
            text = text if len(text) <= SHORT else text[: SHORT - 1] + "…"
            axes.text(
                high + 0.04 * (high - low), place, f"p = {p_values[place]:.2g}  {text}", va="center", fontsize=8.5
            )
        threshold = test.threshold(dim, alpha=alpha)
        if np.isfinite(threshold):
            axes.plot(
                [low, low + threshold], [len(bars), len(bars)], color="black", linewidth=2, marker="|", markersize=8,
                solid_capstyle="butt",
            )  # fmt: skip
            axes.text(
                low + 1.05 * threshold,
                len(bars),
                f"length that chance exceeds with p = {alpha:g}",
                va="center",
                fontsize=8.5,
            )
        axes.set(ylim=(len(bars) + 0.7, -0.7), yticks=[], xlabel=UNITS[test.found.landmarks.metric])
        # The right part is for the names.
        axes.set_xlim(low - 0.03 * (high - low), high + 2.2 * (high - low))
        axes.set_xticks([tick for tick in axes.get_xticks() if low - 0.03 * (high - low) <= tick <= high])
        axes.grid(visible=False, axis="y")
        return figure


def betti_curves(clouds: Mapping[str, Persistence], random: Mapping[str, Persistence], *, max_dim: int = 1) -> Figure:
    """A panel a dimension: how many components, loops (and voids) are alive at every scale; random clouds broken.

    Args:
        clouds: label -> bars; random: label -> bars of a random cloud; labels of the same model are the same.
    Raises:
        ValueError: nothing to draw, or other labels.
    """
    if not clouds or list(clouds) != list(random):
        raise ValueError(f"expected clouds and a random cloud of each; got {list(clouds)} and {list(random)}")
    every = [*clouds.values(), *random.values()]
    with styled():
        figure, panels = new_figure(n_columns=max_dim + 1, width=4.2 * (max_dim + 1), height=3.2)
        for dim, axes in enumerate(panels):
            scales = common_scales(every, dim=dim)
            for colour, label in zip(PALETTE, clouds, strict=False):
                for found, style, suffix in ((clouds[label], "-", ""), (random[label], "--", ", random")):
                    counts = found.betti_curve(dim, scales * found.scale)
                    axes.plot(scales, counts, style, color=colour, label=label + suffix, linewidth=1.7)
            axes.set(title=KINDS[dim], xlabel="scale (1 = median distance of landmarks)")
        panels[0].set_ylabel("alive")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return figure


def image_panels(images: PersistenceImages, titles: Sequence[str]) -> Figure:
    """Persistence images side by side, on one colour scale.

    Raises:
        ValueError: not one title an image.
    """
    if len(titles) != len(images.images):
        raise ValueError(f"expected a title for each of {len(images.images)} images; got {len(titles)}")
    with styled():
        figure, panels = new_figure(n_columns=len(titles), width=3.0 * len(titles) + 0.8, height=2.9, sharey=True)
        top = float(images.images.max())
        for axes, image, title in zip(panels, images.images, titles, strict=True):
            drawn = axes.imshow(
                image.T, origin="lower", aspect="auto", cmap="cividis", vmin=0, vmax=top,
                extent=(*images.births, *images.lengths),
            )  # fmt: skip
            axes.set(title=title, xlabel="birth (median distances)")
            axes.grid(visible=False)
        panels[0].set_ylabel("length (median distances)")
        figure.colorbar(drawn, ax=panels, label="weight of bars")
        return figure


def _draw_diagram(axes: Axes, test: BarTest, dim: int, alpha: float) -> None:
    bars, p_values = test.found.bars(dim), test.p_values(dim)
    behind = [copy.bars(dim) for copy in test.copies[:1]]
    every = np.concatenate([bars, *behind, np.empty((0, 2))])
    low, high = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
    margin = 0.06 * (high - low)
    ends = np.array([low - margin, high + margin])
    axes.plot(ends, ends, color="black", linewidth=1)
    threshold = test.threshold(dim, alpha=alpha)
    if np.isfinite(threshold):
        label = f"not above chance (p > {alpha:g})"
        axes.fill_between(ends, ends, ends + threshold, color=GREY, alpha=0.18, linewidth=0, label=label)
    for one in behind:
        axes.plot(*one.T, "x", color=GREY, markersize=3.5, label="a random cloud")
    for mask, colour, label in ((p_values > alpha, BLUE, KINDS[dim]), (p_values <= alpha, VERMILION, "above chance")):
        if mask.any():
            axes.plot(*bars[mask].T, "o", color=colour, markersize=4.5, label=label)
    axes.set(xlim=ends, ylim=ends)
