"""A study whose stages are jobs of a real SLURM of one node, through the same Snakefile and the profile of params/."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import time

import pytest

from tests.conftest import ROOT
from tests.workflow.slurm_cluster import missing_for_slurm, slurm_cluster

PLUGIN = "snakemake_executor_plugin_slurm"
_WHY_NOT = missing_for_slurm() or (
    "" if importlib.util.find_spec(PLUGIN) else f"{PLUGIN} is not installed; pip install -r requirements.txt"
)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT)]

# The first layer pair waits to be killed, once; the second fails until somebody mends it.
PAIR = """
import time
stage.metric("job", int(__import__("os").environ["SLURM_JOB_ID"]))
if params.layer_b == 0 and not (stage.folder / "begun").exists():
    (stage.folder / "begun").touch()
    time.sleep(300)
if params.layer_b == 1 and not (stage.folder / "mended").exists():
    raise RuntimeError("this layer is broken")
(stage.folder / "data.txt").write_text("scores")
stage.artifact("data", "data.txt")
"""


@pytest.fixture
def cluster():
    with slurm_cluster() as started:
        yield started


@pytest.fixture
def grid_project(toy_project):
    """Toy notebooks; two layers of one model against one of the other."""
    toy_project.keep("01_language_models", "02_train_saes", "03_save_activations", "16_layer_pairs", "16_layer_grid")
    pairs = toy_project.content["notebooks"]["16_layer_pairs"]["runs"]
    pairs["a0_b1"] = pairs["a0_b0"] | {"layer_b": 1}
    toy_project.content["notebooks"]["16_layer_grid"]["runs"]["main"]["pairs"] = ["a0_b0", "a0_b1"]
    toy_project.write_study()
    toy_project.write_notebook("16_layer_pairs", PAIR)
    return toy_project


def start(project, cluster) -> subprocess.Popen[str]:
    command = project.command("run", str(project.study_file), "--runs-folder", str(project.runs))
    command += ["--notebooks-folder", str(project.notebooks), "--profile", "slurm"]
    command += ["--slurm-init-seconds-before-status-checks", "2"]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        command,
        cwd=project.folder,
        env=cluster.environment | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def jobs_of(cluster, stage_run: str) -> list[tuple[str, str]]:
    """(id, state) of every job of one stage run, in the order of submission."""
    rule = {"16_layer_pairs": "layer_pairs"}[stage_run.split("/")[0]]
    comment = f"rule_{rule}_wildcards_{stage_run.split('/')[1]}"
    return sorted((job, state) for job, state, text in cluster.jobs("i", "T", "k") if text == comment)


def test_a_layer_grid_as_jobs(grid_project, cluster):
    """A killed job is submitted again; a failed one leaves its notebook, and a later run needs it alone."""
    process = start(grid_project, cluster)
    folder = grid_project.study_folder / "16_layer_pairs"
    try:
        deadline = time.monotonic() + 900
        while not (folder / "a0_b0" / "begun").exists():
            assert process.poll() is None and time.monotonic() < deadline, (process.poll(), cluster.jobs("i", "T", "k"))
            time.sleep(0.5)
        first = jobs_of(cluster, "16_layer_pairs/a0_b0")[0][0]
        cluster.call("scancel", first)
        output, _ = process.communicate(timeout=900)
    finally:
        process.kill()
    assert process.returncode == 1, output
    assert [state for _, state in jobs_of(cluster, "16_layer_pairs/a0_b0")] == ["CANCELLED", "COMPLETED"]
    result = json.loads((folder / "a0_b0" / "results.json").read_text())
    assert str(result["metrics"]["job"]) != first

    assert "16_layer_pairs/a0_b1 failed: RuntimeError: this layer is broken" in output
    assert "this layer is broken" in (folder / "a0_b1" / "executed.ipynb").read_text()
    assert "not run: 16_layer_grid/main" in output
    assert not (folder / "a0_b1" / "results.json").exists()

    n_before = len(cluster.jobs("i"))
    (folder / "a0_b1" / "mended").touch()
    output, _ = (again := start(grid_project, cluster)).communicate(timeout=900)
    assert again.returncode == 0, output
    assert len(cluster.jobs("i")) == n_before + 2  # the mended pair and the grid
    assert (grid_project.study_folder / "report" / "index.html").exists()
