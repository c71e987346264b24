"""The state of a notebook's process: seeds, threads, device, quiet libraries, versions, memory.

The numbers of a stage depend on this module (and on nothing else in helpers.workflow), so that a change here makes
every result stale.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import random
import resource
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np

LIBRARIES = (
    "torch",
    "transformers",
    "transformer-lens",
    "sae-lens",
    "tokenizers",
    "datasets",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "numba",
    "matplotlib",
)

# Known and harmless, by exact beginning; every other warning is shown.
HARMLESS_WARNINGS = (
    r"IProgress not found",
    r"TqdmWarning",
    r"`resume_download` is deprecated",
    r"`torch_dtype` is deprecated",
)
_CHATTY_LOGGERS = ("datasets", "huggingface_hub", "httpx", "filelock", "urllib3", "fsspec", "numba", "matplotlib")


def quiet_libraries() -> None:
    """Keep the libraries' own progress bars and notices out of the notebooks; errors and unknown warnings stay."""
    for variable in ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ[variable] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    for beginning in HARMLESS_WARNINGS:
        warnings.filterwarnings("ignore", message=beginning)
    for name in _CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    # These read their environment variables when they are imported, which may have been earlier or comes later.
    if "datasets" in sys.modules:
        sys.modules["datasets"].disable_progress_bars()
    if "transformers" in sys.modules:
        transformers_logging = sys.modules["transformers"].utils.logging
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
    if "huggingface_hub" in sys.modules:
        sys.modules["huggingface_hub"].utils.disable_progress_bars()


def seed_everything(seed: int, *, n_threads: int) -> np.random.Generator:
    """Seed Python, NumPy's and torch's global generators, fix the number of CPU threads.

    Our own code takes a generator; the global ones are seeded for libraries that use them.

    Returns:
        A generator of this seed.
    """
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.set_num_threads(n_threads)
    return np.random.default_rng(seed)


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries whose numbers we report."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def current_commit(root: Path) -> str | None:
    """Short commit of the code, with "+" if tracked files were changed since; None outside a repository."""
    commit = _git(root, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return None
    return commit + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def peak_memory_mib() -> float:
    """Largest resident memory so far of this process or of one finished child, in MiB."""
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes on macOS, KiB elsewhere
