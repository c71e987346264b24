"""Neurons as a dictionary: what is stored is what the MLP computes, and directions are what it writes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.activations import collect_activations
from helpers.models import split_batch, stream_activations
from helpers.saes import SaeReference, feature_directions, load_sae, neuron_directions, save_neurons, written_directions

HOOK = "blocks.1.mlp.hook_post"


@pytest.fixture
def reference(model, tmp_path):
    return save_neurons(model, hook_name=HOOK, folder=tmp_path / "sae")


def test_stored_activations_are_the_neurons_own_of_both_signs(model, tokens, reference, tmp_path):
    sae = load_sae(reference).sae
    store = collect_activations(model, {"n": (sae, HOOK)}, tokens, tmp_path, kind="hidden_pre", dtype="float32")["n"]
    rows = [
        acts[HOOK][torch.from_numpy(batch.keep_mask)]
        for batch, acts in stream_activations(model, split_batch(tokens, batch_size=32), [HOOK])
    ]
    expected = torch.cat(rows).numpy()
    assert expected.min() < 0 < expected.max()
    # float32 through an identity matrix: sums with zeros are exact up to the last bit.
    np.testing.assert_allclose(store.dense(), expected, rtol=1e-6, atol=1e-7)


def test_directions_times_activations_are_what_the_mlp_adds(model, tokens, reference):
    """The independent oracle is the model itself: neurons @ directions + bias = the MLP's output."""
    directions = written_directions(reference)
    assert directions.shape == (32, 16)
    batch, acts = next(
        iter(stream_activations(model, split_batch(tokens, batch_size=4), [HOOK, "blocks.1.hook_mlp_out"]))
    )
    keep_mask = torch.from_numpy(batch.keep_mask)
    neurons, written = (acts[name][keep_mask].double().numpy() for name in (HOOK, "blocks.1.hook_mlp_out"))
    rebuilt = neurons @ directions
    bias = (written - rebuilt).mean(axis=0)
    # One constant vector is left, the output bias; float32 forward passes agree to about 1e-6 of values around 1.
    np.testing.assert_allclose(rebuilt + bias, written, atol=1e-4)
    assert np.abs(written).max() > 1e-2


def test_an_sae_keeps_its_decoder_rows(reference, tmp_path):
    folder = tmp_path / "copy"
    load_sae(reference).sae.save_model(folder)
    plain = SaeReference("folder", HOOK, folder=str(folder))
    assert np.array_equal(written_directions(plain), feature_directions(load_sae(plain).sae))
    assert np.array_equal(written_directions(plain), np.eye(32))


@pytest.mark.parametrize("function", [neuron_directions, save_neurons])
def test_only_the_neurons_hook_has_neurons(model, tmp_path, function):
    more = {"folder": tmp_path / "x"} if function is save_neurons else {}
    with pytest.raises(ValueError, match=r"neurons are read at blocks.N.mlp.hook_post; got 'blocks.1.hook_mlp_out'"):
        function(model, hook_name="blocks.1.hook_mlp_out", **more)
    with pytest.raises(ValueError, match="did you mean"):
        function(model, hook_name="blocks.7.mlp.hook_post", **more)
    assert not (tmp_path / "x").exists()
