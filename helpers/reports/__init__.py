"""What people read: figures, tables, rendered notebooks and the report of a study.

The runner of studies imports this package for every job, so nothing here may load torch; cards (`reports.cards`), the
linked map and what draws one notebook's results are imported by their own names.
"""

from helpers.reports.figures import (
    correlation_histogram,
    curve_panels,
    curves,
    feature_density_histogram,
    heatmap,
    share_bars,
)
from helpers.reports.html import PageLink, render_notebook
from helpers.reports.index import build_report
from helpers.reports.tables import PairRow, examples_table, number, pairs_table, table, text_block

__all__ = [
    "PageLink",
    "PairRow",
    "build_report",
    "correlation_histogram",
    "curve_panels",
    "curves",
    "examples_table",
    "feature_density_histogram",
    "heatmap",
    "number",
    "pairs_table",
    "render_notebook",
    "share_bars",
    "table",
    "text_block",
]
