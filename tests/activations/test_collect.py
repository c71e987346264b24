"""Collected rows are the SAE's own encoding of exactly the kept tokens."""

from __future__ import annotations

import errno
import logging
import threading
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from helpers.activations import ActivationStore, collect_activations
from helpers.activations.background import MOST_WAITING
from helpers.activations.encoding import RowEncoder
from helpers.activations.streams import ArrayStream
from helpers.activations.writer import StoreWriter
from tests.activations.conftest import small_sae

HOOK_0, HOOK_1 = "blocks.0.hook_resid_post", "blocks.1.hook_mlp_out"
# float16 keeps 11 bits: relative error up to 2**-11
HALF_PRECISION = 2.0**-11


class InTurn:
    """Writes at once, while the caller waits."""

    def submit(self, task):
        task()


def reference(model, sae, hook_name, tokens):
    """All positions in one full forward pass, encoded, masked last."""
    with torch.no_grad():
        _, cache = model.run_with_cache(torch.tensor(tokens.input_ids, dtype=torch.int64), prepend_bos=False)
        encoded = sae.encode(cache[hook_name])
    return encoded[torch.tensor(tokens.keep_mask)].numpy()


def test_two_dictionaries_in_one_pass(model, tokens, tmp_path, monkeypatch):
    passes = []
    original = model.run_with_cache
    monkeypatch.setattr(model, "run_with_cache", lambda *a, **k: (passes.append(1), original(*a, **k))[1])
    saes = {"a": (small_sae(), HOOK_0), "b": (small_sae(d_sae=55, k=7, seed=1), HOOK_1)}
    stores = collect_activations(model, saes, tokens, tmp_path, batch_size=8)
    assert len(passes) == -(-tokens.n_sequences // 8)
    for name, (sae, hook_name) in saes.items():
        store = stores[name]
        assert store.shape == (tokens.n_tokens, sae.cfg.d_sae)
        expected = reference(model, sae, hook_name, tokens)
        # batching changes float32 sums in the last digits, hence the absolute part
        np.testing.assert_allclose(
            store.rows(0, store.n_tokens).toarray(), expected, rtol=HALF_PRECISION * 1.01, atol=1e-5
        )
        assert 0 < store.l0 <= sae.cfg.k
        np.testing.assert_array_equal(store.token_ids, tokens.token_ids())
        np.testing.assert_array_equal(store.documents, tokens.row_documents())
        np.testing.assert_array_equal(store.positions, tokens.row_positions())
        assert store.manifest.tokens_fingerprint == tokens.fingerprint()
        assert store.manifest.source["hook_name"] == hook_name


def test_padding_and_bos_leave_no_row(model, tokens, tmp_path, tokenizer):
    assert (~tokens.keep_mask).sum() > tokens.n_sequences  # there is padding beside the BOS
    store = collect_activations(model, {"a": (small_sae(), HOOK_0)}, tokens, tmp_path)["a"]
    assert store.n_tokens == tokens.keep_mask.sum() < tokens.input_ids.size
    assert not np.isin(store.token_ids, tokenizer.all_special_ids).any()


def test_float32_keeps_the_encoding(model, tokens, tmp_path):
    sae = small_sae(k=None)
    store = collect_activations(model, {"a": (sae, HOOK_0)}, tokens, tmp_path, dtype="float32")["a"]
    expected = reference(model, sae, HOOK_0, tokens)
    np.testing.assert_allclose(store.rows(0, store.n_tokens).toarray(), expected, atol=1e-4)


def test_pre_activations(model, tokens, tmp_path):
    sae = small_sae()
    store = collect_activations(model, {"a": (sae, HOOK_0)}, tokens, tmp_path, kind="hidden_pre", dtype="float32")["a"]
    with torch.no_grad():
        _, cache = model.run_with_cache(torch.tensor(tokens.input_ids, dtype=torch.int64), prepend_bos=False)
        kept = cache[HOOK_0][torch.tensor(tokens.keep_mask)]
        shifted = kept - sae.b_dec if sae.cfg.apply_b_dec_to_input else kept
        expected = (shifted @ sae.W_enc + sae.b_enc).numpy()
    assert store.kind == "hidden_pre"
    assert (expected < 0).mean() > 0.2
    np.testing.assert_allclose(store.rows(0, store.n_tokens), expected, atol=1e-4)


def test_an_interrupted_collection_equals_an_undisturbed_one(model, tokens, tmp_path, monkeypatch):
    def saes():
        return {"a": (small_sae(), HOOK_0), "b": (small_sae(d_sae=55, seed=1), HOOK_1)}

    whole = collect_activations(model, saes(), tokens, tmp_path / "whole", batch_size=8)

    broken = saes()
    calls = []
    encode = RowEncoder.encode

    def dies(encoder, rows):
        calls.append(encoder.sae is broken["b"][0])
        if sum(calls) == 4:
            raise RuntimeError("killed")
        return encode(encoder, rows)

    monkeypatch.setattr(RowEncoder, "encode", dies)
    with pytest.raises(RuntimeError, match="killed"):
        collect_activations(model, broken, tokens, tmp_path / "parts", batch_size=8)
    assert not (tmp_path / "parts" / "a").exists()

    monkeypatch.setattr(RowEncoder, "encode", encode)
    passes = []
    original = model.run_with_cache
    monkeypatch.setattr(model, "run_with_cache", lambda *a, **k: (passes.append(1), original(*a, **k))[1])
    parts = collect_activations(model, saes(), tokens, tmp_path / "parts", batch_size=8)
    assert len(passes) == -(-tokens.n_sequences // 8) - 3  # three batches were complete in both stores
    for name in whole:
        assert parts[name].checksum() == whole[name].checksum()


def test_writing_in_the_background_changes_no_byte(model, tokens, tmp_path, monkeypatch):
    saes = {"a": (small_sae(), HOOK_0), "b": (small_sae(d_sae=55, seed=1), HOOK_1)}
    threads = set()
    append = StoreWriter.append

    def recorded(writer, *arguments, **options):
        threads.add(threading.current_thread().name)
        append(writer, *arguments, **options)

    monkeypatch.setattr(StoreWriter, "append", recorded)
    behind = collect_activations(model, saes, tokens, tmp_path / "behind", batch_size=8)
    assert len(threads) == 1 and threads.pop().startswith("background-writer")
    monkeypatch.setattr("helpers.activations.collect.background_writer", lambda: nullcontext(InTurn()))
    in_turn = collect_activations(model, saes, tokens, tmp_path / "in_turn", batch_size=8)
    assert threads == {threading.main_thread().name}
    for name in saes:
        for file in sorted(behind[name].path.iterdir()):
            assert file.read_bytes() == (in_turn[name].path / file.name).read_bytes(), file.name


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_no_finished_store_and_goes_on(model, tokens, tmp_path, monkeypatch, error):
    saes = {"a": (small_sae(), HOOK_0)}
    whole = collect_activations(model, saes, tokens, tmp_path / "whole", batch_size=8)["a"]
    passes, original = [], model.run_with_cache

    def interrupted(*arguments, **options):
        passes.append(1)
        if len(passes) == 4:
            raise error
        return original(*arguments, **options)

    monkeypatch.setattr(model, "run_with_cache", interrupted)
    with pytest.raises(error):
        collect_activations(model, saes, tokens, tmp_path / "parts", batch_size=8)
    assert not (tmp_path / "parts" / "a").exists()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("background-writer")]
    n_before = len(passes)
    parts = collect_activations(model, saes, tokens, tmp_path / "parts", batch_size=8)["a"]
    # What was handed over before the interruption is on the disk: three batches are not computed again.
    assert len(passes) - n_before == -(-tokens.n_sequences // 8) - 3
    assert parts.checksum() == whole.checksum()


def test_a_disk_that_fills_up_meanwhile_ends_the_collection(model, tokens, tmp_path, monkeypatch):
    appended, original = [], ArrayStream.append

    def full(stream, values):
        appended.append(stream)
        if len(appended) > 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(stream, values)

    monkeypatch.setattr(ArrayStream, "append", full)
    passes, run = [], model.run_with_cache
    monkeypatch.setattr(model, "run_with_cache", lambda *a, **k: (passes.append(1), run(*a, **k))[1])
    with pytest.raises(OSError, match="cannot write the activation store .*a; the disk is full: free space"):
        collect_activations(model, {"a": (small_sae(), HOOK_0)}, tokens, tmp_path, batch_size=1)
    assert not (tmp_path / "a").exists() and not (tmp_path / ".a.partial").exists()
    # Six streams: the fourth batch fails; the caller is told at one of the next two it hands over.
    assert 4 <= len(passes) <= 4 + MOST_WAITING + 1 < tokens.n_sequences


def test_another_dictionary_is_not_continued(model, tokens, tmp_path, monkeypatch):
    def refuse(_writer):
        raise KeyError

    first, second = small_sae(), small_sae(seed=9)
    monkeypatch.setattr("helpers.activations.writer.StoreWriter.finish", refuse)
    with pytest.raises(KeyError):
        collect_activations(model, {"a": (first, HOOK_0)}, tokens, tmp_path, batch_size=8)
    monkeypatch.undo()
    store = collect_activations(model, {"a": (second, HOOK_0)}, tokens, tmp_path, batch_size=8)["a"]
    undisturbed = collect_activations(model, {"a": (second, HOOK_0)}, tokens, tmp_path / "new", batch_size=8)["a"]
    assert store.checksum() == undisturbed.checksum()


def test_a_store_of_the_same_values_is_kept(model, tokens, tmp_path, monkeypatch):
    saes = {"a": (small_sae(), HOOK_0)}
    collect_activations(model, saes, tokens, tmp_path, batch_size=8)
    before = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "a").iterdir()}
    monkeypatch.setattr(model, "run_with_cache", lambda *_a, **_k: pytest.fail("nothing is left to compute"))
    kept = collect_activations(model, saes, tokens, tmp_path, batch_size=8)["a"]
    assert kept.n_tokens == tokens.n_tokens
    assert {file.name: file.stat().st_mtime_ns for file in (tmp_path / "a").iterdir()} == before


