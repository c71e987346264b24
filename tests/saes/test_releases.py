"""SAELens releases through SAELens's own readers, from a Hub cache laid out like the real one; no pickle is opened."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from sae_lens.loading import pretrained_sae_loaders
from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory

from helpers.saes import SaeReference, load_sae
from helpers.saes.load import SAFE_READERS
from tests.stand_ins.cache import add_repository
from tests.stand_ins.saes import random_weights, save_gemma_scope, save_saelens

ROUNDING = 1e-5  # float32 sums of a dozen products of size 1 against float64


def put(hub_cache: Path, release: str, sae_id: str, make, tmp_path: Path) -> None:
    """The files of one SAE at the repository and path that SAELens's registry tells."""
    entry = get_pretrained_saes_directory()[release]
    folder = tmp_path / "repository"
    make(folder / entry.saes_map[sae_id])
    add_repository(hub_cache, entry.repo_id, folder)


@pytest.mark.parametrize(
    ("release", "sae_id", "hook_name", "centred"),
    [
        ("gpt2-small-res-jb", "blocks.8.hook_resid_pre", "blocks.8.hook_resid_pre", True),
        ("gpt2-small-res-jb-feature-splitting", "blocks.8.hook_resid_pre_768", "blocks.8.hook_resid_pre", True),
        ("gpt2-small-mlp-out-v5-32k", "blocks.0.hook_mlp_out", "blocks.0.hook_mlp_out", False),
        ("gemma-2b-res-jb", "blocks.6.hook_resid_post", "blocks.6.hook_resid_post", False),
        ("pythia-70m-deduped-res-sm", "blocks.3.hook_resid_post", "blocks.3.hook_resid_post", False),
    ],
)
def test_releases_in_saelens_layout(release, sae_id, hook_name, centred, hub_cache: Path, tmp_path: Path) -> None:
    weights = random_weights(12, 30)
    put(hub_cache, release, sae_id, lambda folder: save_saelens(folder, weights, hook_name=hook_name), tmp_path)
    loaded = load_sae(SaeReference("release", hook_name, release=release, sae_id=sae_id))
    assert (loaded.prepend_bos, loaded.center_writing_weights) == (True, centred)
    x = np.random.default_rng(0).normal(size=(20, 12))
    exact = {name: weight.double().numpy() for name, weight in weights.items()}
    feature_acts = np.maximum((x - exact["b_dec"]) @ exact["W_enc"] + exact["b_enc"], 0)
    found = loaded.sae.encode(torch.from_numpy(x).float()).detach().numpy()
    np.testing.assert_allclose(found, feature_acts, atol=ROUNDING)


def test_what_the_metadata_says_about_bos_is_kept(hub_cache: Path, tmp_path: Path) -> None:
    hook_name = "blocks.3.hook_resid_post"
    put(
        hub_cache, "pythia-70m-deduped-res-sm", hook_name,
        lambda folder: save_saelens(folder, random_weights(12, 30), hook_name=hook_name, prepend_bos=False), tmp_path,
    )  # fmt: skip
    loaded = load_sae(SaeReference("release", hook_name, release="pythia-70m-deduped-res-sm", sae_id=hook_name))
    assert loaded.prepend_bos is False


def test_gemma_scope(hub_cache: Path, tmp_path: Path) -> None:
    """Settings come from the names, so the size is the real one; all weights but a few are zero."""
    d_in, d_sae, n = 2304, 16_384, 6
    small = random_weights(d_in, n)
    weights = {
        name: torch.zeros(shape)
        for name, shape in {"W_enc": (d_in, d_sae), "b_enc": (d_sae,), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}.items()
    }
    weights["W_enc"][:, :n], weights["b_enc"][:n] = small["W_enc"], small["b_enc"]
    weights["W_dec"][:n], weights["b_dec"] = small["W_dec"], small["b_dec"]
    threshold = torch.full((d_sae,), 20.0)
    release, sae_id = "gemma-scope-2b-pt-res-canonical", "layer_20/width_16k/canonical"
    put(hub_cache, release, sae_id, lambda folder: save_gemma_scope(folder, weights, threshold), tmp_path)
    loaded = load_sae(SaeReference("release", "blocks.20.hook_resid_post", release=release, sae_id=sae_id))
    x = np.random.default_rng(0).normal(size=(20, d_in))
    before = x @ small["W_enc"].double().numpy() + small["b_enc"].double().numpy()  # b_dec is not subtracted
    expected = before * (before > 20.0)
    assert 0 < (expected > 0).mean() < 1
    found = loaded.sae.encode(torch.from_numpy(x).float()).detach().numpy()
    # float32 sums of 2304 products of size 1: a relative error of about 1e-7 * sqrt(2304) on terms that add up to 48
    np.testing.assert_allclose(found[:, :n], expected, atol=1e-3)
    assert not found[:, n:].any()


def test_a_hub_repository_that_is_not_registered(hub_cache: Path, tmp_path: Path) -> None:
    hook_name = "blocks.1.hook_resid_post"
    save_saelens(tmp_path / "repository" / "mine", random_weights(12, 30), hook_name=hook_name)
    add_repository(hub_cache, "someone/saes", tmp_path / "repository")
    assert load_sae(SaeReference("release", hook_name, release="someone/saes", sae_id="mine")).sae.cfg.d_sae == 30
    with pytest.raises(ValueError, match=r"SAE 'someone/saes' is neither .* asked for: other \(source: release\)"):
        load_sae(SaeReference("release", hook_name, release="someone/saes", sae_id="other"))


def test_readers_that_are_allowed_open_no_pickle() -> None:
    readers = pretrained_sae_loaders.NAMED_PRETRAINED_SAE_LOADERS
    assert set(readers) >= SAFE_READERS
    opens_pickles = {name for name, reader in readers.items() if "torch.load" in inspect.getsource(reader)}
    assert "dictionary_learning_1" in opens_pickles, "the test looks for the wrong thing"
    assert not opens_pickles & SAFE_READERS
    assert "allow_pickle" not in inspect.getsource(pretrained_sae_loaders), (
        "np.load refuses pickles unless told otherwise"
    )


def test_releases_of_pickles_are_refused_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*arguments: object, **settings: object) -> None:
        raise AssertionError("a pickle was opened")

    monkeypatch.setattr(torch, "load", opened)
    refused = 0
    for release, entry in get_pretrained_saes_directory().items():
        reader = pretrained_sae_loaders.get_conversion_loader_name(release)
        if reader in SAFE_READERS or reader == "sparsify":
            continue
        refused += 1
        sae_id = next(iter(entry.saes_map))
        with pytest.raises(ValueError, match=f"release '{release}' .* no weights but pickles; .*save_model"):
            load_sae(SaeReference("release", "blocks.0.hook_resid_post", release=release, sae_id=sae_id))
    assert refused > 10


def test_a_folder_with_a_pickle_says_how_to_convert_it(tmp_path: Path) -> None:
    folder = save_saelens(tmp_path / "sae", random_weights(12, 30), hook_name="blocks.0.hook_resid_post")
    (folder / "sae_weights.safetensors").rename(folder / "ae.pt")
    with pytest.raises(
        ValueError, match=r"no sae_weights.safetensors, only ae.pt; .*weights_only=True\), then sae.save_model"
    ):
        load_sae(SaeReference("folder", "blocks.0.hook_resid_post", folder=str(folder)))
