"""Vectors through matched features: the identity, partners by hand, wrong matchings; bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sae_lens import StandardSAE, StandardSAEConfig

from helpers.matching import FeaturePairs
from helpers.matching.pairs import make_pairs
from helpers.saes import LoadedSae
from helpers.steering import decompose, given_vector
from helpers.steering.transfer import PARTNER_NULLS, carry_features, exchanged_partners, partners_of
from tests.steering.conftest import D_MODEL, D_SAE, HOOK, make_sae

COUNTS = np.arange(100, 100 + D_SAE)


def pairs_of(ids_a, ids_b, corr=None, *, d_sae_b: int = D_SAE) -> FeaturePairs:
    settings = {"d_sae_a": D_SAE, "d_sae_b": d_sae_b, "direction": "both", "min_firings": 1}
    return make_pairs(
        np.array(ids_a), np.array(ids_b), np.ones(len(ids_a)) if corr is None else corr, settings=settings
    )


def identity() -> FeaturePairs:
    return pairs_of(range(D_SAE), range(D_SAE))


@pytest.fixture
def source(vector):
    return given_vector(vector, hook_name=HOOK, name="a", residual_norm=3.0)


@pytest.mark.parametrize("method", ["encode", "pursuit", "lasso"])
def test_a_model_carried_into_itself_is_the_reconstruction(loaded, source, method):
    """The identity matching gives the sum of the features, to the bit, however the vector was decomposed."""
    parts = decompose(source, loaded, method=method, n_features=7)
    carried = carry_features(parts, identity(), loaded, name="a", residual_norm=3.0)
    assert np.array_equal(carried.vector, parts.vector)
    assert carried.details["n_without_partner"] == 0 and carried.details["from"]["model"] == "a"


def test_encoding_then_decoding_is_the_saes_own(loaded, source):
    """All firing features of the encoded vector: the SAE's decoder of its own activations, without its bias."""
    parts = decompose(source, loaded, method="encode", n_features=D_SAE)
    carried = carry_features(parts, identity(), loaded, name="a")
    with torch.no_grad():
        acts = loaded.sae.encode(torch.from_numpy(source.vector).float())
        expected = (loaded.sae.decode(acts) - loaded.sae.b_dec).double().numpy()
    assert np.allclose(carried.vector, expected, atol=1e-4)  # float32 sums of 40 rows of length 4


def test_partners_write_in_the_other_dictionary(loaded, source):
    """By hand, into a dictionary of another width; features without a partner are left out and counted."""
    other = StandardSAE(StandardSAEConfig(d_in=5, d_sae=9, device="cpu"))
    loaded_b = LoadedSae(other, "blocks.2.hook_resid_post", prepend_bos=True, center_writing_weights=False)
    parts = decompose(source, loaded, method="pursuit", n_features=3)
    first, second, _ = parts.feature_ids
    pairs = pairs_of([second, first], [4, 7], d_sae_b=9)
    carried = carry_features(parts, pairs, loaded_b, name="b", residual_norm=2.0)
    W_dec = other.W_dec.detach().double().numpy()
    assert np.allclose(carried.vector, parts.weights[0] * W_dec[7] + parts.weights[1] * W_dec[4], atol=1e-12)
    assert (carried.hook_name, carried.model) == ("blocks.2.hook_resid_post", "b")
    assert carried.details["n_features"] == 2 and carried.details["n_without_partner"] == 1
    assert carried.details["partners"] == {"4": parts.weights[1], "7": parts.weights[0]}


def test_features_that_share_a_partner_add_up(loaded, source):
    """What is told of the partners is what was written: the trap is a weight that another overwrites."""
    parts = decompose(source, loaded, method="pursuit", n_features=3)
    carried = carry_features(parts, pairs_of(parts.feature_ids, [6, 9, 6]), loaded, name="a")
    told = {int(partner): weight for partner, weight in carried.details["partners"].items()}
    assert told == pytest.approx({6: parts.weights[0] + parts.weights[2], 9: parts.weights[1]})
    W_dec = loaded.sae.W_dec.double().numpy()
    assert np.allclose(carried.vector, sum(weight * W_dec[partner] for partner, weight in told.items()))


def test_the_strongest_partner_counts():
    pairs = pairs_of([3, 3, 5], [1, 2, 2], [0.4, 0.9, 0.5])
    assert partners_of(np.array([5, 3, 0]), pairs).tolist() == [2, 2, -1]


