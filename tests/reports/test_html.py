"""Rendered notebooks: self-contained, prose and results shown, code folded, progress gone, errors in full."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.reports.html import PageLink, notebook_failure, render_notebook, without_progress, wrap_tables

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Resources(HTMLParser):
    """Every address that a browser would fetch to show the page."""

    def __init__(self):
        super().__init__()
        self.fetched, self.links, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "poster", "data") or (name == "href" and tag != "a"):
                self.fetched.append(value)
            elif name == "href":
                self.links.append(value)


def parsed(html):
    parser = Resources()
    parser.feed(html)
    return parser


def stream(name, text):
    return new_output("stream", name=name, text=text)


@pytest.fixture
def notebook(tmp_path):
    cells = [
        new_markdown_cell(
            "# Matching *features*\n\nIs it so? See [the paper](https://arxiv.org/abs/2410.06981).\n\n| a |\n|---|\n| 1 |"
        ),
        new_code_cell(
            "secret_call(1 < 2)",
            outputs=[
                stream("stdout", "printed <b>\n"),
                stream("stderr", "\rTokens:   5%|5  | 1/20\rTokens: 100%|##| 20/20 [00:05<00:00, 4.1it/s]\n"),
            ],
        ),
        new_code_cell(
            "figure()", outputs=[new_output("display_data", data={"image/png": PIXEL, "text/plain": "<Figure>"})]
        ),
        new_code_cell(
            "table()",
            outputs=[
                new_output(
                    "execute_result",
                    data={"text/html": "<table><tr><td>x</td></tr></table>", "text/plain": "TEXT-FALLBACK"},
                )
            ],
        ),
        new_code_cell("warn()", outputs=[stream("stderr", "a real warning & more\n")]),
        new_code_cell(""),
    ]
    path = tmp_path / "runs" / "demo" / "04_match_features" / "main" / "executed.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(new_notebook(cells=cells, metadata={"language_info": {"name": "python"}}), path)
    return path


def render(notebook, **options):
    return render_notebook(notebook, notebook.with_name("notebook.html"), **options).read_text(encoding="utf-8")


def fail(notebook):
    node = nbformat.read(notebook, as_version=4)
    traceback = ["\x1b[31mValueError\x1b[39m: first", "line two of the traceback", "ValueError: x < 3"]
    banner = new_markdown_cell("An Exception was encountered", metadata={"tags": ["papermill-error-cell-tag"]})
    error = new_output("error", ename="ValueError", evalue="x < 3\nmore", traceback=traceback)
    node.cells = [banner, *node.cells, new_code_cell("raise ValueError", outputs=[error])]
    nbformat.write(node, notebook)


def test_page_fetches_nothing(notebook):
    page = parsed(render(notebook))
    assert page.fetched and all(address.startswith("data:") for address in page.fetched)
    assert "script" not in page.tags and "link" not in page.tags and "iframe" not in page.tags


def test_styles_fetch_nothing(notebook):
    assert not re.search(r"@import|url\(|https?://(?!arxiv)", render(notebook))


def test_prose_figures_and_tables_are_shown(notebook):
    html = render(notebook)
    assert "<title>Matching features</title>" in html
    assert "Matching <em>features</em>" in html and 'href="https://arxiv.org/abs/2410.06981"' in html
    assert html.count('<div class="scroll"') == 2 and "<td>x</td>" in html
    assert f"data:image/png;base64,{PIXEL}" in html
    assert "TEXT-FALLBACK" not in html and "&lt;Figure" not in html
    assert "printed &lt;b&gt;" in html


def test_code_is_there_but_folded(notebook):
    html = render(notebook)
    code = re.findall(r'<details class="code">(.*?)</details>', html, flags=re.DOTALL)
    assert len(code) == 4  # the empty cell leaves nothing behind
    assert "secret_call" in code[0]
    assert "secret_call" not in re.sub(r"<details.*?</details>", "", html, flags=re.DOTALL)
    assert "<details open" not in html


def test_progress_is_gone_and_warnings_are_kept_in_the_log(notebook):
    html = render(notebook)
    assert "Tokens" not in html and "it/s" not in html
    logs = re.findall(r'<details class="log">.*?</details>', html, flags=re.DOTALL)
    assert len(logs) == 1 and "a real warning &amp; more" in logs[0]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\rA:  10%|#  | 1/10\rA: 100%|###| 10/10 [00:01<00:00, 9.9it/s]\n", ""),
        ("12.3k tokens [00:05, 2.4k tokens/s]\n", ""),
        ("before\n 50%|##\nafter\n", "before\nafter"),
        ("windows line\r\nnext\r\n", "windows line\nnext"),
        ("accuracy rose to 50% | see below", ""),
        ("loss 0.5 at 50% of the data", "loss 0.5 at 50% of the data"),
        ("", ""),
    ],
)
def test_without_progress(text, left):
    assert without_progress(text) == left


def test_an_error_is_shown_in_full_and_announced(notebook):
    fail(notebook)
    html = render(notebook)
    assert "This notebook stopped with an error." in html and "ValueError: x &lt; 3" in html
    assert "line two of the traceback" in html and 'id="failure"' in html and 'href="#failure"' in html
    assert "\x1b" not in html
    assert "An Exception was encountered" not in html  # papermill's own banner, replaced by ours
    shown = re.sub(r"<details.*?</details>", "", html, flags=re.DOTALL)
    assert "line two of the traceback" in shown


def test_a_page_without_error_has_no_error_box(notebook):
    assert "failure" not in re.sub(r"<style>.*?</style>", "", render(notebook), flags=re.DOTALL)
    assert notebook_failure(nbformat.read(notebook, as_version=4)) is None


def test_default_link_leads_to_the_report_of_the_study(notebook):
    html = render(notebook)
    href = parsed(html).links[0]
    assert (notebook.parent / href).resolve() == notebook.parents[2] / "report" / "index.html"
    assert '<span class="here">04_match_features / main</span>' in html


def test_given_links_and_titles_are_escaped(notebook):
    html = render(notebook, title="a < b", links=[PageLink('next "one" <', 'x".html')])
    assert "<title>a &lt; b</title>" in html
    assert parsed(html).links[0] == 'x".html' and 'next "one" &lt;' in html
    assert "<nav>" not in render(notebook, links=[])


def test_light_and_dark_are_both_styled(notebook):
    html = render(notebook)
    assert html.count("prefers-color-scheme: dark") >= 2  # page and code
    assert 'name="viewport"' in html


def test_a_failed_rendering_leaves_the_earlier_page(notebook):
    before = render(notebook)
    notebook.write_text("{not json", encoding="utf-8")
    with pytest.raises(ValueError, match="executed.ipynb cannot be read as a notebook .* execute it again"):
        render(notebook)
    assert notebook.with_name("notebook.html").read_text(encoding="utf-8") == before
    with pytest.raises(ValueError, match="cannot be read as a notebook"):
        render_notebook(notebook.with_name("absent.ipynb"), notebook.with_name("x.html"))
    assert sorted(path.name for path in notebook.parent.iterdir()) == ["executed.ipynb", "notebook.html"]


def test_wrap_tables_closes_what_it_opens():
    assert wrap_tables('<table border="1"></table>') == '<div class="scroll"><table border="1"></table></div>'
