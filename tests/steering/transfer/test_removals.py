"""Removals: against clamps by hand, a feature that carries the answer by construction, partners and their nulls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.saes import LoadedSae
from helpers.steering import clamp, steered_logits
from helpers.steering.transfer import (
    AnswerDomain,
    active_features,
    carrying_features,
    removal_effects,
    remove_partners,
)
from helpers.steering.transfer.ablation import ABLATION_NULLS, LEAD, PARTNERS
from tests.steering.conftest import D_SAE, HOOK, make_sae
from tests.steering.transfer.test_partners import COUNTS, identity, pairs_of

WORDS = np.array([3, 9, 12])


@pytest.fixture
def domain(prompts) -> AnswerDomain:
    return AnswerDomain(prompts, WORDS)


def test_removals_are_clamps_to_zero(model, loaded, domain):
    """One feature as a clamp by hand; none changes nothing; two together are not the sum of two alone."""
    active = active_features(model, loaded, domain.prompts)
    first, second = active[:2].tolist()
    found = removal_effects(model, loaded, domain, [[], [first], [second], [first, second]])
    plain, clamped = steered_logits(model, domain.prompts, [(), clamp(loaded, first, 0.0, at="last")]).astype(float)
    leads = [logits[:, WORDS].mean(axis=1) - logits.mean(axis=1) for logits in (plain, clamped)]
    assert np.allclose(found[1], leads[0] - leads[1], atol=1e-5)
    assert np.allclose(found[0], 0, atol=1e-6)
    assert np.abs(found[1]).max() > 1e-3 and np.abs(found[3] - found[1] - found[2]).max() > 1e-5


def test_features_that_fire_at_the_last_token(model, loaded, domain):
    with torch.no_grad():
        fires = np.zeros(D_SAE, bool)
        for row in range(domain.prompts.n_prompts):
            ids = domain.prompts.input_ids[row, domain.prompts.attention_mask[row]]
            _, cache = model.run_with_cache(torch.from_numpy(ids)[None], prepend_bos=False)
            fires |= (loaded.sae.encode(cache[HOOK][0, -1]) > 1e-6).numpy()
    assert active_features(model, loaded, domain.prompts).tolist() == np.flatnonzero(fires).tolist()


def test_the_feature_that_carries_the_answer_is_found(model, domain):
    """A feature that writes, at every row, a large step; its removal costs the words that the step favours most."""
    sae = make_sae()
    direction = np.random.default_rng(0).normal(size=sae.W_dec.shape[1])
    with torch.no_grad():
        sae.W_enc[:, 17] = 0
        sae.b_enc[17] = 6.0  # fires with 6 at every row
        sae.W_dec[17] = torch.from_numpy(direction).float()
    loaded = LoadedSae(sae, HOOK, prepend_bos=True, center_writing_weights=False)
    logits = steered_logits(model, domain.prompts, [(), clamp(loaded, 17, 0.0, at="last")])
    favoured = np.argsort(logits[1].mean(axis=0) - logits[0].mean(axis=0))[:3]
    words = AnswerDomain(domain.prompts, favoured)
    found = carrying_features(model, loaded, words, n_features=5)
    falls = removal_effects(model, loaded, words, found[:, None].tolist()).mean(axis=1)
    assert found[0] == 17 and falls[0] > 0 and list(falls) == sorted(falls, reverse=True)
    without = carrying_features(model, loaded, words, n_features=5, among=np.setdiff1d(np.arange(D_SAE), [17]))
    assert 17 not in without and without.tolist()[:4] == found.tolist()[1:5]


def test_partners_of_the_same_features_keep_all(model, loaded, domain):
    chosen = carrying_features(model, loaded, domain, n_features=4)
    options = {"counts_b": COUNTS, "n_runs": 12, "seed": 0}
    same = remove_partners(model, loaded, domain, chosen, chosen, identity(), **options)
    assert np.allclose(same.carried[PARTNERS][LEAD], same.own[LEAD], atol=1e-5)
    assert same.nulls_of(PARTNERS) == ABLATION_NULLS
    assert all(same.nulls[PARTNERS, null][LEAD].shape == (12, 3) for null in ABLATION_NULLS)
    assert dict(same.settings) == {"n_partners": 4, "n_own": 4, "n_shared": 4}
    # Others that fire on the prompts are drawn among those that fire: with no more than the chosen ones there is no other.
    few = removal_effects(model, loaded, domain, [chosen.tolist()])[0]
    assert np.allclose(same.own[LEAD], few, atol=1e-5)


def test_partners_are_taken_out_in_the_other_dictionary(model, loaded, domain):
    """Features 1 and 2 of a have the partners 30 and 31; 3 has none; without runs there are no nulls."""
    scores = remove_partners(
        model, loaded, domain, np.array([1, 2, 3]), np.array([5]), pairs_of([1, 2], [30, 31]), counts_b=COUNTS, n_runs=0
    )
    expected = removal_effects(model, loaded, domain, [[5], [30, 31]])
    assert np.allclose(scores.own[LEAD], expected[0], atol=1e-5)
    assert np.allclose(scores.carried[PARTNERS][LEAD], expected[1], atol=1e-5)
    assert scores.nulls == {}


def test_features_that_fire_are_drawn_among_those_that_fire(model, loaded, domain, monkeypatch):
    import helpers.steering.transfer.ablation as module

    seen: list[list[int]] = []
    real = module.removal_effects

    def spy(model, loaded, domain, sets):
        seen.extend(sets)
        return real(model, loaded, domain, sets)

    monkeypatch.setattr(module, "removal_effects", spy)
    active = active_features(model, loaded, domain.prompts)
    chosen = active[:3]
    remove_partners(model, loaded, domain, chosen, chosen, identity(), counts_b=COUNTS, n_runs=20, seed=0)
    last = [set(ids) for ids in seen[2 + 40 :]]
    assert len(last) == 20 and all(ids <= set(active.tolist()) and len(ids) == 3 for ids in last)
    assert any(not ids <= set(active.tolist()) for ids in map(set, seen[2:22]))  # random ones need not fire


def test_bad_removals(model, loaded, domain):
    for words in ([], [-2]):
        with pytest.raises(ValueError, match="words holds token ids"):
            AnswerDomain(domain.prompts, np.array(words))
    with pytest.raises(ValueError, match="got no set of them"):
        removal_effects(model, loaded, domain, [])
    with pytest.raises(ValueError, match="got 400"):
        removal_effects(model, loaded, AnswerDomain(domain.prompts, np.array([400])), [[1]])
    scaled = replace(loaded, sae=make_sae(normalize_activations="expected_average_only_in"))
    for call in (
        lambda: removal_effects(model, scaled, domain, [[1]]),
        lambda: active_features(model, scaled, domain.prompts),
    ):
        with pytest.raises(ValueError, match="normalize_activations"):
            call()
    with pytest.raises(ValueError, match="n_features is at least 1; got 0"):
        carrying_features(model, loaded, domain, n_features=0)
    with pytest.raises(ValueError, match="no feature that may be taken fires"):
        carrying_features(model, loaded, domain, n_features=1, among=np.array([], int))
    with pytest.raises(ValueError, match="features with partners"):
        remove_partners(model, loaded, domain, np.array([1]), np.array([1]), pairs_of([2], [3]), counts_b=COUNTS)
    with pytest.raises(ValueError, match="expected 40 counts of firing; got 3"):
        remove_partners(model, loaded, domain, np.array([1]), np.array([1]), identity(), counts_b=COUNTS[:3])
