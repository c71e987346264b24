"""Pictures of what features do: two rankings beside chance, partners by match and effect, circles turned, sums of words.

A module of its own, so that other notebooks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from helpers.reports.style import BLUE, GREEN, GREY, ORANGE, PALETTE, new_figure, styled

if TYPE_CHECKING:  # these modules load torch
    from helpers.comparison.partner_effects import Band
    from helpers.comparison.word_moves import CellLayers, CircleTurn
    from helpers.nulls import PermutationResult
    from helpers.steering.sum_steps import SumSteering

ROW_INCHES = 0.34


def ranking_figure(tests: Mapping[str, Mapping[str, PermutationResult | None]]) -> Figure:
    """A row a set of prompts: the rank correlation of every ranking with the measured effects; grey: shuffled, 95%.

    Args:
        tests: row -> ranking -> test; rankings without a score are left out.
    Raises:
        ValueError: no row.
    """
    if not tests:
        raise ValueError("expected at least one row of rankings; got none")
    names = list(dict.fromkeys(ranking for row in tests.values() for ranking in row))
    with styled():
        figure, (axes,) = new_figure(height=1.5 + ROW_INCHES * len(tests))
        for place, row in enumerate(tests.values()):
            null = np.concatenate([test.null for test in row.values() if test is not None] or [np.zeros(1)])
            axes.hlines(place, *np.quantile(null, [0.025, 0.975]), color=GREY, linewidth=6, alpha=0.6)
        for ranking, colour, marker in zip(names, (BLUE, ORANGE), "os", strict=False):
            scores = [(place, row.get(ranking)) for place, row in enumerate(tests.values())]
            known = [(test.score, place) for place, test in scores if test is not None]
            if known:
                axes.plot(*zip(*known, strict=True), marker, color=colour, markersize=8, label=f"ranked by {ranking}")
        axes.plot([], [], color=GREY, linewidth=6, alpha=0.6, label="ranking shuffled, 95 %")
        _name_rows(axes, list(tests))
        axes.set(xlabel="rank correlation with the measured effect", xlim=(min(-0.3, axes.get_xlim()[0]), 1.03))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3)
        return figure


def partner_bands(bands: Mapping[str, tuple[Sequence[Band], Sequence[Band]]]) -> Figure:
    """Mean functional similarity in bands of match correlation (left) and of the size of the effect (right), with intervals.

    Args:
        bands: name of the comparison -> its bands by match and by effect; dotted: partners of other pairs.
    Raises:
        ValueError: no comparison.
    """
    if not bands:
        raise ValueError("expected at least one comparison; got none")
    titles = ("match correlation", "size of the effect (share of probability moved)")
    with styled():
        figure, panels = new_figure(n_columns=2, width=10.0, height=3.8, sharey=True)
        for axes, number, title in zip(panels, (0, 1), titles, strict=True):
            for (name, both), colour, marker in zip(bands.items(), PALETTE, "osD^v<", strict=False):
                found = both[number]
                x, y = [(band.low + band.high) / 2 for band in found], [band.mean for band in found]
                reach = [
                    [max(0.0, band.mean - band.mean_low) for band in found],
                    [max(0.0, band.mean_high - band.mean) for band in found],
                ]
                axes.errorbar(x, y, reach, color=colour, marker=marker, markersize=7, capsize=3, label=name)
                strangers = [band.strangers for band in found]
                axes.plot(x, strangers, ":", color=colour, label=f"{name}: partners of other pairs")
            axes.axhline(0, color=GREY, linewidth=1, zorder=0)
            axes.set_xlabel(title)
        panels[0].set_ylabel("mean functional similarity")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
        return figure


def circle_turns(turns: Sequence[CircleTurn], *, place_names: Mapping[str, str]) -> Figure:
    """A row a circle and layer: the share of answers that move as far as the word, in the plane, in random ones, and at most.

    Args:
        place_names: hook -> how the picture calls it; layers at which not even the exchanged word moves an answer are left out.
    Raises:
        ValueError: no circle was turned.
    """
    turned = [turn for turn in turns if turn.movement is not None]
    if not turned:
        raise ValueError("expected a circle at which the word moves the answer; got none")
    with styled():
        figure, (axes,) = new_figure(height=1.6 + ROW_INCHES * len(turned))
        for place, turn in enumerate(turned):
            assert turn.movement is not None
            random = turn.movement.random_as_expected.mean(axis=1)
            axes.hlines(place, *np.quantile(random, [0.025, 0.975]), color=GREY, linewidth=7, alpha=0.7)
            axes.plot(turn.swapped_as_expected, place, "D", color=GREEN, markersize=8)
            axes.plot(turn.movement.as_expected.mean(), place, "o", color=BLUE, markersize=8)
        axes.plot([], [], "o", color=BLUE, markersize=8, label="turned in the circle's plane")
        axes.plot([], [], color=GREY, linewidth=7, alpha=0.7, label="same steps in random planes, 95 %")
        axes.plot([], [], "D", color=GREEN, markersize=8, label="whole word exchanged")
        _name_rows(axes, [f"{t.group}, model {t.model}, {place_names.get(t.hook_name, t.hook_name)}" for t in turned])
        axes.set(xlabel="share of answers that move as far as the word", xlim=(-0.03, 1.03))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3)
        return figure


def word_sum_figure(layers: Mapping[str, CellLayers], steered: Mapping[str, Mapping[str, SumSteering]]) -> Figure:
    """On the left the share of words found by their sum, layer by layer; on the right the share said after a step to them.

    Args:
        layers: table of words -> tests at every layer; steered: table -> model -> steps. Dotted and grey: words shuffled.
    Raises:
        ValueError: no table, or other tables on the right than on the left.
    """
    if not layers or list(layers) != list(steered):
        raise ValueError(f"expected the same tables on both sides; got {list(layers)} and {list(steered)}")
    with styled():
        figure, (left, right) = new_figure(n_columns=2, width=10.0, height=3.8, sharey=True, width_ratios=[1.3, 1])
        for (name, table), colour in zip(layers.items(), PALETTE, strict=False):
            for model, style in zip(dict.fromkeys(key[0] for key in table.tests), ("o-", "s--"), strict=False):
                tests = [test for key, test in table.tests.items() if key[0] == model]
                numbers = range(len(tests))
                shares = [test.hits / len(test.tested) for test in tests]
                left.plot(numbers, shares, style, color=colour, label=f"{name}, model {model}")
                chance = [test.null_hits.mean() / len(test.tested) for test in tests]
                left.plot(numbers, chance, ":", color=colour, linewidth=1.3)
        left.set(xlabel="after block", ylabel="share of words", ylim=(-0.03, 1.03), title="found by their sum")
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        bars = [(name, model, each) for name, found in steered.items() for model, each in found.items()]
        colours = dict(zip(steered, PALETTE, strict=False))
        places = np.arange(len(bars))
        right.bar(places, [each.success for *_, each in bars], width=0.6, color=[colours[name] for name, *_ in bars])
        for place, (*_, each) in zip(places, bars, strict=True):
            right.vlines(place, *np.quantile(each.null_hits, [0.025, 0.975]), color=GREY, linewidth=8, zorder=3)
        right.set_xticks(places, [f"model {model}" for _, model, _ in bars])
        right.set_title("said after a step to them")
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=2)
        return figure


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """One row a name, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
