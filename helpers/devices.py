"""Which device to compute on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


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
