"""A store gives back what was put in, and never takes a damaged file for a whole one."""

from __future__ import annotations

import json
import resource
import shutil

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.activations import ActivationStore
from tests.activations.conftest import append, random_activations, write_store

N_TOKENS, D_SAE = 300, 37


@pytest.fixture
def matrix():
    return random_activations(N_TOKENS, D_SAE)


@pytest.fixture
def store(tmp_path, matrix):
    return write_store(tmp_path / "store", matrix)


def test_rows_come_back_exactly(store, matrix):
    dense = matrix.toarray()
    assert store.shape == (N_TOKENS, D_SAE)
    np.testing.assert_array_equal(store.rows(0, N_TOKENS).toarray(), dense)
    np.testing.assert_array_equal(store.rows(70, 131).toarray(), dense[70:131])
    assert store.rows(5, 5).shape == (0, D_SAE)
    np.testing.assert_array_equal(store.positions, np.arange(N_TOKENS) % 10)
    np.testing.assert_array_equal(store.documents, np.arange(N_TOKENS) // 10)
    np.testing.assert_array_equal(store.token_ids, np.arange(N_TOKENS) % 13)


def test_statistics_are_those_of_the_dense_matrix(store, matrix):
    dense = matrix.toarray()
    np.testing.assert_array_equal(store.feature_counts, (dense > 0).sum(axis=0))
    # float64 sums of at most 300 values: rounding stays far below 1e-12 relative
    np.testing.assert_allclose(store.means, dense.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(store.stds, dense.std(axis=0), rtol=1e-10)
    assert store.l0 == pytest.approx((dense > 0).sum() / N_TOKENS)
    assert store.density == pytest.approx((dense > 0).mean())


def test_statistics_describe_the_stored_values_not_the_given_ones(tmp_path):
    # 1e-9 vanishes in float16, 0.1 is rounded: counts and means follow what is stored.
    store = write_store(tmp_path / "store", np.array([[1e-9, 0.1], [0.0, 0.1]]))
    np.testing.assert_array_equal(store.feature_counts, [0, 2])
    assert store.means[1] == float(np.float16(0.1)) != 0.1
    assert store.csr().data.min() > 0


@pytest.mark.parametrize("form", ["numpy", "torch", "bfloat16", "csr_matrix", "coo", "torch_sparse"])
def test_every_form_of_batch_gives_the_same_store(tmp_path, matrix, store, form):
    dense = matrix.toarray()
    batches = {
        "numpy": dense,
        "torch": torch.tensor(dense),
        "bfloat16": torch.tensor(dense).bfloat16(),
        "csr_matrix": scipy.sparse.csr_matrix(dense),
        "coo": scipy.sparse.coo_array(dense),
        "torch_sparse": torch.tensor(dense).to_sparse(),
    }
    with ActivationStore.create(tmp_path / form, d_sae=D_SAE) as writer:
        append(writer, batches[form], first=0)
    assert ActivationStore.open(tmp_path / form).checksum() == store.checksum()


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch_rows=st.integers(1, 400), density=st.sampled_from([0.0, 0.02, 0.5, 1.0]))
def test_batch_size_does_not_matter(tmp_path, batch_rows, density):
    matrix = random_activations(120, 9, density=density, seed=3)
    whole = write_store(tmp_path / "whole", matrix, batch_rows=120)
    parts = write_store(tmp_path / "parts", matrix, batch_rows=batch_rows)
    assert parts.checksum() == whole.checksum()
    np.testing.assert_array_equal(parts.rows(0, 120).toarray(), matrix.toarray())


def test_pre_activations_are_dense_and_signed(tmp_path):
    values = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    store = write_store(tmp_path / "store", values, kind="hidden_pre", dtype="float32", batch_rows=7)
    np.testing.assert_array_equal(store.rows(10, 30), values[10:30])
    np.testing.assert_allclose(store.means, values.mean(axis=0, dtype=np.float64), rtol=1e-12)
    with pytest.raises(ValueError, match="dense hidden_pre"):
        store.csr()


def test_opening_does_not_read_the_values(store):
    arrays = store.csr()
    for array in (arrays.indices, arrays.data):
        base = array
        while isinstance(base, np.ndarray) and base.base is not None:
            base = base.base
        assert not isinstance(base, np.ndarray)  # the end of the chain is a memory map


def test_the_store_takes_no_more_space_than_its_values(store):
    size = sum(path.stat().st_size for path in store.path.iterdir())
    dense_bytes = N_TOKENS * D_SAE * 2
    values = store.nnz * 6 + N_TOKENS * (8 + 12) + D_SAE * 24
    # Headers (128 bytes a file) and a manifest of a few kB come on top; a dense copy would not fit.
    assert size < values + 9 * 128 + 4096 < dense_bytes + 12_000


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(tmp_path, bad):
    values = np.ones((4, 5))
    values[2, 3] = bad
    with (
        pytest.raises(ValueError, match=r"blocks\.1\.x: feature 3, row 102 is"),
        ActivationStore.create(tmp_path / "s", d_sae=5, source={"hook_name": "blocks.1.x"}) as writer,
    ):
        append(writer, np.ones((100, 5)), first=0)
        append(writer, values, first=100)
    assert not list(tmp_path.iterdir())


def test_negative_and_too_large_values_are_refused(tmp_path):
    for values, kind, message in [
        (np.array([[1.0, -0.5]]), "feature_acts", "feature 1, row 0 is -0.5.*signed=True"),
        (np.array([[7e4, 0.0]]), "feature_acts", "feature 0, row 0 is 70000.0, too large for float16.*float32"),
        (np.array([[0.0, -7e4]]), "hidden_pre", "feature 1, row 0 .*too large for float16"),
    ]:
        with pytest.raises(ValueError, match=message):
            write_store(tmp_path / "s", values, kind=kind)
    assert write_store(tmp_path / "signed", np.array([[1.0, -0.5]]), signed=True).rows(0, 1).toarray()[0, 1] == -0.5
    assert write_store(tmp_path / "wide", np.array([[7e4, 0.0]]), dtype="float32").rows(0, 1).toarray()[0, 0] == 7e4


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="kind must be one of feature_acts, hidden_pre; got 'acts'"):
        write_store(tmp_path / "s", np.ones((1, 2)), kind="acts")
    with pytest.raises(ValueError, match="dtype must be one of float16, float32; got 'int8'"):
        write_store(tmp_path / "s", np.ones((1, 2)), dtype="int8")
    with pytest.raises(ValueError, match="d_sae must be at least 1"):
        write_store(tmp_path / "s", np.ones((1, 0)))
    with (
        pytest.raises(ValueError, match=r"shape \(n_rows, 3\); got \(4, 2\)"),
        ActivationStore.create(tmp_path / "s", d_sae=3) as writer,
    ):
        append(writer, np.ones((4, 2)), first=0)
    with (
        pytest.raises(ValueError, match=r"token_ids must be \(4,\) integers"),
        ActivationStore.create(tmp_path / "s", d_sae=2) as writer,
    ):
        writer.append(np.ones((4, 2)), token_ids=np.zeros(3, int), documents=np.zeros(4, int), positions=[0] * 4)
    with pytest.raises(ValueError, match="no rows were appended"), ActivationStore.create(tmp_path / "s", d_sae=2):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["indptr.npy", "indices.npy", "data.npy", "token_ids.npy", "feature_sums.npy"])
