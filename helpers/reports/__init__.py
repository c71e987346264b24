"""What people read: figures, tables, rendered notebooks and the report of a study."""

from helpers.reports.html import PageLink, render_notebook
from helpers.reports.index import build_report
from helpers.reports.tables import PairRow, context_table, results_table

__all__ = ["PageLink", "PairRow", "build_report", "context_table", "render_notebook", "results_table"]
