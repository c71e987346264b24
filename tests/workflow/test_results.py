"""results.json: what is written can be read back, and what is not whole is refused."""

from __future__ import annotations

import json

import pytest

from helpers.results import StageResult


def result(**changes) -> StageResult:
    values = {
        "stage": "02_train_saes",
        "run": "a",
        "study": "tiny",
        "params": {"k": 16, "corpus": {"kind": "story_world"}},
        "versions": {"python": "3.11.7"},
        "commit": None,
        "device": "cpu",
        "seed": 3,
        "started": "2026-01-02T03:04:05+00:00",
        "seconds": 1.5,
        "peak_memory_mib": 12.25,
        "metrics": {"fvu": 0.015, "n": 3, "name": "x", "good": True, "none": None, "curve": [0.1, 0.2]},
        "headline": [{"label": "FVU", "value": "0.015", "detail": ""}],
        "figures": [{"file": "figures/x.png", "title": "x", "caption": "", "headline": True}],
        "artifacts": {"sae": "sae.json"},
        "sources": {"parameters": "ab"},
        "inputs": {"01_language_models/a": "cd"},
    }
    return StageResult(**(values | changes))


def test_json_round_trip(tmp_path):
    saved = result()
    saved.save(tmp_path)
    loaded = StageResult.load(tmp_path)
    assert loaded == saved
    assert loaded.folder == tmp_path
    assert json.loads((tmp_path / "results.json").read_text()) == saved.to_dict()
    assert "folder" not in saved.to_dict()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused_and_the_earlier_file_stays(tmp_path, value):
    result().save(tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        result(metrics={"fvu": value}).save(tmp_path)
    assert StageResult.load(tmp_path) == result()
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_artifacts_are_paths_in_the_folder_wherever_it_was_moved(tmp_path):
    result().save(tmp_path / "here")
    (tmp_path / "here" / "sae.json").write_text("{}")
    moved = (tmp_path / "here").rename(tmp_path / "there")
    assert StageResult.load(moved).artifact("sae") == moved / "sae.json"


def test_an_artifact_that_was_never_left_or_is_gone(tmp_path):
    result().save(tmp_path)
    loaded = StageResult.load(tmp_path)
    with pytest.raises(ValueError, match="left no artifact 'model'; it left: sae"):
        loaded.artifact("model")
    with pytest.raises(ValueError, match=r"sae.json is gone; run 02_train_saes with run='a' again"):
        loaded.artifact("sae")


def test_a_missing_truncated_or_foreign_file(tmp_path):
    with pytest.raises(ValueError, match=r"results.json is not there; run the stage first"):
        StageResult.load(tmp_path)
    result().save(tmp_path)
    path = tmp_path / "results.json"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"results.json is not a whole JSON file"):
        StageResult.load(tmp_path)
    path.write_text("[1]")
    with pytest.raises(ValueError, match="expected a JSON object, got list"):
        StageResult.load(tmp_path)
    values = json.loads(whole)
    del values["seed"]
    path.write_text(json.dumps(values | {"sede": 1}))
    with pytest.raises(ValueError, match=r"results.json: .*missing: seed; unknown: sede"):
        StageResult.load(tmp_path)


def test_its_text_is_one_line():
    assert repr(result()) == "02_train_saes/a of study tiny: 2 s, 12 MiB, 6 metrics, 1 figures, artifacts: sae"
