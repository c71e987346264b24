"""Context tables: everything escaped, the firing token marked, rows grouped."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from helpers.reports import PairRow, context_table, results_table
from helpers.reports.tables import highlighted


@dataclass(frozen=True)
class Context:
    before: str
    token: str
    after: str


MONDAY = Context("Today is", " Monday", ". Tomorrow\n")
ROW = PairRow("a 3", "b 7", [MONDAY, None], [MONDAY, MONDAY], {"correlation": "0.93"}, "best pairs")


def test_the_token_is_marked_and_newlines_are_visible():
    assert highlighted(MONDAY) == '<div class="context">Today is <mark>Monday</mark>. Tomorrow\u23ce</div>'
    assert "<mark>\u23ce</mark>" in highlighted(Context("a", "\n", "b"))
    assert "<mark>&nbsp;</mark>" in highlighted(Context("a", " ", "b"))


def test_all_text_is_escaped():
    nasty = '<script>&"'
    context = Context(nasty, nasty, nasty)
    row = PairRow(nasty, nasty, [context], [context], {nasty: nasty}, nasty)
    html = context_table([row], heading_a=nasty, heading_b=nasty)
    assert "<script" not in html and '&"' not in html
    assert html.count("&lt;script&gt;&amp;&quot;") >= 13


def test_rows_stand_under_their_group_with_all_their_examples():
    html = context_table([ROW, ROW, replace(ROW, group="random pairs", values={"correlation": "0.01"})])
    assert html.count('class="group"') == 2 and html.index("best pairs") < html.index("random pairs") < html.index(
        "0.01"
    )
    assert html.count("<mark>Monday</mark>") == 9  # one and two examples a row, three rows; no example shows as nothing
    assert html.count("<tr") == html.count("</tr>") == 6


def test_wrong_rows_are_refused():
    with pytest.raises(ValueError, match="there are no pairs to show"):
        context_table([])
    with pytest.raises(ValueError, match="all rows must have the same values; expected .'correlation'"):
        context_table([ROW, replace(ROW, values={"p": "1"})])
    with pytest.raises(ValueError, match="there are no rows to show"):
        results_table([])
    with pytest.raises(ValueError, match="all rows must have the same keys"):
        results_table([{"a": 1}, {"b": 1}])


def test_results_table_shows_none_as_a_dash_and_floats_shortly():
    html = results_table([{"measure": "<rsa>", "p": 0.000999, "n": 1000, "why": None}])
    assert "<td>&lt;rsa&gt;</td><td>0.000999</td><td>1000</td><td>\u2013</td>" in html
