"""Figures of notebook 04: what partners share by their correlation, and how far the methods agree."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from helpers.matching import MatchingAgreement, PairAgreement
from helpers.reports.figures import Curve, curves, heatmap


def shares_by_band(banded: Mapping[tuple[float, float], Mapping[str, PairAgreement]], *, title: str = "") -> Figure:
    """Each score over the bands of correlation, and the same of shuffled partners.

    Args:
        banded: (low, high) -> what `Meanings.check` gave for the band; the same scores in each.
    Raises:
        ValueError: no band.
    """
    if not banded:
        raise ValueError("there is no band with a pair in it to draw; lower the first edge")
    centres = [(low + high) / 2 for low, high in banded]
    lines: dict[str, Curve] = {}
    for name in next(iter(banded.values())):
        lines[name] = (centres, [found[name].score for found in banded.values()])
        lines[f"{name}, shuffled partners"] = (centres, [found[name].null_mean for found in banded.values()])
    return curves(
        lines, x_label="correlation of the pairs (centre of a band)", y_label="share", y_range=(0, 1.02), markers=True,
        title=title,
    )  # fmt: skip


def agreement_heatmap(report: MatchingAgreement, *, title: str = "") -> Figure:
    """Pairs that two matchings share, over those that either has."""
    labels = [name.replace("_", " ").replace(" (", "\n(") for name in report.names]
    return heatmap(
        report.jaccard, row_labels=labels, column_labels=labels, x_label="", y_label="", value_range=(0, 1),
        colour_label="pairs in both / pairs in either", title=title,
    )  # fmt: skip
