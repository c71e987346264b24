"""What a vector is made of: planted sums of decoder rows, and what each method makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sae_lens import TopKSAE, TopKSAEConfig
from sklearn.linear_model import orthogonal_mp

from helpers.saes import LoadedSae
from helpers.steering import decompose, disagreement, encode_difference, feature_vector, given_vector
from helpers.steering.decomposition import _pursuit
from tests.steering.conftest import D_SAE, HOOK, make_sae

D, N = 64, 256
PLANTED = {3: 2.0, 70: 1.5, 200: 1.0}
MIXED = {3: 2.0, 70: -1.5, 200: 1.0}
WHO = {"hook_name": HOOK, "name": "a"}


@pytest.fixture(scope="module")
def known() -> LoadedSae:
    """A dictionary as training would leave it: it encodes sums of a few of its rows, over a bias, as they are made."""
    generator = torch.Generator().manual_seed(1)
    sae = TopKSAE(TopKSAEConfig(d_in=D, d_sae=N, k=4, device="cpu"))
    with torch.no_grad():
        rows = torch.randn(N, D, generator=generator)
        sae.W_dec.copy_(rows / rows.norm(dim=1, keepdim=True))
        sae.W_enc.copy_(sae.W_dec.T)
        sae.b_dec.copy_(3 * torch.randn(D, generator=generator))
        sae.b_enc.zero_()
    return LoadedSae(sae.eval().requires_grad_(False), HOOK, True, False)


def weights_of(found):
    return dict(zip(found.feature_ids.tolist(), found.weights.tolist(), strict=True))


def test_pursuit_and_lasso_find_what_was_planted(known):
    source = feature_vector(known, PLANTED, name="a")
    for method in ("pursuit", "lasso"):
        found = decompose(source, known, method=method, n_features=3, labels={3: "month"})
        assert weights_of(found) == pytest.approx(PLANTED, abs=1e-6)
        assert found.feature_ids.tolist() == [3, 70, 200]  # by what they write
        assert found.unexplained < 1e-10 and found.cosine == pytest.approx(1)
        assert found.shares.sum() == pytest.approx(1)
        assert found.label(3) == "month" and found.label(70) == ""


def test_only_pursuit_finds_what_was_taken_away(known):
    source = feature_vector(known, MIXED, name="a")
    pursuit = decompose(source, known, n_features=3)
    assert weights_of(pursuit) == pytest.approx(MIXED, abs=1e-6)
    lasso = decompose(source, known, method="lasso", n_features=6)
    assert (lasso.weights > 0).all() and len(lasso.weights) <= 6 and 70 not in lasso.feature_ids
    assert lasso.unexplained > 0.01


def test_encoding_a_difference_is_out_of_distribution(known):
    """The trap: a difference of means has no bias, so the encoder, which takes the bias off, sees something else."""
    rows = known.sae.W_dec.double().numpy()
    bias = known.sae.b_dec.double().numpy()
    rng = np.random.default_rng(0)
    strengths = rng.uniform(2, 4, (2, 50, 1))
    toward, away = bias + strengths[0] * rows[3], bias + strengths[1] * rows[70]
    source = given_vector(toward.mean(axis=0) - away.mean(axis=0), **WHO)
    encoded = decompose(source, known, method="encode")
    both = encode_difference(source, known, toward, away, n_features=2)
    assert encoded.unexplained > 0.5
    assert weights_of(both).keys() == {3, 70} and weights_of(both)[3] > 0 > weights_of(both)[70]
    assert both.unexplained < 0.05
    told = disagreement(encoded, both)
    assert 70 in told.only_b or 70 in told.opposite
    assert told.jaccard < 0.5 and told.cosine < 0.9
    # in distribution the encoder is right
    row = given_vector(bias + 3 * rows[3] + 2 * rows[70], **WHO)
    assert {3, 70} <= set(decompose(row, known, method="encode", n_features=2).feature_ids.tolist())


def test_encodings_are_averaged_by_hand(loaded):
    rng = np.random.default_rng(4)
    toward, away = rng.normal(size=(5, 16)), rng.normal(size=(3, 16))
    source = given_vector(toward.mean(axis=0) - away.mean(axis=0), **WHO)
    found = encode_difference(source, loaded, toward, away, n_features=D_SAE)
    encoded = [
        loaded.sae.encode(torch.from_numpy(side).float()).double().numpy().mean(axis=0) for side in (toward, away)
    ]
    expected = encoded[0] - encoded[1]
    assert weights_of(found) == pytest.approx({i: w for i, w in enumerate(expected) if w}, abs=1e-6)
    written = np.abs(found.weights) * np.linalg.norm(loaded.sae.W_dec.numpy()[found.feature_ids], axis=1)
    assert (np.diff(written) <= 1e-9).all()  # by what they write: the rows of this dictionary differ in length


def test_pursuit_is_scikit_learns(loaded, vector):
    """On rows of equal length; there the two choose alike."""
    rows = loaded.sae.W_dec.double().numpy()
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for n_features in (1, 4, 9):
        assert np.allclose(
            _pursuit(vector, rows, n_features), orthogonal_mp(rows.T, vector, n_nonzero_coefs=n_features)
        )
    full = _pursuit(vector, rows, 1000)  # no more rows than the width explains all
    assert np.allclose(full @ rows, vector) and (full != 0).sum() <= 16


def test_lengths_of_rows_do_not_count(loaded):
    """A feature with a short decoder row is found as well as a loud one."""
    sae = make_sae()
    with torch.no_grad():
        sae.W_dec[5] /= 50
    quiet = replace(loaded, sae=sae)
    source = feature_vector(quiet, {5: 100.0}, name="a")
    for method in ("pursuit", "lasso"):
        assert weights_of(decompose(source, quiet, method=method, n_features=1)) == pytest.approx({5: 100.0}, rel=1e-5)


def test_dead_features_can_be_left_out(known):
    source = feature_vector(known, {3: 1.0, 9: 0.5}, name="a")
    alive = np.setdiff1d(np.arange(N), [9])
    for method in ("pursuit", "lasso", "encode"):
        found = decompose(source, known, method=method, n_features=8, candidates=alive)
        assert 9 not in found.feature_ids
    assert 9 in decompose(source, known, n_features=8).feature_ids


def test_editing_and_rebuilding(known):
    source = feature_vector(known, MIXED, name="a", residual_norm=4.0)
    rows = known.sae.W_dec.double().numpy()
    found = decompose(source, known, n_features=3)
    assert np.allclose(found.rebuilt().vector, source.vector)
    assert np.allclose(found.drop([70]).vector, 2 * rows[3] + rows[200])
    assert np.allclose(found.keep([200, 3]).vector, 2 * rows[3] + rows[200])
    assert np.allclose(found.scale({70: -2}).vector, 2 * rows[3] + 3 * rows[70] + rows[200])
    assert found.scale({70: 0}).feature_ids.tolist() == [3, 200]
    made = found.drop([70]).rebuilt()
    assert (made.hook_name, made.model, made.residual_norm) == (HOOK, "a", 4.0)
    assert made.details["weights"] == pytest.approx({"3": 2.0, "200": 1.0})
    assert made.details["from"]["method"] == "features" and "pursuit" in made.method
    nothing = found.keep([])
    assert nothing.cosine == 0 and nothing.unexplained == 1
    with pytest.raises(ValueError, match="not zero"):
        nothing.rebuilt()
    with pytest.raises(ValueError, match="among those of the sum; got 4"):
        found.drop([3, 4])
    with pytest.raises(ValueError, match="factors are finite"):
        found.scale({3: float("inf")})


def test_comparing(known):
    source = feature_vector(known, MIXED, name="a")
    found = decompose(source, known, n_features=3)
    same = disagreement(found, found)
    assert (same.jaccard, same.only_a, same.only_b, same.opposite) == (1.0, (), (), ())
    assert same.cosine == pytest.approx(1) and same.shared == (3, 70, 200)
    other = disagreement(found.drop([3]), found.drop([200]).scale({70: -1}))
    assert (other.only_a, other.only_b, other.shared, other.opposite) == ((200,), (3,), (70,), (70,))
    assert other.jaccard == pytest.approx(1 / 3)
    assert disagreement(found.keep([]), found).cosine == 0
    assert disagreement(found.keep([]), found.keep([])).jaccard == 0
    with pytest.raises(ValueError, match="of one vector"):
        disagreement(found, decompose(feature_vector(known, PLANTED, name="a"), known))


def test_bad_decompositions(known, loaded, vector):
    source = given_vector(vector, **WHO)
    elsewhere = given_vector(vector, hook_name="blocks.2.hook_resid_post", name="a")
    scaled = replace(loaded, sae=make_sae(normalize_activations="layer_norm"))
    for act, message in (
        (lambda: decompose(source, loaded, method="ridge"), "method is"),
        (lambda: decompose(elsewhere, loaded), "reads the vector's hook, blocks.2.hook_resid_post"),
        (lambda: decompose(source, known), "the vector's width, 16; got 64"),
        (lambda: decompose(source, scaled), "normalize_activations"),
        (lambda: decompose(source, loaded, n_features=0), "n_features is at least 1"),
        (lambda: decompose(source, loaded, candidates=np.array([D_SAE])), "candidates are feature ids"),
        (lambda: decompose(source, loaded, candidates=np.array([], int)), "at least one"),
        (lambda: encode_difference(source, loaded, np.ones((2, 3)), np.ones((2, 16))), r"shape \(n, 16\)"),
    ):
        with pytest.raises(ValueError, match=message):
            act()
