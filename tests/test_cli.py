"""The command line: what it refuses and what it says. Whole runs are in tests/workflow/test_study_run.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helpers.cli import main

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def toy(toy_project, monkeypatch):
    monkeypatch.setenv("FEATURE_GEOMETRY_NOTEBOOKS", str(toy_project.notebooks))
    return toy_project


def test_check_shows_the_plan_and_runs_nothing(toy, capsys):
    assert main(["check", str(toy.study_file), "--runs-folder", str(toy.runs)]) == 0
    out = capsys.readouterr().out
    assert "toy.yaml: good" in out and "Toy study" in out
    n_runs = sum(len(section["runs"]) for section in toy.content["notebooks"].values())
    assert out.count("missing  not run yet") == n_runs
    assert not toy.runs.exists()


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_misspelt_key_is_refused_before_anything_runs(toy, capsys, command):
    toy.content["notebooks"]["03_save_activations"]["runs"]["main"]["n_tokns"] = 5
    toy.write_study()
    assert main([command, str(toy.study_file), "--runs-folder", str(toy.runs)]) == 2
    captured = capsys.readouterr()
    assert captured.err == (
        f"error: {toy.study_file}: notebooks.03_save_activations.runs.main: "
        "unknown key 'n_tokns'; did you mean 'n_tokens'?\n"
    )
    assert not toy.runs.exists()


def test_a_study_may_be_named_without_its_folder(capsys, tmp_path):
    assert main(["check", "demo", "--runs-folder", str(tmp_path)]) == 0
    assert "demo.yaml: good" in capsys.readouterr().out
    assert main(["check", "nosuch", "--runs-folder", str(tmp_path)]) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_list_shows_every_study_with_its_stages(capsys, tmp_path):
    assert main(["list", "--runs-folder", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for path in (ROOT / "params" / "studies").glob("*.yaml"):
        assert f"params/studies/{path.name}" in out
    assert "01_language_models/a" in out and "not run yet" in out


def test_open_before_there_is_a_report_says_how_to_make_one(toy, capsys, tmp_path):
    said = {
        "demo": "params/studies/demo.yaml",
        "params/studies/demo.yaml": "params/studies/demo.yaml",
        str(toy.study_file): str(toy.study_file),
        "unheard_of": "<its YAML file>",
    }
    for study, file in said.items():
        assert main(["open", study, "--runs-folder", str(tmp_path)]) == 2
        assert f"is not there yet; make it with: python -m helpers run {file}\n" in capsys.readouterr().err


def test_open_prints_where_the_report_is(toy, capsys):
    page = toy.study_folder / "report" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>")
    assert main(["open", "toy", "--runs-folder", str(toy.runs)]) == 0
    assert main(["open", str(toy.study_file), "--runs-folder", str(toy.runs)]) == 0
    assert capsys.readouterr().out == f"{page}\n" * 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "required"),
        (["run"], "study"),
        (["run", "demo", "--cores", "0"], "expected a number of at least 1, got '0'"),
        (["run", "demo", "--cores", "many"], "expected a number of at least 1, got 'many'"),
        (["check", "demo", "--nonsense"], "unknown arguments: --nonsense"),
    ],
)
def test_wrong_arguments(capsys, arguments, expected):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--until", "--force"])
def test_a_stage_that_does_not_exist(toy, capsys, option):
    assert main(["run", str(toy.study_file), "--runs-folder", str(toy.runs), option, "02_train_sae"]) == 2
    assert "unknown stage '02_train_sae'; there are 01_language_models" in capsys.readouterr().err


def test_the_module_runs():
    done = subprocess.run(
        [sys.executable, "-m", "helpers", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "run | check | list | open" in done.stdout


def test_a_profile_that_does_not_exist(toy, capsys):
    assert main(["run", str(toy.study_file), "--runs-folder", str(toy.runs), "--profile", "slrum"]) == 2
    assert "there is no profile 'slrum': expected a folder with config.yaml, or one of slurm" in capsys.readouterr().err
    assert not toy.runs.exists()
