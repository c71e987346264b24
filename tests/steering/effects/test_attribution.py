"""Attributions against exact ablations where the model is linear, and both against hooks written by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.saes import LoadedSae
from helpers.steering.effects import Answers, FeatureEffects, ablation_effects, feature_effects
from tests.steering.conftest import D_MODEL, D_SAE, D_VOCAB, HOOK, make_sae
from tests.steering.effects.conftest import TOP_HOOK, hand_run, rejected, text_columns, unpadded

ANSWERS = Answers(np.array([4, 9, 30]), np.array([6, 2, 8]))
ATOL = 1e-4  # logits of this size are float32 to about 1e-6 after three layers, and differences lose a digit


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("factor", [0.0, 2.0, 0.3])
def test_in_a_linear_model_the_guess_is_the_effect(linear_model, prompts, loaded, side, factor):
    found = feature_effects(linear_model, prompts.padded(side), loaded, ANSWERS, factor=factor, batch_size=2)
    assert np.allclose(found.attributions[found.candidates], found.effects, atol=ATOL)
    assert found.sizes.max() > 100 * ATOL and len(found.candidates) > 20
    assert found.agreement("attribution") == pytest.approx(1, abs=0.02)
    assert found.found("attribution", n=5) == pytest.approx(1, abs=1e-3)


def test_elsewhere_it_is_the_gradient(model, prompts, loaded):
    """activation x gradient . decoder row, summed over the tokens of text of each unpadded prompt."""
    found = feature_effects(model, prompts, loaded, ANSWERS)
    acts_of_all = []
    for number, ids in enumerate(unpadded(prompts)):
        stream, _ = hand_run(model, ids)
        leaf = stream.float()[None].requires_grad_()
        logits = model.run_with_hooks(ids, fwd_hooks=[(HOOK, lambda _, leaf=leaf, **__: leaf * 1)], prepend_bos=False)
        (logits[0, -1, ANSWERS.token_ids[number]] - logits[0, -1, ANSWERS.others[number]]).backward()
        columns = text_columns(prompts, number)
        acts = loaded.sae.encode(leaf[0, columns].detach())
        acts_of_all.append(acts)
        expected = -(acts * (leaf.grad[0, columns] @ loaded.sae.W_dec.T)).sum(dim=0)
        assert np.allclose(found.attributions[:, number], expected.numpy(), atol=ATOL)
    assert np.allclose(found.activations, torch.cat(acts_of_all).mean(dim=0).numpy(), atol=ATOL)
    assert not np.allclose(found.attributions[found.candidates], found.effects, atol=100 * ATOL)  # the model bends


def test_exact_ablation_is_a_hand_written_hook(model, prompts, loaded):
    ids_tested = np.array([3, 11, 20])
    found = ablation_effects(model, prompts, loaded, ANSWERS, ids_tested, batch_size=2)
    for number, ids in enumerate(unpadded(prompts)):
        columns = text_columns(prompts, number)
        plain = hand_run(model, ids)[1][-1]
        for row, feature_id in enumerate(ids_tested):

            def ablate(stream, feature_id=feature_id, columns=columns):
                acts = loaded.sae.encode(stream[columns])[:, feature_id]
                stream[columns] -= acts[:, None] * loaded.sae.W_dec[feature_id]
                return stream

            change = hand_run(model, ids, [(HOOK, ablate)])[1][-1] - plain
            expected = change[ANSWERS.token_ids[number]] - change[ANSWERS.others[number]]
            assert found[row, number] == pytest.approx(float(expected), abs=ATOL)
    assert np.abs(found).max() > 100 * ATOL


def test_most_active_is_not_most_important(linear_model, prompts):
    """The trap: feature 0 fires hardest on every token and writes where no answer looks; feature 1 writes the answer."""
    answers = Answers(np.full(3, 4), np.full(3, 6))
    toward = (linear_model.W_U[:, 4] - linear_model.W_U[:, 6]).detach()
    toward = toward / toward.norm()
    aside = torch.randn(D_MODEL, generator=torch.Generator().manual_seed(2))
    aside = aside - (aside @ toward) * toward
    sae = make_sae()
    with torch.no_grad():
        sae.W_dec[0], sae.W_dec[1] = aside / aside.norm(), 20 * toward
        sae.W_enc[:, :2], sae.b_enc[0], sae.b_enc[1] = 0, 50.0, 1.0
    planted = LoadedSae(sae, TOP_HOOK, True, False)
    found = feature_effects(linear_model, prompts, planted, answers)
    assert found.activations.argmax() == 0
    assert found.candidates[0] == 1 and found.effects[0] == pytest.approx(-20 * (answers_along(linear_model)), rel=1e-3)
    assert found.found("attribution", n=1) == pytest.approx(1)
    assert found.found("activation", n=1) < 1e-4
    assert found.agreement("attribution") > found.agreement("activation")


def answers_along(model):
    """Logit difference per unit of the planted direction."""
    return float((model.W_U[:, 4] - model.W_U[:, 6]).norm())


def test_scaling_at_the_last_token_only(linear_model, prompts, top):
    """Above the last layer no other token reaches the answer."""
    last, everywhere = (feature_effects(linear_model, prompts, top, ANSWERS, at=at) for at in ("last", "everywhere"))
    assert np.allclose(last.attributions, everywhere.attributions, atol=ATOL)
    assert not np.allclose(last.activations, everywhere.activations, atol=0.1)


def test_candidates_are_the_top_of_both_rankings_and_a_draw(model, prompts, loaded):
    few = feature_effects(model, prompts, loaded, ANSWERS, n_candidates=3, n_random=0)
    sizes = np.abs(few.attributions).mean(axis=1)
    assert set(few.candidates) == {*np.argsort(-sizes)[:3], *np.argsort(-few.activations)[:3]}
    more = [feature_effects(model, prompts, loaded, ANSWERS, n_candidates=3, n_random=4, seed=s) for s in (0, 0, 1)]
    assert len(more[0].candidates) == len(few.candidates) + 4
    assert np.array_equal(more[0].candidates, more[1].candidates)
    assert set(more[0].candidates) != set(more[2].candidates)
    assert (more[0].activations[more[0].candidates] > 0).all()
    assert np.array_equal(np.sort(more[0].sizes)[::-1], more[0].sizes)


def test_rankings_that_cannot_be_compared():
    tied = FeatureEffects(np.ones((3, 2)), np.ones(3), np.array([2, 0]), np.array([[2.0, 1], [1, 0]]))
    assert tied.agreement("activation") is None
    assert tied.found("activation", n=2) == 1
    with rejected("ranking is"):
        tied.agreement("size")
    with rejected("number of candidates, 2; got 3"):
        tied.found("activation", n=3)


def test_saved_and_read(model, prompts, loaded, tmp_path):
    found = feature_effects(model, prompts, loaded, ANSWERS, n_candidates=2)
    found.save(tmp_path / "effects.npz")
    again = FeatureEffects.load(tmp_path / "effects.npz")
    assert again.factor == 0.0 and np.array_equal(again.effects, found.effects)
    with rejected("no such file"):
        FeatureEffects.load(tmp_path / "none.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK")
    with rejected("cannot be read as a table of feature effects"):
        FeatureEffects.load(tmp_path / "broken.npz")


def test_bad_input(model, prompts, loaded):
    with rejected("factor 1 changes nothing"):
        feature_effects(model, prompts, loaded, ANSWERS, factor=1.0)
    with rejected("n_candidates is at least 1"):
        feature_effects(model, prompts, loaded, ANSWERS, n_candidates=0)
    with rejected("batch_size is at least 1"):
        feature_effects(model, prompts, loaded, ANSWERS, batch_size=0)
    with rejected("one answer a prompt, 3; got 2"):
        feature_effects(model, prompts, loaded, Answers(np.array([1, 2])))
    with rejected(f"in \\[0, {D_VOCAB}\\); got 1 to {D_VOCAB}"):
        feature_effects(model, prompts, loaded, Answers(np.array([1, 2, D_VOCAB])))
    with rejected("no new tokens"):
        feature_effects(model, prompts, loaded, ANSWERS, at="new")
    with rejected("hook of the model"):
        feature_effects(model, prompts, replace(loaded, hook_name="blocks.9.hook_resid_post"), ANSWERS)
    with rejected("normalize_activations 'layer_norm'"):
        feature_effects(model, prompts, replace(loaded, sae=make_sae(normalize_activations="layer_norm")), ANSWERS)
    with rejected(f"in \\[0, {D_SAE}"):
        ablation_effects(model, prompts, loaded, ANSWERS, np.array([D_SAE]))
    silent = make_sae()
    with torch.no_grad():
        silent.b_enc.fill_(-1e4)
    with rejected("a feature that fires"):
        feature_effects(model, prompts, replace(loaded, sae=silent), ANSWERS)
    with rejected("one answer a prompt"):
        Answers(np.zeros((2, 2), int))
    with rejected("one other token an answer"):
        Answers(np.array([1, 2]), np.array([1]))
    with rejected("nothing can move"):
        Answers(np.array([1, 2]), np.array([3, 2]))
    assert not any(hook.fwd_hooks for hook in model.hook_dict.values())
