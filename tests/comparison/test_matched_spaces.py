"""What a run of 04_match_features rests on is found, and a ceiling that is none is refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch

from helpers.comparison import load_matched_spaces, space_directions
from helpers.matching import match_features
from helpers.saes import SaeReference, load_sae
from helpers.saes.neurons import DIRECTIONS_FILE
from tests.activations.conftest import random_activations, small_sae, write_store
from tests.comparison.conftest import Left
from tests.matching.conftest import pair_set

D_SAE = 40


@pytest.fixture
def study(tmp_path):
    """The results of notebooks 02 to 04 for two dictionaries of one model; (notebook, run) -> result."""
    activations = [random_activations(400, D_SAE, seed=seed).toarray() for seed in (1, 2)]
    activations[1][:, :25] += 2 * activations[0][:, :25]
    stores = [write_store(tmp_path / f"store_{name}", scipy.sparse.csr_array(values)) for name, values in zip("ab", activations, strict=True)]  # fmt: skip
    pairs = match_features(*stores, min_firings=4)
    pairs.save(tmp_path / "pairs.npz")
    results = {
        ("03_save_activations", "acts"): Left({}, {f"store_{name}": tmp_path / f"store_{name}" for name in "ab"}),
        ("04_match_features", "m"): Left(
            {"activations": "acts", "dictionary_a": "a", "dictionary_b": "b"}, {"pairs": tmp_path / "pairs.npz"}
        ),
    }
    for seed, name in enumerate("ab"):
        small_sae(d_sae=D_SAE, seed=seed).save_model(tmp_path / f"sae_{name}")
        SaeReference("folder", "blocks.0.hook_resid_post", folder=f"sae_{name}").save(tmp_path / f"sae_{name}.json")
        params = {"run": name, "seed": seed, "source": "train", "model": "lm", "hook_name": "blocks.0.hook_resid_post"}
        results["02_train_saes", name] = Left(params, {"sae": tmp_path / f"sae_{name}.json"})
    return results


def read(study):
    return lambda notebook, run: study[notebook, run]


def test_spaces_hold_what_the_run_was_made_from(study):
    spaces = load_matched_spaces(read(study), "m", same_model=True)
    assert spaces.names == ("a", "b") and spaces.pairs.n_pairs > 20
    assert spaces.directions_a.shape == (D_SAE, 16)
    sae = load_sae(SaeReference.load(study["02_train_saes", "b"].artifact("sae"))).sae
    np.testing.assert_array_equal(spaces.directions_b, sae.W_dec.detach().double().numpy())
    encoder = load_matched_spaces(read(study), "m", space="encoder")
    np.testing.assert_array_equal(encoder.directions_b, sae.W_enc.detach().double().numpy().T)
    x, y = spaces.rows(spaces.pairs.above(0.5))
    kept = spaces.pairs.corr >= 0.5
    np.testing.assert_array_equal(x, spaces.directions_a[spaces.pairs.ids_a[kept]])
    np.testing.assert_array_equal(y, spaces.directions_b[spaces.pairs.ids_b[kept]])
    for candidates, store in zip(spaces.candidates, (spaces.store_a, spaces.store_b), strict=True):
        np.testing.assert_array_equal(candidates, np.flatnonzero(store.feature_counts >= 4))


def test_features_are_matched_again_on_the_first_documents(study):
    spaces = load_matched_spaces(read(study), "m")
    again = spaces.matched_on_first(95)  # documents have ten tokens
    stores = [scipy.sparse.csr_array(store.rows(0, 100)) for store in (spaces.store_a, spaces.store_b)]
    assert pair_set(again) == pair_set(match_features(*stores, min_firings=4)) != pair_set(spaces.pairs)
    assert spaces.matched_on_first(400) is spaces.pairs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "other"}, "a and b differ in model"),
        ({"hook_name": "blocks.1.hook_resid_post", "d_sae": 8}, "a and b differ in d_sae, hook_name"),
        ({"seed": 0}, "a and b have the same seed 0"),
    ],
)
def test_a_ceiling_is_one_model_twice(study, change, message):
    """Trap: two dictionaries of different layers, or the same one twice, would pass for a ceiling."""
    study["02_train_saes", "b"].params |= change
    load_matched_spaces(read(study), "m")
    with pytest.raises(ValueError, match=message):
        load_matched_spaces(read(study), "m", same_model=True)


def test_finished_dictionaries_need_no_seed(study):
    """Dictionaries that were trained elsewhere are folders; their seeds are not known here."""
    for name in "ab":
        study["02_train_saes", name].params |= {"source": "folder", "folder": f"elsewhere/{name}", "seed": 0}
    assert load_matched_spaces(read(study), "m", same_model=True).names == ("a", "b")


def test_neurons_have_the_directions_that_they_write_and_no_encoder(tmp_path):
    """Trap: as a dictionary neurons are the identity, whose rows are all equally far from each other."""
    sae = small_sae(d_sae=16, k=None)
    with torch.no_grad():
        sae.W_dec.copy_(torch.eye(16))
    sae.save_model(tmp_path / "neurons")
    written = np.random.default_rng(0).standard_normal((16, 8))
    np.save(tmp_path / "neurons" / DIRECTIONS_FILE, written)
    reference = SaeReference("folder", "blocks.0.mlp.hook_post", folder=str(tmp_path / "neurons"))
    np.testing.assert_array_equal(space_directions(reference), written)
    with pytest.raises(ValueError, match="neurons have no encoder of their own.* use space='decoder'"):
        space_directions(reference, space="encoder")
