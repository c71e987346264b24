"""Copies between host and device: plain on the CPU; through pinned memory on CUDA, and never read before they are there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.transfers import HostCopy, to_device
from tests.late_copies import GARBAGE, LateDevice

VALUES = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def test_on_the_cpu_nothing_is_pinned_and_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("pinned memory needs a CUDA device")

    for name in ("_pinned", "_pinned_buffer", "_arrival"):
        monkeypatch.setattr(f"helpers.transfers.{name}", refuse)
    ids = np.arange(6, dtype=np.int32)
    there = to_device(ids, "cpu")
    assert there.dtype == torch.int32 and there.tolist() == ids.tolist()
    assert torch.equal(HostCopy(VALUES).tensor(), VALUES)
    assert not HostCopy(VALUES.clone().requires_grad_()).tensor().requires_grad


def test_a_copy_is_waited_for_before_it_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    device = LateDevice().pretend(monkeypatch)
    first, second = HostCopy(VALUES), HostCopy(VALUES[0] * 10)
    assert device.log == ["queued", "queued"]  # the host has not waited for either
    assert torch.equal(first.tensor().as_subclass(torch.Tensor), VALUES)
    assert torch.equal(second.tensor().as_subclass(torch.Tensor), VALUES[0] * 10)
    first.tensor()
    assert device.log == ["queued", "queued", "waited", "waited"]  # each once
    public = [name for name in vars(HostCopy) if not name.startswith("_")]
    assert public == ["tensor"]  # there is no other way to the values


def test_the_pretended_device_shows_a_copy_that_is_read_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    LateDevice(arrives=False).pretend(monkeypatch)
    assert (HostCopy(VALUES).tensor() == GARBAGE).all()


def test_token_ids_go_through_pinned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    device = LateDevice().pretend(monkeypatch)
    ids = np.arange(6, dtype=np.int32)
    # "cpu" stands for the device: what is tested is that the ids are pinned first, and unchanged.
    there = to_device(ids, "cpu")
    assert device.log == ["pinned"] and there.tolist() == ids.tolist() and there.dtype == torch.int32


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_copies_on_a_real_device_are_pinned_and_whole() -> None:
    values = np.random.default_rng(0).normal(size=(500, 2000)).astype(np.float32)
    there = to_device(values, "cuda")
    copies = [HostCopy(there * factor) for factor in range(20)]
    for factor, copy in enumerate(copies):
        assert copy.tensor().is_pinned()
        np.testing.assert_array_equal(copy.tensor().numpy(), values * np.float32(factor))