def test_wrong_matchings_keep_weights_and_exchange_partners(loaded, source):
    parts = decompose(source, loaded, method="pursuit", n_features=4)
    options = {"counts_b": COUNTS, "n_runs": 30, "seed": 1}
    drawn = {null: exchanged_partners(parts, identity(), loaded, null=null, **options) for null in PARTNER_NULLS}
    W_dec = loaded.sae.W_dec.double().numpy()
    for null, runs in drawn.items():
        assert runs.shape == (30, D_MODEL)
        assert len(np.unique(runs.round(9), axis=0)) > 5  # bins of two features leave few choices of like frequency
        again = exchanged_partners(parts, identity(), loaded, null=null, **options)
        assert np.array_equal(runs, again)
    own = np.linalg.lstsq(W_dec[parts.feature_ids].T, drawn["partners exchanged"].T, rcond=None)[0].T
    assert np.allclose(np.sort(own, axis=1), np.sort(parts.weights), atol=1e-6)  # the same weights, in another order
    assert any(not np.allclose(run, parts.weights, atol=1e-6) for run in own)


def test_partners_of_like_frequency_fire_as_often(loaded, source):
    """One bin holds the partners alone, so that the frequency-matched draw can only permute them: none leaves its bin."""
    parts = decompose(source, loaded, method="pursuit", n_features=2)
    counts = np.full(D_SAE, 5)
    counts[parts.feature_ids] = 1000
    # The rare share a bin (quantiles of equal counts), the two frequent ones another.
    drawn = exchanged_partners(
        parts, identity(), loaded, counts_b=counts, null="partners of like frequency", n_runs=40, seed=0
    )
    W_dec = loaded.sae.W_dec.double().numpy()[parts.feature_ids]
    straight, crossed = parts.weights @ W_dec, parts.weights[::-1] @ W_dec
    kinds = [np.allclose(run, straight, atol=1e-9) + 2 * np.allclose(run, crossed, atol=1e-9) for run in drawn]
    assert set(kinds) == {1, 2}
    free = exchanged_partners(parts, identity(), loaded, counts_b=counts, null="random partners", n_runs=40, seed=0)
    assert sum(np.allclose(run, straight) or np.allclose(run, crossed) for run in free) < 5


def test_features_that_fire_too_rarely_are_not_drawn(loaded, source):
    parts = decompose(source, loaded, method="pursuit", n_features=1)
    only = int(parts.feature_ids[0])
    counts = np.zeros(D_SAE, int)
    pairs = pairs_of([only], [only])
    drawn = exchanged_partners(parts, pairs, loaded, counts_b=counts, null="random partners", n_runs=5, seed=0)
    assert np.allclose(drawn, parts.vector)  # nobody else may be drawn


def test_bad_partners(loaded, source):
    parts = decompose(source, loaded, n_features=2)
    strangers = np.setdiff1d(np.arange(D_SAE), parts.feature_ids)[:2]
    nobody = pairs_of(strangers, strangers)
    options = {"counts_b": COUNTS, "null": "random partners", "n_runs": 1, "seed": 0}
    with pytest.raises(ValueError, match="no feature of the vector has a partner"):
        carry_features(parts, nobody, loaded, name="b")
    with pytest.raises(ValueError, match="no feature of the vector has a partner"):
        exchanged_partners(parts, nobody, loaded, **options)
    with pytest.raises(ValueError, match="dictionary of 40 features; got 41"):
        carry_features(parts, pairs_of([0], [1], d_sae_b=41), loaded, name="b")
    scaled = replace(loaded, sae=make_sae(normalize_activations="expected_average_only_in"))
    with pytest.raises(ValueError, match="normalize_activations 'expected_average_only_in'"):
        carry_features(parts, identity(), scaled, name="b")
    with pytest.raises(ValueError, match=r"in \[0, 40\); got 3 to 40"):
        partners_of(np.array([3, 40]), identity())
    with pytest.raises(ValueError, match="null is one of"):
        exchanged_partners(parts, identity(), loaded, **(options | {"null": "shuffled"}))
    with pytest.raises(ValueError, match="got 0 runs and 40 counts"):
        exchanged_partners(parts, identity(), loaded, **(options | {"n_runs": 0}))
    with pytest.raises(ValueError, match="got 1 runs and 3 counts"):
        exchanged_partners(parts, identity(), loaded, **(options | {"counts_b": COUNTS[:3]}))
