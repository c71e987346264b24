"""Encoding a few rows at a time: the SAE's own result in its own precision, whatever the device, the model and the memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.activations import ActivationStore, collect_activations
from helpers.activations.batches import sparse_array
from helpers.activations.encoding import RowEncoder, arriving_sparse, non_zero_copies
from helpers.models import kept_rows, load_model, stream_activations
from tests.activations.conftest import small_sae
from tests.late_copies import LateDevice

HOOK_0, HOOK_1 = "blocks.0.hook_resid_post", "blocks.1.hook_mlp_out"
# Encoding 7 rows instead of 100 sums 16 float32 products in another order; the values are below 20.
FLOAT32_SUMS = 1e-5


@pytest.fixture
def rows():
    return torch.randn(100, 16, generator=torch.Generator().manual_seed(0))


def recorded(monkeypatch, sae, *, memory: int | None = None) -> list[torch.Tensor]:
    """What the SAE reads; with `memory` it has none for more rows than so many."""
    read, original = [], sae.process_sae_in

    def process(x):
        read.append(x)
        if memory is not None and len(x) > memory:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(x)

    monkeypatch.setattr(sae, "process_sae_in", process)
    return read


@pytest.mark.parametrize("kind", ["feature_acts", "hidden_pre"])
def test_encoding_in_parts_is_encoding(rows, monkeypatch, kind):
    sae = small_sae(k=None)
    whole = RowEncoder(sae, kind=kind).encode(rows)()
    monkeypatch.setattr("helpers.activations.encoding.ENCODED_VALUES", {"cpu": 40 * 7})
    read = recorded(monkeypatch, sae)
    parts = RowEncoder(sae, kind=kind).encode(rows)()
    assert [len(part) for part in read] == [7] * 14 + [2]
    assert parts.shape == whole.shape == (100, 40)
    if kind == "feature_acts":
        parts, whole = parts.toarray(), whole.toarray()
        np.testing.assert_allclose(whole, sae.encode(rows).detach().numpy(), atol=FLOAT32_SUMS)
    np.testing.assert_allclose(parts, whole, atol=FLOAT32_SUMS)


def test_rows_that_memory_is_too_small_for_are_encoded_in_halves(rows, monkeypatch, caplog):
    """Memory for 13 rows: 100 are tried once, then 50, 25, 13; so many are taken from then on, in later batches, too."""
    sae = small_sae(k=None)
    expected = RowEncoder(sae, kind="feature_acts").encode(rows)().toarray()
    read = recorded(monkeypatch, sae, memory=13)
    encoder = RowEncoder(sae, kind="feature_acts")
    found = encoder.encode(rows)().toarray()
    assert [len(part) for part in read] == [100, 50, 25, 13, 13, 13, 13, 13, 13, 13, 9]
    assert encoder.n_rows == 13 and "going on with 13 rows at once" in caplog.text
    read.clear()
    encoder.encode(rows[:20])
    assert [len(part) for part in read] == [13, 7]
    np.testing.assert_allclose(found, expected, atol=FLOAT32_SUMS)
    assert (expected > 0.1).mean() > 0.3


def test_a_row_that_does_not_fit_is_an_error(rows, monkeypatch):
    sae = small_sae(k=None)
    recorded(monkeypatch, sae, memory=0)
    with pytest.raises(torch.OutOfMemoryError, match="out of memory"):
        RowEncoder(sae, kind="feature_acts").encode(rows)


def test_a_short_last_batch_does_not_lower_the_number_of_rows(rows, monkeypatch):
    encoder = RowEncoder(small_sae(k=None), kind="feature_acts")
    before = encoder.n_rows
    encoder.encode(rows[:3])
    assert encoder.n_rows == before > 100


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_non_zero_values_found_by_the_device_are_those_found_by_the_loops(dtype):
    block = torch.randn(50, 30, generator=torch.Generator().manual_seed(1), dtype=torch.float32).to(dtype)
    block[block < 0.5] = 0
    block[3] = 0
    block[49] = 0
    block[7, 2], block[8, 29], block[9, 0] = torch.nan, torch.inf, -1.0
    expected, found = sparse_array(block), non_zero_copies(block)()
    for name in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.data.dtype == expected.data.dtype and found.shape == expected.shape
    assert np.isnan(found.data).sum() == 1  # a later check names it
    nothing = non_zero_copies(torch.zeros(4, 6))()
    assert nothing.shape == (4, 6) and nothing.nnz == 0
    assert arriving_sparse(block)().nnz == expected.nnz


@pytest.mark.parametrize("kind", ["feature_acts", "hidden_pre"])
def test_collecting_waits_for_what_it_writes(model, tokens, tmp_path, monkeypatch, kind):
    """On a device whose copies arrive late the store is the same, and a buffer that is read too early would be seen."""

    def collected(name: str) -> ActivationStore:
        saes = {"a": (small_sae(k=None), HOOK_0), "b": (small_sae(d_sae=55, k=None, seed=1), HOOK_1)}
        collect_activations(model, saes, tokens, tmp_path / name, kind=kind, batch_size=8)
        return ActivationStore.open(tmp_path / name / "a")

    plain = collected("plain")
    monkeypatch.setattr("helpers.activations.encoding.ENCODED_VALUES", {"cpu": 1 << 30})
    device = LateDevice().pretend(monkeypatch)
    assert collected("late").checksum() == plain.checksum()
    n_batches = -(-tokens.n_sequences // 8)
    copies_a_batch = 2 * (3 if kind == "feature_acts" else 1)
    assert device.log.count("queued") == device.log.count("waited") == n_batches * copies_a_batch
    assert device.log.count("pinned") >= n_batches  # token ids, and the numbers of the kept rows
    if kind == "hidden_pre":
        LateDevice(arrives=False).pretend(monkeypatch)
        assert collected("early").checksum() != plain.checksum()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("stored", ["float16", "float32"])
def test_a_model_of_half_precision_with_a_dictionary_of_float32(
    model_folder, tokens, tmp_path, monkeypatch, dtype, stored
):
    half = load_model(model_folder, device="cpu", dtype=dtype)
    sae = small_sae(k=None)
    read = recorded(monkeypatch, sae)
    store = collect_activations(half, {"a": (sae, HOOK_0)}, tokens, tmp_path, dtype=stored, batch_size=8)["a"]
    assert {part.dtype for part in read} == {torch.float32}
    assert store.manifest.dtype == stored == store.csr().data.dtype

    def encoded(dictionary, cast) -> np.ndarray:
        batches = [tokens.sequences(start, start + 8) for start in range(0, tokens.n_sequences, 8)]
        with torch.no_grad():
            parts = [
                dictionary.encode(cast(kept_rows(activations[HOOK_0], part)))
                for part, activations in stream_activations(half, batches, [HOOK_0])
            ]
        return torch.cat(parts).float().numpy()

    found = store.rows(0, store.n_tokens).toarray()
    # The same sums in the same order, so equal to the last bit; float16 then rounds what is stored.
    np.testing.assert_array_equal(found, encoded(sae, lambda acts: acts.float()).astype(stored))
    # The trap, encoding in the model's precision, gives other numbers.
    trap = encoded(small_sae(k=None).to(getattr(torch, dtype)), lambda acts: acts)
    assert (found != trap.astype(stored)).mean() > 0.1
