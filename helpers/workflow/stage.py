"""A notebook as a stage of a study: start_stage at its top, `stage.finish()` in its last cell.

Between the two the notebook asks the stage for what earlier stages left, and hands over its figures, artifacts and
numbers; `finish` writes results.json, which alone makes the stage count as done.
"""

from __future__ import annotations

import dataclasses
import datetime
import html
import logging
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.devices import resolve_device
from helpers.params.notebooks import NotebookParams
from helpers.params.registry import NOTEBOOKS, members_named
from helpers.results import FAILURE_FILE, RESULTS_FILE, Metric, StageResult
from helpers.storage import atomic_file, clear_leftovers, sha256_file
from helpers.workflow import session
from helpers.workflow.locks import acquire
from helpers.workflow.sources import stage_sources
from helpers.workflow.stages import (
    OUTDATED_FILE,
    PROJECT_ROOT,
    StageRun,
    check_stage,
    needs,
    study_folder,
)

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

_ORPHAN_SECONDS = 30.0  # a kernel notices within a second that its run is gone, unless it computes
_held: list[int] = []  # the lock of the stage that this process executes
FIGURE_DPI = 200  # crisp on a high-resolution screen at the width of a page


def start_stage(name: str, params: NotebookParams) -> Stage:
    """Prepare the process and the folder of one execution of a notebook.

    Seeds everything, fixes threads and device, quiets the libraries, checks that the runs which `params` name are
    there and whole, keeps other processes out of the folder until `finish`, and sets an earlier result of this run aside.

    Args:
        name: the notebook's name, e.g. "02_train_saes".
        params: its parameters, an object of the class that the registry gives for `name`.
    Raises:
        ValueError: unknown stage, parameters of another stage, a device that is not there, a run that is needed and not
            there yet, or another process that executes this run.
    """
    check_stage(name)
    expected = NOTEBOOKS[name].params
    if not isinstance(params, expected):
        raise ValueError(f"stage {name} takes {expected.__name__}, got {type(params).__name__}")  # noqa: TRY004
    session.quiet_libraries()
    device = resolve_device(params.device)
    folder = StageRun(name, params.run).folder(study_folder(params))
    stage = Stage(
        name=name,
        params=params,
        folder=folder,
        device=device,
        rng=session.seed_everything(params.seed, n_threads=params.n_threads),
        sources=stage_sources(name, params),
    )
    for needed in needs(name, params):
        stage.upstream(needed.stage, needed.run)
    _hold(folder)
    clear_leftovers(folder)
    set_aside(folder)
    (folder / FAILURE_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder / "figures", ignore_errors=True)
    logger.info("%s/%s on %s, commit %s, %s", name, params.run, device, stage.commit, stage.versions)
    return stage


def _hold(folder: Path) -> None:
    """Make this process the only one that writes into the folder of a stage run, until it finishes or ends.

    A kernel outlives a killed run by a second or more; what it still writes must not meet what the next run writes.
    """
    _release()
    busy = f"{folder.parent.name}/{folder.name} is being run by another notebook process"
    _held.append(acquire(folder / ".writer.lock", busy=busy, patience=_ORPHAN_SECONDS))


def _release() -> None:
    while _held:
        os.close(_held.pop())


def set_aside(folder: Path) -> None:
    """Rename results.json, so that an outdated result is never taken for a fresh one but can still be read."""
    if (folder / RESULTS_FILE).exists():
        os.replace(folder / RESULTS_FILE, folder / OUTDATED_FILE)


