import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers import colab


@pytest.fixture
def requirements(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("# comment\nnumpy==0.0.1\nsurely-not-installed==1.0\n\nanother.absent_package==2\n")
    return path


def test_installed_packages_stay_whatever_their_version(requirements):
    assert colab.missing_requirements(requirements) == ["surely-not-installed==1.0", "another.absent_package==2"]


def test_nothing_is_missing_here():
    assert colab.install_missing() == []


def test_only_missing_packages_are_installed_and_installed_ones_are_held(requirements, monkeypatch):
    seen = {}

    def fake_run(command, **_):
        seen["command"] = command
        seen["constraints"] = Path(command[command.index("--constraint") + 1]).read_text()
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(subprocess, "run", fake_run)
    colab.install_missing(requirements)
    assert seen["command"][0] == sys.executable
    assert seen["command"][-2:] == ["surely-not-installed==1.0", "another.absent_package==2"]
    assert "torch==" in seen["constraints"] and "numpy==" in seen["constraints"]


def test_a_failed_installation_is_an_error(requirements, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1, stderr="no such thing"))
    with pytest.raises(RuntimeError, match="surely-not-installed.*\n.*no such thing"):
        colab.install_missing(requirements)
