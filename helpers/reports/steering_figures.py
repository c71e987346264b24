"""Pictures of steering: success against side effect, layers and strengths, tasks beside chance.

A module of its own, so that other notebooks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from helpers.reports.style import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, new_figure, styled
from helpers.steering.scores import WAYS, Choice, Interval, Score, Sweep

SPACE_NAMES = {
    "model": "model space",
    "sae": "SAE space",
    "cleaned": "SAE, cleaned",
    "random": "random directions",
    "shuffled": "shuffled features",
}
WAY_NAMES = {"always": "always", "where due": "where due"}
_WAY_STYLES = {"always": (ORANGE, "s", -0.16), "where due": (BLUE, "o", 0.16)}
_BASELINES = {"random": (GREY, ":"), "shuffled": (PURPLE, ":")}
_COLOURS = (VERMILION, BLUE, GREEN, ORANGE)
_MARKERS = ("o", "s", "D", "^")


def success_curves(sweep: Sweep, *, min_kept: float, title: str = "") -> Figure:
    """Success against side effect, a panel a way, a line a space, from the weakest to the strongest; the baselines' mean at
    each strength.

    Args:
        min_kept: the share of unchanged controls that is asked for, drawn as a line.
    """
    with styled():
        figure, panels = new_figure(n_columns=len(WAYS), width=10.6, height=4.4, sharex=True, sharey=True)
        for axes, way in zip(panels, WAYS, strict=True):
            _draw_ways_curves(axes, sweep, way)
            axes.axvline(1 - min_kept, color="#555555", linewidth=1, linestyle="--", label="side effect allowed")
            axes.set(xlabel="side effect: share of control\nprompts whose answer changes", title=WAY_NAMES[way])
        panels[0].set(ylabel="success: share of prompts\nanswered as wished", ylim=(-0.04, 1.09))
        panels[0].set_xlim(left=-0.02)
        entries = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels())}
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=3)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        return figure


def layer_maps(sweep: Sweep, *, choice: Choice | None = None, title: str = "") -> Figure:
    """Success and unchanged controls of the model-space directions, layers by strengths, a row of maps a way; the chosen
    setting is framed.

    Raises:
        ValueError: the sweep is not a full grid of layers and strengths in every way.
    """
    layers, strengths = (np.unique(each[sweep.of_space("model")]) for each in (sweep.layers, sweep.strengths))
    with styled():
        height = 1.9 + 0.84 * len(layers)
        figure, panels = new_figure(n_rows=len(WAYS), n_columns=2, width=10.4, height=height, sharex=True, sharey=True)
        for way, row in zip(WAYS, (panels[:2], panels[2:]), strict=True):
            grids = _layer_grids(sweep, layers, strengths, way)
            for axes, grid, name in zip(row, grids, ("success", "control prompts unchanged"), strict=True):
                image = axes.imshow(grid, cmap="cividis", vmin=0, vmax=1, aspect="auto", origin="lower")
                _write_cells(axes, grid)
                axes.set_xticks(range(len(strengths)), [f"{strength:g}" for strength in strengths])
                axes.set_yticks(range(len(layers)), [f"layer {layer}" for layer in layers])
                axes.set_title(f"{name}, {WAY_NAMES[way]}")
                if choice is not None and choice.way == way:
                    at = (np.searchsorted(strengths, choice.strength - 1e-9), np.searchsorted(layers, choice.layer))
                    axes.add_patch(_frame(*map(float, at)))
        for axes in panels[2:]:
            axes.set_xlabel("strength, mean lengths of the layer's rows")
        figure.colorbar(image, ax=panels, label="share of prompts")
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        return figure


def task_scores(scores: Mapping[str, Mapping[str, Score]], *, min_success: float, min_kept: float) -> Figure:
    """Success and unchanged controls of every task in every way with their intervals, beside the best random direction.

    Args:
        scores: task -> way -> score.
        min_success, min_kept: what is asked for, drawn as lines.
    Raises:
        ValueError: no task.
    """
    if not scores:
        raise ValueError("there are no tasks to draw; score at least one")
    names = list(scores)[::-1]
    places = np.arange(len(names))
    with styled():
        figure, panels = new_figure(n_columns=2, width=9.6, height=1.7 + 0.52 * len(names), sharey=True)
        for way, (colour, marker, shift) in _WAY_STYLES.items():
            found, label = [scores[name][way] for name in names], f"added {WAY_NAMES[way]}"
            for axes, intervals in zip(
                panels, ([each.success for each in found], [each.kept for each in found]), strict=True
            ):
                _draw_intervals(axes, places + shift, intervals, colour=colour, marker=marker, label=label)
            known = [
                (place, each.null_max) for place, each in zip(places, found, strict=True) if each.null_max is not None
            ]
            if known:
                at, values = (np.array(column) for column in zip(*known, strict=True))
                panels[0].scatter(
                    values, at + shift, marker="x", color=GREY, s=30, label="best random direction", zorder=3
                )
        for axes, bound, title in zip(
            panels, (min_success, min_kept), ("success", "control prompts unchanged"), strict=True
        ):
            axes.axvline(bound, color="#555555", linewidth=1, linestyle="--")
            axes.set(xlim=(-0.03, 1.03), xlabel="share of prompts", title=title, ylim=(-0.6, len(names) - 0.4))
        panels[0].set_yticks(places, [name.replace("_", " ") for name in names])
        entries = dict(zip(*panels[0].get_legend_handles_labels()[::-1], strict=True))
        figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=3)
        return figure


def arm_name(sweep: Sweep, arm: str) -> str:
    """How an arm is called in pictures: its space, and its layer."""
    trial = sweep.of_arm(arm)[0]
    return f"{SPACE_NAMES[str(sweep.spaces[trial])]}, layer {sweep.layers[trial]}"


def _draw_ways_curves(axes: Axes, sweep: Sweep, way: str) -> None:
    """Lines of the arms that are added in one way, and of the baselines' mean."""
    here = sweep.ways == way
    arms = [name for name in dict.fromkeys(sweep.arms[here].tolist()) if _space(sweep, name) not in _BASELINES]
    for number, name in enumerate(arms):
        trials = sweep.of_arm(name)
        colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
        changed, success = 1 - sweep.kept[trials], sweep.success[trials]
        axes.plot(changed, success, color=colour, marker=marker, markersize=5.5, label=arm_name(sweep, name), zorder=4)
        last = len(trials) - 1
        axes.annotate(
            f"{sweep.strengths[trials[last]]:g}", (changed[last], success[last]), xytext=(4, 7 if number % 2 else -13),
            textcoords="offset points", fontsize=8.5, color=colour,
        )  # fmt: skip
    for space, (colour, style) in _BASELINES.items():
        if len(sweep.of_space(space, way=way)):
            changed, success = _mean_curve(sweep, space, way)
            axes.plot(
                changed, success, color=colour, linestyle=style, marker="x", markersize=5,
                label=f"{SPACE_NAMES[space]}, mean",
            )  # fmt: skip


