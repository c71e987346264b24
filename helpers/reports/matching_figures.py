"""Figures of notebook 04: what partners share by their correlation, and how far the methods agree."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from helpers.matching import MatchingAgreement, PairAgreement
from helpers.reports.figures import heatmap
from helpers.reports.style import PALETTE, draw_legend, new_figure, styled


def shares_by_band(banded: Mapping[tuple[float, float], Mapping[str, PairAgreement]], *, title: str = "") -> Figure:
    """Each score over the bands of correlation (line) and the same of shuffled partners (broken); pairs along the top.

    Args:
        banded: (low, high) -> what `Meanings.check` gave for the band; the same scores in each.
    Raises:
        ValueError: no band.
    """
    if not banded:
        raise ValueError("there is no band with a pair in it to draw; lower the first edge")
    centres = [(low + high) / 2 for low, high in banded]
    with styled():
        figure, (axes,) = new_figure()
        for name, colour in zip(next(iter(banded.values())), PALETTE, strict=False):
            found = [scores[name] for scores in banded.values()]
            axes.plot(centres, [f.score for f in found], color=colour, marker="o", markersize=5, label=name)
            axes.plot(
                centres, [f.null_mean for f in found], color=colour, linestyle="--", label=f"{name}, shuffled partners"
            )
        for centre, scores in zip(centres, banded.values(), strict=True):
            n_pairs = next(iter(scores.values())).n_pairs
            axes.annotate(
                f"{n_pairs:,}", (centre, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3),
                textcoords="offset points", ha="center", fontsize=8, color="#444444",
            )  # fmt: skip
        axes.set(xlabel="correlation of the pairs (centre of a band)", ylabel="share", ylim=(0, 1.02))
        axes.set_title(title, pad=18)
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        draw_legend(axes)
        return figure


def agreement_heatmap(report: MatchingAgreement, *, title: str = "") -> Figure:
    """Pairs that two matchings share, over those that either has."""
    labels = [name.replace("_", " ").replace(" (", "\n(") for name in report.names]
    return heatmap(
        report.jaccard, row_labels=labels, column_labels=labels, x_label="", y_label="", value_range=(0, 1),
        colour_label="pairs in both / pairs in either", title=title,
    )  # fmt: skip
