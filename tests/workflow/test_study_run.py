"""Whole toy studies: Snakemake, papermill, kernels; what is left after a failure, a kill, a change."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time

import nbformat
import psutil
import pytest

from helpers.workflow.execute import execute_stage
from helpers.workflow.stages import StageRun

pytestmark = pytest.mark.slow  # every stage starts a kernel

FAIL = "raise RuntimeError('the model\\ndid not learn')"
KILL = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
KILL_ONCE = (
    "import os, signal\nprogress = stage.folder / 'checkpoint'\n"
    "if not progress.exists():\n    progress.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    "stage.metric('went_on_from', progress.read_text())"
)


def started(output: str) -> list[str]:
    return re.findall(r"^(\S+)  started$", output, flags=re.MULTILINE)


def results(project) -> set[str]:
    return {
        str(path.parent.relative_to(project.study_folder)) for path in project.study_folder.glob("*/*/results.json")
    }


def test_a_study_runs_once_then_only_what_changed(toy_project):
    toy_project.keep(
        "01_language_models", "02_train_saes", "03_save_activations", "04_match_features", "05_compare_spaces"
    )
    first = toy_project.run()
    assert first.returncode == 0, first.stdout + first.stderr
    assert len(started(first.stdout)) == 7
    folder = toy_project.study_folder
    assert (folder / "03_save_activations/main/data.txt").read_text() == "main <- a <- a <- , b <- b <- "
    assert re.search(r"inputs of main\s+2\s+files\s+\[03_save_activations/main\]", first.stdout)
    report = folder / "report" / "index.html"
    assert first.stdout.rstrip().endswith(f"report: {report}") and report.exists()
    for stage_folder in folder.glob("0*/*"):
        assert {"results.json", "executed.ipynb", "notebook.html", "stage.json"} <= {
            p.name for p in stage_folder.iterdir()
        }
        assert not (stage_folder / "progress.log").exists()

    before = {path: path.stat().st_mtime_ns for path in folder.glob("0*/*/*")}
    second = toy_project.run()
    assert second.returncode == 0
    assert "everything is up to date, nothing was run" in second.stdout
    assert {path: path.stat().st_mtime_ns for path in folder.glob("0*/*/*")} == before

    toy_project.content["notebooks"]["02_train_saes"]["runs"]["b"]["k"] = 8
    toy_project.write_study()
    third = toy_project.run()
    assert third.returncode == 0
    assert sorted(started(third.stdout)) == [
        "02_train_saes/b",
        "03_save_activations/main",
        "04_match_features/main",
        "05_compare_spaces/main",
    ]


def test_a_failing_notebook_leaves_its_traceback_and_no_result_and_the_others_whole(toy_project):
    toy_project.keep("01_language_models", "02_train_saes")
    toy_project.content["notebooks"]["02_train_saes"]["runs"]["b"]["k"] = 5
    toy_project.write_study()
    body = "open(stage.folder / 'data.txt', 'w').close()\nstage.artifact('data', 'data.txt')"
    toy_project.write_notebook("02_train_saes", f"{body}\nif params.k == 5:\n    {FAIL}")
    done = toy_project.run()
    assert done.returncode == 1
    folder = toy_project.study_folder / "02_train_saes" / "b"
    executed = folder / "executed.ipynb"
    assert (
        f"02_train_saes/b failed: RuntimeError: the model\n    the notebook as far as it came: {executed}"
        in done.stdout
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert "RuleException" not in done.stdout + done.stderr
    text = executed.read_text()
    nbformat.validate(nbformat.reads(text, as_version=4))
    assert "did not learn" in text and '"output_type": "error"' in text
    assert not (folder / "results.json").exists()
    assert results(toy_project) == {"01_language_models/a", "01_language_models/b", "02_train_saes/a"}

    listed = subprocess.run(
        toy_project.command("check", str(toy_project.study_file), "--runs-folder", str(toy_project.runs)),
        env=toy_project.environment() | {"FEATURE_GEOMETRY_NOTEBOOKS": str(toy_project.notebooks)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(r"02_train_saes/b .* failed\s+the last run failed", listed.stdout)

    toy_project.write_notebook("02_train_saes", body)
    again = toy_project.run()
    assert again.returncode == 0, again.stdout
    assert not (folder / "failure.json").exists()
    assert sorted(started(again.stdout)) == ["02_train_saes/a", "02_train_saes/b"]  # the notebook changed for both


def test_an_outdated_result_does_not_survive_a_failed_rerun(toy_project):
    toy_project.content["notebooks"]["01_language_models"]["runs"].pop("b")
    toy_project.keep("01_language_models")
    assert toy_project.run().returncode == 0
    toy_project.write_notebook("01_language_models", FAIL)
    done = toy_project.run()
    assert done.returncode == 1
    assert results(toy_project) == set()
    assert (toy_project.study_folder / "01_language_models/a/results.outdated.json").exists()


def test_a_killed_kernel_is_told_in_one_sentence_and_the_next_run_goes_on(toy_project):
    toy_project.keep("01_language_models")
    toy_project.content["notebooks"]["01_language_models"]["runs"].pop("b")
    toy_project.write_study()
    toy_project.write_notebook("01_language_models", KILL_ONCE)
    done = toy_project.run()
    assert done.returncode == 1
    assert (
        "01_language_models/a failed: the notebook's process was killed or crashed, most likely because memory ran out"
        in done.stdout
    )
    assert "Run the study again: it goes on where it stopped" in done.stdout
    assert results(toy_project) == set()
    again = toy_project.run()
    assert again.returncode == 0, again.stdout
    found = json.loads((toy_project.study_folder / "01_language_models/a/results.json").read_text())
    assert found["metrics"] == {"went_on_from": "half"}


def test_a_run_that_is_killed_leaves_no_lock_and_a_second_one_beside_it_is_refused(toy_project):
    toy_project.keep("01_language_models")
    toy_project.write_notebook(
        "01_language_models",
        "import time\nfrom helpers.progress import progress_bar\n"
        "slow = not (stage.folder.parent / 'quick').exists()\n"
        "with progress_bar(total=200, description='Training model', unit='steps') as bar:\n"
        "    for _ in range(200 if slow else 1):\n        bar.update(1)\n        time.sleep(0.3)",
    )
    log = toy_project.folder / "first.log"
    with log.open("w") as stdout:
        first = subprocess.Popen(
            toy_project.run_command(), cwd=toy_project.folder, env=toy_project.environment(), stdout=stdout, start_new_session=True
        )  # fmt: skip
        try:
            wait_for(lambda: "Training model:" in log.read_text(), first)
            assert re.search(r"^01_language_models/[ab]  Training model:\s+\d+ %", log.read_text(), flags=re.MULTILINE)
            second = toy_project.run()
            assert second.returncode == 2
            assert re.search(
                rf"error: study toy is being run by another process \(process {first.pid}\)", second.stderr
            )
        finally:
            os.killpg(first.pid, signal.SIGKILL)
            first.wait()
    (toy_project.study_folder / "01_language_models" / "quick").touch()
    again = toy_project.run()
    assert again.returncode == 0, again.stdout + again.stderr
    assert results(toy_project) == {"01_language_models/a", "01_language_models/b"}


@pytest.fixture
def heeds_ctrl_c():
    """A suite that was started in the background ignores Ctrl-C, and so would every process that it starts."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.parametrize("whole_group", [False, True], ids=["SIGTERM", "ctrl-c"])
