"""A simulation of a Colab session: a folder for PYTHONPATH that makes any Python below it look like Colab's kernel.

- `google.colab` is imported, as Colab's kernel does at its start.
- /content/... is another folder.
- Packages that Colab does not have look as if they were not installed, until pip is called.
- pip is not run: its calls are written to a file, with the constraints that they name.

It is not Colab: its Python, its versions of the packages and its machine are those of the test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

#: What a Colab session lacks of requirements.txt (2026; a longer list does no harm, what is there is not replaced).
ABSENT = (
    "sae-lens", "transformer-lens", "jaxtyping", "beartype", "POT", "kmapper", "ripser", "persim", "jupyterlab", "papermill",
    "snakemake", "pytest-benchmark", "hypothesis", "ruff", "mypy", "nbstripout", "types-PyYAML",
)  # fmt: skip

# Python imports a module of this name at its start.
_SITECUSTOMIZE = """
import json
import os
import subprocess
from importlib import metadata
from pathlib import Path

import google.colab

HERE = Path(__file__).parent
CONTENT = HERE.parent / "content"
CALLS = HERE / "pip_calls.jsonl"
ABSENT = {name.lower() for name in json.loads((HERE / "absent.json").read_text())}
real_chdir, real_run, real_version = os.chdir, subprocess.run, metadata.version


def chdir(path):
    path = str(path)
    real_chdir(str(CONTENT / path.removeprefix("/content/")) if path.startswith("/content/") else path)


def run(command, *arguments, **options):
    if isinstance(command, str) or list(command[1:3]) != ["-m", "pip"]:
        return real_run(command, *arguments, **options)
    constraints = Path(command[command.index("--constraint") + 1]).read_text().split()
    with CALLS.open("a") as file:
        file.write(json.dumps({"command": command, "constraints": constraints}) + "\\n")
    return subprocess.CompletedProcess(command, 0, "", "")


def version(name):
    if name.lower() in ABSENT and not CALLS.exists():
        raise metadata.PackageNotFoundError(name)
    return real_version(name)


os.chdir, subprocess.run, metadata.version = chdir, run, version
"""


@dataclass(frozen=True)
class ColabKernel:
    """Where the simulation is.

    Args:
        path: for PYTHONPATH.
        content: what the session sees as /content.
    """

    path: Path
    content: Path

    @property
    def calls(self) -> list[dict[str, list[str]]]:
        """pip's calls so far: "command" and "constraints" of each."""
        file = self.path / "pip_calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def forget(self) -> None:
        """A new session: nothing was installed yet."""
        (self.path / "pip_calls.jsonl").unlink(missing_ok=True)


def simulate(folder: Path) -> ColabKernel:
    """Write the simulation into `folder`."""
    path, content = folder / "colab", folder / "content"
    (path / "google" / "colab").mkdir(parents=True)
    (path / "google" / "colab" / "__init__.py").write_text("")
    (path / "sitecustomize.py").write_text(_SITECUSTOMIZE)
    (path / "absent.json").write_text(json.dumps(ABSENT))
    content.mkdir()
    return ColabKernel(path, content)
