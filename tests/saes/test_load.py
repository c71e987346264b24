import json

import pytest
import torch
from sae_lens import SAE, StandardSAE, StandardSAEConfig
from sae_lens.saes.sae import SAEMetadata

from helpers.saes import SaeReference, load_sae

HOOK = "blocks.0.hook_mlp_out"


@pytest.fixture
def folder(tmp_path):
    metadata = SAEMetadata(
        hook_name=HOOK, prepend_bos=False, model_from_pretrained_kwargs={"center_writing_weights": True}
    )
    StandardSAE(StandardSAEConfig(d_in=4, d_sae=8, metadata=metadata)).save_model(tmp_path / "sae")
    return tmp_path / "sae"


def test_folder_round_trip_and_its_demands(folder, tmp_path):
    SaeReference(source="folder", folder="sae", hook_name=HOOK).save(tmp_path / "sae.json")
    loaded = load_sae(SaeReference.load(tmp_path / "sae.json"))
    assert loaded.sae.cfg.d_sae == 8
    assert loaded.prepend_bos is False and loaded.center_writing_weights is True
    torch.testing.assert_close(loaded.sae.W_dec, SAE.load_from_disk(folder).W_dec)


def test_bos_is_prepended_when_the_metadata_is_silent(tmp_path):
    StandardSAE(StandardSAEConfig(d_in=4, d_sae=8)).save_model(tmp_path)
    loaded = load_sae(SaeReference(source="folder", folder=str(tmp_path), hook_name=HOOK))
    assert loaded.prepend_bos is True and loaded.center_writing_weights is False


def test_another_hook_is_refused(folder):
    with pytest.raises(ValueError, match="trained on blocks.0.hook_mlp_out, hook_name says blocks.1.hook_mlp_out"):
        load_sae(SaeReference(source="folder", folder=str(folder), hook_name="blocks.1.hook_mlp_out"))


def test_a_folder_without_weights_is_refused(folder):
    (folder / "sae_weights.safetensors").unlink()
    torch.save({}, folder / "sae.pt")
    with pytest.raises(ValueError, match="lacks sae_weights.safetensors"):
        load_sae(SaeReference(source="folder", folder=str(folder), hook_name=HOOK))


def test_unknown_release_names_near_ones():
    with pytest.raises(ValueError, match="did you mean .*gpt2-small-res-jb"):
        load_sae(SaeReference(source="release", release="gpt2-small-resjb", sae_id="x", hook_name=HOOK))


def test_unknown_id_names_near_ones():
    with pytest.raises(ValueError, match="near ids: .*blocks.8.hook_resid_pre"):
        load_sae(
            SaeReference(source="release", release="gpt2-small-res-jb", sae_id="block.8.hook_resid_pre", hook_name=HOOK)
        )


def test_a_failed_download_is_one_clear_error(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no route")

    monkeypatch.setattr(SAE, "from_pretrained", offline)
    with pytest.raises(ValueError, match="could not fetch gpt2-small-res-jb/blocks.8.hook_resid_pre .*hf auth login"):
        load_sae(
            SaeReference(
                source="release", release="gpt2-small-res-jb", sae_id="blocks.8.hook_resid_pre", hook_name=HOOK
            )
        )


def test_references_are_plain_json(tmp_path):
    path = tmp_path / "sae.json"
    reference = SaeReference(source="release", release="r", sae_id="i", hook_name=HOOK)
    reference.save(path)
    assert json.loads(path.read_text())["release"] == "r"
    assert SaeReference.load(path) == reference
