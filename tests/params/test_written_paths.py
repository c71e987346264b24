"""No name in a YAML file leads out of the folder of the run that bears it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from helpers.features.concept_groups import load_concepts
from helpers.params import NOTEBOOKS, SemanticSubspacesParams, load_study
from helpers.params.notebooks import NotebookParams
from helpers.params.study import StudyError
from helpers.steering.scores.tables import read_steering_tasks
from tests.conftest import tiny_study

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = ["../outside", "/tmp/outside", "..", ".", ".hidden", "a/b", "a\\b", "", "a\nb", "a\x00b"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_of_studies_and_runs(tmp_path, name):
    for change in ("study", "run"):
        content = tiny_study()
        if change == "study":
            content["study"] = name
        else:
            runs = content["notebooks"]["05_compare_spaces"]["runs"]
            runs[name] = runs.pop("main")
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(content))
        with pytest.raises(StudyError, match="expected a name of letters"):
            load_study(path)


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("field", ["study", "run"])
def test_names_in_a_notebook_that_is_run_by_hand(name, field):
    with pytest.raises(ValueError, match=f"{field}\n  String should match pattern"):
        NotebookParams(**{field: name})


def test_where_results_go_is_not_said_in_a_study_file(tmp_path):
    for place in ("common", "notebook", "run"):
        content = tiny_study()
        section = content["notebooks"]["05_compare_spaces"]
        target = {"common": content.setdefault("common", {}), "notebook": section.setdefault("common", {})}
        target.get(place, section["runs"]["main"])["runs_folder"] = "/tmp/outside"
        path = tmp_path / "study.yaml"
        path.write_text(yaml.safe_dump(content))
        with pytest.raises(StudyError, match="'runs_folder' is filled in from the file's structure; remove it"):
            load_study(path)


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_of_layer_pairs_word_groups_and_tasks(tmp_path, name):
    with pytest.raises(ValueError, match="becomes the name of a file"):
        SemanticSubspacesParams(activations=["main"], pairs={name: ["a", "b"]})
    path = tmp_path / "words.yaml"
    path.write_text(yaml.safe_dump({"groups": {name: {"words": "one two"}}}))
    with pytest.raises(ValueError, match=r"words.yaml: group .* becomes the name of a file"):
        load_concepts(path)
    tasks = yaml.safe_load((ROOT / "params" / "data" / "steering_tasks.yaml").read_text())
    tasks["tasks"] = {name: next(iter(tasks["tasks"].values()))}
    path.write_text(yaml.safe_dump(tasks, allow_unicode=True))
    with pytest.raises(ValueError, match="task .* becomes the name of a file"):
        read_steering_tasks(path)


def test_names_as_people_write_them_are_taken(tmp_path):
    path = tmp_path / "words.yaml"
    path.write_text(yaml.safe_dump({"groups": {"people and roles": {"words": "king"}, "été": {"words": "soleil"}}}))
    assert load_concepts(path).names == ["people and roles", "été"]
    assert SemanticSubspacesParams(activations=["main"], pairs={"layer 0.5": ["a", "b"]}).pairs


def test_every_notebook_has_these_names():
    assert all(issubclass(entry.params, NotebookParams) for entry in NOTEBOOKS.values())
