"""The Makefile makes the environment once, completes half of one, and refuses an old Python. Nothing is downloaded:
the requirements are empty here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def project(tmp_path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    (tmp_path / "helpers.py").write_text("WHERE = __file__\n")
    return tmp_path


def make(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MAKEFLAGS")}
    arguments = (
        arguments if any(a.startswith("PYTHON=") for a in arguments) else (*arguments, f"PYTHON={sys.executable}")
    )
    return subprocess.run(
        ["make", *arguments], cwd=project, env=environment, capture_output=True, text=True, check=False
    )


def stamps(project: Path) -> list[Path]:
    return sorted(project.glob(".venv/installed-*"))


@pytest.mark.slow
def test_the_environment_is_made_once_and_again_when_something_changed(project):
    first = make(project, "setup")
    assert first.returncode == 0, first.stderr
    assert "Installing requirements.txt" in first.stdout
    found = subprocess.run(
        [project / ".venv/bin/python", "-c", "import helpers; print(helpers.WHERE)"],
        cwd="/",
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == str(project / "helpers.py"), "the project is importable from anywhere"

    second = make(project, "setup")
    assert (second.returncode, second.stderr) == (0, "")
    assert "Installing" not in second.stdout
    (project / "requirements.txt").touch()  # a checkout changes times
    assert "Installing" not in make(project, "setup").stdout

    earlier = stamps(project)
    (project / "requirements.txt").write_text("# something else\n")
    assert "Installing" in make(project, "setup").stdout
    assert len(stamps(project)) == 1 and stamps(project) != earlier

    shutil.rmtree(project / ".venv" / "lib")  # half an environment: its stamp was never written
    stamps(project)[0].unlink()
    assert make(project, "setup").returncode == 0
    assert (project / ".venv" / "bin" / "pip").exists() and len(stamps(project)) == 1


def test_a_failed_installation_is_not_taken_for_a_whole_one(project):
    (project / ".venv").mkdir()
    bad = project / "python"
    bad.write_text(f'#!/bin/sh\n[ "$1" = -m ] && exit 3\nexec {sys.executable} "$@"\n')
    bad.chmod(0o755)
    assert make(project, "setup", f"PYTHON={bad}").returncode != 0
    assert stamps(project) == []


def test_an_old_or_missing_python_is_refused_with_the_way_out(project):
    old = project / "python3.9"
    script = "import sys; sys.version_info = (3, 9, 2); sys.version = '3.9.2'; exec(sys.argv[1])"
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{script}" "$2"\n')
    old.chmod(0o755)
    done = make(project, "demo", f"PYTHON={old}")
    assert done.returncode != 0
    assert "error: expected Python 3.11 or newer, got 3.9.2; name another one: make demo PYTHON=" in done.stderr
    missing = make(project, "demo", "PYTHON=/nonexistent/python3")
    assert missing.returncode != 0
    assert "error: expected Python 3.11 or newer" in missing.stderr
    assert not (project / ".venv").exists()


def test_help_lists_the_targets(project):
    out = make(project, "help").stdout
    for target in ("demo", "test", "check", "lab", "bench", "clean-runs"):
        assert f"make {target} " in out