@dataclass
class Stage:
    """One execution of one notebook, while it runs."""

    name: str
    params: NotebookParams
    folder: Path
    device: torch.device
    rng: np.random.Generator
    sources: Mapping[str, str]
    versions: Mapping[str, str] = field(default_factory=session.library_versions)
    commit: str | None = field(default_factory=lambda: session.current_commit(PROJECT_ROOT))
    _started: datetime.datetime = field(default_factory=lambda: datetime.datetime.now().astimezone())
    _clock: float = field(default_factory=time.monotonic)
    _metrics: dict[str, Metric] = field(default_factory=dict)
    _headline: list[dict[str, str]] = field(default_factory=list)
    _figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    _artifacts: dict[str, str] = field(default_factory=dict)
    _inputs: dict[str, str] = field(default_factory=dict)
    _warnings: dict[str, str] = field(default_factory=dict)

    def upstream(self, stage: str, run: str) -> StageResult:
        """What an earlier stage left; reading it is recorded, so that a change of it makes this stage stale.

        Raises:
            ValueError: it is not there yet, or one of its artifacts is gone; says how to make it.
        """
        check_stage(stage)
        source = StageRun(stage, run)
        folder = source.folder(study_folder(self.params))
        if not (folder / RESULTS_FILE).exists():
            study_file = f"params/studies/{self.params.study}.yaml"
            raise ValueError(
                f"{shown(folder)} is not there yet: run notebook {stage} with run='{run}', "
                f"or python -m helpers run {study_file} --until {stage}"
            )
        result = StageResult.load(folder)
        for name in result.artifacts:
            result.artifact(name)
        self._inputs[str(source)] = result_hash(folder)
        self._warnings |= self._concerning(result)
        return result

    def warn(self, text: str) -> str:
        """Record what every reader of this run, and of all that rests on it, must know before its numbers.

        Args:
            text: one sentence. It stands at the top of the report, beside the headline numbers of every run that rests on
                this one, and in those runs' summaries.
        Returns:
            The warning as HTML, to be shown where it arises.
        """
        name = str(StageRun(self.name, self.params.run))
        self._warnings[name] = text
        logger.warning("%s: %s", name, text)
        return f'<div class="failure"><strong>Warning.</strong> {html.escape(text)}</div>'

    def _concerning(self, result: StageResult) -> dict[str, str]:
        """Warnings of what was read; a sample's warnings about dictionaries that are not compared here are left out."""
        named = members_named(self.name, self.params.model_dump())
        chosen = named is not None and result.stage in NOTEBOOKS[self.name].reads.values()
        return {
            origin: text
            for origin, text in result.warnings.items()
            if not (chosen and origin.startswith("02_train_saes/")) or origin.split("/")[1] in (named or ())
        }

    def metric(self, name: str, value: Any) -> None:
        """Record one number, text, truth value, None or list of them.

        Raises:
            ValueError: NaN, infinity or another type.
        """
        self._metrics[name] = _plain(value, name)

    def metrics(self, values: Mapping[str, Any]) -> None:
        """Record several."""
        for name, value in values.items():
            self.metric(name, value)

    def headline(self, label: str, value: str, detail: str = "") -> None:
        """Record a number to be shown first in the report, already written as text; a repeated label replaces.

        The first one of a notebook's first run is the notebook's answer at a glance.
        """
        self._headline = [entry for entry in self._headline if entry["label"] != label]
        self._headline.append({"label": str(label), "value": str(value), "detail": str(detail)})

    def figure(self, fig: Any, name: str, *, title: str, caption: str = "", headline: bool = False) -> Any:
        """Save a matplotlib figure as figures/`name`.png and record it for the report.

        Args:
            headline: show it on the report's first page.
        Returns:
            The figure, to be shown as the value of the cell (it is closed, so that it is not shown twice).
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            raise ValueError(f"figure name: expected letters, digits, '_' and '-', got {name!r}")
        path = self.folder / "figures" / f"{name}.png"
        with atomic_file(path) as partial:
            fig.savefig(partial, format="png", dpi=FIGURE_DPI, bbox_inches="tight")
        file = f"figures/{name}.png"
        self._figures[name] = {"file": file, "title": title, "caption": caption, "headline": headline}
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close(fig)
        return fig

    def artifact(self, name: str, path: str | Path) -> None:
        """Record a file or folder that later stages read.

        Raises:
            ValueError: it does not exist or lies outside the stage's folder.
        """
        path = Path(path)
        full = (path if path.is_absolute() else self.folder / path).resolve()
        if not full.is_relative_to(self.folder.resolve()):
            raise ValueError(f"artifact '{name}': expected a path inside {self.folder}, got {path}")
        if not full.exists():
            raise ValueError(f"artifact '{name}': {full} does not exist; write it first")
        self._artifacts[name] = full.relative_to(self.folder.resolve()).as_posix()

    def summary(self) -> str:
        """What this execution is (versions, device, commit), as an HTML table."""
        rows = {
            "stage": f"{self.name}, run {self.params.run} of study {self.params.study}",
            "device": f"{self.device}, {self.params.n_threads} CPU thread(s)",
            "seed": str(self.params.seed),
            "commit": self.commit or "not a git repository",
            "versions": ", ".join(f"{name} {version}" for name, version in self.versions.items()),
            **{f"warning of {origin}": text for origin, text in self._warnings.items()},
        }
        cells = "".join(
            f'<tr><th style="text-align:left">{html.escape(key)}</th>'
            f'<td style="text-align:left">{html.escape(value)}</td></tr>'
            for key, value in rows.items()
        )
        return f'<table class="summary">{cells}</table>'

    def finish(self) -> StageResult:
        """Write results.json, atomically; from now on the stage counts as done.

        Raises:
            ValueError: an artifact has vanished.
        """
        result = StageResult(
            stage=self.name,
            run=self.params.run,
            study=self.params.study,
            params=self.params.model_dump(mode="json"),
            versions=dict(self.versions),
            commit=self.commit,
            device=str(self.device),
            seed=self.params.seed,
            started=self._started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self._clock, 3),
            peak_memory_mib=round(session.peak_memory_mib(), 1),
            metrics=dict(self._metrics),
            headline=list(self._headline),
            figures=list(self._figures.values()),
            artifacts=dict(self._artifacts),
            warnings=dict(self._warnings),
            sources=dict(self.sources),
            inputs=dict(self._inputs),
            folder=self.folder,
        )
        for name in result.artifacts:
            result.artifact(name)
        result.save(self.folder)
        _release()
        return result


def result_hash(folder: Path) -> str:
    """Short SHA-256 of a results.json: another execution has another one."""
    return sha256_file(folder / RESULTS_FILE)[:16]


def shown(path: Path) -> str:
    """A path as a reader wants it: relative to the project root where it lies inside."""
    return str(path.relative_to(PROJECT_ROOT)) if path.is_relative_to(PROJECT_ROOT) else str(path)


def _plain(value: Any, name: str) -> Metric:
    """`value` as plain JSON types.

    Raises:
        ValueError: NaN, infinity, or a type that JSON has no word for.
    """
    if hasattr(value, "tolist"):  # NumPy arrays and scalars, torch tensors
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item, name) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"metric '{name}' is {value}; expected a finite number; record None where it is undefined")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if dataclasses.is_dataclass(value) or isinstance(value, Mapping):
        raise ValueError(
            f"metric '{name}' is a {type(value).__name__}; metrics are flat: record its numbers one by one"
        )
    raise ValueError(f"metric '{name}' is a {type(value).__name__}; expected a number, a text, a truth value or a list")