def test_a_damaged_file_is_named(store, name):
    path = store.path / name
    content = path.read_bytes()
    path.write_bytes(content[:-3])
    with pytest.raises(ValueError, match=f"{name} should have .* truncated; run 03_save_activations again"):
        ActivationStore.open(store.path)
    altered = bytearray(content)
    altered[-1] ^= 1
    path.write_bytes(bytes(altered))
    with pytest.raises(ValueError, match=f"{name} was altered"):
        ActivationStore.open(store.path, verify=True)
    path.unlink()
    with pytest.raises(ValueError, match=f"{name} is missing"):
        ActivationStore.open(store.path)


def test_a_damaged_manifest_is_named(store, tmp_path):
    path = store.path / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"format_version": 99}))
    with pytest.raises(ValueError, match="store format 99, this version reads up to 1"):
        ActivationStore.open(store.path)
    path.write_text(json.dumps({key: value for key, value in content.items() if key != "nnz"}))
    with pytest.raises(ValueError, match="is not a store manifest"):
        ActivationStore.open(store.path)
    path.write_text("{half")
    with pytest.raises(ValueError, match="is damaged"):
        ActivationStore.open(store.path)
    path.write_text(json.dumps(content | {"n_tokens": content["n_tokens"] + 1}))
    with pytest.raises(ValueError, match="should have shape"):
        ActivationStore.open(store.path)
    path.write_text(json.dumps(content | {"files": {k: v for k, v in content["files"].items() if k != "data.npy"}}))
    with pytest.raises(ValueError, match="does not list data.npy"):
        ActivationStore.open(store.path)
    with pytest.raises(ValueError, match="expected an activation store in"):
        ActivationStore.open(tmp_path / "nowhere")


