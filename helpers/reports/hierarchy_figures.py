"""Pictures of concept hierarchies: tables of cosines, planes of parent and child, and scores beside their shuffles."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from helpers.geometry.hierarchy import Nest, StepCosines
from helpers.nulls import PermutationResult
from helpers.reports.style import BLUE, GREY, ORANGE, VERMILION, new_figure, styled

LABELLED = 5  # words of each kind that are written beside their points
BAND = (0.025, 0.975)


def cosine_heatmaps(
    tables: Mapping[str, np.ndarray], nest: Nest, places: Sequence[int], *, limit: float | None = None
) -> Figure:
    """A panel a table of cosines, concepts in the order of the taxonomy, indented by their depth.

    Shapes:
        every table: (n_shown, n_shown), concepts as in `places`.
    Args:
        places: shown concepts of the nest. limit: end of the colour scale, by default the largest cosine off the diagonal.
    Raises:
        ValueError: no table, or one of another shape.
    """
    n = len(places)
    wrong = [name for name, values in tables.items() if np.shape(values) != (n, n)]
    if not tables or not n or wrong:
        raise ValueError(f"expected tables of {n} by {n} concepts, at least one; wrong: {', '.join(wrong) or 'none'}")
    off = ~np.eye(n, dtype=bool)
    end = limit or max(float(np.abs(np.asarray(values)[off]).max()) if n > 1 else 1.0 for values in tables.values())
    shown = {int(place) for place in places}
    depths = [sum(int(above) in shown for above in np.flatnonzero(nest.inside[place])) - 1 for place in places]
    labels = ["    " * depth + nest.names[place].replace("_", " ") for depth, place in zip(depths, places, strict=True)]
    with styled():
        n_columns = min(2, len(tables))
        n_rows = -(-len(tables) // n_columns)
        figure, panels = new_figure(
            n_rows=n_rows, n_columns=n_columns, width=2.4 + 0.112 * n * n_columns, height=0.3 + n_rows * (0.35 + 0.118 * n),
            sharey=True,
        )  # fmt: skip
        image = None
        for axes, (name, values) in zip(panels, tables.items(), strict=False):
            image = axes.imshow(values, cmap="PuOr_r", vmin=-end, vmax=end, interpolation="nearest")
            axes.set_title(name, fontsize=9.5)
            axes.grid(visible=False)
            axes.set_xticks([])
            axes.set_yticks(range(n), labels, fontsize=7.4, ha="left")
            for depth, place in zip(depths, range(n), strict=True):
                if depth == 0 and place:
                    axes.axhline(place - 0.5, color="black", linewidth=0.6)
                    axes.axvline(place - 0.5, color="black", linewidth=0.6)
        pad = 4.4 * max(len(label) for label in labels)
        for number, axes in enumerate(panels):
            axes.tick_params(axis="y", length=0, pad=0 if number % n_columns else pad)
        for axes in panels[len(tables) :]:
            axes.set_axis_off()
        assert image is not None
        figure.colorbar(image, ax=panels, label="cosine of directions", shrink=0.7, extend="both")
        return figure


def beside_nulls(
    results: Mapping[str, Mapping[str, PermutationResult]],
    found: Mapping[str, Collection[str]],
    *,
    x_label: str,
    chance: float,
) -> Figure:
    """A panel a model, a line a concept: the score as a dot (full if found, else empty), its shuffles as a bar of 95 %.

    Args:
        results: model -> concept -> result; concepts of all models are drawn, the best on average first.
        found: model -> concepts that are above chance after the correction. chance: marked by a line.
    Raises:
        ValueError: nothing to draw.
    """
    names = list(dict.fromkeys(name for of_model in results.values() for name in of_model))
    if not names:
        raise ValueError("expected at least one result; got none")
    mean = {name: np.mean([r[name].score for r in results.values() if name in r]) for name in names}
    names.sort(key=lambda name: -mean[name])
    with styled():
        figure, panels = new_figure(n_columns=len(results), height=1.4 + 0.25 * len(names), sharey=True, sharex=True)
        for axes, (model, of_model) in zip(panels, results.items(), strict=True):
            for place, name in enumerate(names):
                if name in of_model:
                    _draw_score(axes, place, of_model[name], full=name in found[model], label=place == 0)
            axes.axvline(chance, color=GREY, linewidth=0.8, linestyle=":")
            axes.set(title=model, xlabel=x_label)
            axes.grid(visible=False, axis="y")
        panels[0].set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        panels[0].invert_yaxis()
        handles = [
            panels[0].plot([], [], "o", color=VERMILION, label="found")[0],
            panels[0].plot([], [], "o", color=VERMILION, markerfacecolor="white", label="not above its shuffles")[0],
            panels[0].plot([], [], color=GREY, linewidth=5, label="95 % of the shuffles")[0],
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=3)
        return figure


def ranked_beside_nulls(results: Mapping[str, Mapping[str, PermutationResult]], *, y_label: str) -> Figure:
    """All concepts of a model from the worst to the best, and the band that holds 95 % of the shuffles of each.

    Args:
        results: model -> concept -> result; undefined ones are left out.
    Raises:
        ValueError: a model without any score.
    """
    with styled():
        figure, panels = new_figure(n_columns=len(results), sharey=True)
        for axes, (model, of_model) in zip(panels, results.items(), strict=True):
            scored = sorted((r for r in of_model.values() if r.score is not None), key=lambda r: r.score or 0.0)
            if not scored:
                raise ValueError(f"no concept of {model} has a score; lower min_words")
            low, high = np.array([np.quantile(r.null, BAND) for r in scored]).T
            places = np.arange(1, len(scored) + 1)
            axes.fill_between(places, low, high, color=GREY, alpha=0.45, linewidth=0, label="95 % of the shuffles")
            axes.plot(
                places, [float(r.score or 0) for r in scored], "o", color=VERMILION, markersize=3.2, label="concepts"
            )
            axes.set(title=model, xlabel="concepts, the worst first")
        panels[0].set_ylabel(y_label)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
        return figure


def step_histograms(steps: Mapping[str, StepCosines]) -> Figure:
    """A panel a model: cosines between parents and the steps to their children, in the data and in both kinds of shuffles."""
    bins = np.linspace(-1, 1, 41).tolist()
    with styled():
        figure, panels = new_figure(n_columns=len(steps), sharey=True)
        for axes, (model, found) in zip(panels, steps.items(), strict=True):
            axes.hist(found.observed, bins, color=BLUE, alpha=0.55, label="the taxonomy")
            for values, colour, style, label in (
                (found.nested, VERMILION, "-", "random words, nested"),
                (found.unnested, ORANGE, "--", "random words, not nested (a false null)"),
            ):
                axes.hist(values, bins, histtype="step", color=colour, linestyle=style, linewidth=1.8, label=label)
            axes.set(title=model, xlabel="cosine of parent and step to child", xlim=(-1, 1))
        panels[0].set_ylabel("parent-child pairs")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
        return figure


@dataclass(frozen=True)
class Plane:
    """One view: words in the plane of a parent and the step to its child (`held_out_plane`).

    Shapes:
        points: (n_words, 2); in_parent, in_child: (n_words,) bool.
    """

    parent: str
    child: str
    words: Sequence[str]
    points: np.ndarray
    in_parent: np.ndarray
    in_child: np.ndarray


def concept_planes(rows: Mapping[str, Sequence[Plane]]) -> Figure:
    """A row a model, a panel a view; crosses mark where words should lie if the hierarchy is there.

    Raises:
        ValueError: no view, or rows of different length.
    """
    lengths = {len(planes) for planes in rows.values()}
    if len(lengths) != 1 or not lengths.pop():
        raise ValueError("expected at least one view, and the same ones of every model")
    n_columns = len(next(iter(rows.values())))
    with styled():
        figure, panels = new_figure(
            n_rows=len(rows), n_columns=n_columns, width=3.4 * n_columns, height=0.5 + 3.2 * len(rows)
        )
        for axes, (model, plane) in zip(
            panels, ((model, plane) for model, planes in rows.items() for plane in planes), strict=True
        ):
            _draw_plane(axes, plane, model)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4)
        return figure


def _draw_plane(axes: Axes, plane: Plane, model: str) -> None:
    parent, child = (name.replace("_", " ") for name in (plane.parent, plane.child))
    kinds = (
        ("words outside the parent", ~plane.in_parent, GREY, 5, 0.35),
        ("other words of the parent", plane.in_parent & ~plane.in_child, BLUE, 14, 0.8),
        ("words of the child", plane.in_child, VERMILION, 16, 0.95),
    )
    for label, chosen, colour, size, alpha in kinds:
        axes.scatter(
            plane.points[chosen, 0],
            plane.points[chosen, 1],
            s=size,
            color=colour,
            alpha=alpha,
            linewidths=0,
            label=label,
        )
    axes.scatter([0, 1, 1], [0, 0, 1], marker="+", s=110, color="black", linewidths=1.3, label="ideal places", zorder=4)
    for _, chosen, colour, _, _ in kinds[1:]:
        _write_apart(axes, plane, np.flatnonzero(chosen), colour)
    axes.set(title=f"{model}: {parent}, {child}", xlabel=f"along {parent}", ylabel=f"along {child} minus {parent}")


def _write_apart(axes: Axes, plane: Plane, places: np.ndarray, colour: str) -> None:
    """Name a few points that lie apart from each other, so that names do not cover one another."""
    height = np.ptp(plane.points[:, 1]) / 17
    taken: list[float] = []
    for place in places:
        x, y = plane.points[place]
        if len(taken) < LABELLED and all(abs(y - other) > height for other in taken):
            name = axes.annotate(
                plane.words[place], (x, y), xytext=(3, 2), textcoords="offset points", fontsize=7.5, color=colour
            )
            name.set_path_effects([withStroke(linewidth=2, foreground="white")])
            taken.append(float(y))


def _draw_score(axes: Axes, place: int, result: PermutationResult, *, full: bool, label: bool) -> None:
    low, high = np.quantile(result.null, BAND)
    axes.plot([low, high], [place, place], color=GREY, linewidth=5, solid_capstyle="butt")
    face = VERMILION if full else "white"
    axes.plot(
        [float(result.score or 0)],
        [place],
        "o",
        color=VERMILION,
        markerfacecolor=face,
        label="score" if label else None,
    )
