"""Static pictures of feature maps, for pages that run no scripts: two panels side by side, in two or three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch

from helpers.comparison.feature_maps import MapPair
from helpers.reports.style import GREY, PALETTE, new_figure, styled

MARKERS = ("o", "s", "D", "^")
SIZE = 7.0
MOST_GROUPS = len(PALETTE) * len(MARKERS)
WITHOUT = "no group"


def group_panels(
    points: Sequence[np.ndarray],
    groups: Sequence[Sequence[str]],
    *,
    names: Sequence[str],
    pairs: Sequence[tuple[int, int, str]] = (),
    title: str = "",
) -> Figure:
    """Two maps, every group in its own colour and marker, the rest in grey beneath; some partners tied by a line.

    Shapes:
        points: of each map (n, 2) or (n, 3).
    Args:
        groups: of each map one name a point, "" for none; at most 24 groups.
        names: of the maps.
        pairs: (point of the first map, point of the second, label) that are tied; only in two dimensions.
    Raises:
        ValueError: more groups than can be told apart, or points and groups that differ in number.
    """
    _check(points, groups, names)
    found = sorted({group for side in groups for group in side if group})
    if len(found) > MOST_GROUPS:
        raise ValueError(f"at most {MOST_GROUPS} groups can be told apart; got {len(found)}; choose some of them")
    flat = points[0].shape[1] == 2
    with styled():
        figure, axes = _panels(flat)
        for panel, place, side, name in zip(axes, points, groups, names, strict=True):
            labels = np.array(side, dtype=object)
            _scatter(panel, place[labels == ""], color="#C9CDD2", s=SIZE * 0.6, label=WITHOUT)
            for number, group in enumerate(found):
                style = {"color": PALETTE[number % len(PALETTE)], "marker": MARKERS[number // len(PALETTE)]}
                _scatter(panel, place[labels == group], s=SIZE * 1.6, label=group, **style)
            panel.set_title(f"{name}: {len(place):,} features")
        for i, j, label in pairs if flat else ():
            _tie(figure, axes, tuple(points[0][i]), tuple(points[1][j]), label)
        handles, texts = axes[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower center", ncols=6, markerscale=1.8, fontsize=8.5)
        figure.suptitle(title)
        return figure


def strongest_of_groups(
    maps: MapPair, groups: Sequence[Sequence[str]], labels: Sequence[Sequence[str]], *, n: int = 6
) -> list[tuple[int, int, str]]:
    """Pairs to tie: of the groups that both partners belong to, the best correlated pair of each whose label is one word.

    Args:
        groups: of each map one name a point; labels: of each dictionary one label a feature.
        n: at most so many groups, those with the strongest pairs.
    Returns:
        (point of the first map, point of the second, label) of each.
    """
    place_a, place_b = ({feature: k for k, feature in enumerate(side.ids.tolist())} for side in (maps.a, maps.b))
    found: dict[str, tuple[int, int, str]] = {}
    for one, other in zip(maps.rows.pairs.ids_a.tolist(), maps.rows.pairs.ids_b.tolist(), strict=True):
        i, j, label = place_a[one], place_b[other], labels[0][one]
        group = groups[0][i]
        if group and group == groups[1][j] and label == labels[1][other] and "/" not in label:
            found.setdefault(group, (i, j, label))
    return list(found.values())[:n]


def value_panels(
    points: Sequence[np.ndarray],
    values: Sequence[np.ndarray],
    *,
    names: Sequence[str],
    label: str,
    missing: str,
    title: str = "",
) -> Figure:
    """Two maps coloured by a number, on one scale; points without it in grey beneath.

    Shapes:
        points: of each map (n, 2); values: of each map (n,), NaN where there is none.
    Args:
        label: of the colour scale; missing: what grey means.
    Raises:
        ValueError: points and values that differ in number, or no value at all.
    """
    _check(points, values, names)
    known = np.concatenate([side[np.isfinite(side)] for side in values])
    if known.size == 0:
        raise ValueError("there is no value to colour by")
    low, high = float(known.min()), float(known.max())
    with styled():
        figure, axes = _panels(flat=True)
        for panel, place, side, name in zip(axes, points, values, names, strict=True):
            has = np.isfinite(side)
            _scatter(panel, place[~has], color="#C9CDD2", s=SIZE * 0.6, label=missing)
            drawn = _scatter(panel, place[has], c=side[has], cmap="cividis", vmin=low, vmax=high, s=SIZE * 1.4)
            panel.set_title(f"{name}: {int(has.sum()):,} of {len(place):,} features have a partner")
        figure.colorbar(drawn, ax=axes, label=label, shrink=0.8)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", markerscale=2, fontsize=8.5)
        figure.suptitle(title)
        return figure


def _check(points: Sequence[np.ndarray], values: Sequence, names: Sequence[str]) -> None:
    if not len(points) == len(values) == len(names) == 2:
        raise ValueError(f"expected two maps; got {len(points)} of points, {len(values)} of values, {len(names)} names")
    for place, side, name in zip(points, values, names, strict=True):
        if len(place) != len(side):
            raise ValueError(f"map '{name}' has {len(place)} points and {len(side)} values; pass one each")


def _panels(flat: bool) -> tuple[Figure, list[Any]]:
    """Two axes without ticks, of three dimensions if not flat (which matplotlib's types do not know)."""
    size: dict[str, Any] = {"width": 10.4, "height": 5.9}
    if flat:
        figure, axes = new_figure(n_columns=2, **size)
    else:
        figure, axes = new_figure(n_columns=2, **size, subplot_kw={"projection": "3d"})
    panels: list[Any] = list(axes)
    for panel in panels:
        # Places on a map have no unit, and its axes no meaning.
        panel.set(xticks=[], yticks=[])
        if flat:
            panel.set_aspect("equal", adjustable="datalim")
            panel.spines[["top", "right"]].set_visible(True)
        else:
            panel.set_zticks([])
            panel.view_init(elev=18, azim=-60)
    return figure, panels


def _scatter(panel: Axes, place: np.ndarray, **style) -> PathCollection:
    return panel.scatter(*place.T, linewidths=0, alpha=0.85, rasterized=True, **style)


def _tie(figure: Figure, axes: list[Any], first: tuple[float, float], second: tuple[float, float], label: str) -> None:
    line = ConnectionPatch(
        first, second, "data", "data", axesA=axes[0], axesB=axes[1], color=GREY, linewidth=0.9, alpha=0.8
    )
    figure.add_artist(line)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
    for panel, place in zip(axes, (first, second), strict=True):
        panel.plot(*place, marker="o", markersize=7, markerfacecolor="none", markeredgecolor="black", zorder=5)
        low, high = panel.dataLim.intervalx
        side = -6 if place[0] > low + 0.6 * (high - low) else 6
        panel.annotate(
            label, place, xytext=(side, 5), textcoords="offset points", ha="right" if side < 0 else "left", fontsize=8.5,
            weight="bold", bbox=box, zorder=6,
        )  # fmt: skip
