"""What is fresh, what is not, and why. Stages are played in this process: what they compute does not matter here."""

from __future__ import annotations

import json
import shutil

import pytest

from helpers.params import load_study
from helpers.workflow import start_stage
from helpers.workflow.freshness import prepare, results_folder, study_status, wanted_runs
from helpers.workflow.stages import StageRun, needs

ALL = [
    "01_language_models/a",
    "01_language_models/b",
    "02_train_saes/a",
    "02_train_saes/b",
    "03_save_activations/main",
    "04_match_features/main",
    "05_compare_spaces/main",
    "06_semantic_subspaces/main",
    "07_feature_maps/main",
    "08_feature_splitting/main",
    "09_mapper/main",
    "10_persistent_homology/main",
    "11_multidimensional_features/main",
    "12_concept_hierarchy/main",
    "13_steering/main",
    "14_steering_transfer/main",
    "15_ground_truth/main",
    "16_layer_pairs/a0_b0",
    "16_layer_grid/main",
    "17_feature_families/main",
    "18_feature_effects/main",
]


class Played:
    """A toy study that is played without kernels."""

    def __init__(self, project) -> None:
        self.project = project

    @property
    def study(self):
        self.project.write_study()
        return load_study(self.project.study_file, runs_folder=str(self.project.runs))

    def play(self) -> list[str]:
        """Run what is not fresh, in order; returns what ran."""
        study, ran = self.study, []
        statuses = study_status(study)
        prepare(study, statuses, wanted=wanted_runs(study))
        for status in statuses:
            if not status.is_fresh:
                stage = start_stage(status.stage_run.stage, status.params)
                for needed in needs(status.stage_run.stage, status.params):
                    stage.upstream(needed.stage, needed.run)
                (stage.folder / "data").write_text("x")
                stage.artifact("data", "data")
                stage.finish()
                ran.append(str(status.stage_run))
        return ran

    def states(self) -> dict[str, str]:
        return {str(status.stage_run): status.state for status in study_status(self.study)}

    def reasons(self) -> dict[str, str]:
        return {str(status.stage_run): status.reason for status in study_status(self.study) if status.reason}


@pytest.fixture
def played(toy_project, monkeypatch) -> Played:
    monkeypatch.setenv("FEATURE_GEOMETRY_NOTEBOOKS", str(toy_project.notebooks))
    played = Played(toy_project)
    assert played.play() == ALL
    return played


def test_everything_is_fresh_after_a_run_and_nothing_runs_again(played):
    assert set(played.states().values()) == {"fresh"}
    folder = played.project.study_folder
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}
    assert played.play() == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")} == before


def test_a_changed_parameter_makes_exactly_its_dependants_stale(played):
    played.project.content["notebooks"]["02_train_saes"]["runs"]["b"]["k"] = 8
    assert played.reasons() == {
        "02_train_saes/b": "k: 16 -> 8",
        "03_save_activations/main": "02_train_saes/b is stale",
        "04_match_features/main": "03_save_activations/main is stale",
        "05_compare_spaces/main": "04_match_features/main is stale",
        "06_semantic_subspaces/main": "03_save_activations/main is stale",
        "07_feature_maps/main": "04_match_features/main is stale",
        "08_feature_splitting/main": "03_save_activations/main is stale",
        "09_mapper/main": "04_match_features/main is stale",
        "10_persistent_homology/main": "04_match_features/main is stale",
        "11_multidimensional_features/main": "04_match_features/main is stale",
        "12_concept_hierarchy/main": "04_match_features/main is stale",
        "13_steering/main": "03_save_activations/main is stale",
        "14_steering_transfer/main": "04_match_features/main is stale",
        "15_ground_truth/main": "02_train_saes/b is stale",
        "16_layer_pairs/a0_b0": "03_save_activations/main is stale",
        "16_layer_grid/main": "16_layer_pairs/a0_b0 is stale",
        "17_feature_families/main": "04_match_features/main is stale",
        "18_feature_effects/main": "04_match_features/main is stale",
    }
    assert played.play() == [name for name in ALL[3:]]
    assert set(played.states().values()) == {"fresh"}


def test_a_parameter_changed_and_changed_back_needs_nothing(played):
    runs = played.project.content["notebooks"]["05_compare_spaces"]["runs"]
    runs["main"]["min_corr"] = 0.7
    assert list(played.reasons()) == ["05_compare_spaces/main"]
    del runs["main"]["min_corr"]
    assert played.play() == []


