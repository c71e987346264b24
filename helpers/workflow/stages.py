"""Stage runs: a notebook and the name of one execution, where its files lie, and what it reads.

runs/<study>/<stage>/<run>/ holds results.json, executed.ipynb, notebook.html, figures/ and the stage's data.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import helpers
from helpers.params.notebooks import NotebookParams
from helpers.params.registry import NOTEBOOKS, runs_read

NOTEBOOKS_VARIABLE = "FEATURE_GEOMETRY_NOTEBOOKS"
PROJECT_ROOT = Path(helpers.__file__).resolve().parent.parent

EXECUTED_FILE = "executed.ipynb"
PARTIAL_FILE = ".executed.partial.ipynb"  # while it grows; papermill writes it again and again, in place
RENDERED_FILE = "notebook.html"
STAGE_FILE = "stage.json"
OUTDATED_FILE = "results.outdated.json"
PROGRESS_FILE = "progress.log"


@dataclass(frozen=True, order=True)
class StageRun:
    """One execution of one notebook; written `stage/run`."""

    stage: str
    run: str

    def __str__(self) -> str:
        return f"{self.stage}/{self.run}"

    def folder(self, study_folder: Path) -> Path:
        """Where its files lie."""
        return study_folder / self.stage / self.run


def needs(stage: str, params: NotebookParams) -> list[StageRun]:
    """The stage runs that `stage` with these parameters reads directly, without repeats."""
    check_stage(stage)
    return list(dict.fromkeys(StageRun(source, run) for _, source, run in runs_read(stage, params.model_dump())))


def check_stage(stage: str) -> None:
    """Raises ValueError if there is no such stage."""
    if stage not in NOTEBOOKS:
        raise ValueError(f"unknown stage '{stage}'; there are {', '.join(NOTEBOOKS)}")


def runs_path(runs_folder: str | Path) -> Path:
    """The folder of all results: `runs_folder`, relative to the project root."""
    return PROJECT_ROOT / runs_folder


def study_folder(params: NotebookParams) -> Path:
    """The folder of a study's results."""
    return runs_path(params.runs_folder) / params.study


def notebooks_folder() -> Path:
    """Where the notebooks lie; the environment variable FEATURE_GEOMETRY_NOTEBOOKS names another folder."""
    return PROJECT_ROOT / os.environ.get(NOTEBOOKS_VARIABLE, "notebooks")


def notebook_path(stage: str) -> Path:
    """The notebook of a stage."""
    check_stage(stage)
    return notebooks_folder() / f"{stage}.ipynb"
