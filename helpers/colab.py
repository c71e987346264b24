"""Prepare a Google Colab session: install what is missing, and leave Colab's own torch and numpy alone.

Replacing a package that the session has already imported forces a restart of the runtime, so a package that is there in
any version stays; the installer is told to keep those versions.
"""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

logger = logging.getLogger(__name__)

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements.txt"


def missing_requirements(requirements: str | Path = REQUIREMENTS) -> list[str]:
    """Lines of a requirements file whose package is not installed in any version."""
    lines = [line.strip() for line in Path(requirements).read_text(encoding="utf-8").splitlines()]
    pins = [line for line in lines if line and not line.startswith("#")]
    return [pin for pin in pins if not _installed(re.split(r"[=<>!~\[ ]", pin)[0])]


def install_missing(requirements: str | Path = REQUIREMENTS) -> list[str]:
    """Install the missing packages with pip, keeping every installed version; returns what was installed.

    Raises:
        RuntimeError: pip failed; its last lines are in the message.
    """
    missing = missing_requirements(requirements)
    if not missing:
        return []
    installed = "\n".join(f"{name}=={version}" for name, version in _installed_versions().items())
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(installed, encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(constraints), *missing]
        logger.info("installing %s", ", ".join(missing))
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pip could not install {', '.join(missing)}:\n{done.stderr[-2000:]}")
    return missing


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _installed_versions() -> dict[str, str]:
    core = ("torch", "numpy", "scipy", "pandas", "matplotlib", "transformers")
    return {name: metadata.version(name) for name in core if _installed(name)}
