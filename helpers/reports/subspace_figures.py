"""Figures of semantic subspaces: the control of mismatched groups, error rates, and what single words carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from helpers.comparison.subspace_scores import SubspaceScore
from helpers.comparison.subspace_truth import MismatchCells
from helpers.nulls import RejectionRate
from helpers.reports.grid_figures import MARK, NOTHING
from helpers.reports.style import BLUE, GREY, ORANGE, VERMILION, new_figure, styled

COLOUR_LIMIT = 6.0  # standard deviations at the ends of the colour scale
WORD_ROOM = 0.2  # of what is drawn, kept free on the left for the words that stand before the lowest ticks


def mismatch_matrix(cells: MismatchCells, *, models: tuple[str, str], title: str = "") -> Figure:
    """Groups of a (rows) against groups of b (columns): how far the score of their pairs lies above its own shuffles.

    A star marks what survives the correction, grey is too few pairs, hatched are groups that share words or features
    and so are no control.
    """
    n = len(cells.names)
    labels = _plain(cells.names)
    with styled():
        figure, (axes,) = new_figure(width=3.4 + 0.44 * n, height=2.0 + 0.44 * n)
        scale = TwoSlopeNorm(0.0, -COLOUR_LIMIT, COLOUR_LIMIT)
        image = axes.imshow(np.where(cells.related, np.nan, cells.z), cmap="PuOr_r", norm=scale, aspect="auto")
        axes.set_facecolor(NOTHING)
        axes.grid(visible=False)
        for row, column in zip(*np.nonzero(cells.related), strict=True):
            corner = (float(column) - 0.5, float(row) - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, facecolor="white", edgecolor="#BBBBBB", hatch="////", linewidth=0))
        for row, column in zip(*np.nonzero(cells.significant & ~cells.related), strict=True):
            colour = "white" if abs(cells.z[row, column]) > COLOUR_LIMIT / 2 else "black"
            axes.text(column, row + 0.12, MARK, ha="center", va="center", fontsize=14, color=colour)
        for place in range(n):
            corner = (place - 0.5, place - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="black", linewidth=1.4))
        axes.set_xticks(range(n), labels, rotation=45, ha="right")
        axes.set_yticks(range(n), labels)
        axes.set(xlabel=f"group of {models[1]}", ylabel=f"group of {models[0]}")
        figure.colorbar(image, ax=axes, label="standard deviations above its own shuffles", extend="both", shrink=0.8)
        _title(figure, title)
        return figure


def rejection_bars(rates: Mapping[str, Mapping[str, RejectionRate]], *, title: str = "") -> Figure:
    """Share of tests that say "above chance": a row a kind of group, a dot a measure, its bound as a tick.

    Args:
        rates: kind of group -> measure -> rate; kinds without a test stay empty.
    Raises:
        ValueError: nothing to draw.
    """
    if not rates:
        raise ValueError("there are no rates to draw")
    measures = list(dict.fromkeys(measure for row in rates.values() for measure in row))
    colours = dict(zip(measures, (BLUE, ORANGE, VERMILION, GREY, "black"), strict=False))
    with styled():
        figure, (axes,) = new_figure(width=8.6, height=1.2 + 0.62 * len(rates))
        for place, row in enumerate(rates.values()):
            for number, (measure, rate) in enumerate(row.items()):
                y = place + 0.22 * (number - (len(row) - 1) / 2)
                if rate.rate is None or rate.bound is None:
                    continue
                axes.plot([0, rate.rate], [y, y], color=colours[measure], linewidth=1.2)
                axes.plot(rate.rate, y, "o", color=colours[measure], markersize=6, label=measure)
                axes.plot(rate.bound, y, "|", color="black", markersize=9, label="bound of a valid test")
        alpha = next(rate.alpha for row in rates.values() for rate in row.values())
        axes.axvline(alpha, color=GREY, linestyle="--", linewidth=1.2, label=f"level {alpha:g}")
        axes.set_yticks(range(len(rates)), list(rates))
        axes.invert_yaxis()
        axes.set(xlabel="share of tests that say “above chance”", xlim=(0, 1.02))
        axes.grid(axis="y", visible=False)
        unique = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=min(5, len(unique)))
        _title(figure, title)
        return figure


def word_drops(scores: Sequence[SubspaceScore], *, title: str = "") -> Figure:
    """A row a group: the calibrated score of all its pairs, and of what is left without each of its words.

    The word that takes most with it is named; a diamond is the score of one pair a word.

    Raises:
        ValueError: no group with a defined score.
    """
    drawn = [score for score in scores if score.shuffled.calibrated is not None]
    if not drawn:
        raise ValueError("no group has a score; leave the figure out")
    with styled():
        figure, (axes,) = new_figure(width=8.6, height=1.3 + 0.36 * len(drawn))
        for place, score in enumerate(drawn):
            _word_row(axes, place, score)
        low, high = axes.get_xlim()
        axes.set_xlim(low - WORD_ROOM * (high - low), high)
        axes.axvline(0.0, color=GREY, linestyle="--", linewidth=1.2)
        axes.set_yticks(range(len(drawn)), _plain([score.group for score in drawn]))
        axes.invert_yaxis()
        axes.set_xlabel(f"{drawn[0].measure}, calibrated: 0 = shuffled pairing, 1 = identical")
        axes.grid(axis="y", visible=False)
        unique = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=3)
        _title(figure, title)
        return figure


def _word_row(axes: Axes, place: int, score: SubspaceScore) -> None:
    assert score.shuffled.calibrated is not None
    left = [r.calibrated for r in score.without_word.values() if r.calibrated is not None]
    if left:
        axes.plot([min(left), max(left)], [place, place], color=GREY, linewidth=1.0, zorder=1)
        axes.plot(left, [place] * len(left), "|", color=GREY, markersize=8, label="without one word", zorder=2)
    axes.plot(score.shuffled.calibrated, place, "o", color=BLUE, markersize=7, label="all pairs", zorder=3)
    if score.one_a_word is not None and score.one_a_word.calibrated is not None:
        axes.plot(
            score.one_a_word.calibrated, place, "D", color=ORANGE, markersize=5.5, label="one pair a word", zorder=3
        )
    if (drop := score.largest_drop) and drop[1].calibrated is not None:
        axes.annotate(
            drop[0], (drop[1].calibrated, place), xytext=(-5, 0), textcoords="offset points", ha="right", va="center",
            fontsize=8, color="#444444",
        )  # fmt: skip


def _plain(labels: Sequence[str]) -> list[str]:
    return [label.replace("_", " ") for label in labels]


def _title(figure: Figure, title: str) -> None:
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
