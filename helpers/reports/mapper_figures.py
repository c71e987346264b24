"""Pictures of Mapper graphs for pages that run no scripts: graphs, counts beside chance, the curve of eps, covers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from helpers.geometry.mapper import STATISTICS, MapperChance, MapperGraph, NodeLabel, StabilitySweep
from helpers.reports.style import BLUE, GREY, ORANGE, PALETTE, VERMILION, new_figure, styled

NO_GROUP = "no group of words"
NO_GROUP_COLOUR = "#C9CDD2"
OTHER_GROUPS, OTHER_COLOUR = "other groups", "#555555"
MOST_LABELS, LABEL_SHARE = 24, 0.5
LETTERS = 12  # of a name that are shown
WIDTH, LETTER_WIDTH, LINE_HEIGHT = 9.5, 0.07, 0.17  # inches: of the figure, and of what is written beside nodes
MARGIN = 0.8  # around a graph, in lengths of a tie
NULL_COLOURS = (GREY, ORANGE)


def group_colours(labels: Sequence[Sequence[NodeLabel]]) -> dict[str, str]:
    """Group -> colour: those of most nodes get colours of their own, the others share one; the last is for none."""
    counts: dict[str, int] = {}
    for side in labels:
        for label in side:
            if label.group:
                counts[label.group] = counts.get(label.group, 0) + 1
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    colours = dict(zip(ranked, PALETTE, strict=False)) | dict.fromkeys(ranked[len(PALETTE) :], OTHER_COLOUR)
    return colours | {"": NO_GROUP_COLOUR}


def graph_panels(
    graphs: Sequence[MapperGraph],
    positions: Sequence[np.ndarray],
    labels: Sequence[Sequence[NodeLabel]],
    *,
    names: Sequence[str],
) -> Figure:
    """A panel a graph: nodes as discs (area = rows), coloured by the group of words of their members, ties as lines.

    Shapes:
        positions: of each graph (n_nodes, 2).
    Args:
        labels: of each graph one a node; up to 24 a panel show their commonest names, those mostly of one group first.
        names: of the graphs.
    Raises:
        ValueError: graphs, positions, labels and names that do not belong together.
    """
    _check(graphs, positions, labels, names)
    colours = group_colours(labels)
    spans = [np.ptp(places, axis=0) + 1.5 for places in positions]
    heights = [float(np.clip(9.5 * span[1] / span[0], 1.6, 6.5)) for span in spans]
    with styled():
        figure, panels = new_figure(
            n_rows=len(graphs), width=WIDTH, height=0.5 * len(graphs) + sum(heights) + 0.6, height_ratios=heights
        )
        for axes, graph, places, described, name in zip(panels, graphs, positions, labels, names, strict=True):
            _draw_graph(axes, graph, places, [colours[label.group] for label in described])
            _write_labels(axes, graph, places, described)
            axes.set_title(f"{name}: {graph.n_nodes} nodes, {graph.n_rows:,} features")
        shown = [name for name in colours if name and colours[name] != OTHER_COLOUR]
        entries = [(name.replace("_", " "), colours[name]) for name in shown]
        if OTHER_COLOUR in colours.values():
            entries.append((OTHER_GROUPS, OTHER_COLOUR))
        for text, colour in [*entries, (NO_GROUP, NO_GROUP_COLOUR)]:
            panels[0].scatter([], [], color=colour, s=60, label=text)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return figure


def counts_beside_chance(results: Mapping[str, Mapping[str, MapperChance]]) -> Figure:
    """A panel a statistic, a line a graph: its count as a dot, bars from the lowest to the highest of the random rows.

    Args:
        results: graph -> null -> result; the same nulls for every graph, at most two.
    Raises:
        ValueError: nothing to draw, or more than two nulls.
    """
    nulls = list(dict.fromkeys(null for row in results.values() for null in row))
    if not nulls or len(nulls) > len(NULL_COLOURS):
        raise ValueError(f"expected results with 1 or {len(NULL_COLOURS)} nulls; got {len(nulls)}")
    with styled():
        figure, panels = new_figure(n_columns=len(STATISTICS), width=9.5, height=1.7 + 0.45 * len(results), sharey=True)
        for axes, statistic in zip(panels, STATISTICS, strict=True):
            for place, row in enumerate(results.values()):
                for null, result in row.items():
                    number = nulls.index(null)
                    height = place + 0.24 * (number - (len(nulls) - 1) / 2)
                    drawn = result.drawn[statistic]
                    axes.plot(
                        [drawn.min(), drawn.max()], [height, height], color=NULL_COLOURS[number], linewidth=5,
                        solid_capstyle="butt", marker="|", markersize=8, label=null if place == 0 else None,
                    )  # fmt: skip
                observed = getattr(next(iter(row.values())).observed, statistic)
                label = "the graph itself" if place == 0 else None
                axes.plot([observed], [place], "o", color=VERMILION, markersize=8, label=label)
            axes.set_title(statistic)
            axes.set_xlabel("count")
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
            axes.margins(x=0.08)
            axes.grid(visible=False, axis="y")
        panels[0].set_yticks(range(len(results)), list(results))
        panels[0].set_ylim(len(results) - 0.5, -0.5)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        return figure


def cover_grid(sweep: StabilitySweep, *, n_cubes: int, gain: float) -> Figure:
    """A panel a statistic: its count for every resolution and gain, the cover of the shown graph framed where it is in
    the grid."""
    with styled():
        figure, panels = new_figure(
            n_columns=len(STATISTICS), width=9.5, height=1.6 + 0.42 * len(sweep.gains), sharey=True
        )
        for axes, statistic in zip(panels, STATISTICS, strict=True):
            counts = sweep.counts[statistic]
            axes.imshow(counts, cmap="cividis", aspect="auto", origin="lower")
            axes.grid(visible=False)
            half = (counts.min() + counts.max()) / 2
            for (i, j), count in np.ndenumerate(counts):
                colour = "white" if count < half or counts.min() == counts.max() else "black"
                axes.text(j, i, f"{count}", ha="center", va="center", color=colour, fontsize=9.5)
            if n_cubes in sweep.n_cubes and gain in sweep.gains:
                corner = sweep.n_cubes.index(n_cubes) - 0.5, sweep.gains.index(gain) - 0.5
                axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=VERMILION, linewidth=2.5))
            axes.set_xticks(range(len(sweep.n_cubes)), [str(number) for number in sweep.n_cubes])
            axes.set_yticks(range(len(sweep.gains)), [f"{value:g}" for value in sweep.gains])
            axes.set(title=statistic, xlabel="cubes (resolution)")
        panels[0].set_ylabel("gain (overlap)")
        return figure


def reach_curves(curves: Mapping[str, tuple[np.ndarray, float]], *, y_label: str) -> Figure:
    """The curves that eps is read off, one a dictionary: distances ascending, and where eps was taken.

    Args:
        curves: name -> (distances ascending, eps).
    Raises:
        ValueError: nothing to draw.
    """
    if not curves:
        raise ValueError("there are no curves to draw; pass {name: (distances, eps)}")
    with styled():
        figure, (axes,) = new_figure(height=3.1)
        for colour, (name, (distances, eps)) in zip((BLUE, VERMILION, GREY, ORANGE), curves.items(), strict=False):
            shares = np.arange(1, len(distances) + 1) / len(distances)
            axes.plot(shares, distances, color=colour, label=f"{name}: eps {eps:.2f}")
            place = float(np.mean(distances <= eps))
            axes.plot([place], [eps], "o", color=colour, markersize=8)
        axes.set(xlabel="share of rows (in every cube that they lie in)", ylabel=y_label, xlim=(0, 1))
        axes.legend(loc="best")
        return figure


def _draw_graph(axes: Axes, graph: MapperGraph, places: np.ndarray, colours: Sequence[str]) -> None:
    widths = 0.6 + 1.8 * graph.nerve.shared / max(1, graph.nerve.shared.max(initial=1))
    axes.add_collection(LineCollection(places[graph.edges], colors="#9AA0A6", linewidths=widths, zorder=1))
    areas = 18 + 320 * graph.sizes / graph.sizes.max()
    axes.scatter(places[:, 0], places[:, 1], s=areas, c=list(colours), edgecolors="white", linewidths=0.8, zorder=2)
    axes.set_aspect("equal")
    axes.set_xlim(places[:, 0].min() - MARGIN, places[:, 0].max() + MARGIN)
    axes.set_ylim(places[:, 1].min() - MARGIN, places[:, 1].max() + MARGIN)
    axes.set_axis_off()


def _write_labels(axes: Axes, graph: MapperGraph, places: np.ndarray, labels: Sequence[NodeLabel]) -> None:
    """Words beside nodes: first those that are mostly of one group, then the fullest; none over another."""
    unit = (np.ptp(places[:, 0]) + 2 * MARGIN) / WIDTH  # of the layout, an inch
    share = np.array([label.group_share * (label.group_share >= LABEL_SHARE) for label in labels])
    taken: list[tuple[float, float, float]] = []
    for node in np.lexsort((-graph.sizes, -share)):
        names = labels[node].names[:2]
        text = ", ".join(name if len(name) <= LETTERS else name[: LETTERS - 1] + "…" for name in names)
        x, y = places[node]
        half = unit * LETTER_WIDTH * len(text) / 2
        free = all(abs(x - at) > half + other or abs(y - low) > unit * LINE_HEIGHT for at, low, other in taken)
        if not text or not free or len(taken) == MOST_LABELS:
            continue
        taken.append((x, y, half))
        axes.annotate(
            text, (x, y), xytext=(0, 8), textcoords="offset points", ha="center", va="bottom", fontsize=7.5,
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.7}, zorder=5,
        )  # fmt: skip


def _check(
    graphs: Sequence[MapperGraph],
    positions: Sequence[np.ndarray],
    labels: Sequence[Sequence[NodeLabel]],
    names: Sequence[str],
) -> None:
    numbers = [graph.n_nodes for graph in graphs]
    if (
        not numbers
        or numbers != [len(places) for places in positions]
        or numbers != [len(side) for side in labels]
        or len(names) != len(numbers)
    ):
        raise ValueError(
            f"expected a position and a label for every node and a name for every graph; got graphs of {numbers} nodes, "
            f"{[len(places) for places in positions]} positions, {[len(side) for side in labels]} labels, {len(names)} names"
        )
