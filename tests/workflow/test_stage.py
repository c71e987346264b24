"""What a notebook does with its stage."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from helpers.devices import resolve_device
from helpers.params import (
    CompareSpacesParams,
    LanguageModelParams,
    MatchFeaturesParams,
    SaveActivationsParams,
    TrainSaeParams,
)
from helpers.results import StageResult
from helpers.storage import sha256_file
from helpers.workflow import session, start_stage
from helpers.workflow.stages import PROJECT_ROOT

mpl.use("Agg")

CORPUS = {"kind": "story_world"}


@pytest.fixture(autouse=True)
def notebooks(toy_project, monkeypatch):
    """The toy notebooks stand for the real ones, and threads go back to what they were."""
    monkeypatch.setenv("FEATURE_GEOMETRY_NOTEBOOKS", str(toy_project.notebooks))
    n_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture
def model_params(tmp_path) -> LanguageModelParams:
    return LanguageModelParams(runs_folder=str(tmp_path / "runs"), study="tiny", run="a", corpus=CORPUS, seed=5)


@pytest.fixture
def sae_params(tmp_path) -> TrainSaeParams:
    return TrainSaeParams(
        runs_folder=str(tmp_path / "runs"), study="tiny", run="s", model="a", hook_name="blocks.0.hook_mlp_out", corpus=CORPUS
    )  # fmt: skip


def finished_model(params: LanguageModelParams) -> StageResult:
    stage = start_stage("01_language_models", params)
    (stage.folder / "model").mkdir()
    (stage.folder / "model" / "weights").write_text("w")
    stage.artifact("model", stage.folder / "model")
    return stage.finish()


def test_a_finished_stage_says_what_it_is(model_params):
    stage = start_stage("01_language_models", model_params)
    assert stage.folder == Path(model_params.runs_folder) / "tiny" / "01_language_models" / "a"
    stage.metrics({"loss": np.float32(1.5), "n": np.int64(3), "curve": np.array([0.5, 1.0]), "ok": True, "none": None})
    stage.headline("Loss", "1.5 nats", "held out")
    stage.headline("Loss", "1.25 nats")
    result = StageResult.load(stage.finish().folder)
    assert result.metrics == {"loss": 1.5, "n": 3, "curve": [0.5, 1.0], "ok": True, "none": None}
    assert result.headline == [{"label": "Loss", "value": "1.25 nats", "detail": ""}]
    assert (result.stage, result.run, result.study, result.seed) == ("01_language_models", "a", "tiny", 5)
    assert result.params == model_params.model_dump(mode="json")
    assert result.device in ("cpu", "cuda")
    assert result.versions["torch"] == torch.__version__
    assert {"python", "transformers", "transformer-lens", "sae-lens", "numpy", "scipy"} <= set(result.versions)
    assert result.seconds >= 0
    # A process that has loaded torch holds at least this much, and a unit mistaken by 1024 would show.
    assert 100 < result.peak_memory_mib < 20_000
    assert {"parameters", "notebook", "helpers/workflow/session.py"} <= set(result.sources)


def test_seeding_makes_every_generator_repeat(model_params):
    def draws():
        stage = start_stage("01_language_models", model_params)
        return random.random(), np.random.random(), torch.rand(1).item(), stage.rng.random()

    first = draws()
    assert draws() == first
    other = start_stage("01_language_models", model_params.model_copy(update={"seed": 6}))
    assert (random.random(), torch.rand(1).item(), other.rng.random()) != (first[0], first[2], first[3])


def test_threads_are_those_of_the_parameters(model_params):
    start_stage("01_language_models", model_params.model_copy(update={"n_threads": 2}))
    assert torch.get_num_threads() == 2


def test_a_device_that_is_not_there(model_params, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(ValueError, match="device 'cuda:1' is not there; found 0 CUDA devices; use 'auto' or 'cpu'"):
        start_stage("01_language_models", model_params.model_copy(update={"device": "cuda:1"}))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device 'mps' is not there"):
        resolve_device("mps")


def test_what_is_needed_and_not_there_yet_is_named_with_the_way_to_make_it(model_params, sae_params):
    expected = (
        r"01_language_models/a is not there yet: run notebook 01_language_models with run='a', "
        r"or python -m helpers run params/studies/tiny.yaml --until 01_language_models"
    )
    with pytest.raises(ValueError, match=expected):
        start_stage("02_train_saes", sae_params)
    stage = start_stage("01_language_models", model_params)
    (stage.folder / "half").write_text("half a model")
    with pytest.raises(ValueError, match=expected):  # begun is not finished
        start_stage("02_train_saes", sae_params)


def test_reading_an_earlier_stage_is_recorded(model_params, sae_params):
    upstream = finished_model(model_params)
    stage = start_stage("02_train_saes", sae_params)
    found = stage.upstream("01_language_models", "a")
    assert found.artifact("model") == upstream.folder / "model"
    expected = sha256_file(upstream.folder / "results.json")[:16]
    assert stage.finish().inputs == {"01_language_models/a": expected}


def test_a_warning_is_kept_shown_and_handed_to_what_rests_on_it(model_params, sae_params):
    finished_model(model_params)
    stage = start_stage("02_train_saes", sae_params)
    shown = stage.warn("it is <poor>")
    assert "Warning" in shown and "it is &lt;poor&gt;" in shown
    assert StageResult.load(stage.finish().folder).warnings == {"02_train_saes/s": "it is <poor>"}
    folders = {"runs_folder": sae_params.runs_folder, "study": "tiny"}
    saved = start_stage(
        "03_save_activations", SaveActivationsParams(run="main", dictionaries=["s"], corpus=CORPUS, **folders)
    )
    assert "warning of 02_train_saes/s" in saved.summary() and "it is &lt;poor&gt;" in saved.summary()
    assert saved.finish().warnings == {"02_train_saes/s": "it is <poor>"}


def test_a_warning_about_a_dictionary_goes_only_where_it_takes_part(model_params, sae_params):
    finished_model(model_params)
    for run in ("s", "t", "u"):
        stage = start_stage("02_train_saes", sae_params.model_copy(update={"run": run}))
        if run == "s":
            stage.warn("it is poor")
        stage.finish()
    folders = {"runs_folder": sae_params.runs_folder, "study": "tiny"}
    sample = SaveActivationsParams(run="main", dictionaries=["s", "t", "u"], corpus=CORPUS, **folders)
    assert start_stage("03_save_activations", sample).finish().warnings

    def warnings(stage: str, params) -> list[str]:
        return list(start_stage(stage, params).finish().warnings)

    poor = ["02_train_saes/s"]
    for run, pair, expected in (("with", ("t", "s"), poor), ("without", ("t", "u"), [])):
        chosen = {"activations": "main", "dictionary_a": pair[0], "dictionary_b": pair[1]}
        assert warnings("04_match_features", MatchFeaturesParams(run=run, **chosen, **folders)) == expected
        assert warnings("05_compare_spaces", CompareSpacesParams(run=run, matching=run, **folders)) == expected


def test_an_upstream_artifact_that_is_gone(model_params, sae_params):
    upstream = finished_model(model_params)
    (upstream.folder / "model").rename(upstream.folder / "gone")
    with pytest.raises(ValueError, match=r"model is gone; run 01_language_models with run='a' again"):
        start_stage("02_train_saes", sae_params)


def test_starting_again_sets_the_earlier_result_aside(model_params):
    earlier = finished_model(model_params)
    stage = start_stage("01_language_models", model_params)
    assert not (earlier.folder / "results.json").exists()
    assert (earlier.folder / "results.outdated.json").exists()
    assert (earlier.folder / "model" / "weights").exists(), "data stay, so that the work can go on"
    stage.finish()
    assert StageResult.load(stage.folder).artifacts == {}


def test_figures_are_crisp_recorded_and_closed(model_params):
    stage = start_stage("01_language_models", model_params)
    figure, axes = plt.subplots(figsize=(4, 3))
    axes.plot([0, 1], [0, 1])
    assert stage.figure(figure, "line", title="A line", caption="It rises.", headline=True) is figure
    assert not plt.fignum_exists(figure.number)
    recorded = {"file": "figures/line.png", "title": "A line", "caption": "It rises.", "headline": True}
    assert stage.finish().figures == [recorded]
    height, width = plt.imread(stage.folder / "figures" / "line.png").shape[:2]
    assert width > 700 and height > 500  # 4 x 3 inches at 200 dots an inch, less the cut margin
    with pytest.raises(ValueError, match="figure name: expected letters"):
        stage.figure(figure, "../line", title="")


def test_artifacts_lie_in_the_folder_and_exist(model_params, tmp_path):
    stage = start_stage("01_language_models", model_params)
    with pytest.raises(ValueError, match="does not exist; write it first"):
        stage.artifact("model", "model")
    (tmp_path / "outside").write_text("x")
    with pytest.raises(ValueError, match="expected a path inside"):
        stage.artifact("model", tmp_path / "outside")
    with pytest.raises(ValueError, match="expected a path inside"):
        stage.artifact("model", "../../../../outside")
    (stage.folder / "model").write_text("x")
    stage.artifact("model", "model")
    (stage.folder / "model").unlink()
    with pytest.raises(ValueError, match="is gone"):
        stage.finish()


@pytest.mark.parametrize("value", [float("nan"), np.float64("inf"), [0.5, float("nan")], torch.tensor(float("nan"))])
def test_numbers_that_are_none_are_refused(model_params, value):
    stage = start_stage("01_language_models", model_params)
    with pytest.raises(ValueError, match="metric 'loss' is (nan|inf); expected a finite number"):
        stage.metric("loss", value)


@pytest.mark.parametrize(
    ("value", "expected"), [({"a": 1}, "metrics are flat"), (object(), "expected a number, a text")]
)
def test_metrics_of_another_type_are_refused(model_params, value, expected):
    stage = start_stage("01_language_models", model_params)
    with pytest.raises(ValueError, match=expected):
        stage.metric("x", value)


def test_wrong_stage_or_parameters(model_params):
    with pytest.raises(ValueError, match="unknown stage '01_models'; there are 01_language_models"):
        start_stage("01_models", model_params)
    with pytest.raises(ValueError, match="stage 02_train_saes takes TrainSaeParams, got LanguageModelParams"):
        start_stage("02_train_saes", model_params)


def test_the_summary_is_html_with_everything_escaped(model_params):
    stage = start_stage("01_language_models", model_params)
    stage.commit = "<b>"
    summary = stage.summary()
    assert "&lt;b&gt;" in summary and "<b>" not in summary
    assert f"torch {torch.__version__}" in summary


def test_commit_of_a_repository_and_of_no_repository(tmp_path):
    assert session.current_commit(tmp_path) is None
    if (PROJECT_ROOT / ".git").exists():
        commit = session.current_commit(PROJECT_ROOT)
        assert commit is not None and len(commit.rstrip("+")) == 12


def test_harmless_warnings_are_hidden_and_others_shown(recwarn):
    import warnings

    session.quiet_libraries()
    with warnings.catch_warnings(record=True) as caught:
        for beginning in session.HARMLESS_WARNINGS:
            warnings.filterwarnings("ignore", message=beginning)
        warnings.warn("IProgress not found. Please update jupyter", stacklevel=1)
        warnings.warn("your numbers are wrong", stacklevel=1)
    assert [str(w.message) for w in caught] == ["your numbers are wrong"]


def test_a_matching_reads_its_activations_only(tmp_path):
    params = MatchFeaturesParams(activations="main", dictionary_a="a", dictionary_b="b", runs_folder=str(tmp_path))
    with pytest.raises(ValueError, match="03_save_activations/main is not there yet"):
        start_stage("04_match_features", params)


def test_running_studies_does_not_load_torch():
    """Each job is a process of its own; torch would add seconds to every one."""
    import subprocess

    code = "import sys, helpers.workflow.execute, helpers.workflow.study_run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, check=False).returncode == 0


HOLDING = (
    "import sys, time\nfrom helpers.params import LanguageModelParams\nfrom helpers.workflow import start_stage\n"
    "start_stage('01_language_models', LanguageModelParams(runs_folder=sys.argv[1], study='tiny', run='a', "
    "corpus={'kind': 'story_world'}))\nprint('started', flush=True)\ntime.sleep(100)"
)


def test_two_processes_do_not_write_one_run(model_params, monkeypatch):
    """A second notebook, or a kernel that outlives a killed run: the folder is one process's until it finishes."""
    monkeypatch.setattr("helpers.workflow.stage._ORPHAN_SECONDS", 0.0)
    environment = os.environ | {"PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-c", HOLDING, model_params.runs_folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as other:
        assert other.stdout is not None and other.stdout.readline() == "started\n"
        with pytest.raises(
            ValueError, match=r"01_language_models/a is being run by another notebook process \(process"
        ):
            start_stage("01_language_models", model_params)
        other.kill()
    start_stage("01_language_models", model_params).finish()
    start_stage("01_language_models", model_params)  # and by hand, again and again, in one kernel
    start_stage("01_language_models", model_params).finish()
