"""What a stage leaves for readers and for the next stage: results.json, read and written here only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from helpers.storage import read_json, write_json

RESULTS_FILE = "results.json"
FAILURE_FILE = "failure.json"  # {"error": one sentence}, while the last execution failed

Metric = float | int | str | bool | list[Any] | None


@dataclass(frozen=True, repr=False)
class StageResult:
    """One execution of one notebook.

    Args:
        stage: notebook name, e.g. "02_train_saes".
        run: name of this execution; with `study` and `stage` it fixes the folder.
        params: all parameters, plain JSON.
        versions: python and library versions.
        commit: commit of the code, with "+" if files were changed since; None outside a repository.
        device: where it computed, e.g. "cpu".
        started: local time, ISO 8601.
        seconds: wall-clock time.
        peak_memory_mib: largest resident memory of the process or of one of its children.
        metrics: the numbers, flat.
        headline: {"label", "value", "detail"} of the numbers to show first.
        figures: {"file" (relative to the folder), "title", "caption", "headline" (whether to show it first)}.
        artifacts: name -> path relative to the folder.
        warnings: "stage/run" of what raised it (this one, or an earlier one that it rests on) -> what readers must know.
        sources: what it was made from (parameters, notebook, helper modules, data files) -> short SHA-256.
        inputs: "stage/run" of every result it read -> short SHA-256 of that results.json.
        folder: where it lies; not part of the JSON, so that a study can be moved.
    """

    stage: str
    run: str
    study: str
    params: Mapping[str, Any]
    versions: Mapping[str, str]
    commit: str | None
    device: str
    seed: int
    started: str
    seconds: float
    peak_memory_mib: float
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    headline: list[dict[str, str]] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    warnings: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return (
            f"{self.stage}/{self.run} of study {self.study}: {self.seconds:.0f} s, {self.peak_memory_mib:.0f} MiB, "
            f"{len(self.metrics)} metrics, {len(self.figures)} figures, artifacts: {', '.join(self.artifacts) or 'none'}"
        )

    def artifact(self, name: str) -> Path:
        """Path of a file or folder that the stage left.

        Raises:
            ValueError: the stage left no artifact of this name, or it is gone from the disk.
        """
        if name not in self.artifacts:
            known = ", ".join(self.artifacts) or "none"
            raise ValueError(f"{self.stage}/{self.run} left no artifact '{name}'; it left: {known}")
        path = (self.folder or Path()) / self.artifacts[name]
        if not path.exists():
            raise ValueError(f"{path} is gone; run {self.stage} with run='{self.run}' again")
        return path

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, without the folder."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "folder"}
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, folder: Path | None = None) -> Self:
        """Inverse of `to_dict`.

        Raises:
            ValueError: keys are missing or unknown.
        """
        fields = {item.name: item for item in dataclasses.fields(cls) if item.name != "folder"}
        required = {name for name, item in fields.items() if item.default_factory is dataclasses.MISSING}
        missing, unknown = sorted(required - set(values)), sorted(set(values) - set(fields))
        if missing or unknown:
            raise ValueError(
                f"expected the keys of a stage result; missing: {', '.join(missing) or 'none'}; "
                f"unknown: {', '.join(unknown) or 'none'}; run the stage again"
            )
        return cls(**values, folder=folder)

    def save(self, folder: str | Path) -> Path:
        """Write `folder`/results.json, atomically; NaN and infinity are refused."""
        path = Path(folder) / RESULTS_FILE
        write_json(path, self.to_dict())
        return path

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read `folder`/results.json.

        Raises:
            ValueError: it is missing, is not JSON or lacks keys; the message names the file.
        """
        path = Path(folder) / RESULTS_FILE
        try:
            values = read_json(path)
        except FileNotFoundError:
            raise ValueError(f"{path} is not there; run the stage first") from None
        except ValueError as error:
            raise ValueError(f"{path} is not a whole JSON file ({error}); run the stage again") from error
        if not isinstance(values, dict):
            raise ValueError(f"{path}: expected a JSON object, got {type(values).__name__}; run the stage again")  # noqa: TRY004 (callers catch ValueError)
        try:
            return cls.from_dict(values, folder=path.parent)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
