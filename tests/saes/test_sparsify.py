"""Dictionaries of Eleuther's sparsify, against its formula written out in float64."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.saes import SaeReference, load_sae
from helpers.saes.sparsify import load_sparsify, sparsify_hook
from tests.stand_ins.cache import add_repository
from tests.stand_ins.saes import random_weights, save_sparsify

D_IN, D_SAE, K = 12, 40, 5
ROUNDING = 1e-5  # float32 sums of 12 or 40 products of size 1 against float64


def reference_formula(
    x: np.ndarray, folder: Path, *, k: int = K, subtracts: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """(feature_acts, x_hat) from the file's tensors, in float64; top k by a full sort of every row."""
    weights = {key: value.double().numpy() for key, value in load_file(folder / "sae.safetensors").items()}
    shifted = x - weights["b_dec"] if subtracts else x
    before = np.maximum(shifted @ weights["encoder.weight"].T + weights["encoder.bias"], 0)
    feature_acts = np.zeros_like(before)
    for row, values in enumerate(before):
        best = np.argsort(values)[::-1][:k]
        feature_acts[row, best] = values[best]
    return feature_acts, feature_acts @ weights["W_dec"] + weights["b_dec"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_sparsify(tmp_path / "layers.3.mlp", random_weights(D_IN, D_SAE), k=K)


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(50, D_IN))


@pytest.mark.parametrize("settings", [{}, {"normalize_decoder": False}, {"activation": "topk", "multi_topk": True}])
def test_it_computes_what_sparsify_computes(settings, tmp_path: Path, x: np.ndarray) -> None:
    folder = save_sparsify(tmp_path / "layers.0", random_weights(D_IN, D_SAE), k=K, **settings)
    sae = load_sparsify(folder)
    feature_acts, x_hat = reference_formula(x, folder)
    given = torch.from_numpy(x).float()
    np.testing.assert_allclose(sae.encode(given).detach().numpy(), feature_acts, atol=ROUNDING)
    np.testing.assert_allclose(sae(given).detach().numpy(), x_hat, atol=ROUNDING)
    assert (feature_acts > 0).sum(axis=1).max() == K


def test_the_wrong_formula_would_be_seen(folder: Path, x: np.ndarray) -> None:
    """Without subtracting b_dec, as SAELens's own reader has it for rows of norm 1, the numbers are others."""
    right, wrong = (reference_formula(x, folder, subtracts=subtracts)[0] for subtracts in (True, False))
    assert np.abs(right - wrong).max() > 100 * ROUNDING


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    folder = save_sparsify(tmp_path / "layers.3", random_weights(D_IN, D_SAE), k=K)
    halves = {key: value.bfloat16() for key, value in load_file(folder / "sae.safetensors").items()}
    save_file(halves, folder / "sae.safetensors")
    sae = load_sparsify(folder)
    assert {weight.dtype for weight in sae.parameters()} == {torch.float32}
    torch.testing.assert_close(sae.W_dec, halves["W_dec"].float(), atol=0, rtol=0)


def test_the_width_may_be_told_by_the_expansion(tmp_path: Path) -> None:
    folder = save_sparsify(tmp_path / "layers.3", random_weights(4, 12), k=2, num_latents=0, expansion_factor=3)
    assert load_sparsify(folder).cfg.d_sae == 12


@pytest.mark.parametrize(
    ("name", "hook_name"),
    [
        ("layers.3", "blocks.3.hook_resid_post"),
        ("layers.11.mlp", "blocks.11.hook_mlp_out"),
        ("layers.0.attention", "blocks.0.hook_attn_out"),
        ("gpt_neox.layers.4", "blocks.4.hook_resid_post"),
        ("gpt_neox.layers.4.mlp", "blocks.4.hook_mlp_out"),
        ("transformer.h.7", "blocks.7.hook_resid_post"),
        ("model.layers.2.self_attn", "blocks.2.hook_attn_out"),
        ("embed_tokens", None),
        ("layers.3.mlp.act", None),
    ],
)
def test_hooks_of_folder_names(name: str, hook_name: str | None) -> None:
    assert sparsify_hook(name) == hook_name


def test_from_the_hub_from_a_folder_and_from_a_folder_of_folders(folder: Path, hub_cache: Path, x: np.ndarray) -> None:
    add_repository(hub_cache, "someone/sae-32k", folder.parent)
    hook_name = "blocks.3.hook_mlp_out"
    loaded = [
        load_sae(SaeReference(source, hook_name, **where))
        for source, where in (
            ("sparsify", {"release": "someone/sae-32k", "sae_id": "layers.3.mlp"}),
            ("sparsify", {"release": str(folder.parent), "sae_id": "layers.3.mlp"}),
            ("folder", {"folder": str(folder)}),
        )
    ]
    assert [(one.prepend_bos, one.center_writing_weights) for one in loaded] == [(True, False)] * 3
    for one in loaded:
        found = one.sae.encode(torch.from_numpy(x).float()).detach().numpy()
        np.testing.assert_allclose(found, reference_formula(x, folder)[0], atol=ROUNDING)


def test_another_hook_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="trained on blocks.3.hook_mlp_out, hook_name says blocks.3.hook_resid_post"):
        load_sae(SaeReference("folder", "blocks.3.hook_resid_post", folder=str(folder)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("signed", True),
        ("transcode", True),
        ("activation", "groupmax"),
        ("skip_connection", True),
        ("gram_lookup", True),
    ],
)
def test_other_formulas_are_refused(key: str, value: object, tmp_path: Path) -> None:
    folder = save_sparsify(tmp_path / "layers.3", random_weights(4, 12), k=2, **{key: value})
    with pytest.raises(ValueError, match=f"{key} is {value!r}, and only .* can be read as a TopK SAE"):
        load_sparsify(folder)


def test_weights_that_do_not_fit_are_refused(folder: Path) -> None:
    settings = json.loads((folder / "cfg.json").read_text())
    (folder / "cfg.json").write_text(json.dumps(settings | {"num_latents": 41}))
    with pytest.raises(ValueError, match=r"expected \{'encoder.weight': \(41, 12\).*got .*\(40, 12\)"):
        load_sparsify(folder)


def test_what_is_not_there(folder: Path, hub_cache: Path) -> None:
    add_repository(hub_cache, "someone/sae-32k", folder.parent)
    for release, sae_id in (("someone/sae-32k", "layers.9"), ("someone/absent", "layers.3")):
        with pytest.raises(
            ValueError, match=rf"SAE '{release}' is neither .* asked for: {sae_id} \(source: sparsify\)"
        ):
            load_sae(SaeReference("sparsify", "blocks.3.hook_mlp_out", release=release, sae_id=sae_id))
