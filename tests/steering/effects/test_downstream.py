"""Later layers, plain and steered, against runs of unpadded prompts with hooks written by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.steering import add, clamp
from helpers.steering.effects import KINDS, DownstreamEffect, FeatureChanges, downstream_effect
from tests.steering.conftest import D_VOCAB, HOOK
from tests.steering.effects.conftest import TOP_HOOK, hand_run, rejected, text_columns, unpadded

ATOL = 1e-4  # float32 through three layers


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("at", ["last", "everywhere"])
def test_every_number_by_hand(model, prompts, vector, top, side, at):
    found = downstream_effect(model, prompts.padded(side), add(vector, hook_name=HOOK), [top], at=at, batch_size=2)
    step = torch.from_numpy(vector).float()
    rows, said = {0: [], 1: []}, {0: [], 1: []}
    for number, ids in enumerate(unpadded(prompts)):
        columns = text_columns(prompts, number)

        def steer(stream, columns=columns):
            stream[columns] += step
            return stream

        for setting, edits in enumerate([(), [(HOOK, steer)]]):
            stream, logits = hand_run(model, ids, edits, TOP_HOOK)
            rows[setting].append(stream[-1:] if at == "last" else stream[columns])
            said[setting].append(logits[-1])
    plain, steered = (torch.cat(rows[setting]) for setting in (0, 1))
    logits = [torch.stack(said[setting]) for setting in (0, 1)]
    layer = found.layers[-1]
    assert layer.hook_name == TOP_HOOK and found.n_rows == len(plain) and found.n_prompts == 3
    assert layer.plain_norm == pytest.approx(float(plain.norm(dim=1).mean()), rel=1e-5)
    moved = steered - plain
    assert layer.moved_norm == pytest.approx(float(moved.norm(dim=1).mean()), rel=1e-4)
    assert layer.alignment == pytest.approx(float(moved.mean(0).norm() / moved.norm(dim=1).mean()), rel=1e-4)
    cosine = torch.cosine_similarity(moved.mean(0), step.double(), dim=0)
    assert layer.cosine_to_first == pytest.approx(float(cosine), abs=ATOL)
    acts = [top.sae.encode(each.float()).numpy() for each in (plain, steered)]
    assert np.allclose(layer.features.plain, acts[0].mean(axis=0), atol=ATOL)
    assert np.allclose(layer.features.steered, acts[1].mean(axis=0), atol=ATOL)
    assert np.allclose(layer.features.plain_share, (acts[0] > 0).mean(axis=0))
    assert np.allclose(layer.features.steered_share, (acts[1] > 0).mean(axis=0))
    assert np.allclose(layer.features.mean_size, np.abs(acts[1] - acts[0]).mean(axis=0), atol=ATOL)
    centred = [each - each.mean(dim=1, keepdim=True) for each in logits]
    assert np.allclose(found.logit_changes, (centred[1] - centred[0]).mean(dim=0).numpy(), atol=ATOL)
    divergence = torch.nn.functional.kl_div(
        logits[1].log_softmax(1), logits[0].log_softmax(1), log_target=True, reduction="batchmean"
    )
    assert found.divergence == pytest.approx(float(divergence), rel=1e-3) and found.divergence > 0.01
    assert found.answers_changed == pytest.approx(float((logits[0].argmax(1) != logits[1].argmax(1)).float().mean()))
    assert found.top_tokens(1) == found.logit_changes.argmax()
    assert found.top_tokens(1, falling=True) == found.logit_changes.argmin()


def test_at_its_own_hook_the_effect_is_the_step(model, prompts, vector, loaded, top):
    found = downstream_effect(model, prompts, add(vector, hook_name=HOOK), [top, loaded])
    own, last = found.layers
    assert own.hook_name == HOOK and own.moved_norm == pytest.approx(np.linalg.norm(vector), rel=1e-5)
    assert own.alignment == pytest.approx(1) and own.cosine_to_first == pytest.approx(1)
    assert last.alignment < 0.999 and last.cosine_to_first < 0.999
    assert own.relative_norm == pytest.approx(own.moved_norm / own.plain_norm)


def test_layers_without_a_dictionary_are_told_by_the_stream(model, prompts, vector):
    found = downstream_effect(model, prompts, add(vector, hook_name="blocks.0.hook_resid_post"))
    assert [layer.hook_name for layer in found.layers] == [f"blocks.{n}.hook_resid_post" for n in range(3)]
    assert all(layer.features is None and layer.moved_norm > 0 for layer in found.layers)


def test_a_clamped_feature_appears(model, prompts, loaded):
    """Raised far above its threshold it stays up when the row is encoded again, as its own row is what was written."""
    plain = downstream_effect(model, prompts, clamp(loaded, 3, 0.0), [loaded]).layers[0].features
    quiet = np.flatnonzero(plain.plain_share == 0)
    written = (loaded.sae.W_dec * loaded.sae.W_enc.T).sum(dim=1).numpy()
    feature_id = int(quiet[written[quiet].argmax()])
    found = downstream_effect(model, prompts, clamp(loaded, feature_id, 50.0), [loaded]).layers[0].features
    assert feature_id in found.of_kind("appears")
    assert feature_id not in found.of_kind("rises")
    assert found.written[feature_id] > 0


def test_kinds_of_change():
    features = FeatureChanges(
        plain=np.array([0, 2, 1, 1, 1, 0.0]),
        steered=np.array([3, 0, 2, 0.5, 1, 0.1]),
        plain_share=np.array([0, 1, 1, 1, 1, 0.0]),
        steered_share=np.array([1, 0, 1, 1, 1, 0.1]),
        mean_size=np.array([3, 2, 1, 0.5, 0, 0.1]),
        decoder_norms=np.array([1, 1, 4, 1, 1, 1.0]),
    )
    assert features.written.tolist() == [3, -2, 4, -0.5, 0, 0.1]
    assert features.top(3).tolist() == [2, 0, 1] and 4 not in features.top(9)
    found = {kind: features.of_kind(kind).tolist() for kind in KINDS}
    assert found == {"appears": [0], "rises": [2, 5], "falls": [3], "vanishes": [1]}
    assert features.of_kind("rises", least_written=0.2).tolist() == [2]
    with rejected("kind is one of"):
        features.of_kind("grows")


def test_nothing_done_is_nothing_found(model, prompts, vector, loaded):
    found = downstream_effect(model, prompts, add(vector, hook_name=HOOK, strength=0), [loaded])
    assert found.divergence == 0 and not found.logit_changes.any() and found.answers_changed == 0
    assert all(layer.moved_norm == layer.alignment == layer.cosine_to_first == 0 for layer in found.layers)
    assert not len(found.layers[0].features.top())


def test_saved_and_read(model, prompts, vector, top, tmp_path):
    found = downstream_effect(model, prompts, add(vector, hook_name=HOOK), [top])
    found.save(tmp_path / "effect.npz")
    again = DownstreamEffect.load(tmp_path / "effect.npz")
    assert np.array_equal(again.logit_changes, found.logit_changes) and again.divergence == found.divergence
    for one, other in zip(again.layers, found.layers, strict=True):
        assert one.told() == other.told()
    assert again.layers[0].features is None
    assert np.array_equal(again.layers[1].features.written, found.layers[1].features.written)


def test_bad_input(model, prompts, vector, loaded, top):
    with rejected("layer 2, where the intervention is"):
        downstream_effect(model, prompts, add(vector, hook_name=TOP_HOOK), [loaded])
    with rejected("one dictionary a hook"):
        downstream_effect(model, prompts, add(vector, hook_name=HOOK), [top, top])
    with rejected("expected an intervention"):
        downstream_effect(model, prompts, ())
    with rejected("tokens of the prompts"):
        downstream_effect(model, prompts, add(vector, hook_name=HOOK), at="new")
    with rejected("inside a layer"):
        downstream_effect(model, prompts, add(vector, hook_name="hook_embed"))
    with rejected("hook of the model"):
        downstream_effect(
            model, prompts, add(vector, hook_name=HOOK), [replace(top, hook_name="blocks.9.hook_mlp_out")]
        )
    assert D_VOCAB == len(downstream_effect(model, prompts, add(vector, hook_name=HOOK)).logit_changes)
