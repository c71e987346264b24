"""The report of a study: one folder of static files that works from disk, from a zip and from any web server.

report/index.html answers at a glance, then shows the numbers and figures of every notebook; report/notebooks/ holds every
executed notebook as a page, report/figures/ the pictures, report/pages/ the pages that notebooks left to be explored. The
folder is built beside the old one and swapped in, so a reader never meets half of it.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jinja2

from helpers.reports.html import (
    TEMPLATES,
    PageLink,
    notebook_failure,
    notebook_html,
    notebook_title,
    read_notebook,
    stylesheet,
)
from helpers.reports.sections import sections, warnings_of
from helpers.results import FAILURE_FILE, RESULTS_FILE
from helpers.storage import atomic_folder, read_json

logger = logging.getLogger(__name__)

NOTEBOOK = "executed.ipynb"


@dataclass
class StagePage:
    """What the report knows of one run of one stage; filled while the report is built."""

    stage: str
    run: str
    folder: Path
    state: Literal["done", "failed", "missing"] = "missing"
    reason: str = ""
    title: str = ""
    page: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    notebook: Any = None
    figures: list[dict[str, str]] = field(default_factory=list)
    documents: list[dict[str, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How the report names it."""
        return f"{self.stage} / {self.run}"


def build_report(
    study_folder: str | Path,
    *,
    title: str | None = None,
    description: str | None = None,
    expected: Sequence[tuple[str, str]] = (),
) -> Path:
    """Write `study_folder`/report from what the stages left.

    Args:
        study_folder: runs/<study>, with <stage>/<run>/results.json, executed.ipynb and figures.
        title: of the report; by default the study's name.
        description: a paragraph on what the study asks.
        expected: (stage, run) that belong to the study: those without a folder are listed as missing, other folders
            are left out; by default every folder that is there.
    Returns:
        Path of index.html.
    Raises:
        ValueError: the folder holds no stage at all.
    """
    study_folder = Path(study_folder)
    pages = [_read_stage(folder) for folder in _stage_folders(study_folder, expected)]
    if not pages:
        raise ValueError(f"{study_folder} holds no <stage>/<run> folders; run the study first")
    target = study_folder / "report"
    with atomic_folder(target) as folder:
        for page in pages:
            _copy_figures(page, folder)
            _copy_documents(page, folder)
            page.page = f"notebooks/{page.stage}.{page.run}.html" if page.notebook is not None else ""
        _write_notebooks([page for page in pages if page.notebook is not None], folder)
        text = _environment().get_template("report.html.j2").render(
            title=title or f"Study {study_folder.name}",
            study=study_folder.name,
            description=description,
            css=stylesheet(),
            pages=pages,
            sections=sections(pages),
            warnings=warnings_of(pages),
            seconds=sum(float(page.result.get("seconds") or 0) for page in pages),
            versions=_versions(pages),
        )  # fmt: skip
        (folder / "index.html").write_text(text, encoding="utf-8")
    return target / "index.html"


def _stage_folders(study_folder: Path, expected: Sequence[tuple[str, str]]) -> list[Path]:
    """Notebook by notebook; the runs of one in the order of the study, which names what matters most first."""
    if expected:
        return sorted(dict.fromkeys(study_folder / stage / run for stage, run in expected), key=lambda p: p.parent.name)
    found = {path for path in study_folder.glob("*/*") if path.is_dir() and not path.name.startswith(".")}
    found = {path for path in found if path.parent.name != "report" and not path.parent.name.startswith(".")}
    return sorted(found, key=lambda path: (path.parent.name, path.name))


