"""The picture of split features: dictionaries of several widths in one map.

A module of its own, so that other notebooks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.geometry import Embedding, WidthStep
from helpers.reports.figures import share_bars
from helpers.reports.style import BLUE, ORANGE, SKY, VERMILION, new_figure, styled

SIDES = {"narrow": "narrower", "wide": "wider"}
# Narrowest first. The wider a dictionary, the more and smaller its points, and the darker they must be.
COLOURS, MARKERS, AREAS = (SKY, ORANGE, BLUE), ("o", "D", "o"), (90.0, 18.0, 2.5)


class Marked(NamedTuple):
    """A family to show on a map: its name, its general feature and its children, as (dictionary, id)."""

    name: str
    general: tuple[str, int]
    children: Sequence[tuple[str, int]]


def width_map(maps: Mapping[str, Embedding], *, marked: Sequence[Marked] = ()) -> Figure:
    """Dictionaries of several widths in one map: the narrow ones' points larger and beneath.

    Args:
        maps: name -> map, the narrowest first, three at most; all fitted together.
        marked: families whose general feature is tied to its children by lines.
    Raises:
        ValueError: no map, more than three, one that is not flat, or a marked feature that is on no map.
    """
    if not 1 <= len(maps) <= len(COLOURS) or any(each.points.shape[1] != 2 for each in maps.values()):
        raise ValueError(
            f"expected one to {len(COLOURS)} maps of two dimensions; got {[each.points.shape for each in maps.values()]}"
        )
    places = {
        (name, int(feature)): point
        for name, each in maps.items()
        for feature, point in zip(each.ids, each.points, strict=True)
    }
    missing = [
        f"{name}/{number}" for m in marked for name, number in (m.general, *m.children) if (name, number) not in places
    ]
    if missing:
        raise ValueError(f"marked features must be on the map; {', '.join(missing[:5])} are not")
    with styled():
        figure, (axes,) = new_figure(width=8.6, height=6.4)
        for number, (name, each) in enumerate(maps.items()):
            axes.scatter(
                each.points[:, 0], each.points[:, 1], s=AREAS[number], color=COLOURS[number], marker=MARKERS[number], linewidths=0,
                alpha=0.55 if number < len(maps) - 1 else 0.8, label=f"{name} ({len(each.ids):,} features)", zorder=2 + number,
            )  # fmt: skip
        for family in marked:
            _draw_marked(axes, family, places)
        axes.set_axis_off()
        legend = figure.legend(loc="outside upper left", ncols=len(maps))
        for handle in legend.legend_handles:
            handle.set_alpha(1.0)  # type: ignore[union-attr]
        return figure


def fate_bars(steps: Sequence[WidthStep], *, side: str) -> Figure:
    """What the features of one side, "narrow" or "wide", are, step by step, beside shuffled tokens where there are any."""
    bars = {}
    for step in steps:
        bars[step.name] = step.splitting.shares(side)
        if "tokens" in step.chance:
            bars[f"{step.name}, tokens shuffled"] = step.chance["tokens"].shares(side)
    return share_bars(bars, x_label=f"share of the {SIDES[side]} dictionary's features")


def _draw_marked(axes: Axes, family: Marked, places: Mapping[tuple[str, int], np.ndarray]) -> None:
    x, y = map(float, places[family.general])
    for child in family.children:
        to_x, to_y = map(float, places[child])
        axes.plot([x, to_x], [y, to_y], color="black", linewidth=0.7, alpha=0.7, zorder=6)
        axes.scatter(to_x, to_y, s=26, facecolors="none", edgecolors="black", linewidths=0.9, marker="D", zorder=7)
    axes.scatter(x, y, s=110, facecolors="none", edgecolors=VERMILION, linewidths=1.6, zorder=7)
    axes.annotate(
        family.name, (x, y), xytext=(7, 7), textcoords="offset points", fontsize=9, fontweight="bold", zorder=8,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
    )  # fmt: skip
