"""What people read: figures, tables, rendered notebooks and the report of a study.

Every notebook and the runner of every job import this package, so nothing here may load torch or what only the pages
need (nbconvert): `reports.html`, `reports.index`, cards, the linked map and what draws one notebook's results are
imported by their own names.
"""

from helpers.reports.figures import (
    correlation_histogram,
    curve_panels,
    curves,
    feature_density_histogram,
    heatmap,
    share_bars,
)
from helpers.reports.tables import PairRow, examples_table, number, pairs_table, table, text_block

__all__ = [
    "PairRow",
    "correlation_histogram",
    "curve_panels",
    "curves",
    "examples_table",
    "feature_density_histogram",
    "heatmap",
    "number",
    "pairs_table",
    "share_bars",
    "table",
    "text_block",
]
