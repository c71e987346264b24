"""Shared fixtures: a toy project whose notebooks have the real names and parameters and compute almost nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from pydantic_core import PydanticUndefined
from xdist.scheduler import LoadScopeScheduling

from helpers.params import NOTEBOOKS

pytest_plugins = ("tests.tiny", "tests.stand_ins.plugin")

ROOT = Path(__file__).resolve().parent.parent


# Files that look at the smoke study, which is run once: one worker of `make test` takes them all.
SMOKE_STUDY_FILES = {
    f"tests/notebooks/test_{name}.py"
    for name in ("hosted_report", "killed_smoke_study", "readme_examples", "smoke_study")
}


class _ByFile(LoadScopeScheduling):
    """Workers take whole files, as these share what is made once; a preset's run is taken by itself."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        if file in SMOKE_STUDY_FILES:
            return "smoke study"
        return nodeid if "test_a_preset_runs_end_to_end" in nodeid else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no worker is left with them at the end."""

    def turn(item: pytest.Item) -> int:
        file = item.nodeid.split("::")[0]
        assert "smoke_study" not in getattr(item, "fixturenames", ()) or file in SMOKE_STUDY_FILES, file
        if file in SMOKE_STUDY_FILES:
            return 0
        return 1 if item.get_closest_marker("preset_run") else 2 if item.get_closest_marker("slow") else 3

    items.sort(key=turn)


# What a toy notebook does after start_stage: it reads what it needs and leaves one file.
TOY_BODY = """
read = [stage.upstream(needed.stage, needed.run).artifact("data").read_text() for needed in needs("{stage}", params)]
(stage.folder / "data.txt").write_text(f"{{params.run}} <- " + ", ".join(read))
stage.artifact("data", stage.folder / "data.txt")
stage.metric("n_inputs", len(read))
stage.headline("inputs of " + params.run, str(len(read)), "files")
"""


def tiny_study(name: str = "toy") -> dict[str, Any]:
    """A valid study file's content with the shape of the demo: two models, two SAEs, one comparison."""
    corpus = {"kind": "story_world"}
    return {
        "study": name,
        "title": "Toy study",
        "notebooks": {
            "01_language_models": {"common": {"corpus": corpus}, "runs": {"a": {"seed": 1}, "b": {"seed": 2}}},
            "02_train_saes": {
                "common": {"corpus": corpus, "hook_name": "blocks.0.hook_resid_post"},
                "runs": {"a": {"model": "a"}, "b": {"model": "b"}},
            },
            "03_save_activations": {"runs": {"main": {"dictionaries": ["a", "b"], "corpus": corpus}}},
            "04_match_features": {"runs": {"main": {"activations": "main", "dictionary_a": "a", "dictionary_b": "b"}}},
            "05_compare_spaces": {"runs": {"main": {"matching": "main"}}},
            "06_semantic_subspaces": {"runs": {"main": {"activations": ["main"], "pairs": {"features": ["a", "b"]}}}},
            "07_feature_maps": {"runs": {"main": {"matching": "main"}}},
            "08_feature_splitting": {"runs": {"main": {"activations": "main", "dictionaries": ["a", "b"]}}},
            "09_mapper": {"runs": {"main": {"matching": "main"}}},
            "10_persistent_homology": {"runs": {"main": {"matching": "main"}}},
            "11_multidimensional_features": {"runs": {"main": {"matching": "main"}}},
            "12_concept_hierarchy": {"runs": {"main": {"matching": "main"}}},
            "13_steering": {"runs": {"main": {"activations": "main", "dictionary": "a"}}},
            "14_steering_transfer": {"runs": {"main": {"matching": "main"}}},
            "15_ground_truth": {"runs": {"main": {"dictionaries": ["a", "b"]}}},
            "16_layer_pairs": {
                "runs": {
                    "a0_b0": {
                        "layer_a": 0,
                        "layer_b": 0,
                        "activations": ["main"],
                        "conditions": {"features": ["a", "b"]},
                    }
                }
            },
            "16_layer_grid": {"runs": {"main": {"pairs": ["a0_b0"]}}},
            "17_feature_families": {"runs": {"main": {"matching": "main"}}},
            "18_feature_effects": {"runs": {"main": {"matching": "main"}}},
        },
    }


def toy_notebook(stage: str, body: str) -> nbformat.NotebookNode:
    """A notebook with the parameters cell of `stage`'s class and `body` between start_stage and finish."""
    params_class = NOTEBOOKS[stage].params
    lines = []
    for field_name, info in params_class.model_fields.items():
        default = "" if info.default is PydanticUndefined else info.default
        lines.append(f"{field_name} = {default!r}")
    parameters = nbformat.v4.new_code_cell("\n".join(lines), metadata={"tags": ["parameters"]})
    start = (
        f"from helpers.params import {params_class.__name__}\nfrom helpers.workflow import start_stage\n"
        "from helpers.workflow.stages import needs\n"
        f"params = {params_class.__name__}.from_namespace(globals())\nstage = start_stage('{stage}', params)"
    )
    cells = [parameters, *(nbformat.v4.new_code_cell(source) for source in (start, body, "stage.finish()"))]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@dataclass
class ToyProject:
    """A study file, toy notebooks and a folder of results, all in one temporary folder."""

    folder: Path
    content: dict[str, Any]

    @property
    def notebooks(self) -> Path:
        return self.folder / "notebooks"

    @property
    def study_file(self) -> Path:
        return self.folder / "toy.yaml"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def study_folder(self) -> Path:
        return self.runs / self.content["study"]

    def write_study(self) -> None:
        self.study_file.write_text(yaml.safe_dump(self.content, sort_keys=False))

    def write_notebook(self, stage: str, body: str | None = None) -> None:
        self.notebooks.mkdir(exist_ok=True)
        body = TOY_BODY.format(stage=stage) if body is None else body
        nbformat.write(toy_notebook(stage, body), self.notebooks / f"{stage}.ipynb")

    def keep(self, *stages: str) -> None:
        """Leave only these notebooks in the study."""
        self.content["notebooks"] = {stage: self.content["notebooks"][stage] for stage in stages}
        self.write_study()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "helpers", *arguments]

    def run_command(self, *options: str) -> list[str]:
        folders = ("--runs-folder", str(self.runs), "--notebooks-folder", str(self.notebooks))
        return self.command("run", str(self.study_file), "--cores", "2", *folders, *options)

    def environment(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(ROOT)}

    def run(self, *options: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.run_command(*options),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


@pytest.fixture
def toy_project(tmp_path: Path) -> ToyProject:
    """A toy project with all notebooks."""
    project = ToyProject(tmp_path, tiny_study())
    for stage in NOTEBOOKS:
        project.write_notebook(stage)
    project.write_study()
    return project
