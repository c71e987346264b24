"""The hooks of .pre-commit-config.yaml: their programs are installed by make setup, the clean-up of notebooks changes none
that is clean, and make check is among them. (pre-commit itself is no requirement of the project.)"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
CONFIG = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
HOOKS = {hook["id"]: hook for repository in CONFIG["repos"] for hook in repository["hooks"]}


def program(hook: str) -> list[str]:
    """The command of a hook, with this environment's program in the place of .venv's."""
    command = shlex.split(HOOKS[hook]["entry"])
    assert command[0].startswith(".venv/bin/")
    return [str(Path(sys.executable).parent / Path(command[0]).name), *command[1:]]


def test_every_program_comes_with_the_requirements():
    pinned = {re.split("[=<>]", line)[0] for line in (ROOT / "requirements.txt").read_text().split()}
    programs = {shlex.split(hook["entry"])[0] for hook in HOOKS.values()}
    assert {Path(name).name for name in programs if name.startswith(".venv/bin/")} == {"nbstripout", "ruff", "mypy"}
    assert {"nbstripout", "ruff", "mypy"} <= pinned
    assert programs - {f".venv/bin/{name}" for name in pinned} == {"make"}


def test_make_check_runs_before_a_push_and_the_quick_hooks_at_a_commit():
    hook = HOOKS["make-check"]
    assert (hook["entry"], hook["stages"], hook["pass_filenames"]) == ("make check", ["pre-push"], False)
    assert re.search(r"^check:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(CONFIG["default_install_hook_types"]) == {"pre-commit", "pre-push"}
    assert CONFIG["default_stages"] == ["pre-commit"]
    assert [name for name, other in HOOKS.items() if "stages" in other] == ["make-check"]


@pytest.fixture
def notebooks(tmp_path) -> list[Path]:
    return [Path(shutil.copy2(path, tmp_path / path.name)) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]


def test_the_clean_up_leaves_clean_notebooks_as_they_are(notebooks):
    before = [path.read_bytes() for path in notebooks]
    subprocess.run([*program("nbstripout"), *notebooks], check=True, capture_output=True)
    assert [path.name for path, content in zip(notebooks, before, strict=True) if path.read_bytes() != content] == []


def test_the_clean_up_takes_away_what_an_execution_leaves(notebooks):
    clean = notebooks[0].read_bytes()
    executed = nbformat.read(notebooks[0], as_version=4)
    code = next(cell for cell in executed.cells if cell.cell_type == "code")
    code.execution_count, code.outputs = 3, [nbformat.v4.new_output("stream", text="hello")]
    code.metadata["papermill"] = {"duration": 1.0}
    executed.metadata["papermill"] = {"version": "2"}
    nbformat.write(executed, notebooks[0])
    assert notebooks[0].read_bytes() != clean
    subprocess.run([*program("nbstripout"), notebooks[0]], check=True, capture_output=True)
    assert nbformat.read(notebooks[0], as_version=4) == nbformat.reads(clean.decode("utf-8"), as_version=4)
