"""Every preset, end to end, with the command that a user types, against a Hub of tiny stand-ins on this machine.

The study that is run is the preset with smaller numbers (and, unless ALL_PRESET_RUNS=1, with fewer layers and widths; see
tests.presets.small_studies).
"""

import os
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from helpers.params import Study, load_study
from helpers.results import StageResult
from helpers.saes import SaeReference
from tests.conftest import ROOT
from tests.presets.facts import MODELS, PRESETS, dictionaries, preset
from tests.presets.small_studies import IN_FLOAT32, KEPT, SMALL, TRAINING, differences, write_small_study
from tests.presets.stand_in_hub import build_hub
from tests.stand_ins.server import hub_server

presets = pytest.mark.parametrize("name", PRESETS)


def run_study(path: Path, hub: Path) -> subprocess.CompletedProcess[str]:
    """Results go to runs/ beside the study file, downloads to home/."""
    with hub_server(hub) as address:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        environment |= {"HF_ENDPOINT": address, "HF_HOME": str(path.parent / "home"), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "helpers", "run", str(path), "--cores", "2"]
        return subprocess.run(
            [*command, "--runs-folder", str(path.parent / "runs")],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )


@presets
def test_what_is_run_is_the_preset_with_smaller_numbers(name: str, tmp_path: Path) -> None:
    study, small = preset(name), load_study(write_small_study(name, tmp_path))
    assert list(small.notebooks) == list(study.notebooks)
    changed = differences(study, small)
    dtype = {"dtype"} if name in IN_FLOAT32 else set()
    assert set(changed) <= {*SMALL, *TRAINING, *dtype, "d_sae", "dictionaries", "task_names"}
    assert all(run.startswith("03_save_activations/") for run in changed.get("dictionaries", ()))
    assert all(small.notebooks.values())


@presets
def test_nothing_is_left_out_where_all_is_asked_for(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PRESET_RUNS", "1")
    study, small = preset(name), load_study(write_small_study(name, tmp_path))
    assert {stage: set(runs) for stage, runs in small.notebooks.items()} == {
        stage: set(runs) for stage, runs in study.notebooks.items()
    }
    assert not {"dictionaries", "dtype", "task_names"} & set(differences(study, small))


@presets
def test_every_kind_of_source_model_and_hook_is_run(name: str) -> None:
    def kind(params) -> tuple[str, ...]:
        return params.source, params.model, params.hook_name.split(".")[-1]

    everything = dictionaries(preset(name))
    assert {kind(everything[kept]) for kept in KEPT[name]} == {kind(params) for params in everything.values()}


def test_what_is_run_in_float32_is_run_in_bfloat16_by_other_presets() -> None:
    def in_bfloat16(name: str) -> set[str]:
        study = preset(name)
        models = [params for params in study.notebooks["01_language_models"].values() if params.dtype == "bfloat16"]
        return {MODELS[params.name_or_path].family for params in models} | set(study.notebooks if models else ())

    others = set().union(*(in_bfloat16(name) for name in PRESETS if name not in IN_FLOAT32))
    assert all(in_bfloat16(name) and in_bfloat16(name) <= others for name in IN_FLOAT32)


@pytest.mark.slow
@pytest.mark.preset_run
@presets
def test_a_preset_runs_end_to_end(name: str, tmp_path: Path) -> None:
    path = write_small_study(name, tmp_path)
    study = load_study(path)
    build_hub(tmp_path / "hub", study)
    done = run_study(path, tmp_path / "hub")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    check_results(study, tmp_path / "runs" / name)
    check_page(unescape((tmp_path / "runs" / name / "report" / "index.html").read_text(encoding="utf-8")), study)


def check_results(study: Study, folder: Path) -> None:
    """Every run left metrics, and every dictionary is what the preset names: a published one is loaded, not trained."""
    poor = {f"02_train_saes/{run}" for run, params in dictionaries(study).items() if params.allow_poor}
    warned = set()
    for notebook, runs in study.notebooks.items():
        for run in runs:
            result = StageResult.load(folder / notebook / run)
            assert result.metrics
            warned |= set(result.warnings)
    assert warned == poor
    for run, params in dictionaries(study).items():
        result = StageResult.load(folder / "02_train_saes" / run)
        reference = SaeReference.load(result.artifact("sae"))
        assert reference.hook_name == params.hook_name
        trained = params.source == "train"
        assert (result.folder / "sae").exists() == trained
        if not trained:
            found = reference.source, reference.release, reference.sae_id
            assert found == (params.source, params.release, params.sae_id)


def check_page(page: str, study: Study) -> None:
    assert study.title in page
    assert ("Warning of" in page) == any(params.allow_poor for params in dictionaries(study).values())
    for notebook in study.notebooks:
        assert notebook in page
