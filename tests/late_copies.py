"""A CUDA device pretended on the CPU, whose copies to the host arrive when somebody waits for them and not before."""

from __future__ import annotations

import pytest
import torch

from helpers import transfers
from helpers.activations import encoding

GARBAGE = 77  # what stands in a pinned buffer before the copy is there


class LateTensor(torch.Tensor):
    """A pinned buffer: copying into it is queued."""

    device_of_copies: LateDevice

    def copy_(self, source: torch.Tensor, non_blocking: bool = False) -> LateTensor:
        assert non_blocking, "a copy that blocks makes the host wait"
        self.device_of_copies.queue(self, source)
        return self


class LateDevice:
    """Counts and delays copies.

    Args:
        arrives: False plants the classical bug: nobody really waits, so that buffers are read before the copy is there.
    """

    def __init__(self, *, arrives: bool = True):
        self.arrives = arrives
        self.log: list[str] = []
        self._queued: list[tuple[LateTensor, torch.Tensor]] = []

    def pretend(self, monkeypatch: pytest.MonkeyPatch) -> LateDevice:
        """Let every transfer, and the search for non-zero values, take the path of a CUDA device."""
        monkeypatch.setattr(transfers, "_is_cuda", lambda _device: True)
        monkeypatch.setattr(transfers, "_pinned", self._pinned)
        monkeypatch.setattr(transfers, "_pinned_buffer", self._pinned_buffer)
        monkeypatch.setattr(transfers, "_arrival", lambda _device: _Arrival(self, len(self._queued)))
        monkeypatch.setattr(encoding, "arriving_sparse", encoding.non_zero_copies)
        return self

    def queue(self, buffer: LateTensor, source: torch.Tensor) -> None:
        self.log.append("queued")
        self._queued.append((buffer, source.clone()))

    def wait(self, n_copies: int) -> None:
        self.log.append("waited")
        for buffer, source in self._queued[:n_copies] if self.arrives else []:
            buffer.as_subclass(torch.Tensor).copy_(source)

    def _pinned(self, tensor: torch.Tensor) -> torch.Tensor:
        self.log.append("pinned")
        return tensor.clone()

    def _pinned_buffer(self, tensor: torch.Tensor) -> LateTensor:
        buffer = torch.full(tensor.shape, GARBAGE, dtype=tensor.dtype).as_subclass(LateTensor)
        buffer.device_of_copies = self
        return buffer


class _Arrival:
    def __init__(self, device: LateDevice, n_copies: int):
        self.device, self.n_copies = device, n_copies

    def synchronize(self) -> None:
        self.device.wait(self.n_copies)
