"""What a study computes on a CUDA device, against the same on the CPU; each test prints both times (pytest -s -m gpu).

The paths themselves are tested everywhere: transfers with a pretended device (tests/late_copies.py), the matching engine
and the sums of permutation tests on the CPU. Here is what only a device can show.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from helpers.activations import collect_activations
from helpers.matching import engines, match_features
from helpers.matching.torch_engine import TorchEngine
from helpers.models import load_model
from helpers.nulls import permutation_test
from helpers.similarity import pairing_sums
from tests.activations.conftest import random_activations, small_sae
from tests.matching.conftest import pair_set

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; every path is also tested without"),
]

HOOK = "blocks.0.hook_resid_post"
# float32 sums of some hundred products of size up to 10, in another order
FLOAT32_SUMS = 1e-4


def timed(work: Callable[[], Any], *, label: str) -> Any:
    """The result of the second run; the first loads kernels and compiles loops."""
    work()
    start = time.perf_counter()
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    print(f"{label}: {time.perf_counter() - start:.3f} s")  # noqa: T201 (the times are part of the result)
    return result


@pytest.mark.parametrize("kind", ["feature_acts", "hidden_pre"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_collecting(model_folder, tokens, tmp_path, kind, dtype):
    found = {}
    for device in ("cpu", "cuda"):
        model = load_model(model_folder, device=device, dtype=dtype)
        saes = {"a": (small_sae(k=None, d_sae=400).to(device), HOOK)}
        folder = tmp_path / device
        stores = timed(
            lambda model=model, saes=saes, folder=folder: collect_activations(
                model, saes, tokens, folder, kind=kind, dtype="float32", batch_size=8
            ),
            label=f"collecting {kind}, {dtype} model, {device}",
        )
        rows = stores["a"].rows(0, tokens.n_tokens)
        found[device] = rows if kind == "hidden_pre" else rows.toarray()
    # A model in half precision rounds every layer: to 8 bits (bfloat16) or 11 (float16), in another order of sums.
    rounding = {"float32": 0.0, "bfloat16": 2.0**-8, "float16": 2.0**-11}[dtype]
    size = np.abs(found["cpu"]).max()
    difference = np.abs(found["cuda"] - found["cpu"])
    assert difference.max() <= FLOAT32_SUMS + 8 * rounding * size  # a few roundings at the worst value
    assert difference.mean() <= FLOAT32_SUMS + rounding * size
    assert found["cpu"].std() > 100 * FLOAT32_SUMS


def test_a_collection_is_the_same_every_time(model_folder, tokens, tmp_path):
    model = load_model(model_folder, device="cuda")
    saes = {"a": (small_sae(d_sae=400, k=8).to("cuda"), HOOK)}
    stores = [collect_activations(model, saes, tokens, tmp_path / str(n), batch_size=8)["a"] for n in range(3)]
    assert len({store.checksum() for store in stores}) == 1


def test_a_small_memory_halves_the_rows(tmp_path, tokens, model_folder, caplog):
    """A real shortage: 24 MiB are left, and encoding a batch of 500 rows at once takes 40 and more."""
    model = load_model(model_folder, device="cuda")
    saes = {"a": (small_sae(k=None, d_sae=20_000).to("cuda"), HOOK)}
    expected = collect_activations(model, saes, tokens, tmp_path / "roomy", batch_size=8)["a"]
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + (24 << 20)) / total)
    try:
        found = collect_activations(model, saes, tokens, tmp_path / "small", batch_size=8)["a"]
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "rows at once" in caplog.text
    difference = found.rows(0, found.n_tokens) - expected.rows(0, found.n_tokens)
    assert abs(difference).max() <= FLOAT32_SUMS + 2.0**-10 * abs(expected.rows(0, found.n_tokens)).max()


@pytest.mark.parametrize("method", ["nearest", "one_to_one"])
def test_matching(method, monkeypatch):
    a, b = (
        random_activations(20_000, 2_000, density=0.01, seed=1),
        random_activations(20_000, 2_000, density=0.01, seed=2),
    )
    monkeypatch.setattr(engines, "cuda_is_likely", lambda: False)
    expected = timed(lambda: match_features(a, b, method=method), label=f"matching, {method}, cpu")
    monkeypatch.setattr(engines, "cuda_is_likely", lambda: True)
    assert isinstance(engines.open_engine(a, b), TorchEngine)
    found = timed(lambda: match_features(a, b, method=method), label=f"matching, {method}, cuda")
    assert pair_set(found) == pair_set(expected)
    np.testing.assert_allclose(found.corr, expected.corr, atol=1e-6)  # stored in float32


@pytest.mark.parametrize("measure", ["rsa", "linear_cka_debiased"])
def test_permutation_tests(measure, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 200))
    y = np.hstack([x[:, :40], rng.normal(size=(1500, 200))])
    options = {"measure": measure, "n_permutations": 200}
    monkeypatch.setattr(pairing_sums, "cuda_is_likely", lambda: False)
    expected = timed(lambda: permutation_test(x, y, **options), label=f"{measure}, 200 permutations, cpu")
    monkeypatch.setattr(pairing_sums, "cuda_is_likely", lambda: True)
    found = timed(lambda: permutation_test(x, y, **options), label=f"{measure}, 200 permutations, cuda")
    # float64 sums of a million products whose squares add to 1, in another order
    np.testing.assert_allclose(found.null, expected.null, atol=1e-10)
    assert found.score == pytest.approx(expected.score, abs=1e-10)
    assert found.p_value == expected.p_value
