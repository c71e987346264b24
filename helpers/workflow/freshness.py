"""Which results are fresh, and why the others are not: decided by content, never by file times.

A result is fresh if it was made from the parameters, notebook, helper modules and data files of today, if every
result that it read is fresh and still the same, and if its artifacts are on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.params.notebooks import NotebookParams
from helpers.params.registry import NOTEBOOKS
from helpers.params.study import Study
from helpers.results import FAILURE_FILE, RESULTS_FILE, StageResult
from helpers.storage import read_json, write_json
from helpers.workflow.sources import NOTEBOOK, PARAMETERS, counted_parameters, stage_sources
from helpers.workflow.stage import result_hash, set_aside
from helpers.workflow.stages import EXECUTED_FILE, PARTIAL_FILE, STAGE_FILE, StageRun, check_stage, needs, runs_path

PLAN_FILE = "plan.json"


@dataclass(frozen=True)
class StageStatus:
    """One stage run of a study.

    Args:
        state: "fresh", "stale" (there is a result, of something else), "failed" or "missing".
        reason: why it is not fresh; "" if it is.
        sources: what a result of today would be made from.
    """

    stage_run: StageRun
    params: NotebookParams
    state: str
    reason: str
    sources: Mapping[str, str]

    @property
    def is_fresh(self) -> bool:
        """Whether it need not run."""
        return self.state == "fresh"


def results_folder(study: Study) -> Path:
    """The folder of the study's results."""
    first = next(params for runs in study.notebooks.values() for params in runs.values())
    return runs_path(first.runs_folder) / study.name


def study_status(study: Study, *, force: Iterable[str] = ()) -> list[StageStatus]:
    """State of every stage run, in the order in which data flows.

    Args:
        force: stages whose results are to be taken for stale.
    Raises:
        ValueError: `force` names a stage that the study does not have, or a notebook is missing.
    """
    force = list(force)
    for stage in force:
        _check_part(study, stage)
    folder = results_folder(study)
    statuses: dict[StageRun, StageStatus] = {}
    for stage in NOTEBOOKS:
        for run, params in study.notebooks.get(stage, {}).items():
            stage_run = StageRun(stage, run)
            sources = stage_sources(stage, params)
            state, reason = _state(stage_run, params, sources, statuses, folder)
            if stage in force and state == "fresh":
                state, reason = "stale", "forced"
            statuses[stage_run] = StageStatus(stage_run, params, state, reason, sources)
    return list(statuses.values())


def prepare(study: Study, statuses: list[StageStatus], *, wanted: list[StageRun]) -> Path:
    """Write what the workflow reads, and set aside every result that is not fresh.

    Writes plan.json (which runs there are, with their parameters) and each run's stage.json, only where they changed.

    Args:
        statuses: of the whole study.
        wanted: the stage runs to make.
    Returns:
        The folder of the study's results.
    """
    folder = results_folder(study)
    plan = {
        "study": study.name,
        "title": study.title,
        "description": study.description,
        "notebooks": {
            stage: {run: params.model_dump(mode="json") for run, params in runs.items()}
            for stage, runs in study.notebooks.items()
        },
        "stage_runs": [str(stage_run) for stage_run in wanted],
    }
    _write_if_changed(folder / PLAN_FILE, plan)
    for status in statuses:
        stage_folder = status.stage_run.folder(folder)
        record = {"params": status.params.model_dump(mode="json"), "sources": dict(status.sources)}
        _write_if_changed(stage_folder / STAGE_FILE, record)
        if status.is_fresh:
            _keep_notebook(stage_folder)
        else:
            set_aside(stage_folder)
    return folder


def _keep_notebook(folder: Path) -> None:
    """Give the executed notebook its name, where the run was killed after the stage finished and before it had one."""
    partial = folder / PARTIAL_FILE
    if not partial.exists():
        return
    try:
        last = [cell for cell in read_json(partial)["cells"] if cell["cell_type"] == "code"][-1]
        reached_the_end = last["metadata"]["papermill"]["status"] != "pending"
    except (ValueError, LookupError):
        reached_the_end = False
    if reached_the_end:
        os.replace(partial, folder / EXECUTED_FILE)
    else:
        partial.unlink()


def wanted_runs(study: Study, *, until: str | None = None) -> list[StageRun]:
    """Every stage run, or those of `until` and what they need, in the order in which data flows.

    Raises:
        ValueError: the study does not have the stage `until`.
    """
    if until:
        _check_part(study, until)
    waiting = [
        StageRun(stage, run) for stage, runs in study.notebooks.items() for run in runs if until in (None, stage)
    ]
    wanted: set[StageRun] = set()
    while waiting:
        stage_run = waiting.pop()
        if stage_run not in wanted:
            wanted.add(stage_run)
            waiting += needs(stage_run.stage, study.params(stage_run.stage, stage_run.run))
    everything = [StageRun(stage, run) for stage in NOTEBOOKS for run in study.notebooks.get(stage, {})]
    return [stage_run for stage_run in everything if stage_run in wanted]


def _check_part(study: Study, stage: str) -> None:
    check_stage(stage)
    if stage not in study.notebooks:
        raise ValueError(f"{study.path}: does not run {stage}; it runs {', '.join(study.notebooks)}")


def _state(
    stage_run: StageRun,
    params: NotebookParams,
    sources: Mapping[str, str],
    statuses: Mapping[StageRun, StageStatus],
    study_folder: Path,
) -> tuple[str, str]:
    folder = stage_run.folder(study_folder)
    if not (folder / RESULTS_FILE).exists():
        return ("failed", "the last run failed") if (folder / FAILURE_FILE).exists() else ("missing", "not run yet")
    try:
        result = StageResult.load(folder)
        for name in result.artifacts:
            result.artifact(name)
    except ValueError as error:
        return "stale", str(error)
    reason = _source_change(result, params, sources) or _input_change(result, stage_run, params, statuses, study_folder)
    return ("stale", reason) if reason else ("fresh", "")


def _source_change(result: StageResult, params: NotebookParams, sources: Mapping[str, str]) -> str:
    changed = [name for name in {**result.sources, **sources} if result.sources.get(name) != sources.get(name)]
    if not changed:
        return ""
    parts = []
    if PARAMETERS in changed:
        before, now = counted_parameters(result.params), counted_parameters(params.model_dump(mode="json"))
        keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        parts += [f"{key}: {before.get(key)} -> {now.get(key)}" for key in keys]
    if NOTEBOOK in changed:
        parts.append("the notebook changed")
    files = [name for name in changed if name not in (PARAMETERS, NOTEBOOK)]
    if files:
        more = f" and {len(files) - 3} more" if len(files) > 3 else ""
        parts.append(f"changed: {', '.join(files[:3])}{more}")
    return "; ".join(parts)


def _input_change(
    result: StageResult,
    stage_run: StageRun,
    params: NotebookParams,
    statuses: Mapping[StageRun, StageStatus],
    study_folder: Path,
) -> str:
    read = [StageRun(*name.split("/", 1)) for name in result.inputs]
    for source in dict.fromkeys([*needs(stage_run.stage, params), *read]):
        status = statuses.get(source)
        if status is None or not status.is_fresh:
            return f"{source} is {status.state if status else 'no longer part of the study'}"
        if result.inputs.get(str(source)) != result_hash(source.folder(study_folder)):
            return f"{source} was run again"
    return ""


def _write_if_changed(path: Path, value: Any) -> None:
    try:
        unchanged = read_json(path) == value
    except (FileNotFoundError, ValueError):
        unchanged = False
    if not unchanged:
        write_json(path, value)
