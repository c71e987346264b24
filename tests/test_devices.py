import pytest
import torch

from helpers.devices import resolve_device


def test_auto_takes_cuda_if_there_is_one():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_an_absent_device_is_refused():
    with pytest.raises(ValueError, match="device 'cuda:99' is not there; found"):
        resolve_device("cuda:99")
