"""Run a study: check, set aside what is out of date, let Snakemake run what is missing, tell how it went."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from helpers.params.study import Study
from helpers.results import RESULTS_FILE, StageResult
from helpers.storage import read_json, sha256_file, write_json
from helpers.workflow.failures import StageFailure, read_failure
from helpers.workflow.freshness import PLAN_FILE, StageStatus, prepare, results_folder, study_status, wanted_runs
from helpers.workflow.locks import exclusive
from helpers.workflow.stages import EXECUTED_FILE, PROJECT_ROOT, RENDERED_FILE, StageRun

logger = logging.getLogger(__name__)

LOG_FILE = "snakemake.log"
_FULL_DISK_BYTES = 1 << 18
REPORT_RECORD = "report.json"
REPORT_PAGE = Path("report") / "index.html"


@dataclass(frozen=True)
class StudyOutcome:
    """How a run of a study went.

    Args:
        executed: stage runs that were executed and succeeded.
        failures: stage runs that failed.
        not_reached: stage runs that were to run and did not start.
        report: the report's first page, if there is one.
        problem: why the run as a whole failed, if not by a stage; "" otherwise.
    """

    folder: Path
    executed: list[StageRun]
    failures: list[StageFailure]
    not_reached: list[StageRun]
    results: list[StageResult]
    report: Path | None
    problem: str

    @property
    def succeeded(self) -> bool:
        """Whether everything that was asked for is there."""
        return not (self.failures or self.not_reached or self.problem)


def run_study(
    study: Study,
    *,
    cores: int | None,
    until: str | None = None,
    force: Iterable[str] = (),
    profile: Path | None = None,
    snakemake_options: Sequence[str] = (),
) -> StudyOutcome:
    """Run every stage of a study that is not fresh, then the report.

    Args:
        cores: CPU cores to use at most; None leaves it to the profile.
        until: stop after this stage.
        force: stages to run again even if they are fresh.
        profile: folder of a Snakemake profile, which says where the stages run, e.g. params/profiles/slurm.
        snakemake_options: passed on, e.g. ["--jobs", "20"].
    Raises:
        ValueError: another process runs this study, or `until`, `force` or a notebook does not exist.
    """
    folder = results_folder(study)
    with exclusive(folder / ".lock", busy=f"study {study.name} is being run by another process") as lock:
        wanted = wanted_runs(study, until=until)
        statuses = study_status(study, force=force)
        prepare(study, statuses, wanted=wanted)
        statuses = [status for status in statuses if status.stage_run in wanted]
        _remove_outdated_report(folder, statuses)
        options = [*_where(cores, profile), *snakemake_options]
        returncode = _run_snakemake(folder, options=options, lock=lock)
        return _outcome(folder, statuses, returncode)


def make_report(folder: Path) -> Path:
    """Render every executed notebook of the plan beside it, build runs/<study>/report, record what it was made from."""
    # late: only the report needs them
    from helpers.reports.html import render_notebook
    from helpers.reports.index import build_report

    plan = read_json(folder / PLAN_FILE)
    expected = [(stage, run) for stage, run in (name.split("/", 1) for name in plan["stage_runs"])]
    for stage, run in expected:
        if (folder / stage / run / EXECUTED_FILE).exists():
            try:
                render_notebook(folder / stage / run / EXECUTED_FILE, folder / stage / run / RENDERED_FILE)
            except ValueError as error:  # cut off by a kill; the report names the stage, too
                logger.warning("%s", error)
    page = build_report(folder, title=plan["title"], description=plan["description"], expected=expected)
    write_json(folder / REPORT_RECORD, _report_record(folder))
    return page


def _where(cores: int | None, profile: Path | None) -> list[str]:
    return [*(["--cores", str(cores)] if cores else []), *(["--profile", str(profile)] if profile else [])]


def _run_snakemake(folder: Path, *, options: Sequence[str], lock: int) -> int:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(PROJECT_ROOT / "notebooks" / "Snakefile")]
    command += ["--directory", str(folder)]
    # Content decides what is out of date (helpers.workflow.freshness), so Snakemake need not look at times; our lock
    # dies with its process, Snakemake's own would stay after a kill. results.json is never incomplete: a stage that was
    # finished when the run was killed is not run again because Snakemake had no time to note it.
    command += ["--rerun-triggers", "software-env", "--nolock", "--ignore-incomplete", "--keep-going"]
    command += ["--quiet", "rules", "host", "reason", *options]
    paths = [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    with (folder / LOG_FILE).open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stderr=log, env=environment, cwd=folder, pass_fds=(lock,))
        previous = signal.signal(signal.SIGTERM, _raise_interrupt)
        try:
            return process.wait()
        except KeyboardInterrupt:
            _stop(psutil.Process(process.pid))
            process.wait()
            raise
        finally:
            signal.signal(signal.SIGTERM, previous)


def _stop(process: psutil.Process, *, patience: float = 10.0) -> None:
    """End a process and all that it started: kernels have sessions of their own, so a Ctrl-C does not reach them."""
    family = [process, *process.children(recursive=True)]
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.terminate()
    _, alive = psutil.wait_procs(family, timeout=patience)
    for member in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()


def _raise_interrupt(_signal: int, _frame: types.FrameType | None) -> None:
    raise KeyboardInterrupt


def _outcome(folder: Path, statuses: list[StageStatus], returncode: int) -> StudyOutcome:
    done = [s.stage_run for s in statuses if (s.stage_run.folder(folder) / RESULTS_FILE).exists()]
    failures = [f for s in statuses if s.stage_run not in done and (f := read_failure(folder, s.stage_run))]
    failed = {failure.stage_run for failure in failures}
    not_reached = [s.stage_run for s in statuses if s.stage_run not in done and str(s.stage_run) not in failed]
    if failures:
        make_report(folder)
    report = folder / REPORT_PAGE
    problem = ""
    if returncode and not failures:
        problem = _disk_problem(folder)
    if returncode and not failures and not problem:
        tail = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").strip()[-3000:]
        problem = f"Snakemake ended with status {returncode}; the end of {folder / LOG_FILE}:\n{tail}"
    return StudyOutcome(
        folder=folder,
        executed=[s.stage_run for s in statuses if not s.is_fresh and s.stage_run in done],
        failures=failures,
        not_reached=not_reached,
        results=[StageResult.load(stage_run.folder(folder)) for stage_run in done],
        report=report if report.exists() else None,
        problem=problem,
    )


def _disk_problem(folder: Path) -> str:
    """On a full disk not even a failure can be noted."""
    if shutil.disk_usage(folder).free >= _FULL_DISK_BYTES:
        return ""
    return f"No space left on device for {folder}; make room there"


def _remove_outdated_report(folder: Path, statuses: list[StageStatus]) -> None:
    """Delete the first page of a report that would no longer be made the same, so that it is made again."""
    path = folder / REPORT_RECORD
    record = read_json(path) if path.exists() else {}
    if record != _report_record(folder) or not all(status.is_fresh for status in statuses):
        (folder / REPORT_PAGE).unlink(missing_ok=True)


def _report_record(folder: Path) -> dict[str, object]:
    """What the report is made from: the plan, all results, the code that renders."""
    code = hashlib.sha256()
    for path in sorted((PROJECT_ROOT / "helpers" / "reports").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            code.update(path.read_bytes())
    results = {
        str(path.parent.relative_to(folder)): sha256_file(path)[:16]
        for path in sorted(folder.glob(f"*/*/{RESULTS_FILE}"))
    }
    plan = folder / PLAN_FILE
    return {"code": code.hexdigest()[:16], "plan": sha256_file(plan)[:16] if plan.exists() else "", "results": results}
