"""Logit effects against the models' own final layers, differentiated."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import torch
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from helpers.features import LogitEffects, listed_tokens, logit_effects
from helpers.models import load_model
from helpers.saes import neuron_directions

D_MODEL, N_VOCAB, N_FEATURES = 16, 61, 5
SMALL = {"vocab_size": N_VOCAB, "hidden_size": D_MODEL, "num_hidden_layers": 1, "intermediate_size": 32}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0}


def new_models():
    return {
        "gpt_neox": GPTNeoXForCausalLM(GPTNeoXConfig(**SMALL, num_attention_heads=2)),
        "gpt2": GPT2LMHeadModel(GPT2Config(vocab_size=N_VOCAB, n_embd=D_MODEL, n_layer=1, n_head=2)),
        "llama": LlamaForCausalLM(LlamaConfig(**SMALL, **HEADS)),
        "gemma": GemmaForCausalLM(GemmaConfig(**SMALL, **HEADS)),  # stores the norm's weight as an offset from 1
    }


FINAL_NORM = {"gpt_neox": "gpt_neox.final_layer_norm", "gpt2": "transformer.ln_f", "llama": "model.norm",
              "gemma": "model.norm"}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tokenizer, tmp_path_factory):
    torch.manual_seed(0)
    paths = {}
    for name, model in new_models().items():
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn_like(parameter))
        paths[name] = tmp_path_factory.mktemp(name)
        model.save_pretrained(paths[name])
        tokenizer.save_pretrained(paths[name])
    return paths


def differentiated(folder, name, directions):
    """Derivative of the model's own logits, times the norm's scale, along every direction, in float64.

    The residual is at a right angle to all directions and to the constant vector: moving it along a direction then
    does not change its size, so the derivative is the one at a fixed scale, and no formula of the norm is needed.
    """
    hf = type(new_models()[name]).from_pretrained(folder).double()
    norm, head = hf.get_submodule(FINAL_NORM[name]), hf.get_output_embeddings()
    span = np.vstack([directions, np.ones(D_MODEL)])
    residual = np.linalg.svd(span)[2][-1] * 50  # its variance, 50**2 / 16, is far above the norm's epsilon
    assert np.abs(span @ residual).max() < 1e-9
    rows = []
    for direction in directions:
        point, step = torch.from_numpy(residual), torch.from_numpy(direction)
        _, derivative = torch.func.jvp(lambda x: head(norm(x[None]))[0], (point,), (step,))
        rows.append(derivative.detach().numpy() * np.sqrt(np.mean(residual**2)))
    return np.array(rows)


def check(found, expected):
    """Lists against a full sort. float32 sums of 16 products of size 10 are right to 1e-4; effects here are of size 10."""
    for place, row in enumerate(expected):
        order = np.argsort(row)
        np.testing.assert_array_equal(found.promoted_ids[place], order[::-1][: found.n_top])
        np.testing.assert_array_equal(found.suppressed_ids[place], order[: found.n_top])
        np.testing.assert_allclose(found.promoted[place], row[found.promoted_ids[place]], atol=1e-4)
        np.testing.assert_allclose(found.suppressed[place], row[found.suppressed_ids[place]], atol=1e-4)


@pytest.mark.parametrize("name", FINAL_NORM)
def test_effects_are_derivatives_of_the_models_own_logits(folders, name):
    directions = np.random.default_rng(1).normal(size=(N_FEATURES, D_MODEL))
    raw = differentiated(folders[name], name, directions)
    expected = raw - raw.mean(axis=1, keepdims=True)
    model = load_model(folders[name], device="cpu")
    check(logit_effects(directions, model, n_top=7), expected)
    # Traps: leaving out the norm's weight, or the mean over tokens, gives other numbers.
    plain = directions @ model.W_U.double().numpy()
    assert np.abs(plain - raw).max() > 1
    assert np.abs(expected - raw).max() > 1e-2


def test_folded_weights_give_the_same(folders):
    directions = np.random.default_rng(1).normal(size=(N_FEATURES, D_MODEL))
    plain = logit_effects(directions, load_model(folders["gpt2"], device="cpu"))
    centred = logit_effects(directions, load_model(folders["gpt2"], device="cpu", center_writing_weights=True))
    np.testing.assert_array_equal(centred.promoted_ids, plain.promoted_ids)
    np.testing.assert_allclose(centred.promoted, plain.promoted, atol=1e-4)


def test_block_borders_do_not_matter_and_features_are_found_by_id(folders, monkeypatch):
    directions = np.random.default_rng(2).normal(size=(40, D_MODEL))
    model = load_model(folders["llama"], device="cpu")
    whole = logit_effects(directions, model)
    module = import_module("helpers.features.logit_effects")
    monkeypatch.setattr(module, "BLOCK_FEATURES", 3)
    monkeypatch.setattr(module, "BLOCK_TOKENS", 7)
    chosen = [31, 4, 17, 9]
    some = logit_effects(directions, model, feature_ids=chosen)
    for feature in chosen:
        # Trap: row 1 of the chosen ones is feature 4, not feature 1.
        np.testing.assert_array_equal(some.of(feature).promoted_ids, whole.promoted_ids[[feature]])
        # Blocks of another width may round a sum of 16 products otherwise.
        np.testing.assert_allclose(some.of(feature).suppressed, whole.suppressed[[feature]], atol=1e-4)
    assert not np.array_equal(some.promoted_ids[1], whole.promoted_ids[1])
    with pytest.raises(ValueError, match="feature 1 is not among the 4 chosen ones"):
        some.of(1)


def test_only_listed_tokens_are_shown_and_counted(folders):
    directions = np.random.default_rng(3).normal(size=(2, D_MODEL))
    model = load_model(folders["gpt_neox"], device="cpu")
    everything = logit_effects(directions, model, n_top=5)
    keep_mask = np.ones(N_VOCAB, dtype=bool)
    keep_mask[everything.promoted_ids[0, :2]] = False
    listed = logit_effects(directions, model, n_top=5, keep_mask=keep_mask)
    np.testing.assert_array_equal(listed.promoted_ids[0, :3], everything.promoted_ids[0, 2:])
    # Gaps between effects are as they were; the mean is over the listed tokens alone, so it rose by what was lost.
    shift = listed.promoted[0, :3] - everything.promoted[0, 2:]
    expected = everything.promoted[0, :2].sum() / (N_VOCAB - 2)
    np.testing.assert_allclose(shift, expected, atol=1e-4)
    assert expected > 0.01


def test_listed_tokens_are_no_padding_and_nothing_special(tokenizer):
    keep_mask = listed_tokens(tokenizer, n_vocab=len(tokenizer) + 40)
    assert not keep_mask[len(tokenizer) :].any()
    assert not keep_mask[[tokenizer.bos_token_id, tokenizer.pad_token_id]].any()
    assert keep_mask[tokenizer.unk_token_id]  # stands for real words
    assert keep_mask.sum() == len(tokenizer) - 2


def test_equal_effects_put_the_lower_token_first(folders):
    model = load_model(folders["llama"], device="cpu")
    found = logit_effects(np.zeros((1, D_MODEL)), model, n_top=4)
    np.testing.assert_array_equal(found.promoted_ids, [[0, 1, 2, 3]])
    np.testing.assert_array_equal(found.suppressed_ids, [[0, 1, 2, 3]])
    assert not found.promoted.any()


def test_neurons_give_what_they_write(model):
    directions = neuron_directions(model, hook_name="blocks.1.mlp.hook_post")
    assert logit_effects(directions, model, n_top=3).promoted_ids.shape == (32, 3)
    with pytest.raises(ValueError, match=r"directions must have shape \(d_sae, 16\).*got \(32, 32\)"):
        logit_effects(np.eye(32), model)


def test_bad_arguments_are_refused(folders, monkeypatch):
    model = load_model(folders["llama"], device="cpu")
    directions = np.ones((3, D_MODEL))
    with pytest.raises(ValueError, match="n_top must be from 1 to 30"):
        logit_effects(directions, model, n_top=31)
    with pytest.raises(ValueError, match="n_top must be from 1 to 30"):
        logit_effects(directions, model, n_top=0)
    with pytest.raises(ValueError, match=r"keep_mask must be \(61,\) bool"):
        logit_effects(directions, model, keep_mask=np.ones(60, dtype=bool))
    with pytest.raises(ValueError, match=r"feature_ids must be in \[0, 3\); got 3"):
        logit_effects(directions, model, feature_ids=[0, 3])
    with pytest.raises(ValueError, match="must be finite"):
        logit_effects(np.full((3, D_MODEL), np.nan), model)

    class NoNorm:
        W_U = torch.ones(D_MODEL, N_VOCAB)

    with pytest.raises(ValueError, match="has no final norm"):
        logit_effects(directions, NoNorm())


def test_saving(folders, tmp_path):
    found = logit_effects(
        np.random.default_rng(4).normal(size=(6, D_MODEL)), load_model(folders["llama"], device="cpu")
    )
    found.save(tmp_path / "effects.npz")
    loaded = LogitEffects.load(tmp_path / "effects.npz")
    for name in LogitEffects.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(found, name))
    (tmp_path / "effects.npz").write_bytes((tmp_path / "effects.npz").read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read as logit effects"):
        LogitEffects.load(tmp_path / "effects.npz")
    with pytest.raises(ValueError, match="found no such file"):
        LogitEffects.load(tmp_path / "none.npz")
