"""The record of a stage run that failed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from helpers.results import FAILURE_FILE
from helpers.storage import read_json, write_json
from helpers.workflow.stages import StageRun


@dataclass(frozen=True)
class StageFailure:
    """Why a stage run failed: one sentence, and the executed notebook, which shows the traceback."""

    stage_run: str
    error: str
    notebook: str

    def __str__(self) -> str:
        return f"{self.stage_run} failed: {self.error}\n    the notebook as far as it came: {self.notebook}"

    def save(self, folder: Path) -> None:
        """Write it into the folder of the stage run."""
        write_json(folder / FAILURE_FILE, dataclasses.asdict(self))


def read_failure(study_folder: Path, stage_run: StageRun) -> StageFailure | None:
    """The recorded failure of the last execution, if it failed."""
    path = stage_run.folder(study_folder) / FAILURE_FILE
    return StageFailure(**read_json(path)) if path.exists() else None
