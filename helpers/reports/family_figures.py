"""Pictures and tables of feature families: trees of words, and scores beside all they must be compared with.

A module of its own, so that other notebooks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.geometry import FeatureForest
from helpers.nulls import PermutationResult, correct_tests
from helpers.reports.figures import Curve
from helpers.reports.style import BLUE, GREEN, GREY, ORANGE, PALETTE, PURPLE, VERMILION, new_figure, styled
from helpers.reports.tables import table

LINE_INCHES = 0.22  # height of a row of text
SHORT = 13  # letters of a name that fit at the deepest level
INDENT = 0.5  # of a level
NULL_COLOURS = (GREY, ORANGE)
MARKS = (("s", GREEN), ("D", PURPLE))


def family_trees(
    forest: FeatureForest, roots: Sequence[int], names: Sequence[str], *, max_children: int = 9, max_depth: int = 3
) -> Figure:
    """A panel a family: the parent on the left, its children and theirs to the right, more frequent ones first.

    Args:
        roots: parents to show, at least one; they may have parents of their own, which are not shown.
        names: (d_sae,) text of every feature.
        max_children: of one parent; of the others only their number is written.
        max_depth: levels below the parent.
    Raises:
        ValueError: no family to show, or not one name a feature.
    """
    if not len(roots) or len(names) != forest.d_sae:
        raise ValueError(
            f"expected at least one parent and {forest.d_sae} names; got {len(roots)} and {len(names)}; lower min_cover "
            "if there are no families"
        )
    drawn = [_layout(forest, int(root), names, max_children, max_depth) for root in roots]
    n_lines = max(len(nodes) for nodes in drawn)
    with styled():
        figure, panels = new_figure(n_columns=len(roots), width=2.9 * len(roots), height=0.5 + LINE_INCHES * n_lines)
        for axes, nodes, root in zip(panels, drawn, roots, strict=True):
            _draw_tree(axes, nodes, n_lines)
            axes.set_title(f"feature {int(root)}", fontsize=10.5)
        return figure


def scores_beside_chance(
    results: Mapping[str, Mapping[str, PermutationResult]],
    *,
    marks: Mapping[str, Mapping[str, float]] | None = None,
    x_label: str = "score (1 = all kept)",
) -> Figure:
    """A line a question: the score as a dot, its nulls as bars that hold 95 % of their scores, other scores as marks.

    Args:
        results: question -> name of the null -> result; all results of a question have the same score.
        marks: name of the mark (at most two) -> question -> score to compare with, e.g. the best that can be reached.
    Raises:
        ValueError: nothing to draw, or more than two nulls or marks.
    """
    marks = marks or {}
    nulls = list(dict.fromkeys(name for row in results.values() for name in row))
    if not nulls or len(nulls) > len(NULL_COLOURS) or len(marks) > len(MARKS):
        raise ValueError(
            f"expected results with 1 to {len(NULL_COLOURS)} nulls and at most {len(MARKS)} marks; got {len(nulls)} and "
            f"{len(marks)}"
        )
    with styled():
        figure, (axes,) = new_figure(height=1.5 + 0.55 * len(results))
        for place, (question, row) in enumerate(results.items()):
            for null, result in row.items():
                number = nulls.index(null)
                low, high = np.quantile(result.null, [0.025, 0.975])
                height = place + 0.2 * (number - (len(nulls) - 1) / 2)
                axes.plot(
                    [low, high], [height, height], color=NULL_COLOURS[number], linewidth=5, solid_capstyle="butt",
                    marker="|", markersize=8, label=f"null: {null}" if place == 0 else None,
                )  # fmt: skip
            for (marker, colour), (name, values) in zip(MARKS, marks.items(), strict=False):
                if question in values:
                    axes.plot(values[question], place, marker, color=colour, label=name if place == 0 else None)
            axes.plot(
                [result.score for result in row.values() if result.score is not None][:1], [place], "o", color=VERMILION,
                markersize=8, label="observed" if place == 0 else None,
            )  # fmt: skip
        axes.set_yticks(range(len(results)), list(results))
        axes.invert_yaxis()
        axes.set_xlabel(x_label)
        axes.grid(visible=False, axis="y")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=3)
        return figure


def beside_shuffled(
    panels: Mapping[str, Mapping[str, Curve]],
    shuffled: Mapping[str, Mapping[str, Curve]],
    *,
    x_labels: Sequence[str],
    y_label: str,
    log_x: bool = False,
) -> Figure:
    """Panels of falling counts on a logarithmic axis: a line a model, broken where its store was shuffled.

    Args:
        panels, shuffled: title of the panel -> model -> (x, y); zeros are not drawn.
        x_labels: one a panel.
    Raises:
        ValueError: no panel, or panels, shuffled panels and labels that do not belong together.
    """
    if not panels or list(panels) != list(shuffled) or len(x_labels) != len(panels):
        raise ValueError(
            f"expected the same panels twice and a label each; got {list(panels)}, {list(shuffled)}, {list(x_labels)}"
        )
    with styled():
        figure, axes_list = new_figure(n_columns=len(panels), width=8.0, sharey=True)
        for axes, title, x_label in zip(axes_list, panels, x_labels, strict=True):
            for curves, style, suffix in ((panels[title], "-", ""), (shuffled[title], "--", ", shuffled")):
                for colour, (model, (x, y)) in zip(PALETTE, curves.items(), strict=False):
                    drawn = np.where(np.asarray(y) > 0, y, np.nan).astype(float)
                    axes.plot(x, drawn, style, color=colour, label=model + suffix)
            axes.set(xlabel=x_label, yscale="log", xscale="log" if log_x else "linear", title=title)
        axes_list[0].set_ylabel(y_label)
        figure.legend(*axes_list[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return figure


Node = tuple[int, int, int, str]  # depth, line, the parent's line, text


def _layout(forest: FeatureForest, root: int, names: Sequence[str], max_children: int, max_depth: int) -> list[Node]:
    """Every node on a line of its own, below its parent, as in an outline."""
    nodes: list[Node] = []

    def add(feature: int, depth: int, above: int) -> None:
        here = len(nodes)
        name = names[feature] if len(names[feature]) <= SHORT else names[feature][: SHORT - 1] + "…"
        nodes.append((depth, here, above, f"{name}  {forest.counts[feature]:,}"))
        children = forest.children(feature)
        if depth == max_depth and len(children):
            nodes.append((depth + 1, len(nodes), here, f"{len(children):,} below"))
            return
        for child in children[:max_children]:
            add(int(child), depth + 1, here)
        if len(children) > max_children:
            nodes.append((depth + 1, len(nodes), here, f"and {len(children) - max_children:,} more"))

    add(root, 0, 0)
    return nodes


def _draw_tree(axes: Axes, nodes: Sequence[Node], n_lines: int) -> None:
    for depth, height, above, text in nodes:
        left = depth * INDENT
        if depth:
            stem, start = left - INDENT + 0.08, left - 0.06
            axes.plot([stem, stem, start], [above + 0.35, height, height], color=BLUE, linewidth=0.9)
        faded = text.startswith("and ") or text.endswith(" below")
        axes.text(
            left, height, text, va="center", fontsize=9, color=GREY if faded else "black",
            fontweight="bold" if depth == 0 else "normal",
        )  # fmt: skip
    axes.set_xlim(-0.05, 3.2)
    axes.set_ylim(n_lines - 0.4, -0.6)
    axes.set_axis_off()


def families_table(forest: FeatureForest, names: Sequence[str], *, n_tokens: int, n: int = 8, caption: str = "") -> str:
    """The parents with the most children, and the names of these, each once, those of frequent children first."""
    rows = {
        f"{names[parent]} ({parent})": {
            "fires on": f"{forest.counts[parent] / n_tokens:.1%}",
            "children": f"{forest.n_children[parent]:,}",
            "their words": ", ".join(list(dict.fromkeys(names[child] for child in forest.children(parent)))[:24]),
        }
        for parent in map(int, forest.largest_families(n))
    }
    return table(rows, caption=caption) if rows else table({"no families": {"children": "0"}}, caption=caption)


def gathered_table(
    gathered: Mapping[str, PermutationResult],
    groups: Mapping[str, Collection[str]],
    forests: Mapping[str, FeatureForest],
    names: Mapping[str, Sequence[str]],
    *,
    caption: str = "",
) -> str:
    """What the parents found by `words_gathered` gather, row by row.

    Args:
        gathered, groups, forests, names: each with the same rows: the result, the words asked for, where they were
            looked for, and the name of every feature there.
    """
    rows = {}
    for test, (row, result) in zip(correct_tests(gathered), gathered.items(), strict=True):
        children = [names[row][child] for child in forests[row].children(int(result.settings["parent"]))]
        rows[row] = {
            "words": f"{len(groups[row])}",
            "under one parent": f"{result.score:.0%}",
            "if words are shuffled": f"{result.null_mean:.0%}",
            "p, corrected": f"{test.p_corrected:.2g}",
            "its children": f"{len(children):,}",
            "other words among them": ", ".join(list(dict.fromkeys(w for w in children if w not in groups[row]))[:12]),
        }
    return table(rows, caption=caption)
