"""The sum that a permutation asks for: by loops, on a device, and by the plain formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.nulls import permutation_test
from helpers.similarity import pairing_sums
from helpers.similarity.pairing_sums import device_pairing_sum, pairing_sum

CPU = torch.device("cpu")
DEVICES = [CPU] + ([torch.device("cuda")] if torch.cuda.is_available() else [])


def symmetric(n: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(n, n))
    return values + values.T


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("ordered_values", [1, 500, 1 << 24])
def test_every_way_gives_the_sum_over_pairs(device, ordered_values, monkeypatch):
    monkeypatch.setattr(pairing_sums, "ORDERED_VALUES", ordered_values)
    n = 60
    a, b = symmetric(n, 1), symmetric(n, 2)
    loops, on_device = pairing_sum(a, b), device_pairing_sum(a, b, device=device)
    # float64 sums of 1,770 products below 50, in another order
    tolerance = 1770 * 50 * np.finfo(np.float64).eps
    for seed in range(5):
        p = np.random.default_rng(seed).permutation(n)
        plain = sum(a[i, j] * b[p[i], p[j]] for i in range(n) for j in range(i + 1, n))
        assert loops(p) == pytest.approx(plain, abs=tolerance)
        assert on_device(p) == pytest.approx(plain, abs=tolerance)
        assert on_device(p) == on_device(p)
    assert abs(loops(np.arange(n)) - loops(p)) > 1  # a permutation changes the sum


def pretend_a_gpu(monkeypatch, *, free: int) -> list[str]:
    """The CPU under a GPU's name, for matrices of any size; what was sent to it is listed."""
    sent = []

    def on_cpu(a, b, *, device):
        sent.append(device.type)
        return device_pairing_sum(a, b, device=CPU)

    monkeypatch.setattr(pairing_sums, "GPU_ROWS", 10)
    monkeypatch.setattr(pairing_sums, "cuda_is_likely", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 1 << 40))
    monkeypatch.setattr(pairing_sums, "device_pairing_sum", on_cpu)
    return sent


@pytest.mark.parametrize("measure", ["rsa", "rsa_euclidean", "linear_cka_debiased"])
@pytest.mark.parametrize("n_threads", [None, 2])
def test_a_permutation_test_is_the_same_on_a_gpu(measure, n_threads, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 30))
    y = np.hstack([x[:, :10], rng.normal(size=(40, 30))])
    options = {"measure": measure, "n_permutations": 50, "n_threads": n_threads}
    expected = permutation_test(x, y, **options)
    sent = pretend_a_gpu(monkeypatch, free=1 << 40)
    found = permutation_test(x, y, **options)
    assert sent == ["cuda"]
    np.testing.assert_allclose(found.null, expected.null, atol=1e-12)  # 780 products of size 1/780
    assert found.score == pytest.approx(expected.score, abs=1e-12)
    assert found.p_value == expected.p_value == 1 / 51


def test_a_gpu_without_room_or_with_little_to_do_is_left_alone(monkeypatch, caplog):
    a, b = symmetric(12, 1), symmetric(12, 2)
    sent = pretend_a_gpu(monkeypatch, free=1000)
    with caplog.at_level("INFO", logger="helpers.similarity.pairing_sums"):
        alone = pairing_sum(a, b)(np.arange(12))
    assert "permutations on the CPU: the GPU has 0.0 GiB free" in caplog.text and sent == []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1 << 40, 1 << 40))
    assert pairing_sum(a, b)(np.arange(12)) == pytest.approx(alone, abs=1e-12) and sent == ["cuda"]
    pairing_sum(a[:9, :9], b[:9, :9])
    assert sent == ["cuda"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    pairing_sum(a, b)
    assert sent == ["cuda"]
