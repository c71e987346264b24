"""Which device to compute on, and what to do when its memory is too small."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
logger = logging.getLogger(__name__)


def resolve_device(name: str = "auto") -> torch.device:
    """The device of a parameter value: "auto" is CUDA if there is one, else the CPU.

    Raises:
        ValueError: the device asked for is not there.
    """
    import torch  # late: the command line starts in a moment without it

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= n_cuda:
        raise ValueError(f"device '{name}' is not there; found {n_cuda} CUDA devices; use 'auto' or 'cpu'")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device 'mps' is not there; use 'auto' or 'cpu'")
    return device


def cuda_is_likely() -> bool:
    """Whether an NVIDIA driver is installed; importing torch only to ask it would cost a second and 0.5 GiB."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def run_in_halves(run: Callable[[int], T], n: int, *, unit: str) -> tuple[T, int]:
    """run(n) or, where an accelerator's memory is too small for it, run of half as many, of a quarter, and so on.

    Args:
        run: does the whole work with so many `unit`s at once; it is called again from its beginning.
    Returns:
        What `run` returned, and how many it were: with as many the next work fits.
    Raises:
        torch.OutOfMemoryError: a single one does not fit.
    """
    import torch

    while True:
        try:
            return run(n), n
        except torch.OutOfMemoryError:
            if n <= 1:
                raise
        # Outside of the handler: its exception holds the frames, and with them the tensors, of the failed attempt.
        n = (n + 1) // 2
        logger.warning("out of memory: going on with %d %s at once", n, unit)
        torch.cuda.empty_cache()