def _layer_grids(sweep: Sweep, layers: np.ndarray, strengths: np.ndarray, way: str) -> np.ndarray:
    """Success and unchanged controls, (2, n_layers, n_strengths)."""
    numbers = sweep.of_space("model", way=way)
    if len(numbers) != len(layers) * len(strengths) or not len(numbers):
        raise ValueError(
            f"expected every layer at every strength, added {way}; got {len(numbers)} trials; sweep a full grid"
        )
    grids = np.full((2, len(layers), len(strengths)), np.nan)
    for number in numbers:
        row, column = np.searchsorted(layers, sweep.layers[number]), np.searchsorted(strengths, sweep.strengths[number])
        grids[:, row, column] = sweep.success[number], sweep.kept[number]
    return grids


def _space(sweep: Sweep, arm: str) -> str:
    return str(sweep.spaces[sweep.of_arm(arm)[0]])


def _mean_curve(sweep: Sweep, space: str, way: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean side effect and success of a space's directions at every strength."""
    numbers = sweep.of_space(space, way=way)
    strengths = np.unique(sweep.strengths[numbers])
    groups = [numbers[sweep.strengths[numbers] == strength] for strength in strengths]
    changed = np.array([1 - sweep.kept[group].mean() for group in groups])
    return changed, np.array([sweep.success[group].mean() for group in groups])


def _write_cells(axes: Axes, grid: np.ndarray) -> None:
    axes.grid(visible=False)
    for (row, column), value in np.ndenumerate(grid):
        colour = "white" if value < 0.5 else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8.5)


def _frame(column: float, row: float) -> Rectangle:
    return Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=VERMILION, linewidth=2.4, zorder=6)


def _draw_intervals(
    axes: Axes, places: np.ndarray, intervals: Sequence[Interval], *, colour: str, marker: str, label: str
) -> None:
    values = np.array([each.value for each in intervals])
    below = values - [each.low for each in intervals]
    above = np.array([each.high for each in intervals]) - values
    axes.errorbar(
        values, places, xerr=np.clip([below, above], 0, None), fmt=marker, color=colour, ecolor=colour, elinewidth=2,
        capsize=3, markersize=6, label=label, zorder=4,
    )  # fmt: skip
