"""Restored features against hooks written by hand, and planted carriers beside random directions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.saes import LoadedSae
from helpers.steering import add
from helpers.steering.effects import Answers, RestoredEffect, restored_effect
from tests.steering.conftest import D_MODEL, D_SAE, HOOK, make_sae
from tests.steering.effects.conftest import TOP_HOOK, hand_run, rejected, text_columns, unpadded

ANSWERS = Answers(np.array([4, 9, 30]), np.array([6, 2, 8]))
ATOL = 1e-3  # a share is a difference of logits (float32: 1e-6) over one of about 0.1 or more
LOW_HOOK = "blocks.0.hook_resid_post"


@pytest.mark.parametrize("side", ["left", "right"])
def test_restored_features_by_hand(model, prompts, vector, loaded, side):
    """Steered below, and at the dictionary's hook the feature's activation is what it was in the plain run."""
    ids_tested = np.array([3, 11, 20])
    found = restored_effect(
        model, prompts.padded(side), add(vector, hook_name=LOW_HOOK), loaded, ANSWERS, feature_ids=ids_tested,
        n_random=2, batch_size=2,
    )  # fmt: skip
    step = torch.from_numpy(vector).float()
    values = np.zeros((3, 2 + len(ids_tested)))
    for number, ids in enumerate(unpadded(prompts)):
        columns = text_columns(prompts, number)

        def steer(stream, columns=columns):
            stream[columns] += step
            return stream

        plain_stream, plain = hand_run(model, ids)
        before = loaded.sae.encode(plain_stream.float())
        logits = [plain[-1], hand_run(model, ids, [(LOW_HOOK, steer)])[1][-1]]
        for feature_id in ids_tested:

            def restore(stream, feature_id=feature_id, before=before):
                now = loaded.sae.encode(stream)[:, feature_id]
                return stream + (before[:, feature_id] - now)[:, None] * loaded.sae.W_dec[feature_id]

            logits.append(hand_run(model, ids, [(LOW_HOOK, steer), (HOOK, restore)])[1][-1])
        values[number] = [float(each[ANSWERS.token_ids[number]] - each[ANSWERS.others[number]]) for each in logits]
    plain, steered, *restored = values.mean(axis=0)
    assert found.plain == pytest.approx(plain, abs=ATOL) and found.steered == pytest.approx(steered, abs=ATOL)
    expected = (steered - np.array(restored)) / (steered - plain)
    assert np.allclose(found.features.shares, expected, atol=ATOL)
    assert np.abs(expected).max() > 10 * ATOL
    assert found.whole == pytest.approx(1, abs=ATOL)


def test_in_a_linear_model_shares_add_up(linear_model, prompts, vector, loaded):
    """All directions together are the whole difference; all features together are what the dictionary holds of it."""
    found = restored_effect(
        linear_model, prompts, add(vector, hook_name=LOW_HOOK), loaded, ANSWERS,
        feature_ids=np.arange(D_SAE), n_directions=D_MODEL, n_random=1,
    )  # fmt: skip
    assert found.directions.shares.sum() == pytest.approx(1, abs=0.01)
    assert found.directions.moved.sum() == pytest.approx(1, abs=1e-4)
    assert (np.diff(found.directions.moved) <= 1e-6).all()
    assert found.features.shares.sum() == pytest.approx(
        found.dictionary, abs=0.02 * np.abs(found.features.shares).sum()
    )
    assert found.features_together == pytest.approx(found.dictionary, abs=ATOL)
    assert found.whole == pytest.approx(1, abs=ATOL)


@pytest.fixture
def planted(linear_model):
    """Feature 0 reads the pushed direction and writes much where no answer looks; feature 1 writes the answer; 2 is still."""
    toward = (linear_model.W_U[:, 4] - linear_model.W_U[:, 6]).detach()
    toward = toward / toward.norm()
    aside = torch.randn(D_MODEL, generator=torch.Generator().manual_seed(2))
    aside = aside - (aside @ toward) * toward
    aside = aside / aside.norm()
    sae = make_sae()
    with torch.no_grad():
        sae.W_enc.zero_()
        sae.b_enc.fill_(30.0)  # all fire, so that activations are linear; 2 and above do not move
        sae.W_enc[:, 0], sae.W_enc[:, 1] = aside, toward
        sae.W_dec[0], sae.W_dec[1] = aside, toward
    return LoadedSae(sae, TOP_HOOK, True, False), (5 * aside + toward).double().numpy()


def test_what_changes_most_need_not_carry_the_effect(linear_model, prompts, planted):
    loaded, push = planted
    answers = Answers(np.full(3, 4), np.full(3, 6))
    found = restored_effect(linear_model, prompts, add(push, hook_name=TOP_HOOK), loaded, answers, n_random=39)
    assert found.features.ids.tolist() == [0, 1]  # ranked by how much they change; those that do not are left out
    assert found.features.moved == pytest.approx([25 / 26, 1 / 26], rel=1e-3)
    assert found.features.shares == pytest.approx([0, 1], abs=ATOL)
    assert found.features.p_values[1] == 1 / 40  # no random direction as short carries as much
    assert found.features.p_values[0] > 0.1
    assert found.features_together == pytest.approx(1, abs=ATOL)
    assert found.directions.shares[0] == pytest.approx(1, abs=ATOL)  # all rows move along one direction
    # a random direction of length s carries s * cos(angle to the answer) / 1: of the first feature's length up to 5
    assert np.abs(found.features.random[0]).max() > np.abs(found.features.random[1]).max()


def test_random_directions_come_from_the_seed(linear_model, prompts, planted):
    loaded, push = planted
    answers = Answers(np.full(3, 4), np.full(3, 6))
    runs = [
        restored_effect(linear_model, prompts, add(push, hook_name=TOP_HOOK), loaded, answers, n_random=3, seed=seed)
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(runs[0].features.random, runs[1].features.random)
    assert not np.allclose(runs[0].features.random, runs[2].features.random)


def test_saved_and_read(linear_model, prompts, planted, tmp_path):
    loaded, push = planted
    found = restored_effect(linear_model, prompts, add(push, hook_name=TOP_HOOK), loaded, ANSWERS, n_random=2)
    found.save(tmp_path / "restored.npz")
    again = RestoredEffect.load(tmp_path / "restored.npz")
    assert (again.hook_name, again.whole, again.dictionary) == (found.hook_name, found.whole, found.dictionary)
    for part in ("features", "directions"):
        for name, array in vars(getattr(found, part)).items():
            assert np.array_equal(vars(getattr(again, part))[name], array)


def test_bad_input(model, prompts, vector, loaded):
    push = add(vector, hook_name=HOOK)
    with rejected("moves the answers"):
        restored_effect(model, prompts, replace(push, strength=1e-9), loaded, ANSWERS)
    with rejected("above the intervention, in layer 2"):
        restored_effect(model, prompts, add(vector, hook_name=TOP_HOOK), loaded, ANSWERS)
    with rejected("n_random and batch_size are at least 1; got 0"):
        restored_effect(model, prompts, push, loaded, ANSWERS, n_random=0)
    for bad in ([], [1, 1], [D_SAE], [-1]):
        with rejected("feature ids are distinct"):
            restored_effect(model, prompts, push, loaded, ANSWERS, feature_ids=np.array(bad, int))
    with rejected("expected an intervention"):
        restored_effect(model, prompts, (), loaded, ANSWERS)
    with rejected("one answer a prompt"):
        restored_effect(model, prompts, push, loaded, Answers(np.array([1])))
    silent = make_sae()
    with torch.no_grad():
        silent.b_enc.fill_(-1e4)
    with rejected("features that the intervention changes"):
        restored_effect(model, prompts, push, replace(loaded, sae=silent), ANSWERS)
    assert not any(hook.fwd_hooks for hook in model.hook_dict.values())
