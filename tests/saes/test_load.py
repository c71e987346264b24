import json
from dataclasses import replace

import pytest
import torch
from sae_lens import SAE, StandardSAE, StandardSAEConfig
from sae_lens.saes.sae import SAEMetadata

from helpers.models import stream_activations
from helpers.saes import LoadedSae, SaeReference, load_sae, norm_factor, shared_demand

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
    with pytest.raises(ValueError, match="has no sae_weights.safetensors, only sae.pt; a pickle can run any code"):
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
        raise ConnectionError("no route")

    monkeypatch.setattr(SAE, "from_pretrained", offline)
    with pytest.raises(ValueError, match="SAE .gpt2-small-res-jb. .*asked for: blocks.8.hook_resid_pre"):
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


def test_dictionaries_of_one_run_must_ask_for_the_same():
    """The trap: all() and any() would choose one side in silence."""
    yes, no = (LoadedSae(None, HOOK, prepend_bos=bos, center_writing_weights=not bos) for bos in (True, False))
    assert shared_demand({"a": yes, "b": yes}, "prepend_bos") is True
    assert shared_demand({"a": yes, "b": yes}, "center_writing_weights") is False
    with pytest.raises(ValueError, match="ask alike for prepend_bos; a want it and b do not; give each"):
        shared_demand({"a": yes, "b": no}, "prepend_bos")


def test_one_that_reads_scaled_activations_is_never_given_them_as_they_are(tmp_path, model, tokens):
    """SAELens warns and goes on where its table has no factor; the rows would be several times too long or short."""
    sae = StandardSAE(StandardSAEConfig(d_in=16, d_sae=32, normalize_activations="expected_average_only_in"))
    sae.save_model(tmp_path / "sae")
    reference = SaeReference(source="folder", folder="sae", hook_name="blocks.0.hook_resid_post")
    reference.save(tmp_path / "sae.json")
    with pytest.raises(ValueError, match="neither its files nor SAELens's table says by what"):
        load_sae(SaeReference.load(tmp_path / "sae.json"))
    assert load_sae(SaeReference.load(tmp_path / "sae.json"), to_be_scaled=True).lacks_norm_factor
    factor = norm_factor(model, hook_name=reference.hook_name, tokens=tokens, batch_size=3)
    replace(reference, norm_factor=factor).save(tmp_path / "sae.json")
    loaded = load_sae(SaeReference.load(tmp_path / "sae.json"))
    assert not loaded.lacks_norm_factor
    rows = torch.cat(
        [
            activations[reference.hook_name][torch.from_numpy(part.keep_mask)]
            for part, activations in stream_activations(model, [tokens], [reference.hook_name])
        ]
    )
    assert (factor * rows).norm(dim=1).mean().item() == pytest.approx(4.0, rel=1e-5)  # sqrt(d_in); float32 rows
    torch.testing.assert_close(loaded.sae.encode(rows), sae.encode(factor * rows), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loaded.sae(rows), sae(factor * rows) / factor, rtol=1e-4, atol=1e-5)


def test_one_that_reads_activations_as_they_are_needs_no_factor(folder):
    assert not load_sae(SaeReference(source="folder", folder=str(folder), hook_name=HOOK)).lacks_norm_factor
