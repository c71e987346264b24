"""What filters removed, as tables and as a figure."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from helpers.matching import FilterReport, FilterStep
from helpers.reports.style import BLUE, GREY, new_figure, styled
from helpers.reports.tables import table


def filter_table(report: FilterReport, *, caption: str = "") -> str:
    """One row a filter: pairs before it, removed, after it. A filter that removed nothing says so.

    Raises:
        ValueError: no filter was applied.
    """
    _require_steps(report)
    rows = {
        f"{number}. {step.name}": {
            "pairs before": f"{step.n_before:,}",
            "removed": f"{step.n_removed:,}",
            "pairs after": f"{step.n_after:,}",
            "note": "" if step.n_removed else "no pair left" if step.n_before == 0 else "removed nothing",
        }
        for number, step in enumerate(report.steps, start=1)
    }
    return table(rows, caption=caption)


def removed_table(step: FilterStep, *, names: tuple[str, str], caption: str = "") -> str:
    """Some of the pairs that a filter removed, with the top words of both partners; a sentence if it removed none.

    Args:
        names: of the two models.
    """
    if not step.removed:
        return table({step.name: {"pairs removed": "0, nothing to show"}}, caption=caption)
    rows = {
        f"{pair.id_a} \u2013 {pair.id_b}": {
            "correlation": f"{pair.corr:.3f}",
            f"top words in {names[0]}": " ".join(pair.words_a),
            f"top words in {names[1]}": " ".join(pair.words_b),
        }
        for pair in step.removed
    }
    shown = f"{step.name}: {len(step.removed)} of the {step.n_removed:,} removed pairs"
    return table(rows, caption=caption or shown)


def filter_figure(report: FilterReport, *, title: str = "") -> Figure:
    """A bar a filter: how many pairs it kept and how many it removed.

    Raises:
        ValueError: no filter was applied.
    """
    _require_steps(report)
    kept, removed = (np.array([getattr(step, name) for step in report.steps]) for name in ("n_after", "n_removed"))
    places = np.arange(len(report.steps))
    with styled():
        figure, (axes,) = new_figure(height=1.1 + 0.42 * len(places))
        axes.barh(places, kept, color=BLUE, label="kept")
        axes.barh(places, removed, left=kept, color=GREY, hatch="//", edgecolor="white", label="removed")
        axes.set_yticks(places, [step.name for step in report.steps])
        axes.invert_yaxis()
        axes.grid(False, axis="y")
        for place, step in zip(places, report.steps, strict=True):
            axes.annotate(
                f"\u2212{step.n_removed:,}", (step.n_before, place), xytext=(4, 0), textcoords="offset points",
                va="center", fontsize=9,
            )  # fmt: skip
        axes.set_xlim(0, max(1, report.steps[0].n_before) * 1.12)
        axes.set_xlabel("pairs of features")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=2)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        return figure


def _require_steps(report: FilterReport) -> None:
    if not report.steps:
        raise ValueError("no filter was applied, so there is nothing to show; pass filters to apply_filters")
