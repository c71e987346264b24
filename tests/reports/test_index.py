"""The report of a study: complete, movable, honest about what is missing."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.reports.index import build_report, duration

PNG = bytes.fromhex("89504e470d0a1a0a")


class Addresses(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        self.found += [value for name, value in attrs if name in ("href", "src")]


def addresses(path):
    parser = Addresses()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser.found


def add_stage(study, stage, run, *, result=True, error=False, notebook=True, **values):
    folder = study / stage / run
    (folder / "figures").mkdir(parents=True)
    if notebook:
        outputs = (
            [new_output("error", ename="MemoryError", evalue="<too big>", traceback=["MemoryError"])] if error else []
        )
        cells = [new_markdown_cell(f"# Title of {stage}"), new_code_cell("1", outputs=outputs)]
        nbformat.write(new_notebook(cells=cells), folder / "executed.ipynb")
    if result:
        figures = [
            {
                "file": f"figures/{i}.png",
                "title": f"Figure {i} of {stage}",
                "caption": f"caption {i}",
                "headline": i < 2,
            }
            for i in range(4)
        ]
        for i in range(4):
            (folder / "figures" / f"{i}.png").write_bytes(PNG + stage.encode())
        record = {
            "stage": stage, "run": run, "study": study.name, "params": {"hook_name": "blocks.1.hook"}, "seed": 7,
            "versions": {"torch": "2.13.0"}, "commit": "abc1234", "device": "cpu", "started": "2026-01-01T00:00:00",
            "seconds": 75.2, "peak_memory_mib": 912.4, "metrics": {"l0": 16.0}, "figures": figures, "artifacts": {},
            "headline": [{"label": f"number of {stage}", "value": "90 %", "detail": "4 % when shuffled"}],
        }  # fmt: skip
        (folder / "results.json").write_text(json.dumps({**record, **values}), encoding="utf-8")
    return folder


@pytest.fixture
def study(tmp_path):
    study = tmp_path / "demo"
    add_stage(study, "01_language_models", "a")
    add_stage(study, "01_language_models", "b")
    add_stage(study, "05_compare_spaces", "main")
    return study


def report(study, **options):
    return build_report(study, **options).read_text(encoding="utf-8")


def test_answers_come_first_then_every_notebook_then_stages(study):
    html = report(study)
    texts = (
        "<h2>At a glance",
        'id="01_language_models"',
        "Figure 0 of 01",
        'id="05_compare_spaces"',
        "<h2>Stages",
        "<h2>Where",
    )
    places = [html.index(text) for text in texts]
    assert places == sorted(places)
    glance = html[places[0] : places[1]]
    for stage in ("01_language_models", "05_compare_spaces"):  # a line for each, that leads to its section
        assert f'href="#{stage}"' in glance and glance.count(f"number of {stage}") == 1
    assert glance.count("4 % when shuffled") == 2
    assert html.count('class="card"') == 2, "one of the first run of each notebook"
    assert html.count('<tr><td><a href="notebooks/01_language_models.b.html">b</a></td>') == 1
    assert "1 min 15 s" in html and "912 MiB" in html and "torch 2.13.0" in html and "seed 7" in html
    assert "blocks.1.hook" in html and "abc1234" in html
    assert "have no result" not in html


def test_every_address_is_inside_the_folder_and_exists(study, tmp_path):
    """The folder is moved away from the study before it is looked at."""
    build_report(study)
    moved = tmp_path / "elsewhere"
    shutil.copytree(study / "report", moved)
    shutil.rmtree(study)
    pages = list(moved.rglob("*.html"))
    assert len(pages) == 4
    for page in pages:
        found = [address for address in addresses(page) if not address.startswith(("data:", "#"))]
        assert found
        for address in found:
            target = (page.parent / unquote(address)).resolve()
            assert target.is_file() and target.is_relative_to(moved), f"{page.name} -> {address}"


def test_notebooks_are_linked_in_the_order_of_the_flow(study):
    build_report(study)
    page = study / "report" / "notebooks" / "01_language_models.b.html"
    assert addresses(page)[:3] == ["../index.html", "01_language_models.a.html", "05_compare_spaces.main.html"]
    first = addresses(study / "report" / "notebooks" / "01_language_models.a.html")
    assert "01_language_models.b.html" in first and len([a for a in first if a.endswith(".html")]) == 2


def test_only_marked_figures_are_on_the_front_page(study):
    assert report(study).count("<figure>") == 6  # two of each stage
    figures = [
        {"file": "figures/3.png", "title": "the one", "caption": "", "headline": True},
        {"file": "figures/0.png", "title": "not this", "caption": "", "headline": False},
    ]
    shutil.rmtree(study / "05_compare_spaces")
    add_stage(study, "05_compare_spaces", "main", figures=figures)
    html = report(study)
    assert "the one" in html and "not this" not in html and html.count("<figure>") == 5


def test_a_notebook_with_very_many_numbers_has_them_in_a_table_that_opens(study):
    for number in range(10):
        add_stage(
            study,
            "02_train_saes",
            f"grid{number}",
            headline=[{"label": f"SAE {number}", "value": "0.1", "detail": "x"}],
        )
    page = report(study)
    more = page.index('<details class="more"><summary>Other runs: 9 numbers')
    assert page.index('id="02_train_saes"') < more < page.index('id="05_compare_spaces"')
    assert all(more < page.index(f"SAE {number}<") for number in range(1, 10))
    few = page.index('<details class="more" open><summary>Other runs: 1 number<')
    assert page.index('id="01_language_models"') < few < page.index('id="02_train_saes"')


def test_figures_of_other_runs_open_on_demand(study):
    page = report(study)
    shown, more, folded = (
        page.index(text) for text in ("Figure 0 of 01", "2 figures of b</summary>", "01_language_models.b.0.png")
    )
    assert shown < more < folded
    assert page.index("01_language_models.a.1.png") < more


def test_emphasis_in_a_heading_is_not_shown_as_stars(study):
    notebook = nbformat.read(study / "05_compare_spaces" / "main" / "executed.ipynb", as_version=4)
    notebook.cells[0].source = "# Are *emotions* alike?"
    nbformat.write(notebook, study / "05_compare_spaces" / "main" / "executed.ipynb")
    assert ">Are emotions alike?<" in report(study)


def test_failed_and_missing_stages_are_named_with_their_reason(study):
    add_stage(study, "02_train_saes", "a", result=False, error=True)
    add_stage(study, "02_train_saes", "b", result=False)
    add_stage(study, "03_save_activations", "main", result=False, notebook=False)
    (study / "03_save_activations" / "main" / "failure.json").write_text('{"error": "the process was killed"}')
    names = ["01_language_models/a", "01_language_models/b", "02_train_saes/a", "02_train_saes/b"]
    names += ["03_save_activations/main", "04_match_features/main", "05_compare_spaces/main"]
    html = report(study, expected=[tuple(name.split("/")) for name in names])
    assert "4 of 7 stage runs have no result" in html
    assert "the process was killed" in html
    assert "MemoryError: &lt;too big&gt;" in html
    assert "stopped before its end" in html
    assert html.count("not run yet") == 1
    assert html.count('class="state-failed"') == 3 and html.count('class="state-missing"') == 1
    assert html.count('class="state-done"') == 3
    assert 'href="notebooks/02_train_saes.a.html"' in html


def test_runs_that_no_longer_belong_to_the_study_are_left_out(study):
    html = report(study, expected=[("01_language_models", "a")])
    assert "05_compare_spaces" not in html and html.count('class="state-done"') == 1


def test_numbers_of_a_failed_rerun_are_not_shown(study):
    """A results.json beside a notebook that stopped with an error is of an earlier run."""
    add_stage(study, "06_semantic_subspaces", "main", error=True)
    html = report(study)
    assert "number of 06" not in html and "Figure 0 of 06" not in html and "1 of 4 stage runs" in html


def test_a_broken_results_file_is_named_and_the_rest_is_shown(study):
    (study / "05_compare_spaces" / "main" / "results.json").write_text('{"stage": ', encoding="utf-8")
    html = report(study)
    assert "results.json cannot be read" in html and "number of 01" in html and "number of 05" not in html
    (study / "05_compare_spaces" / "main" / "results.json").write_text("[1]", encoding="utf-8")
    assert "expected a JSON object, got list" in report(study)


def test_a_record_with_little_in_it_is_enough(tmp_path):
    folder = tmp_path / "s" / "01_x" / "main"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text("{}", encoding="utf-8")
    assert 'class="state-done"' in report(tmp_path / "s")


def test_everything_from_outside_is_escaped(study):
    nasty = "<script>alert(1)</script>"
    shutil.rmtree(study / "05_compare_spaces")
    add_stage(
        study, "05_compare_spaces", "main", headline=[{"label": nasty, "value": nasty, "detail": nasty}],
        params={"x": nasty}, commit=nasty, versions={nasty: nasty},
        figures=[{"file": "figures/0.png", "title": nasty, "caption": nasty}],
    )  # fmt: skip
    html = report(study, title=nasty, description=nasty)
    assert "<script" not in html and html.count("&lt;script&gt;") >= 8


def test_figures_outside_the_stage_or_absent_are_left_out(study, tmp_path):
    (tmp_path / "private.png").write_bytes(PNG)
    shutil.rmtree(study / "05_compare_spaces")
    figures = [{"file": "../../../private.png", "title": "outside"}, {"file": "figures/absent.png", "title": "absent"}]
    add_stage(study, "05_compare_spaces", "main", figures=figures)
    html = report(study)
    assert "outside" not in html and "absent" not in html
    assert not list((study / "report").rglob("private.png"))


def test_a_second_report_replaces_the_first_whole(study):
    build_report(study)
    (study / "report" / "stale.html").write_text("old", encoding="utf-8")
    shutil.rmtree(study / "01_language_models" / "b")
    build_report(study)
    files = {path.relative_to(study / "report").as_posix() for path in (study / "report").rglob("*.html")}
    assert files == {"index.html", "notebooks/01_language_models.a.html", "notebooks/05_compare_spaces.main.html"}
    assert not [path for path in study.iterdir() if path.name.startswith(".")]


def test_a_study_without_stages_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no <stage>/<run> folders; run the study first"):
        build_report(tmp_path)


def test_index_fetches_no_style_script_or_font(study):
    html = report(study)
    assert not re.search(r"<script|<link|@import|url\(|https?://", html)
    assert "prefers-color-scheme: dark" in html and 'name="viewport"' in html


def test_title_and_description_are_those_given(study):
    html = report(study, title="A study", description="What it asks.")
    assert "<h1>A study</h1>" in html and "What it asks." in html
    assert "<h1>Study demo</h1>" in report(study)
    assert isinstance(build_report(str(study)), Path)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "–"), (0.2, "0 s"), (59.4, "59 s"), (75.2, "1 min 15 s"), (3700, "1 h 1 min")]
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_pages_that_a_notebook_left_are_copied_and_linked(study, tmp_path):
    """Only HTML files of the stage's own folder; other artifacts stay where they are."""
    folder = add_stage(
        study, "07_feature_maps", "main",
        artifacts={"linked_map": "linked_map.html", "maps": "maps", "outside": "../../../secret.html", "gone": "gone.html"},
    )  # fmt: skip
    (folder / "linked_map.html").write_text("<p>map</p>", encoding="utf-8")
    (tmp_path / "secret.html").write_text("secret", encoding="utf-8")
    report = build_report(study)
    pages = report.parent / "pages"
    assert [path.name for path in pages.iterdir()] == ["07_feature_maps.main.linked_map.html"]
    assert (pages / "07_feature_maps.main.linked_map.html").read_text(encoding="utf-8") == "<p>map</p>"
    assert "pages/07_feature_maps.main.linked_map.html" in addresses(report)
    assert ">linked map</a> (07_feature_maps, main)" in report.read_text(encoding="utf-8")


def test_a_warning_stands_at_the_top_and_beside_every_number_that_rests_on_it(study):
    assert "Warning" not in report(study)
    warnings = {"02_train_saes/poor": "Dictionary poor rebuilds <nothing>."}
    add_stage(study, "02_train_saes", "good")
    add_stage(study, "02_train_saes", "poor", warnings=warnings)
    add_stage(study, "04_match_features", "main", warnings=warnings)
    html = report(study)
    assert html.count("Dictionary poor rebuilds &lt;nothing&gt;.") == 1
    assert html.index("Warning of") < html.index("<h2>At a glance")
    box = html[html.index("Warning of") : html.index("<h2>At a glance")]
    assert 'href="notebooks/02_train_saes.poor.html"' in box and "It concerns 04_match_features/main." in box
    marked = [part for part in html.split("<tr>") if "warning of 02_train_saes/poor" in part]
    assert len(marked) == 2, "at a glance 04, whose first run it is; in the table of 02's other runs the poor one"
    assert html.count("warning of 02_train_saes/poor") == 3, "and on the card of 04"