def test_an_interrupted_writer_goes_on(tmp_path, matrix, store):
    options = {"d_sae": D_SAE, "resume": True, "source": {"hook_name": "h"}}
    with pytest.raises(KeyboardInterrupt), ActivationStore.create(tmp_path / "s", **options) as writer:
        append(writer, matrix[:64], first=0)
        append(writer, matrix[64:128], first=64)
        raise KeyboardInterrupt
    assert not (tmp_path / "s").exists()
    partial = tmp_path / ".s.partial"
    with (partial / "data.npy").open("ab") as file:
        file.write(b"a batch that was being written when the process died")
    with ActivationStore.create(tmp_path / "s", **options) as writer:
        assert writer.n_tokens == 128
        append(writer, matrix[128:], first=128)
    continued = ActivationStore.open(tmp_path / "s", verify=True)
    assert continued.checksum() == store.checksum()
    assert not partial.exists()


def test_other_arguments_or_lost_rows_start_anew(tmp_path, matrix):
    def interrupted(**options):
        with (
            pytest.raises(KeyboardInterrupt),
            ActivationStore.create(tmp_path / "s", d_sae=D_SAE, resume=True, **options) as writer,
        ):
            append(writer, matrix[:64], first=0)
            raise KeyboardInterrupt

    def rows_found(**options):
        with (
            pytest.raises(KeyboardInterrupt),
            ActivationStore.create(tmp_path / "s", d_sae=D_SAE, **{"resume": True} | options) as writer,
        ):
            n_tokens.append(writer.n_tokens)
            raise KeyboardInterrupt
        return n_tokens[-1]

    n_tokens: list[int] = []
    interrupted(tokens_fingerprint="x")
    assert rows_found(tokens_fingerprint="x") == 64
    assert rows_found(tokens_fingerprint="y") == 0
    interrupted(source={"sae_fingerprint": "x"})
    assert rows_found(source={"sae_fingerprint": "y"}) == 0
    interrupted()
    assert rows_found(resume=False) == 0
    interrupted()
    (tmp_path / ".s.partial" / "data.npy").write_bytes(b"short")
    assert rows_found() == 0
    interrupted()
    (tmp_path / ".s.partial" / "journal.json").write_text("{")
    assert rows_found() == 0


def test_a_finished_store_takes_no_more_rows(tmp_path, matrix):
    for _ in range(2):
        with ActivationStore.create(
            tmp_path / "s", d_sae=D_SAE, resume=True, source={"sae_fingerprint": "x"}
        ) as writer:
            if writer.n_tokens == 0:
                append(writer, matrix[:64], first=0)
    assert writer.n_tokens == 64
    with pytest.raises(ValueError, match="is finished and takes no more rows"):
        append(writer, matrix[64:128], first=64)


def test_a_failed_rewrite_leaves_the_earlier_store(store, matrix):
    before = store.checksum()
    with pytest.raises(RuntimeError), ActivationStore.create(store.path, d_sae=D_SAE) as writer:
        append(writer, matrix[:10], first=0)
        raise RuntimeError
    assert ActivationStore.open(store.path, verify=True).checksum() == before
    assert [path.name for path in store.path.parent.iterdir()] == [store.path.name]


def test_a_rewrite_replaces_the_earlier_store(store):
    write_store(store.path, np.ones((3, 2)))
    assert ActivationStore.open(store.path, verify=True).shape == (3, 2)


@pytest.mark.parametrize(
    ("number", "advice"), [(28, "the disk is full: free space"), (30, "cannot be written: choose another runs_folder")]
)
def test_a_full_or_read_only_disk_is_one_sentence(tmp_path, matrix, monkeypatch, number, advice):
    def fail(*_arguments, **_options):
        raise OSError(number, "No space left on device")

    with (
        pytest.raises(OSError, match=f"cannot write the activation store .*{advice}.*run 03_save_activations again"),
        ActivationStore.create(tmp_path / "s", d_sae=D_SAE, resume=True) as writer,
    ):
        append(writer, matrix[:10], first=0)
        monkeypatch.setattr("helpers.activations.streams.ArrayStream.append", fail)
        append(writer, matrix[10:20], first=10)
    assert not list(tmp_path.iterdir())


def test_a_real_write_error_leaves_nothing(tmp_path):
    """The operating system refuses files above a limit, in the middle of a write, as a full disk would."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with (
            pytest.raises(OSError, match="cannot write the activation store"),
            ActivationStore.create(tmp_path / "s", d_sae=100, resume=True) as writer,
        ):
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
            for first in range(0, 30_000, 1000):
                append(writer, np.ones((1000, 100)), first=first)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_a_copied_store_opens(store, tmp_path):
    shutil.copytree(store.path, tmp_path / "copy")
    assert ActivationStore.open(tmp_path / "copy", verify=True).checksum() == store.checksum()
    assert "l0=" in repr(store)
