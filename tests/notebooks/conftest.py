"""The smoke study, run once with the command that a user types, for every test that looks at what it left."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers.results import StageResult

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class FinishedStudy:
    """Where the smoke study's results are, and what the command printed."""

    runs_folder: Path
    output: str

    @property
    def folder(self) -> Path:
        return self.runs_folder / "smoke"

    def result(self, stage: str, run: str) -> StageResult:
        return StageResult.load(self.folder / stage / run)

    def command(self, *arguments: str, timeout: float = 900) -> str:
        """Run `python -m helpers ...` on this study's results; returns what it printed."""
        return run_helpers(*arguments, "--runs-folder", str(self.runs_folder), timeout=timeout)


def run_helpers(*arguments: str, timeout: float) -> str:
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "helpers", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="session")
def smoke_study(tmp_path_factory) -> FinishedStudy:
    runs_folder = tmp_path_factory.mktemp("runs")
    output = run_helpers("run", "smoke", "--cores", "2", "--runs-folder", str(runs_folder), timeout=1800)
    return FinishedStudy(runs_folder, output)
