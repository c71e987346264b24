"""Functional similarity against ablations written by hand, planted partners, and nulls that must not be fooled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from helpers.matching.pairs import make_pairs
from helpers.models import load_model
from helpers.saes import LoadedSae
from helpers.steering.effects import (
    FunctionalSimilarity,
    functional_similarity,
    partners_beside_others,
    similarity_and_match,
)
from tests.steering.conftest import D_SAE, D_VOCAB, HOOK, config_of, make_sae, prompts_of
from tests.steering.effects.conftest import hand_run, rejected, text_columns, unpadded

ATOL = 1e-4  # of a correlation; changes of probabilities are 1e-2 and more, with float32 rounding of 1e-7


@pytest.fixture(scope="module")
def texts():
    rows = np.random.default_rng(4).integers(2, D_VOCAB, (4, 9))
    return prompts_of(*(row[: 9 - number].tolist() for number, row in enumerate(rows)))


@pytest.fixture(scope="module")
def other_model(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("other")
    torch.manual_seed(11)
    GPT2LMHeadModel(config_of("gpt2")).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load_model(folder, device="cpu")


def pairs_of(ids_a, ids_b, corr=None):
    corr = np.linspace(0.9, 0.1, len(ids_a)) if corr is None else corr
    settings = {"d_sae_a": D_SAE, "d_sae_b": D_SAE, "direction": "a_to_b"}
    return make_pairs(np.asarray(ids_a), np.asarray(ids_b), corr, settings=settings)


def change_by_hand(model, loaded, texts, feature_id, scale):
    """All changes of one ablated feature, text after text, with firings and total variation beside them."""
    changes, fires, totals = [], [], []
    for number, ids in enumerate(unpadded(texts)):
        columns = text_columns(texts, number)

        def ablate(stream, columns=columns):
            acts = loaded.sae.encode(stream[columns])[:, feature_id]
            stream[columns] -= acts[:, None] * loaded.sae.W_dec[feature_id]
            return stream

        stream, plain = hand_run(model, ids)
        logits = hand_run(model, ids, [(HOOK, ablate)])[1]
        moved = (logits.softmax(1) - plain.softmax(1))[columns]
        totals.append(moved.abs().sum(dim=1) / 2)
        if scale == "log_probability":
            moved = (logits.log_softmax(1) - plain.log_softmax(1))[columns]
            moved = moved - moved.mean(dim=1, keepdim=True)
        changes.append(moved.flatten())
        fires.append(loaded.sae.encode(stream.float())[columns, feature_id] > 0)
    return torch.cat(changes).numpy(), torch.cat(fires).numpy(), torch.cat(totals).numpy()


@pytest.mark.parametrize("scale", ["probability", "log_probability"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_every_number_by_hand(model, other_model, texts, loaded, scale, side):
    pairs = pairs_of([20, 11, 20, 7], [5, 11, 30, 5])
    found = functional_similarity(
        model, other_model, texts.padded(side), loaded, loaded, pairs, scale=scale, batch_size=2
    )
    assert found.n_silent == 0 and found.n_tokens == int(texts.keep_mask.sum()) and found.scale == scale
    sides = [
        [change_by_hand(each, loaded, texts, feature_id, scale) for feature_id in ids]
        for each, ids in ((model, pairs.ids_a), (other_model, pairs.ids_b))
    ]
    for i, (change_a, fires_a, total_a) in enumerate(sides[0]):
        assert found.firings_a[i] == fires_a.sum()
        assert found.effects_a[i] == pytest.approx(total_a[fires_a].mean(), rel=1e-3)
        for j, (change_b, fires_b, _) in enumerate(sides[1]):
            assert found.similarity[i, j] == pytest.approx(np.corrcoef(change_a, change_b)[0, 1], abs=ATOL)
            assert found.cofiring[i, j] == pytest.approx((fires_a & fires_b).sum() / (fires_a | fires_b).sum())
    assert np.array_equal(found.ids_b, pairs.ids_b) and np.allclose(found.corr, pairs.corr)
    assert np.abs(found.matched).max() > 10 * ATOL


def test_planted_partners_are_found(model, texts, loaded):
    """The same model with a dictionary in another order: partners do the same to the last digit, others do not."""
    order = np.random.default_rng(1).permutation(D_SAE)
    sae = make_sae()
    with torch.no_grad():
        for name in ("W_dec", "b_enc"):
            getattr(sae, name).copy_(getattr(loaded.sae, name)[order])
        sae.W_enc.copy_(loaded.sae.W_enc[:, order])
    ids_a = np.arange(D_SAE)
    found = functional_similarity(model, model, texts, loaded, replace(loaded, sae=sae), pairs_of(order, ids_a))
    assert np.allclose(found.matched, 1, atol=ATOL)
    others = ~np.eye(found.n_pairs, dtype=bool)
    assert found.similarity[others].max() < 0.95
    for null in ("frequency", "cofiring"):
        result = partners_beside_others(found, null=null, group_size=10, n_runs=99)
        assert result.score == pytest.approx(1, abs=ATOL) and result.p_value == 1 / 100
        assert result.null_mean < 0.6


def test_features_that_never_fire_are_left_out(model, texts, loaded):
    sae = make_sae()
    with torch.no_grad():
        sae.b_enc[11] = -1e4
    silent = replace(loaded, sae=sae)
    found = functional_similarity(model, model, texts, silent, silent, pairs_of([7, 11, 20], [7, 5, 20]))
    assert found.n_silent == 1 and found.ids_a.tolist() == [7, 20] and found.similarity.shape == (2, 2)
    assert np.allclose(found.matched, 1, atol=ATOL)
    with rejected("two pairs or more"):
        functional_similarity(model, model, texts, silent, silent, pairs_of([7, 11], [7, 5]))


def result_of(similarity, *, firings=None, cofiring=None, ids_b=None, corr=None) -> FunctionalSimilarity:
    n = len(similarity)
    ones = np.ones(n)
    return FunctionalSimilarity(
        ids_a=np.arange(n),
        ids_b=np.arange(n) if ids_b is None else ids_b,
        corr=np.linspace(0.1, 0.9, n) if corr is None else corr,
        similarity=similarity,
        cofiring=np.eye(n) if cofiring is None else cofiring,
        firings_a=np.ones(n, int),
        firings_b=np.ones(n, int) if firings is None else firings,
        effects_a=ones,
        effects_b=ones,
        n_tokens=100,
        n_silent=0,
        scale="probability",
    )


def test_frequent_features_that_are_all_alike_do_not_pass():
    """The trap: all frequent features do alike, whatever they match; shuffled among all pairs, partners would stand out."""
    frequent = np.arange(40) < 20
    similarity = np.where(np.outer(frequent, frequent), 0.8, 0.0)
    result = result_of(similarity, firings=np.where(frequent, 1000, 3))
    fair = partners_beside_others(result, group_size=20, n_runs=199)
    assert fair.p_value == 1 and fair.null_mean == pytest.approx(fair.score)
    assert partners_beside_others(result, group_size=40, n_runs=199).p_value == 1 / 200


def test_features_that_act_in_the_same_places_do_not_pass():
    """The trap: features in blocks of four that fire together do alike; the shuffle is passed, the strangers are not."""
    block = np.kron(np.eye(10), np.ones((4, 4)))
    result = result_of(0.7 * block, cofiring=0.9 * block)
    assert partners_beside_others(result, null="frequency", n_runs=199).p_value == 1 / 200
    assert partners_beside_others(result, null="cofiring", n_nearest=3, n_runs=199).p_value == 1
    better = result_of(0.7 * block + 0.2 * np.eye(40), cofiring=0.9 * block)
    assert partners_beside_others(better, null="cofiring", n_nearest=3, n_runs=199).p_value == 1 / 200


def test_a_partner_is_no_stranger_under_another_pair():
    """Two pairs that share a feature of b: it is drawn for neither."""
    similarity = np.array([[0.9, 0.9, 0.1], [0.9, 0.9, 0.1], [0.2, 0.2, 0.9]])
    result = result_of(similarity, ids_b=np.array([5, 5, 8]), cofiring=similarity)
    found = partners_beside_others(result, null="cofiring", n_nearest=1, n_runs=9)
    assert found.null_mean == pytest.approx((0.1 + 0.1 + 0.2) / 3)


def test_similarity_and_match():
    rising = np.diag(np.linspace(0.2, 0.6, 30) ** 3)
    result = similarity_and_match(result_of(rising), n_runs=199)
    assert result.score == pytest.approx(1) and result.p_value == 1 / 200
    assert abs(result.null_mean) < 0.1
    turned = similarity_and_match(result_of(rising, corr=np.linspace(0.9, 0.1, 30)), n_runs=199)
    assert turned.score == pytest.approx(-1) and turned.p_value == 1


def test_saved_and_read(tmp_path):
    result = result_of(np.eye(3))
    result.save(tmp_path / "functional.npz")
    again = FunctionalSimilarity.load(tmp_path / "functional.npz")
    for name, value in vars(result).items():
        assert np.array_equal(vars(again)[name], value)
    with rejected("no such file"):
        FunctionalSimilarity.load(tmp_path / "none.npz")


def test_bad_input(model, texts, loaded, tmp_path, tokenizer):
    pairs = pairs_of([3, 20], [3, 20])

    def run(**changes):
        given = {
            "model_a": model,
            "model_b": model,
            "texts": texts,
            "loaded_a": loaded,
            "loaded_b": loaded,
            "pairs": pairs,
        }
        functional_similarity(**(given | changes))

    with rejected("scale is"):
        run(scale="logit")
    with rejected("batch_size is at least 1"):
        run(batch_size=0)
    small = GPT2LMHeadModel(GPT2Config(**{**config_of("gpt2").to_dict(), "vocab_size": D_VOCAB + 1}))
    small.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with rejected(f"one vocabulary; got {D_VOCAB} and {D_VOCAB + 1}"):
        run(model_b=load_model(tmp_path, device="cpu"))
    with rejected("are a and b swapped"):
        wide = make_pairs(
            np.array([1, 2]), np.array([1, 2]), np.ones(2), settings={**pairs.settings, "d_sae_b": D_SAE + 1}
        )
        run(pairs=wide)
    with rejected("that is not special"):
        run(texts=replace(texts, keep_mask=np.zeros_like(texts.keep_mask)))
    with rejected("hook of the model"):
        run(loaded_b=replace(loaded, hook_name="blocks.9.hook_resid_post"))
    with rejected("normalize_activations"):
        run(loaded_a=LoadedSae(make_sae(normalize_activations="layer_norm"), HOOK, True, False))
    result = result_of(np.eye(4))
    for options in ({"group_size": 1}, {"n_runs": 0}, {"n_nearest": 0}):
        with rejected("at least"):
            partners_beside_others(result, **options)
    with rejected("null is"):
        partners_beside_others(result, null="random")
    with rejected("different features of b"):
        partners_beside_others(result_of(np.eye(4), ids_b=np.zeros(4, int)), null="cofiring")
    with rejected("n_runs is at least 1"):
        similarity_and_match(result, n_runs=0)
    with rejected("got equal ones"):
        similarity_and_match(result)
    assert not any(hook.fwd_hooks for hook in model.hook_dict.values())
