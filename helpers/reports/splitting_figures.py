"""Pictures and tables of split features: a map of several widths, and families from general to specific.

A module of its own, so that other notebooks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.geometry import Embedding, Splitting
from helpers.reports.style import BLUE, ORANGE, SKY, VERMILION, new_figure, styled
from helpers.reports.tables import table

# Narrowest first. The wider a dictionary, the more and smaller its points, and the darker they must be.
COLOURS, MARKERS, AREAS = (SKY, ORANGE, BLUE), ("o", "D", "o"), (90.0, 18.0, 2.5)
MOST_SHOWN = 8  # children named in a row of the table


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
                *each.points.T, s=AREAS[number], color=COLOURS[number], marker=MARKERS[number], linewidths=0,
                alpha=0.55 if number < len(maps) - 1 else 0.8, label=f"{name} ({len(each.ids):,} features)", zorder=2 + number,
            )  # fmt: skip
        for family in marked:
            _draw_marked(axes, family, places)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        legend = figure.legend(loc="outside upper left", ncols=len(maps))
        for handle in legend.legend_handles:
            handle.set_alpha(1.0)  # type: ignore[union-attr]
        return figure


def splitting_table(
    splitting: Splitting,
    families: Sequence[int],
    names_narrow: Sequence[str],
    names_wide: Sequence[str],
    *,
    caption: str = "",
) -> str:
    """A row a family: the general feature, how its children cover it, whether they are disjoint, and who they are.

    Args:
        families: ids of general features with children.
        names_narrow: (d_narrow,), names_wide: (d_wide,), text of every feature.
    Returns:
        HTML. Of every child is written in which share of its tokens the general feature fires, and the cosine; * marks
        the copy, ! an absorbing child.
    Raises:
        ValueError: no families.
    """
    if not len(families):
        raise ValueError("there are no families to show; lower min_firings or save more tokens")
    rows = {}
    for general in map(int, families):
        children = splitting.children(general)
        expected = splitting.expected_clashes[general]
        shown = [_child_text(splitting, int(child), names_wide) for child in children[:MOST_SHOWN]]
        if len(children) > MOST_SHOWN:
            shown.append(f"and {len(children) - MOST_SHOWN} more")
        rows[f"{names_narrow[general] or 'no label'} ({general})"] = {
            "became": str(splitting.narrow_class[general]),
            "fires on": f"{splitting.counts_narrow[general] / splitting.n_tokens:.2%}",
            "covered": f"{splitting.coverage[general]:.0%}",
            "by chance": f"{splitting.coverage_by_chance[general]:.0%}",
            "clashes": f"{splitting.clashes[general] / expected:.2f}" if expected >= 1 else "too few",
            "children": "; ".join(shown),
        }
    return table(rows, caption=caption)


def _child_text(splitting: Splitting, child: int, names: Sequence[str]) -> str:
    mark = "*" if splitting.wide_class[child] == "kept" else "!" if splitting.absorbs[child] else ""
    inside = splitting.together[child] / splitting.counts_wide[child]
    return f"{names[child] or 'no label'}{mark} ({inside:.0%}, {splitting.cosine[child]:.2f})"


def _draw_marked(axes: Axes, family: Marked, places: Mapping[tuple[str, int], np.ndarray]) -> None:
    start = places[family.general]
    for child in family.children:
        axes.plot(*zip(start, places[child], strict=True), color="black", linewidth=0.7, alpha=0.7, zorder=6)
    axes.scatter(*start, s=110, facecolors="none", edgecolors=VERMILION, linewidths=1.6, zorder=7)
    axes.annotate(
        family.name, start, xytext=(7, 7), textcoords="offset points", fontsize=9, fontweight="bold", zorder=8,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
    )  # fmt: skip
