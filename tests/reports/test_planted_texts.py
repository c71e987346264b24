"""Texts from outside (labels, words, explanations, parameters, error messages) are shown as they are and never run.

One planted text goes through every way into a report: the notebook's page with its outputs, the figures, the tables of
features and pairs. Cards, the report's first page and the maps have theirs in test_cards, test_index, test_linked_map.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.reports.html import PageLink, render_notebook
from helpers.reports.style import new_figure, styled
from helpers.reports.tables import PairRow, examples_table, pairs_table, table, text_block

PLANTED = "</pre></td></script><script>planted()</script><img src=x onerror=planted()> $\\frac{1$ {{ planted }}"


class Elements(HTMLParser):
    """Every element, and the text of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.dangerous: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "iframe", "object", "embed") or any(name.startswith("on") for name, _ in attrs):
            self.dangerous.append(tag)
        if any("planted" in (value or "") for name, value in attrs if name in ("src", "href", "style")):
            self.dangerous.append(tag)

    def handle_data(self, data):
        self.text += data


def elements(html: str) -> Elements:
    found = Elements()
    found.feed(html)
    return found


def test_the_parser_would_see_it():
    assert elements(PLANTED).dangerous == ["script", "img"]


def error_output(text: str) -> nbformat.NotebookNode:
    return new_output("error", ename=text, evalue=text, traceback=[f"\x1b[31m{text}\x1b[0m", text])


@pytest.mark.parametrize(
    "cell",
    [
        new_code_cell(f"explanations = {PLANTED!r}", metadata={"tags": ["injected-parameters"]}),
        new_code_cell("label", outputs=[new_output("execute_result", data={"text/plain": PLANTED})]),
        new_code_cell("print(label)", outputs=[new_output("stream", name="stdout", text=PLANTED)]),
        new_code_cell("warn(label)", outputs=[new_output("stream", name="stderr", text=PLANTED)]),
        new_code_cell("find(label)", outputs=[error_output(PLANTED)]),
        new_code_cell("table", outputs=[new_output("display_data", data={"text/html": table({PLANTED: {PLANTED: PLANTED}}, caption=PLANTED)})]),
    ],
    ids=["parameters", "result", "printed", "warned", "error", "table"],
)  # fmt: skip
def test_a_notebook_page_shows_it_and_does_not_run_it(tmp_path, cell):
    path = tmp_path / "executed.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# A notebook"), cell]), path)
    page = render_notebook(path, tmp_path / "page.html", title=PLANTED, links=[PageLink(PLANTED, "index.html")])
    found = elements(page.read_text())
    assert found.dangerous == []
    assert found.text.count("planted()") >= 3  # title, link, cell


@dataclass(frozen=True)
class Context:
    before: str = PLANTED
    token: str = PLANTED
    after: str = PLANTED


def test_tables_of_features_and_pairs():
    context = Context()
    pair = PairRow(PLANTED, 1, 2, [context], [context])
    for html in (
        examples_table({PLANTED: [context]}, caption=PLANTED),
        pairs_table([pair], names=(PLANTED, PLANTED), caption=PLANTED, value=PLANTED),
        text_block(PLANTED, title=PLANTED),
    ):
        found = elements(html)
        assert found.dangerous == [] and "planted()" in found.text


def test_a_figure_draws_it_and_takes_no_word_for_a_formula():
    with styled():
        figure, (axes,) = new_figure()
        axes.set_title(PLANTED)
        axes.plot([0, 1], [0, 1], label=PLANTED)
        axes.text(0.5, 0.5, PLANTED)
        axes.legend()
        axes.set_xticks([0, 1], ["costs $5 and $6", "$\\frac{1$"])
    axes.set_yticks([0, 1], ["$x_", "\\frac"])  # not all of it is made inside the style
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    assert buffer.tell() > 1000


def test_logarithmic_axes_keep_their_powers_of_ten():
    figure, (axes,) = new_figure()
    axes.plot([1, 1000], [1, 1000])
    axes.set(xscale="log", yscale="log")
    figure.savefig(io.BytesIO(), format="png")
    figure.savefig(io.BytesIO(), format="png")  # shown and saved: the ticks exist by now
    powers = [label for label in axes.get_xticklabels() if label.get_text()]
    assert powers and all(label.get_parse_math() for label in powers)
