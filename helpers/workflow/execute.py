"""Execute one notebook of a study with papermill, show its progress, and record a failure in one clear line."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import papermill
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillException, PapermillExecutionError

from helpers.progress import PROGRESS_FILE_VARIABLE
from helpers.results import FAILURE_FILE, RESULTS_FILE
from helpers.storage import read_json
from helpers.workflow.failures import StageFailure
from helpers.workflow.locks import exclusive
from helpers.workflow.progress_lines import followed
from helpers.workflow.stage import set_aside, shown
from helpers.workflow.stages import (
    EXECUTED_FILE,
    PARTIAL_FILE,
    PROGRESS_FILE,
    PROJECT_ROOT,
    RENDERED_FILE,
    STAGE_FILE,
    StageRun,
    notebook_path,
)

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def execute_stage(study_folder: Path, stage_run: StageRun, *, show: Callable[[str], None]) -> StageFailure | None:
    """Execute the notebook of `stage_run` with the parameters of its stage.json.

    Leaves executed.ipynb, also after a failure; results.json is there only after a success.

    Args:
        study_folder: runs/<study>.
        show: takes the lines for the terminal.
    Returns:
        None, or why it failed (also written to failure.json).
    Raises:
        ValueError: stage.json is missing, or another process is at this stage.
    """
    folder = stage_run.folder(study_folder)
    params = _stage_params(folder)
    started = time.monotonic()
    with exclusive(folder / ".lock", busy=f"{stage_run} is being run by another process"):
        set_aside(folder)
        for outdated in (FAILURE_FILE, RENDERED_FILE):
            (folder / outdated).unlink(missing_ok=True)
        show(f"{stage_run}  started")
        with followed(folder / PROGRESS_FILE, show=lambda line: show(f"{stage_run}  {line}")):
            error = _execute(folder, stage_run, params)
        if error is None and not (folder / RESULTS_FILE).exists():
            error = "the notebook ended without results.json; its last cell must call stage.finish()"
        seconds = time.monotonic() - started
        if error is None:
            (folder / PROGRESS_FILE).unlink(missing_ok=True)
            show(f"{stage_run}  done in {seconds:.0f} s")
            return None
        set_aside(folder)
        failure = StageFailure(str(stage_run), error, shown(folder / EXECUTED_FILE))
        failure.save(folder)
        show(f"{stage_run}  FAILED after {seconds:.0f} s: {error}")
        return failure


def _stage_params(folder: Path) -> dict[str, object]:
    try:
        return read_json(folder / STAGE_FILE)["params"]
    except FileNotFoundError:
        raise ValueError(f"{folder / STAGE_FILE} is not there; start with: python -m helpers run STUDY.yaml") from None


def _execute(folder: Path, stage_run: StageRun, params: dict[str, object]) -> str | None:
    """Run the notebook; None, or what went wrong in one line."""
    _set_environment(folder, n_threads=int(str(params["n_threads"])))
    executed, partial = folder / EXECUTED_FILE, folder / PARTIAL_FILE
    executed.unlink(missing_ok=True)
    try:
        papermill.execute_notebook(
            str(notebook_path(stage_run.stage)),
            str(partial),
            parameters=params,
            kernel_name="python3",
            progress_bar=False,
            log_output=False,
            cwd=str(PROJECT_ROOT),
        )
    except PapermillExecutionError as error:
        return _one_line(error.ename, error.evalue)
    except DeadKernelError:
        return _died("the notebook's process was killed or crashed, most likely because memory ran out")
    except NoSuchKernel as error:
        return f"{error}; install ipykernel into this environment (pip install -r requirements.txt)"
    except (PapermillException, OSError, RuntimeError, ValueError) as error:
        return _one_line(type(error).__name__, str(error))
    finally:
        if partial.exists():
            os.replace(partial, executed)
    return None


def _died(what: str) -> str:
    return f"{what}. Run the study again: it goes on where it stopped; if it dies again, use a smaller batch_size"


def _set_environment(folder: Path, *, n_threads: int) -> None:
    """Of this process, which the notebook's kernel inherits."""
    known = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [str(PROJECT_ROOT), *(path for path in known if path and path != str(PROJECT_ROOT))]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.environ[PROGRESS_FILE_VARIABLE] = str(folder / PROGRESS_FILE)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    # Threads that wait for work would otherwise spin: 140 instead of 86 us of CPU an encoded token on two threads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # tqdm asks for ipywidgets, which nothing here draws with, as soon as a library imports it.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:IProgress not found")
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # ipykernel's debugger prints a notice otherwise
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(n_threads)))


def _one_line(name: str, message: str) -> str:
    lines = [line.strip() for line in message.strip().splitlines() if line.strip()]
    first = lines[0] if lines else ""
    return f"{name}: {first}" if first else name


def print_line(line: str) -> None:
    """Write one line to the terminal at once, whole, also when several processes write."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
