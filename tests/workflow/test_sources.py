"""What a stage run is made from."""

from __future__ import annotations

import ast
import json

import nbformat
import pytest

from helpers.params import LanguageModelParams, SaveActivationsParams, SemanticSubspacesParams, TrainSaeParams
from helpers.workflow import sources as sources_module
from helpers.workflow.sources import module_files, notebook_cells, stage_sources

CORPUS = {"kind": "story_world"}


@pytest.fixture
def package(tmp_path):
    """A package of the project's shape: matching uses features, models nothing; params and session are there too."""
    files = {
        "helpers/__init__.py": "",
        "helpers/storage.py": "import json",
        "helpers/models/__init__.py": "from helpers.models.train import train",
        "helpers/models/train.py": "from helpers.storage import x\nfrom helpers.progress import progress_bar",
        "helpers/features/__init__.py": "",
        "helpers/features/top.py": "",
        "helpers/matching/__init__.py": "from .pairs import match",
        "helpers/matching/pairs.py": "def match():\n    from ..features import top\n    import numpy",
        "helpers/params/__init__.py": "from helpers.models import train",
        "helpers/progress.py": "",
        "helpers/workflow/__init__.py": "from helpers.matching import match",
        "helpers/workflow/session.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def imported(package, code: str) -> set[str]:
    return {path.relative_to(package).as_posix() for path in module_files([ast.parse(code)], root=package)}


ALWAYS = {"helpers/__init__.py", "helpers/workflow/session.py"}


def test_imports_are_followed_through_packages_functions_and_relative_names(package):
    assert imported(package, "from helpers.matching import match") == ALWAYS | {
        "helpers/matching/__init__.py",
        "helpers/matching/pairs.py",
        "helpers/features/__init__.py",
        "helpers/features/top.py",
    }


def test_what_a_notebook_does_not_use_is_not_counted(package):
    found = imported(package, "import helpers.models\nimport torch")
    assert found == ALWAYS | {"helpers/models/__init__.py", "helpers/models/train.py", "helpers/storage.py"}


@pytest.mark.parametrize(
    "code",
    ["import helpers.models.train", "from helpers.models import train", "from helpers.models.train import train", "from helpers import models"],
)  # fmt: skip
def test_every_way_of_importing_counts_the_same(package, code):
    assert "helpers/models/train.py" in imported(package, code)


def test_what_cannot_change_a_number_is_neither_counted_nor_followed(package):
    assert imported(package, "import helpers.params, helpers.workflow, helpers.progress") == ALWAYS


def test_a_circle_of_imports_ends(package):
    (package / "helpers/features/top.py").write_text("import helpers.matching.pairs")
    assert "helpers/features/top.py" in imported(package, "import helpers.matching")


@pytest.fixture
def project(toy_project, monkeypatch):
    monkeypatch.setenv("FEATURE_GEOMETRY_NOTEBOOKS", str(toy_project.notebooks))
    return toy_project


@pytest.fixture
def params():
    return TrainSaeParams(model="a", hook_name="blocks.0.hook_mlp_out", corpus=CORPUS)


def test_outputs_and_metadata_do_not_count_but_code_and_prose_do(project, params):
    path = project.notebooks / "02_train_saes.ipynb"
    before = stage_sources("02_train_saes", params)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="hello")]
    notebook.cells[1].execution_count = 7
    notebook.metadata["language_info"] = {"name": "python", "version": "3.12"}
    nbformat.write(notebook, path)
    assert stage_sources("02_train_saes", params) == before
    for cell in (nbformat.v4.new_code_cell("1 + 1"), nbformat.v4.new_markdown_cell("prose")):
        notebook.cells.append(cell)
        nbformat.write(notebook, path)
        after = stage_sources("02_train_saes", params)
        assert {name for name in after if after[name] != before.get(name)} == {"notebook"}
        before = after


def test_a_parameter_counts_and_the_folder_of_results_does_not(project, params):
    before = stage_sources("02_train_saes", params)
    assert stage_sources("02_train_saes", params.model_copy(update={"runs_folder": "elsewhere"})) == before
    after = stage_sources("02_train_saes", params.model_copy(update={"k": 17}))
    assert {name for name in after if after[name] != before[name]} == {"parameters"}


