"""The Snakefile shows which notebook feeds which; it must say the same as the registry."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from helpers.params import NOTEBOOKS, Study, load_study
from helpers.workflow.freshness import prepare, study_status, wanted_runs
from helpers.workflow.stages import PROJECT_ROOT, needs

SNAKEFILE = PROJECT_ROOT / "notebooks" / "Snakefile"


def test_every_registered_notebook_exists():
    assert [path.stem for path in sorted((PROJECT_ROOT / "notebooks").glob("*.ipynb"))] == sorted(NOTEBOOKS)


def planned_inputs(study: Study) -> dict[str, set[str]]:
    """Stage run -> the stage runs that Snakemake would read for it, from a dry run."""
    folder = prepare(study, study_status(study), wanted=wanted_runs(study))
    command = [sys.executable, "-m", "snakemake", "-s", str(SNAKEFILE), "-d", str(folder), "-n", "--nolock"]
    environment = os.environ | {"PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run([*command, "--cores", "2"], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    inputs = {}
    for block in re.split(r"\n(?=rule |localrule )", done.stdout + done.stderr):
        output = re.search(r"output: (\S+)/results\.json", block)
        if output:
            read = re.search(r"input: (.*)", block)
            assert read
            inputs[output[1]] = set(re.findall(r"(\S+)/results\.json", read[1].replace(",", " ")))
    return inputs


def registered_inputs(study: Study) -> dict[str, set[str]]:
    """The same from the registry."""
    return {
        f"{stage}/{run}": {str(needed) for needed in needs(stage, params)}
        for stage, runs in study.notebooks.items()
        for run, params in runs.items()
    }


def test_every_notebook_has_its_rule_with_the_inputs_of_the_registry(toy_project, monkeypatch):
    monkeypatch.setenv("FEATURE_GEOMETRY_NOTEBOOKS", str(toy_project.notebooks))
    study = load_study(toy_project.study_file, runs_folder=str(toy_project.runs))
    inputs = planned_inputs(study)
    assert inputs == registered_inputs(study)
    assert {name.split("/")[0] for name in inputs} == set(NOTEBOOKS)


def test_no_input_is_looked_at_for_its_time():
    """A copied study, or one whose stage.json was written anew, has times that mean nothing."""
    text = SNAKEFILE.read_text()
    inputs = re.findall(r"    input:\n(.*?)    output:", text, flags=re.DOTALL)
    lines = [
        line.strip()
        for block in inputs
        for line in block.splitlines()
        if line.startswith(" " * 8 + '"') or re.match(r" {8}\w", line)
    ]
    assert len(lines) > 2 * len(NOTEBOOKS)  # two of every rule at least, and the report's
    assert [line for line in lines if not re.match(r"(\w+=)?ancient\(", line)] == []


def test_a_matching_of_two_tokenizers_reads_both_samples(tmp_path):
    study = load_study(PROJECT_ROOT / "params" / "studies" / "smoke.yaml", runs_folder=str(tmp_path))
    inputs = planned_inputs(study)
    assert inputs == registered_inputs(study)
    assert inputs["04_match_features/a_c"] == {"03_save_activations/main", "03_save_activations/c"}


def test_every_layer_pair_of_the_grid_is_a_job_of_its_own(tmp_path):
    study = load_study(PROJECT_ROOT / "params" / "studies" / "grid.yaml", runs_folder=str(tmp_path))
    inputs = planned_inputs(study)
    assert inputs == registered_inputs(study)
    pairs = {name for name in inputs if name.startswith("16_layer_pairs/")}
    assert len(pairs) == 3 * 4 and inputs["16_layer_grid/main"] == pairs
    assert inputs["01_language_models/a_random"] == {"01_language_models/a"}