def test_an_edited_notebook_makes_its_runs_and_their_dependants_stale(played):
    played.project.write_notebook("04_match_features", "changed = True")
    assert played.reasons() == {
        "04_match_features/main": "the notebook changed",
        "05_compare_spaces/main": "04_match_features/main is stale",
        "07_feature_maps/main": "04_match_features/main is stale",
        "09_mapper/main": "04_match_features/main is stale",
        "10_persistent_homology/main": "04_match_features/main is stale",
        "11_multidimensional_features/main": "04_match_features/main is stale",
        "12_concept_hierarchy/main": "04_match_features/main is stale",
        "14_steering_transfer/main": "04_match_features/main is stale",
        "17_feature_families/main": "04_match_features/main is stale",
        "18_feature_effects/main": "04_match_features/main is stale",
    }


def test_a_stage_that_was_run_again_by_hand_makes_its_dependants_stale(played):
    params = played.study.params("04_match_features", "main")
    start_stage("04_match_features", params).finish()
    reason = "04_match_features/main was run again"
    readers = (
        "05_compare_spaces/main",
        "07_feature_maps/main",
        "09_mapper/main",
        "10_persistent_homology/main",
        "11_multidimensional_features/main",
        "12_concept_hierarchy/main",
        "14_steering_transfer/main",
        "17_feature_families/main",
        "18_feature_effects/main",
    )
    assert played.reasons() == dict.fromkeys(readers, reason)


def test_a_lost_artifact_or_a_broken_result_is_stale(played):
    folder = played.project.study_folder
    (folder / "04_match_features/main/data").unlink()
    assert "data is gone" in played.reasons()["04_match_features/main"]
    played.play()
    path = folder / "05_compare_spaces/main/results.json"
    path.write_text(path.read_text()[:50])
    assert "not a whole JSON file" in played.reasons()["05_compare_spaces/main"]
    assert played.play() == ["05_compare_spaces/main"]


def test_a_moved_or_copied_study_stays_fresh(played):
    """Times of files mean nothing, and neither does the folder of results."""
    elsewhere = played.project.folder / "elsewhere"
    shutil.copytree(played.project.runs, elsewhere, copy_function=shutil.copyfile)
    study = load_study(played.project.study_file, runs_folder=str(elsewhere))
    assert {status.state for status in study_status(study)} == {"fresh"}


def test_stale_results_are_set_aside_even_beyond_the_last_stage_asked_for(played):
    played.project.content["notebooks"]["01_language_models"]["runs"]["a"]["seed"] = 77
    study = played.study
    prepare(study, study_status(study), wanted=wanted_runs(study, until="01_language_models"))
    folder = results_folder(study)
    there = {str(path.parent.relative_to(folder)) for path in folder.glob("*/*/results.json")}
    assert there == {"01_language_models/b", "02_train_saes/b"}
    assert (folder / "05_compare_spaces/main/results.outdated.json").exists()
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["stage_runs"] == ["01_language_models/a", "01_language_models/b"]
    assert plan["notebooks"]["01_language_models"]["a"]["seed"] == 77


def test_force_takes_a_stage_and_its_dependants_for_stale(played):
    statuses = study_status(played.study, force=["03_save_activations"])
    stale = [str(status.stage_run) for status in statuses if not status.is_fresh]
    assert stale == [name for name in ALL[4:] if not name.startswith("15_")]
    with pytest.raises(ValueError, match="unknown stage '3'; there are 01_language_models"):
        study_status(played.study, force=["3"])
    played.project.keep("01_language_models")
    with pytest.raises(ValueError, match="does not run 02_train_saes; it runs 01_language_models"):
        study_status(played.study, force=["02_train_saes"])
    with pytest.raises(ValueError, match="does not run 02_train_saes"):
        wanted_runs(played.study, until="02_train_saes")


def test_until_a_stage_means_that_and_what_it_needs(played):
    assert [str(stage_run) for stage_run in wanted_runs(played.study, until="02_train_saes")] == ALL[:4]
    content = played.project.content["notebooks"]
    content["03_save_activations"]["runs"]["other"] = {"dictionaries": ["a"], "corpus": {"kind": "story_world"}}
    assert StageRun("03_save_activations", "other") in wanted_runs(played.study, until="03_save_activations")
    assert StageRun("03_save_activations", "other") not in wanted_runs(played.study, until="04_match_features")


def test_a_run_may_read_another_run_of_its_notebook(played):
    """A re-initialised model reads the model it copies, wherever the file lists it."""
    corpus = {"kind": "story_world"}
    models = played.project.content["notebooks"]["01_language_models"]
    fresh = {"source": "reinitialised", "model": "b", "corpus": corpus}
    models["runs"] = {"fresh": fresh, **models["runs"]}
    assert played.play() == ["01_language_models/fresh"]
    models["runs"]["b"]["seed"] = 99
    reasons = played.reasons()
    assert reasons["01_language_models/fresh"] == "01_language_models/b is stale"
    assert "01_language_models/a" not in reasons
    needed = wanted_runs(played.study, until="01_language_models")
    assert needed.index(StageRun("01_language_models", "b")) < needed.index(StageRun("01_language_models", "fresh"))
