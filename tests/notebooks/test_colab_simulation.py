"""Every notebook's set-up cell on a fresh clone in a simulated Colab session, and one notebook to its end there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import nbformat
import papermill
import pytest

from tests.clones import fresh_clone
from tests.colab_kernel import ABSENT, ColabKernel, simulate

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# Around a first cell as it stands: a session that has numpy already, and what the cell left.
_BEFORE = "import numpy\n"
_AFTER = """
import helpers, json
print(json.dumps({"cwd": os.getcwd(), "helpers": helpers.__file__, "torch": "torch" in sys.modules}))
assert sys.modules["numpy"] is numpy
"""


@pytest.fixture(scope="module")
def colab(tmp_path_factory) -> ColabKernel:
    kernel = simulate(tmp_path_factory.mktemp("colab"))
    fresh_clone(kernel.content / "feature-geometry")
    return kernel


@pytest.fixture
def session(colab, monkeypatch) -> ColabKernel:
    """A new session; every Python that is started from here on is one of Colab's."""
    colab.forget()
    monkeypatch.setenv("PYTHONPATH", str(colab.path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return colab


def assert_only_missing_packages_were_installed(session: ColabKernel) -> None:
    """One call of pip, for what Colab lacks at the versions of requirements.txt, with its torch and numpy held."""
    assert len(session.calls) == 1
    command, constraints = session.calls[0]["command"], session.calls[0]["constraints"]
    assert command[1:6] == ["-m", "pip", "install", "--quiet", "--constraint"]
    installed = [re.split("[=]", pin)[0] for pin in command[7:]]
    assert sorted(installed) == sorted(ABSENT)
    assert set(command[7:]) <= set((ROOT / "requirements.txt").read_text().splitlines())
    for name in ("torch", "numpy"):
        assert f"{name}=={metadata.version(name)}" in constraints


def first_cell(path: Path) -> str:
    return nbformat.read(path, as_version=4).cells[0].source


@pytest.mark.slow  # half a second each
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_first_cell_sets_up_a_fresh_clone(session, path):
    cloned = session.content / "feature-geometry"
    done = subprocess.run(
        [sys.executable, "-c", _BEFORE + first_cell(cloned / "notebooks" / path.name) + _AFTER],
        cwd=session.content,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    left = json.loads(done.stdout)
    assert left == {"cwd": str(cloned), "helpers": str(cloned / "helpers" / "__init__.py"), "torch": False}
    assert_only_missing_packages_were_installed(session)


@pytest.mark.slow
def test_a_notebook_runs_to_its_end(session, tmp_path):
    cloned = session.content / "feature-geometry"
    small = {"n_layers": 1, "d_model": 32, "n_train_tokens": 60_000, "n_eval_tokens": 2_000, "min_accuracy": 0.0}
    executed = tmp_path / "executed.ipynb"
    papermill.execute_notebook(
        str(cloned / "notebooks" / "01_language_models.ipynb"),
        str(executed),
        parameters=small,
        cwd=str(session.content),
        progress_bar=False,
    )
    assert_only_missing_packages_were_installed(session)
    results = json.loads((cloned / "runs/demo/01_language_models/a/results.json").read_text())
    assert results["metrics"]["loss"] < results["metrics"]["unigram_loss"]
    assert results["versions"]["torch"] == metadata.version("torch")
    outputs = [cell.outputs for cell in nbformat.read(executed, as_version=4).cells if cell.cell_type == "code"]
    assert not [out for found in outputs for out in found if out.output_type == "error"]


def test_outside_of_colab_the_first_cell_does_nothing(tmp_path):
    code = "import os, sys; before = (os.getcwd(), list(sys.path), set(sys.modules))\n"
    code += first_cell(NOTEBOOKS[0])
    code += "\nassert before == (os.getcwd(), list(sys.path), set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