def _one_weight_more(saes, monkeypatch):
    with torch.no_grad():
        saes["a"][0].W_enc.view(-1)[7] += 1.0


def _other_code(saes, monkeypatch):
    monkeypatch.setattr("helpers.activations.collect.code_fingerprint", lambda *_patterns: "of another day")


def _other_place(saes, monkeypatch):
    saes["a"] = (saes["a"][0], HOOK_1)


@pytest.mark.parametrize("change", [_one_weight_more, _other_code, _other_place])
def test_a_store_of_other_values_is_collected_anew(model, tokens, tmp_path, monkeypatch, change):
    saes = {"a": (small_sae(), HOOK_0)}
    collect_activations(model, saes, tokens, tmp_path / "changed", batch_size=8)
    passes, run = [], model.run_with_cache
    monkeypatch.setattr(model, "run_with_cache", lambda *a, **k: (passes.append(1), run(*a, **k))[1])
    change(saes, monkeypatch)
    found = collect_activations(model, saes, tokens, tmp_path / "changed", batch_size=8)["a"]
    assert len(passes) == -(-tokens.n_sequences // 8)
    assert found.checksum() == collect_activations(model, saes, tokens, tmp_path / "new", batch_size=8)["a"].checksum()


def test_an_altered_store_is_collected_anew(model, tokens, tmp_path):
    saes = {"a": (small_sae(), HOOK_0)}
    checksum = collect_activations(model, saes, tokens, tmp_path, batch_size=8)["a"].checksum()
    data = bytearray((tmp_path / "a" / "data.npy").read_bytes())
    data[-1] ^= 1
    (tmp_path / "a" / "data.npy").write_bytes(data)
    collect_activations(model, saes, tokens, tmp_path, batch_size=8)
    assert ActivationStore.open(tmp_path / "a", verify=True).checksum() == checksum


def test_a_dense_result_is_reported(model, tokens, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="helpers.activations.collect"):
        collect_activations(model, {"a": (small_sae(k=4, d_sae=400), HOOK_0)}, tokens, tmp_path)
        assert not caplog.records
        store = collect_activations(model, {"wrong": (small_sae(k=None), HOOK_0)}, tokens, tmp_path)["wrong"]
    assert store.density > 0.1
    assert "the wrong dictionary may have encoded them" in caplog.text


def test_bad_input(model, tokens, tmp_path):
    with pytest.raises(ValueError, match="'a' expects activations of width 24, blocks.0.hook_resid_post has 16"):
        collect_activations(model, {"a": (small_sae(d_in=24), HOOK_0)}, tokens, tmp_path)
    with pytest.raises(ValueError, match="did you mean"):
        collect_activations(model, {"a": (small_sae(), "blocks.0.hook_resid_pots")}, tokens, tmp_path)
    with pytest.raises(ValueError, match="dictionaries is empty"):
        collect_activations(model, {}, tokens, tmp_path)
    sae = small_sae(k=None)
    with torch.no_grad():
        sae.b_enc[3] = torch.nan
    with pytest.raises(ValueError, match="blocks.0.hook_resid_post: feature 3, row 0 is nan"):
        collect_activations(model, {"a": (sae, HOOK_0)}, tokens, tmp_path)
    with torch.no_grad():
        sae.b_enc[3] = 1e6
    with pytest.raises(ValueError, match="too large for float16; store the activations with dtype='float32'"):
        collect_activations(model, {"a": (sae, HOOK_0)}, tokens, tmp_path)
    assert not (tmp_path / "a").exists()


def test_no_kept_token(model, tokens, tmp_path):
    from dataclasses import replace

    empty = replace(tokens, keep_mask=np.zeros_like(tokens.keep_mask))
    with pytest.raises(ValueError, match="keeps no token"):
        collect_activations(model, {"a": (small_sae(), HOOK_0)}, empty, tmp_path)


def test_a_finished_store_survives_a_failed_collection(model, tokens, tmp_path):
    store = collect_activations(model, {"a": (small_sae(), HOOK_0)}, tokens, tmp_path)["a"]
    with pytest.raises(ValueError, match="width 24"):
        collect_activations(model, {"a": (small_sae(d_in=24), HOOK_0)}, tokens, tmp_path)
    assert ActivationStore.open(tmp_path / "a", verify=True).checksum() == store.checksum()
