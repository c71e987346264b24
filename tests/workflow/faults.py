"""Kill a running study in every way, and say what a finished one holds."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from helpers.params.yaml_file import read_yaml
from helpers.storage import read_json, sha256_file
from helpers.workflow.stages import PROJECT_ROOT

# The whole tree at once; the process group alone, whose kernels live on for a moment; one kernel; one stage.
WAYS = ("tree", "group", "kernel", "stage")
_TIMES = ("seconds", "runs_folder")
# A store's manifest names the model's folder, so its size depends on where the study lies.
_SIZES = "megabytes_"


@dataclass
class KilledStudy:
    """A study that is run and killed, again and again, until it is finished.

    finished: results.json -> SHA-256 of each stage run that was ever seen finished.
    """

    file: Path
    runs_folder: Path
    options: tuple[str, ...] = ()
    finished: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.runs_folder / read_yaml(self.file)["study"]

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "helpers", "run", str(self.file), "--cores", "2"]
        return subprocess.Popen(
            [*command, "--runs-folder", str(self.runs_folder), *self.options],
            env=os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(PROJECT_ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run_and_kill(self, rng: random.Random, *, within: float, n_finished: int = 0) -> bool:
        """Start it and kill it at a random moment; False if it had ended before.

        Args:
            within: seconds from which the moment is drawn; they count from when n_finished stages have left their results.
        """
        process = self.start()
        way, patience = rng.choice(WAYS), rng.uniform(0.5, within)
        deadline = None
        while deadline is None or time.monotonic() < deadline:
            try:
                output, _ = process.communicate(timeout=0.1)
            except subprocess.TimeoutExpired:
                if deadline is None and self.n_finished >= n_finished:
                    deadline = time.monotonic() + patience
            else:
                assert process.returncode == 0, output
                self.check_nothing_finished_was_lost()
                return False
        _kill(process, way, rng)
        output, _ = process.communicate(timeout=600)
        assert process.returncode != 0 or way in ("kernel", "stage"), output
        self.check_nothing_finished_was_lost()
        return True

    @property
    def n_finished(self) -> int:
        """Stage runs that left their results."""
        return len(list(self.folder.glob("*/*/results.json")))

    def finish(self) -> str:
        process = self.start()
        output, _ = process.communicate(timeout=1800)
        assert process.returncode == 0, output
        self.check_nothing_finished_was_lost()
        return output

    def check_nothing_finished_was_lost(self) -> None:
        """What was once finished is still there, made by the same execution."""
        now = {
            str(path.parent.relative_to(self.folder)): sha256_file(path)
            for path in self.folder.glob("*/*/results.json")
        }
        assert {name: now.get(name) for name in self.finished} == self.finished
        self.finished = now


def _kill(process: subprocess.Popen[str], way: str, rng: random.Random) -> None:
    family = psutil.Process(process.pid).children(recursive=True)
    if way in ("tree", "group"):
        members = [psutil.Process(process.pid), *family] if way == "tree" else []
        os.killpg(process.pid, signal.SIGKILL)
    else:
        mark = "ipykernel_launcher" if way == "kernel" else "helpers stage"
        members = [member for member in family if mark in _command_line(member)]
        members = [rng.choice(members)] if members else family
    for member in members:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def contents(folder: Path) -> dict[str, Any]:
    """All that the stages of a finished study found and left, by stage run; times and the study's place are left out."""
    found: dict[str, Any] = {}
    for path in sorted(folder.glob("*/*/results.json")):
        values = _plain(read_json(path), folder)
        files = [file for artifact in values["artifacts"].values() for file in _files(path.parent / artifact)]
        found[str(path.parent.relative_to(folder))] = {
            key: values[key] for key in ("params", "metrics", "headline", "figures", "artifacts", "sources")
        } | {"files": {str(file.relative_to(path.parent)): _file_hash(file, folder) for file in files}}
    return found


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _file_hash(path: Path, folder: Path) -> str:
    if path.suffix == ".json":
        return _hash(_plain(read_json(path), folder))
    if path.suffix == ".safetensors":  # its header is a JSON whose keys come in any order
        content = path.read_bytes()
        start = 8 + int.from_bytes(content[:8], "little")
        return _hash(json.loads(content[8:start])) + hashlib.sha256(content[start:]).hexdigest()
    return sha256_file(path)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _plain(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key not in _TIMES and not key.startswith(_SIZES)}
        return {key: _plain(item, folder) for key, item in kept.items()}
    if isinstance(value, list):
        return [_plain(item, folder) for item in value]
    return value.replace(str(folder), ".") if isinstance(value, str) else value
