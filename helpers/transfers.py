"""Arrays between the host's memory and a CUDA device, without the host waiting for the device.

A copy to or from ordinary memory makes the host wait until the device has done everything before it. From page-locked
("pinned") memory a copy is queued like any other work of the device, and the host goes on: it can queue the next batch
meanwhile. Such a copy to the host must not be read before it is there; a `HostCopy` gives its values out in one way
only, and that waits first. On the CPU and on MPS there is nothing to wait for: copies are plain ones.

Freed pinned memory is kept by torch's own allocator, which gives it to nobody before the copies that use it are done.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


def to_device(array: np.ndarray, device: torch.device | str) -> torch.Tensor:
    """The array on a device; on CUDA through pinned memory, so that the host does not wait. Its type stays.

    Notes:
        On the CPU the tensor shares the array's memory.
    """
    tensor = torch.from_numpy(array)
    if not _is_cuda(device):
        return tensor.to(device)
    return _pinned(tensor).to(device, non_blocking=True)


class HostCopy:
    """A tensor on its way to the host.

    Making one starts the copy, behind the work that the device has queued so far; `tensor()` waits until it is there. The
    buffer is private and there is no other way to it, so values that are not there yet cannot be read. The waiting may be
    left to another thread.
    """

    def __init__(self, tensor: torch.Tensor):
        tensor = tensor.detach()
        self._arrival: Any = None  # None: already there
        if _is_cuda(tensor.device):
            self._buffer = _pinned_buffer(tensor)
            self._buffer.copy_(tensor, non_blocking=True)
            self._arrival = _arrival(tensor.device)
        else:
            self._buffer = tensor.cpu()

    def tensor(self) -> torch.Tensor:
        """The values, on the host; waits for them."""
        if self._arrival is not None:
            self._arrival.synchronize()
            self._arrival = None
        return self._buffer


def _is_cuda(device: torch.device | str) -> bool:
    return torch.device(device).type == "cuda"


def _pinned(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.pin_memory()


def _pinned_buffer(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)


def _arrival(device: torch.device) -> torch.cuda.Event:
    """What happens when the device has done all that is queued for it now; waiting for it lets other threads run."""
    event = torch.cuda.Event(blocking=True)
    event.record(torch.cuda.current_stream(device))
    return event
