"""Pictures of steering across models: shares of an effect beside chance, pairs of layers, what a removal hits.

A module of its own, so that other notebooks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.reports.style import BLUE, GREY, ORANGE, SKY, VERMILION, YELLOW, new_figure, styled
from helpers.steering.transfer import TransferScores
from helpers.steering.transfer.shares import Measure

MEASURE_NAMES: dict[str, str] = {
    "success": "answers turned",
    "logit_difference": "logit difference moved",
    "added": "logit difference moved by adding alone",
    "answer_lead": "lead of the answer lost",
}
_MARKS = (("s", BLUE), ("D", ORANGE), ("v", SKY), ("^", GREY))


def share_figure(scores: TransferScores, measures: Sequence[Measure] = ("success", "logit_difference")) -> Figure:
    """A panel a measure, a line a method: the share that is kept with its interval, and every null's below it.

    Args:
        measures: those of which the own vector has none are left out.
    Raises:
        ValueError: the own vector has no effect on any of the measures.
    """
    shown = [measure for measure in measures if scores.own[measure].mean() > 0]
    if not shown:
        raise ValueError(
            "the own vector has no effect, so that nothing is a share of it; take another task or strength"
        )
    with styled():
        height = 1.7 + 0.75 * len(scores.methods)
        figure, panels = new_figure(n_columns=len(shown), width=8.6, height=height, sharey=True)
        for axes, measure in zip(panels, shown, strict=True):
            _draw_shares(axes, scores, measure)
            axes.set_title(MEASURE_NAMES[measure])
            axes.set_xlabel("share of the own vector's effect")
        panels[0].set_yticks(range(len(scores.methods)), [name.replace(", ", ",\n") for name in scores.methods])
        panels[0].invert_yaxis()
        handles, labels = panels[0].get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        figure.legend(list(once.values()), list(once), loc="outside lower center", ncols=3)
        return figure


def _draw_shares(axes: Axes, scores: TransferScores, measure: Measure) -> None:
    for place, method in enumerate(scores.methods):
        share = scores.share(method, measure)
        assert share is not None  # the panel is drawn only where the own vector has an effect
        axes.plot([share.low, share.high], [place - 0.16] * 2, color=VERMILION, linewidth=3, solid_capstyle="butt")
        axes.plot(share.value, place - 0.16, "o", color=VERMILION, markersize=8, label="carried vector")
        nulls = scores.nulls_of(method)
        for number, null in enumerate(nulls):
            chance = scores.null_share(method, null, measure)
            assert chance is not None
            marker, colour = _MARKS[_kind(null)]
            height = place + 0.04 + 0.11 * number
            axes.plot([chance.low, chance.high], [height] * 2, color=colour, linewidth=2.5, solid_capstyle="butt")
            axes.plot(chance.value, height, marker, color=colour, markersize=4.5, label=_legend(null))
    axes.axvline(1, color="#555555", linewidth=1)
    axes.axvline(0.5, color="#555555", linewidth=1, linestyle="--")
    axes.axvspan(-0.1, 0.1, color=YELLOW, alpha=0.25, linewidth=0)
    axes.grid(visible=False, axis="y")


def _kind(null: str) -> int:
    """Nulls of one kind look alike: wrong partners or pairings of any method, of like frequency, exchanged, random."""
    return {"partners of like frequency": 1, "partners exchanged": 2, "random vectors": 3}.get(null, 0)


def _legend(null: str) -> str:
    return ("wrong partners, pairs or tokens", null, null, null)[_kind(null)]


def layer_figure(
    layers: Mapping[str, TransferScores], method: str, measures: Sequence[Measure] = ("success", "logit_difference")
) -> Figure:
    """Where a carried vector works: layers of a by layers of b; b's own vectors in the last row.

    Args:
        layers: hook of b -> scores, whose methods are "<hook of a>, <method>".
    Raises:
        ValueError: no layer, or no method of that name.
    """
    hooks_a = [name.removesuffix(f", {method}") for name in _first(layers).methods if name.endswith(f", {method}")]
    if not hooks_a:
        raise ValueError(f"expected methods '<hook>, {method}'; got {', '.join(_first(layers).methods)}")
    with styled():
        figure, panels = new_figure(n_columns=len(measures), width=8.2, height=1.8 + 0.5 * (len(hooks_a) + 1))
        for axes, measure in zip(panels, measures, strict=True):
            own = [scores.own[measure].mean() for scores in layers.values()]
            carried = [
                [scores.carried[f"{hook}, {method}"][measure].mean() for scores in layers.values()] for hook in hooks_a
            ]
            cells = np.array([*carried, own])
            _heatmap(axes, cells, as_share=measure == "success", low=0.0, high=max(float(cells.max()), 1e-9))
            axes.set_xticks(range(len(layers)), [_layer(hook) for hook in layers])
            axes.set_yticks(range(len(cells)), [*(f"a, layer {_layer(hook)}" for hook in hooks_a), "b's own"])
            axes.axhline(len(hooks_a) - 0.5, color="white", linewidth=4)
            axes.set_xlabel("layer of b that is steered")
            axes.set_title(MEASURE_NAMES[measure])
        return figure


def removal_figure(removals: Mapping[tuple[str, str], TransferScores]) -> Figure:
    """What taking features out costs: domains removed by domains asked for; b's own features, and partners of a's.

    Raises:
        ValueError: nothing was taken out.
    """
    domains = list(dict.fromkeys(removed for removed, _ in removals))
    if not domains:
        raise ValueError("expected removals; got none")
    panels_of = {"b's own features": "own", "partners of a's features": "partners"}
    costs = {
        title: np.array([[_lead(removals[removed, asked], kind) for asked in domains] for removed in domains])
        for title, kind in panels_of.items()
    }
    low, high = (
        min(0.0, *(cells.min() for cells in costs.values())),
        max(1e-9, *(cells.max() for cells in costs.values())),
    )
    with styled():
        figure, panels = new_figure(n_columns=2, width=8.2, height=1.7 + 0.6 * len(domains), sharey=True)
        for axes, (title, cells) in zip(panels, costs.items(), strict=True):
            _heatmap(axes, cells, as_share=False, low=float(low), high=float(high))
            axes.set_xticks(range(len(domains)), domains)
            axes.set_yticks(range(len(domains)), domains)
            axes.set_xlabel("answers asked for")
            axes.set_title(title)
        panels[0].set_ylabel("features removed of")
        return figure


def _lead(scores: TransferScores, kind: str) -> float:
    effects = scores.own if kind == "own" else scores.carried[kind]
    return float(effects["answer_lead"].mean())


def _heatmap(axes: Axes, cells: np.ndarray, *, as_share: bool, low: float, high: float) -> None:
    axes.imshow(cells, cmap="cividis", vmin=low, vmax=high, aspect="auto")
    for row, column in np.ndindex(*cells.shape):
        value = float(cells[row, column])
        dark = value < low + 0.55 * (high - low)
        text = f"{value:.0%}" if as_share else f"{round(value, 1) + 0.0:.1f}"  # no minus zero
        axes.text(column, row, text, ha="center", va="center", fontsize=9.5, color="white" if dark else "black")
    axes.grid(visible=False)


def _first(layers: Mapping[str, TransferScores]) -> TransferScores:
    if not layers:
        raise ValueError("expected scores of at least one layer; got none")
    return next(iter(layers.values()))


def _layer(hook: str) -> str:
    return hook.split(".")[1]