def test_an_interrupted_run_stops_its_kernels(toy_project, whole_group, heeds_ctrl_c):
    toy_project.keep("01_language_models")
    pid_file = "stage.folder / 'pid'"
    toy_project.write_notebook(
        "01_language_models", f"import os, time\n({pid_file}).write_text(str(os.getpid()))\ntime.sleep(120)"
    )
    process = subprocess.Popen(
        toy_project.run_command(),
        cwd=toy_project.folder,
        env=toy_project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        files = [toy_project.study_folder / "01_language_models" / run / "pid" for run in "ab"]
        wait_for(lambda: all(path.exists() and path.read_text() for path in files), process)
        if whole_group:  # what a terminal does
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=180)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 130
    assert stderr.strip() == "interrupted; the same command goes on where it stopped"
    wait_for(lambda: not any(psutil.pid_exists(int(path.read_text())) for path in files), None, seconds=60)


def wait_for(condition, process, *, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        assert process is None or process.poll() is None, "the run ended early"
        time.sleep(0.2)


@pytest.fixture
def one_stage(toy_project, monkeypatch):
    """Executes the first notebook with another body, without Snakemake."""
    monkeypatch.setenv("FEATURE_GEOMETRY_NOTEBOOKS", str(toy_project.notebooks))
    for name in ("PYTHONPATH", "FEATURE_GEOMETRY_PROGRESS", "TOKENIZERS_PARALLELISM", "PYDEVD_DISABLE_FILE_VALIDATION"):
        monkeypatch.setenv(name, "")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv("FEATURE_GEOMETRY_PROGRESS")

    def execute(body: str):
        toy_project.write_notebook("01_language_models", body)
        folder = toy_project.study_folder / "01_language_models" / "a"
        params = {"study": "toy", "run": "a", "runs_folder": str(toy_project.runs), "corpus": {"kind": "story_world"}}
        folder.mkdir(parents=True, exist_ok=True)
        record = {"params": params | {"n_threads": 1, "seed": 0}}
        (folder / "stage.json").write_text(json.dumps(record))
        lines: list[str] = []
        return (
            execute_stage(toy_project.study_folder, StageRun("01_language_models", "a"), show=lines.append),
            lines,
            folder,
        )

    return execute


def test_a_notebook_that_never_finishes_its_stage_has_failed(one_stage):
    failure, lines, folder = one_stage("stage.finish = lambda: None")
    assert failure is not None and "its last cell must call stage.finish()" in failure.error
    assert lines[0] == "01_language_models/a  started"
    assert json.loads((folder / "failure.json").read_text())["error"] == failure.error


def test_a_result_of_a_notebook_that_fails_after_finishing_does_not_count(one_stage):
    failure, _, folder = one_stage("stage.finish()\nraise ValueError('too late')")
    assert failure is not None and failure.error == "ValueError: too late"
    assert not (folder / "results.json").exists()


def test_a_kernel_that_dies_leaves_the_notebook_as_far_as_it_came(one_stage):
    failure, _, folder = one_stage(KILL)
    assert failure is not None and "was killed or crashed" in failure.error
    cells = json.loads((folder / "executed.ipynb").read_text())["cells"]
    assert any("os.kill" in "".join(cell["source"]) for cell in cells)
