"""The map on a phone, with odd content, in frames, in the report of a study, in JupyterLab."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.reports.index import build_report
from helpers.reports.linked_map import LinkedMap, embedded_map, save_linked_map
from tests.browser.chromium import IN_BROWSER
from tests.browser.map_page import MapPage
from tests.browser.maps import NASTY, large_map, side, small_map

pytestmark = IN_BROWSER
IN_FRAME = "document.querySelector('iframe')?.contentDocument?.documentElement?.dataset.ready === 'yes'"


@pytest.fixture(scope="module")
def thousand():
    return large_map(1000)


@pytest.fixture
def phone(page):
    page.size(390, 844, phone=True)
    yield page
    page.size(1400, 1000)


def test_a_thousand_points_can_be_used_on_a_phone(phone, thousand, tmp_path):
    opened = MapPage.of(phone, thousand, tmp_path)
    assert opened.run("document.documentElement.scrollWidth") <= 390
    place = opened.run("app.pairs.a[3]")
    x, y = opened.point(0, place)
    phone.tap(x, y)
    # A finger is not exact: what is pinned is the point nearest to it, with its partner in the other map.
    s, i = opened.run("[app.pinned.s, app.pinned.i]")
    assert s == 0 and np.hypot(*(np.array(opened.point(0, i)) - (x, y))) <= 1
    assert len(opened.cards) >= 1 and len(opened.lit(1)) >= min(1, opened.run(f"pairsOf(app.pairs, 0, {i}).length"))
    assert opened.run(
        "[...document.querySelectorAll('.tools button, .tools input, .tools select')].every(n => n.getBoundingClientRect().height >= 40)"
    )
    assert opened.run("app.plots.every(p => p.width > 300 && p.height > 250)")


def test_nothing_sticks_out_at_any_width(page, thousand, tmp_path):
    opened = MapPage.of(page, thousand, tmp_path)
    for width in (1440, 1024, 820, 390):
        page.size(width, 900)
        opened.run("new Promise(requestAnimationFrame)")
        opened.run(
            "app.pin({s: 0, i: app.pairs.a[0]}); app.select({s: 0, points: [[-2, -2], [2, -2], [2, 2], [-2, 2]]})"
        )
        assert opened.run("document.documentElement.scrollWidth") <= width, width


def one_sided(n: int) -> LinkedMap:
    places = [(float(k), float(k * k)) for k in range(n)]
    some = side("a", places, 0, ["x"] * n, [""] * n)
    none = np.empty(0, dtype=np.int64)
    return LinkedMap(some, side("b", [(0.0, 0.0)], 0, ["y"], [""]), none, none, none.astype(np.float32))


@pytest.mark.parametrize("n", [1, 3])
def test_very_few_points_and_no_pairs_give_a_page(page, tmp_path, n):
    opened = MapPage.of(page, one_sided(n), tmp_path)
    opened.hover(0, n - 1)
    assert opened.lit(0) == [n - 1] and opened.lit(1) == []
    opened.run("app.select({s: 0, points: [[-2, -2], [2, -2], [2, 2], [-2, 2]]})")
    assert opened.rows == [] and "0 pairs" in opened.run("document.getElementById('table').innerText")
    for mode in opened.run("Object.keys(app.modes)"):
        opened.run(f"app.setMode('{mode}')")


def test_names_of_dictionaries_groups_and_titles_are_text_as_well(page, tmp_path):
    content = small_map()
    content = replace(
        content,
        a=replace(content.a, name=NASTY, groups=[NASTY] * 5),
        title=NASTY,
        faithfulness=[NASTY],
        value_name=NASTY,
    )
    opened = MapPage.of(page, content, tmp_path)
    opened.run("app.select({s: 0, points: [[-2, -2], [2, -2], [2, 2], [-2, 2]]}); app.pin({s: 0, i: 1})")
    assert opened.run("document.querySelectorAll('img').length") == 0
    assert opened.run("document.title") == NASTY  # the text, and not what its script would make of it
    assert opened.run("document.getElementById('legend').textContent").count(NASTY) == 1


def test_without_webgl_a_plain_canvas_shows_the_same_points(page, tmp_path):
    save_linked_map(small_map(), tmp_path / "map.html")
    text = (tmp_path / "map.html").read_text(encoding="utf-8").replace('getContext("webgl2"', 'getContext("none"')
    (tmp_path / "plain.html").write_text(text, encoding="utf-8")
    opened = MapPage(page, (tmp_path / "plain.html").as_uri())
    ink = "(() => { const p = app.plots[0], [x, y] = p.toScreen(p.side.x[1], p.side.y[1]); return [...p.points.getContext('2d').getImageData(Math.round(x * p.ratio), Math.round(y * p.ratio), 1, 1).data].slice(0, 3).join(); })()"
    assert opened.run(ink) == "0,114,178"
    opened.hover(0, 1)
    assert opened.lit(1) == [1]


def test_in_a_frame_of_a_page_it_works_too(page, tmp_path):
    (tmp_path / "notebook.html").write_text(
        f"<!DOCTYPE html><body>{embedded_map(small_map())}</body>", encoding="utf-8"
    )
    page.load((tmp_path / "notebook.html").as_uri(), ready=IN_FRAME)
    page.run("frames[0].linkedMap.then(app => app.pin({s: 0, i: 1}))")
    assert "feature 21" in page.run("frames[0].document.getElementById('card').innerText")


def test_it_works_in_the_report_of_a_study_opened_as_a_file(page, tmp_path):
    folder = tmp_path / "runs" / "demo" / "07_feature_maps" / "main"
    folder.mkdir(parents=True)
    cell = new_code_cell("show()", outputs=[new_output("display_data", data={"text/html": embedded_map(small_map())})])
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Maps"), cell]), folder / "executed.ipynb")
    report = build_report(tmp_path / "runs" / "demo")
    page.load((report.parent / "notebooks" / "07_feature_maps.main.html").as_uri(), ready=IN_FRAME)
    page.run("frames[0].linkedMap.then(app => app.pin({s: 0, i: 1}))")
    assert "feature 21" in page.run("frames[0].document.getElementById('card').innerText")
    assert page.run("document.documentElement.scrollWidth") <= 1400


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a folder with a notebook that shows a map when it is run; its address."""
    (tmp_path / "frame.html").write_text(embedded_map(small_map()), encoding="utf-8")
    source = "from IPython.display import HTML, display\ndisplay(HTML(filename='frame.html'))"
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=[new_code_cell(source)], metadata=metadata), tmp_path / "maps.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    root = os.getcwd()
    command = [
        sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--port={port}", f"--ServerApp.root_dir={tmp_path}",
        "--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    environment = os.environ | {
        "PYTHONPATH": root,
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + 90
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{address}/api/status", timeout=5) as answer:
                    json.load(answer)
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < end, "JupyterLab did not start"
                time.sleep(0.3)
        yield f"{address}/lab/tree/maps.ipynb"
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_it_works_in_a_notebook_that_is_run_in_jupyterlab(lab, browser):
    browser.size(1400, 1000)
    browser.load(lab, ready="!!(window.jupyterapp && document.querySelector('.jp-Notebook .jp-CodeCell'))")
    browser.wait_for(
        "fetch('/api/kernels').then(r => r.json()).then(all => all.some(k => k.execution_state === 'idle'))"
    )
    browser.run("void jupyterapp.commands.execute('notebook:run-all-cells')")
    browser.wait_for(IN_FRAME)
    browser.run("frames[0].linkedMap.then(app => app.pin({s: 0, i: 1}))")
    assert "feature 21" in browser.run(
        "document.querySelector('iframe').contentDocument.getElementById('card').innerText"
    )
    address = re.match(r"http://127\.0\.0\.1:\d+", lab)[0]
    assert [url for url in browser.outside if not url.startswith((address, address.replace("http", "ws")))] == []