def test_files_that_the_parameters_name_count(project, tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "one.txt").write_text("one")
    params = LanguageModelParams(corpus={"kind": "local", "path": str(texts)})
    before = stage_sources("01_language_models", params)
    assert str(texts / "one.txt") in before
    (texts / "one.txt").write_text("two")
    after = stage_sources("01_language_models", params)
    assert {name for name in after if after[name] != before[name]} == {str(texts / "one.txt")}


def test_files_of_labels_and_word_groups_count(project, tmp_path):
    labels, groups = tmp_path / "labels.json", tmp_path / "groups.yaml"
    save = SaveActivationsParams(dictionaries=["a"], corpus={"kind": "story_world"}, explanations={"a": str(labels)})
    group = SemanticSubspacesParams(activations=["main"], pairs={"x": ["a", "b"]}, concepts=str(groups))
    for path, stage, params in ((labels, "03_save_activations", save), (groups, "06_semantic_subspaces", group)):
        path.write_text("one")
        before = stage_sources(stage, params)
        path.write_text("two")
        after = stage_sources(stage, params)
        assert {name for name in after if after[name] != before.get(name)} == {str(path)}


def test_data_files_that_the_code_names_count(project, params, package):
    (package / "params" / "data").mkdir(parents=True)
    data = package / "params" / "data" / "groups.yaml"
    data.write_text("a")
    (package / "params" / "data" / "unused.yaml").write_text("a")
    project.write_notebook("02_train_saes", "groups = open('params/data/groups.yaml')")
    before = stage_sources("02_train_saes", params, root=package)
    assert "params/data/groups.yaml" in before and "params/data/unused.yaml" not in before
    data.write_text("b")
    assert stage_sources("02_train_saes", params, root=package) != before
    project.write_notebook("02_train_saes", "import helpers.models")
    assert "params/data/groups.yaml" not in stage_sources("02_train_saes", params, root=package)
    (package / "helpers/models/train.py").write_text("FILE = ROOT / 'params' / 'data' / 'groups.yaml'")
    assert "params/data/groups.yaml" in stage_sources("02_train_saes", params, root=package)


def test_what_a_notebook_reads_is_found_once_for_all_its_runs(project, params, package, monkeypatch):
    searches = []

    def counted(trees, *, root):
        searches.append(root)
        return module_files(trees, root=root)

    monkeypatch.setattr(sources_module, "module_files", counted)
    project.write_notebook("02_train_saes", "import helpers.models")
    found = [
        stage_sources("02_train_saes", params.model_copy(update={"run": run}), root=package) for run in ("a", "b", "c")
    ]
    assert len(searches) == 1
    assert len({each["helpers/models/train.py"] for each in found}) == 1
    assert len({each["parameters"] for each in found}) == 3  # what is the run's own, is asked for every run


def test_modules_that_change_come_and_go_are_seen_by_one_process(project, params, package):
    """What was found for a notebook is not kept beyond a change of any module."""
    project.write_notebook("02_train_saes", "from helpers.models import train")

    def read() -> set[str]:
        return {name for name in stage_sources("02_train_saes", params, root=package) if name.startswith("helpers/")}

    before = read()
    (package / "helpers/models/train.py").write_text("from helpers.features import top, later")
    edited = read()
    assert edited == before - {"helpers/storage.py"} | {"helpers/features/__init__.py", "helpers/features/top.py"}
    (package / "helpers/features/later.py").write_text("")
    assert read() == edited | {"helpers/features/later.py"}
    (package / "helpers/features/later.py").unlink()
    assert read() == edited


def test_lines_that_are_not_python_do_not_hide_the_imports(project, params, package):
    project.write_notebook("02_train_saes", "%matplotlib inline\nif True:\n    !ls\nfrom helpers.models import train")
    assert "helpers/models/train.py" in stage_sources("02_train_saes", params, root=package)


def test_a_notebook_that_is_missing_or_broken(project, params):
    path = project.notebooks / "02_train_saes.ipynb"
    path.write_text(json.dumps({"cells": [{}]}))
    with pytest.raises(ValueError, match=r"02_train_saes.ipynb is not a notebook: .*git checkout"):
        stage_sources("02_train_saes", params)
    path.write_text("<<<<<<< HEAD")
    with pytest.raises(ValueError, match="is not a notebook"):
        notebook_cells(path)
    path.unlink()
    with pytest.raises(ValueError, match=r"there is no notebook .*02_train_saes.ipynb"):
        stage_sources("02_train_saes", params)