def _read_stage(folder: Path) -> StagePage:
    """State of a run: done with readable results, failed with a reason, or missing."""
    page = StagePage(folder.parent.name, folder.name, folder, title=folder.parent.name)
    if (folder / NOTEBOOK).is_file():
        try:
            page.notebook = read_notebook(folder / NOTEBOOK)
            page.title = notebook_title(page.notebook, page.stage)
        except ValueError as error:
            page.state, page.reason = "failed", str(error)
    failure = None if page.notebook is None else notebook_failure(page.notebook)
    if (folder / RESULTS_FILE).is_file():
        try:
            result = read_json(folder / RESULTS_FILE)
            if not isinstance(result, dict):
                raise ValueError(f"expected a JSON object, got {type(result).__name__}")  # noqa: TRY004
            page.result, page.state = result, "done"
        except ValueError as error:
            page.state, page.reason = "failed", f"{RESULTS_FILE} cannot be read ({error}); run the stage again"
    elif page.notebook is not None and failure is None:
        page.state, page.reason = "failed", "stopped before its end; run the study again, it goes on from here"
    if failure is not None:
        page.state, page.reason = "failed", failure
    elif page.state != "done" and (folder / FAILURE_FILE).is_file():
        page.state, page.reason = "failed", str(read_json(folder / FAILURE_FILE).get("error", ""))
    if page.state != "done":
        page.result = {}
        logger.warning("the report lists %s as %s: %s", page.name, page.state, page.reason or "no results")
    return page


def _items(page: StagePage, key: str) -> list[Mapping[str, Any]]:
    values = page.result.get(key) or []
    return [value for value in values if isinstance(value, Mapping)]


def _copy_figures(page: StagePage, folder: Path) -> None:
    """Copy the figures of a stage that are marked for the front page."""
    for item in (item for item in _items(page, "figures") if item.get("headline")):
        source = (page.folder / str(item.get("file", ""))).resolve()
        if not source.is_relative_to(page.folder.resolve()) or not source.is_file():
            logger.warning("the report leaves out figure %s of %s: no such file", item.get("file"), page.name)
            continue
        file = f"figures/{page.stage}.{page.run}.{source.name}"
        (folder / "figures").mkdir(exist_ok=True)
        shutil.copyfile(source, folder / file)
        page.figures.append(
            {"file": file, "title": str(item.get("title") or source.stem), "caption": str(item.get("caption") or "")}
        )


def _copy_documents(page: StagePage, folder: Path) -> None:
    """Copy the pages that a stage left, e.g. a linked map: artifacts that are HTML files."""
    artifacts = page.result.get("artifacts") or {}
    for name, path in artifacts.items():
        source = (page.folder / str(path)).resolve()
        if source.suffix != ".html" or not source.is_relative_to(page.folder.resolve()) or not source.is_file():
            continue
        file = f"pages/{page.stage}.{page.run}.{source.name}"
        (folder / "pages").mkdir(exist_ok=True)
        shutil.copyfile(source, folder / file)
        page.documents.append({"file": file, "title": str(name).replace("_", " ")})


def _write_notebooks(pages: Sequence[StagePage], folder: Path) -> None:
    """Every executed notebook as a page with the way back and to its neighbours."""
    (folder / "notebooks").mkdir()
    for number, page in enumerate(pages):
        links = [PageLink("Report", "../index.html"), PageLink(page.name)]
        if number:
            links.append(PageLink(f"\u2190 {pages[number - 1].name}", Path(pages[number - 1].page).name))
        if number + 1 < len(pages):
            links.append(PageLink(f"{pages[number + 1].name} \u2192", Path(pages[number + 1].page).name))
        (folder / page.page).write_text(
            notebook_html(page.notebook, title=f"{page.title} ({page.run})", links=links), encoding="utf-8"
        )


def _versions(pages: Sequence[StagePage]) -> dict[str, str]:
    """Library versions of all stages; several values if they differ."""
    found: dict[str, list[str]] = {}
    for page in pages:
        for name, version in (page.result.get("versions") or {}).items():
            found.setdefault(str(name), []).append(str(version))
    return {name: ", ".join(dict.fromkeys(values)) for name, values in sorted(found.items())}


def duration(seconds: float | None) -> str:
    """75.2 -> "1 min 15 s"."""
    if seconds is None:
        return "\u2013"
    minutes, rest = divmod(round(float(seconds)), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{float(seconds):.0f} s"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["duration"] = duration
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return environment
