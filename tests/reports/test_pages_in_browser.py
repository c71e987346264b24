"""Pages in a real browser: nothing sticks out sideways, at desk and phone width."""

from __future__ import annotations

import html as html_module
import re
import shutil
import subprocess

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.reports import PairRow, pairs_table, table
from helpers.reports.index import build_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=5000",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]


class Context:
    before, token, after = (
        "Once upon a time, far away in the hills, there was a ",
        " king",
        " who had three daughters\n",
    )


def overflow(page, width, folder):
    """Pixels by which the page is wider than a window of `width`: the page is framed, and its own script reports."""
    probe = (
        "<script>addEventListener('load',()=>parent.document.title='w'+document.documentElement.scrollWidth)</script>"
    )
    inner = page.read_text(encoding="utf-8").replace("</body>", probe + "</body>")
    frame = folder / "frame.html"
    frame.write_text(
        f'<iframe srcdoc="{html_module.escape(inner)}" style="width:{width}px;height:900px;border:0"></iframe>',
        encoding="utf-8",
    )
    command = [CHROMIUM, *QUIET, f"--user-data-dir={folder / 'profile'}", "--dump-dom", frame.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.search(r"<title>w(\d+)</title>", dom)
    assert found, dom[:500]
    return int(found.group(1)) - width


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    study = tmp_path_factory.mktemp("runs") / "demo"
    folder = study / "04_match_features" / "a_run_with_a_rather_long_name"
    folder.mkdir(parents=True)
    rows = [PairRow("0.93", 3, 7, [Context()] * 3, [Context()] * 3)]
    wide = table({"row": {f"column {i}": "1.2345" for i in range(30)}})
    tables = (pairs_table(rows, names=("a", "b"), caption="Best pairs"), wide)
    outputs = [new_output("display_data", data={"text/html": html}) for html in tables]
    outputs += [
        new_output("stream", name="stdout", text="unbroken" * 60),
        new_output("error", ename="ValueError", evalue="x" * 300, traceback=["File " + "long/" * 60]),
    ]
    cells = [
        new_markdown_cell("# Title\n\n" + "| a long heading " * 12 + "|\n" + "|---" * 12 + "|\n" + "| 1 " * 12 + "|"),
        new_code_cell("x = '" + "long line " * 60 + "'", outputs=outputs),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "executed.ipynb")
    return build_report(study)


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("page", ["index.html", "notebooks/04_match_features.a_run_with_a_rather_long_name.html"])
def test_nothing_sticks_out_sideways(report, page, width, tmp_path):
    assert overflow(report.parent / page, width, tmp_path) <= 0


def test_the_measurement_sees_what_sticks_out(tmp_path):
    page = tmp_path / "wide.html"
    page.write_text('<body style="margin:0"><div style="width:700px">x</div></body>', encoding="utf-8")
    assert overflow(page, 400, tmp_path) == 300
