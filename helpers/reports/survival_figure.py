"""One figure for the question which similarities survive their nulls, and how far they are from the ceiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from helpers.nulls import CorrectedTest, EqualRows, PermutationResult
from helpers.reports.comparison_tables import ceiling_place
from helpers.reports.style import BLUE, GREEN, GREY, VERMILION, new_figure, styled
from helpers.similarity import MEASURES

LOW, HIGH = 2.5, 97.5  # percentiles of the null that the grey bar spans
COLOURS = (BLUE, VERMILION, GREEN)
MARKS = ("o", "s", "D")
SPREAD = 0.5  # of a measure's row, over which its nulls are laid out


def survival_chart(
    results: Mapping[tuple[str, str], PermutationResult],
    tests: Sequence[CorrectedTest],
    *,
    ceiling: Mapping[str, tuple[EqualRows, EqualRows]] | None = None,
    title: str = "",
) -> Figure:
    """A row a measure. Left, enlarged: is it above its nulls? Right: how far is it from chance to the ceiling?

    Left: the score on the scale from each null's mean (0) to identical spaces (1); the grey bar is what 95 % of the null
    scores reach, a filled mark survived the correction for the number of tests, a hollow one did not. Right: the same
    against wrong pairings on the whole scale or, if there is a ceiling, the place of two models between chance (0) and
    one model twice (1), at equal numbers of pairs, with the range over random cuts.

    Args:
        results: (measure, null) -> test; tests: the same tests, corrected, in the same order.
        ceiling: measure -> (two models, one model twice) from `compare_at_equal_rows`.
    Raises:
        ValueError: no test, or other tests than results.
    """
    if not results or len(results) != len(tests):
        raise ValueError(f"expected results and as many corrected tests; got {len(results)} and {len(tests)}")
    measures = list(dict.fromkeys(measure for measure, _ in results))
    with styled():
        figure, panels = new_figure(n_columns=2, width=9.6, height=1.7 + 0.62 * len(measures), sharey=True)
        _tests_panel(panels[0], measures, results, tests)
        panels[0].set_yticks(range(len(measures)), [name.replace("_", " ") for name in measures])
        panels[0].set_ylim(len(measures) - 0.45, -0.55)
        _ceiling_panel(panels[1], measures, _places(measures, results, ceiling), has_ceiling=bool(ceiling))
        nulls = list(dict.fromkeys(null for _, null in results))
        handles: list[Artist] = [
            Line2D([], [], color=COLOURS[i % len(COLOURS)], marker=MARKS[i % len(MARKS)], linestyle="", label=null)
            for i, null in enumerate(nulls)
        ]
        handles.append(
            Line2D([], [], color=GREY, marker="o", markerfacecolor="white", linestyle="", label="hollow: not above it")
        )
        handles.append(Patch(color=GREY, alpha=0.45, label="95 % of the null"))
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        return figure


def _tests_panel(
    axes: Axes,
    measures: list[str],
    results: Mapping[tuple[str, str], PermutationResult],
    tests: Sequence[CorrectedTest],
) -> None:
    nulls = list(dict.fromkeys(null for _, null in results))
    offsets = np.linspace(-SPREAD / 2, SPREAD / 2, len(nulls)) if len(nulls) > 1 else np.zeros(1)
    nearest, farthest = 0.0, 0.0
    for ((measure, null), result), test in zip(results.items(), tests, strict=True):
        row, number = measures.index(measure), nulls.index(null)
        place, colour = row + offsets[number], COLOURS[number % len(COLOURS)]
        if result.calibrated is None or result.null_mean is None or result.score is None:
            axes.annotate(f"{null}: undefined", (0.02, place), va="center", fontsize=8, color=colour)
            continue
        # Calibrated null scores: the same map takes the null's mean to 0 and the best value to 1.
        room = MEASURES[measure].ideal - result.null_mean
        low, high = np.sort(np.percentile((result.null - result.null_mean) / room, [LOW, HIGH]))
        axes.barh(place, high - low, left=low, height=0.13, color=GREY, alpha=0.45, linewidth=0)
        axes.plot(
            [result.calibrated], [place], marker=MARKS[number % len(MARKS)], markersize=6.5, color=colour,
            markerfacecolor=colour if test.significant else "white",
        )  # fmt: skip
        axes.annotate(
            f"{result.calibrated:.3f}", (max(result.calibrated, high), place), xytext=(7, 0),
            textcoords="offset points", va="center", fontsize=8, color="#444444",
        )  # fmt: skip
        nearest, farthest = min(nearest, result.calibrated, low), max(farthest, result.calibrated, high)
    axes.axvline(0, color=GREY, linewidth=1.2)
    width = farthest - nearest or 1.0
    axes.set_xlim(nearest - 0.06 * width, farthest + 0.16 * width)  # room for the numbers
    axes.grid(axis="y", visible=False)
    axes.set(xlabel="calibrated score: 0 = the null's mean, 1 = identical", title="Is it above its nulls?")


Place = tuple[float, tuple[float, float], tuple[float, float]]


def _places(
    measures: list[str],
    results: Mapping[tuple[str, str], PermutationResult],
    ceiling: Mapping[str, tuple[EqualRows, EqualRows]] | None,
) -> dict[str, Place]:
    """Measure -> its place on the right scale, its range, and the range of its null; those without one are left out."""
    places: dict[str, Place] = {}
    for measure in measures:
        ideal = MEASURES[measure].ideal
        if ceiling:
            models, top = ceiling.get(measure, (None, None))
            place = None if models is None or top is None else ceiling_place(models, top)
            if models is None or top is None or place is None:
                continue
            assert models.null_mean is not None and top.calibrated is not None  # there is a place
            shift, scale = models.null_mean, 1 / ((ideal - models.null_mean) * top.calibrated)
            scores, null = models.scores, models.null_scores
        else:
            result = next(found for (name, _), found in results.items() if name == measure)
            if result.calibrated is None or result.null_mean is None or result.score is None:
                continue
            place, shift, scale = result.calibrated, result.null_mean, 1 / (ideal - result.null_mean)
            scores, null = np.array([result.score]), result.null
        spans = [np.sort(np.percentile((values - shift) * scale, [LOW, HIGH])) for values in (scores, null)]
        places[measure] = (place, (spans[0][0], spans[0][1]), (spans[1][0], spans[1][1]))
    return places


def _ceiling_panel(axes: Axes, measures: list[str], places: Mapping[str, Place], *, has_ceiling: bool) -> None:
    for row, measure in enumerate(measures):
        if measure not in places:
            axes.annotate("no place: undefined", (0.02, row), va="center", fontsize=8, color="#444444")
            continue
        place, (low, high), (null_low, null_high) = places[measure]
        axes.barh(row, null_high - null_low, left=null_low, height=0.3, color=GREY, alpha=0.45, linewidth=0)
        axes.plot([0, place], [row, row], color=BLUE, linewidth=1, alpha=0.5)
        axes.plot([low, high], [row, row], color=BLUE, linewidth=3, solid_capstyle="butt")
        axes.plot([place], [row], marker="o", markersize=7, color=BLUE)
        axes.annotate(
            f"{place:.2f}", (max(place, high, null_high), row), xytext=(8, 0), textcoords="offset points", va="center",
            fontsize=8.5, color="#444444",
        )  # fmt: skip
    axes.axvline(0, color=GREY, linewidth=1.2)
    axes.axvline(1, color=GREY, linewidth=1.2, linestyle="--")
    left, right = axes.get_xlim()
    axes.set_xlim(min(-0.08, left), max(1.08, right))
    axes.grid(axis="y", visible=False)
    top = "one model, two seeds" if has_ceiling else "identical spaces"
    axes.set(xlabel=f"0 = wrong pairings, 1 = {top}", title="How far from chance to the ceiling?")
