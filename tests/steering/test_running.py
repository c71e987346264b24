"""Sweeps: settings side by side from a prefix that is computed once, on several architectures; and what goes wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from helpers.models import load_model
from helpers.steering import add, clamp, generate, intervening, project_out, steered_logits, steered_parts
from tests.steering.conftest import CONTEXT, D_MODEL, D_VOCAB, HOOK, config_of, prompts_of
from tests.steering.test_interventions import AT, LOGIT_ATOL, by_hand, is_untouched


@pytest.mark.parametrize("hook_name", ["blocks.0.hook_resid_pre", "blocks.1.hook_mlp_out", "blocks.2.hook_resid_post"])
@pytest.mark.parametrize("shared_prefix", [True, False])
def test_any_hook_of_a_layer(model, prompts, vector, hook_name, shared_prefix):
    found = steered_logits(model, prompts, [add(vector, hook_name=hook_name)], shared_prefix=shared_prefix)
    expected = by_hand(model, prompts, hook_name, lambda x: x + torch.from_numpy(vector).float(), AT["everywhere"])
    assert np.allclose(found[0], expected, atol=LOGIT_ATOL)


def test_a_sweep_is_its_settings_one_by_one(model, prompts, vector, loaded):
    """Several settings a pass, at several hooks, from shared prefixes, in pieces of any size: nothing but rounding changes."""
    settings = [
        (),
        add(vector, hook_name=HOOK),
        (clamp(loaded, 3, 2.5, at="last"), add(-vector, hook_name="blocks.2.hook_resid_pre")),
        add(vector, hook_name="blocks.2.hook_resid_post", at=((1,), (2, 3), (-1,))),
        add(vector, hook_name="blocks.0.hook_resid_post", strength=2),
        project_out(vector, hook_name="hook_embed"),
    ]
    alone = np.concatenate([steered_logits(model, prompts, [each], shared_prefix=False) for each in settings])
    for batch_size in (1, 2, 7, 256):
        together = steered_logits(model, prompts, settings, batch_size=batch_size)
        assert np.allclose(together, alone, atol=LOGIT_ATOL)
    some = steered_logits(model, prompts, settings, token_ids=[4, 1])
    assert np.allclose(some, alone[:, :, [4, 1]], atol=LOGIT_ATOL)
    assert min(np.abs(alone[i] - alone[j]).max() for i in range(6) for j in range(i)) > 100 * LOGIT_ATOL


def test_the_layers_below_are_run_once(model, prompts, vector):
    """Block 0 runs for the three prompts, once; block 2 for every setting (and for the two rows of the proof)."""
    rows: dict[int, list[int]] = {0: [], 2: []}

    def counting(layer):
        def count(module, arguments, output):
            rows[layer].append(len(output[0] if isinstance(output, tuple) else output))

        return count

    handles = [model.blocks[layer].original_component.register_forward_hook(counting(layer)) for layer in rows]
    steered_logits(model, prompts, [add(vector, hook_name=HOOK, strength=s) for s in range(1, 9)], batch_size=12)
    for handle in handles:
        handle.remove()
    assert rows == {0: [3], 2: [3, 2, 12, 12]}


def test_a_model_that_hands_on_more_than_the_stream_is_noticed(model, prompts, vector):
    """A later block that looks at the first block's work of this pass is wrong when that work is not done."""
    count = [0]
    first = model.blocks[0].original_component.register_forward_hook(lambda *_: count.__setitem__(0, 5))
    later = model.blocks[2].register_forward_pre_hook(
        lambda _, arguments: (arguments[0].roll(count[0], dims=-1), *arguments[1:])
    )
    reset = model.blocks[2].register_forward_hook(lambda *_: count.__setitem__(0, 0))
    try:
        with pytest.raises(ValueError, match="shared_prefix=False"):
            steered_logits(model, prompts, [add(vector, hook_name=HOOK)])
        steered_logits(model, prompts, [add(vector, hook_name=HOOK)], shared_prefix=False)
    finally:
        for handle in (first, later, reset):
            handle.remove()


def test_hooks_of_others_survive(model, prompts, vector):
    seen = []
    with model.hooks(fwd_hooks=[(HOOK, lambda stream, **_: seen.append(len(stream)))]):
        steered_logits(model, prompts, [add(vector, hook_name=HOOK)])
        n_seen = len(seen)
        model(torch.tensor([[1, 2]]))
        assert n_seen and len(seen) == n_seen + 1


def test_bad_runs(model, prompts, vector, loaded):
    with pytest.raises(ValueError, match="blocks.1.hook_resid_post"):
        steered_logits(model, prompts, [add(vector, hook_name="blocks.1.hook_resid_pots")])
    with pytest.raises(ValueError, match="layers 0 to 2"):
        steered_logits(model, prompts, [add(vector, hook_name="blocks.7.hook_resid_post")])
    with pytest.raises(ValueError, match=r"one vector a token.*hook_q"):
        steered_logits(model, prompts, [add(vector[:8], hook_name="blocks.1.attn.hook_q")])
    with pytest.raises(ValueError, match="has positions -2 to 1; got 2"):
        steered_logits(model, prompts, [add(vector, hook_name=HOOK, at=(2,))])
    with pytest.raises(ValueError, match="one tuple of positions a prompt, 3; got 4"):
        steered_logits(model, prompts, [add(vector, hook_name=HOOK, at=((0,), (0,), (0,), (0,)))])
    for strength in (1e30, 1e300):  # of the first a layer norm makes finite logits: those of zeros
        with pytest.raises(ValueError, match="overflow at strength 1e"):
            steered_logits(model, prompts, [add(vector, hook_name=HOOK, strength=strength)])
    with (
        model.hooks(fwd_hooks=[("blocks.2.hook_resid_post", lambda stream, **_: stream * np.nan)]),
        pytest.raises(ValueError, match=r"finite; got NaN or infinity at strengths \[2"),
    ):
        steered_logits(model, prompts, [add(vector, hook_name=HOOK, strength=2)], shared_prefix=False)
    assert is_untouched(model)
    with pytest.raises(ValueError, match=f"{CONTEXT} positions; got {CONTEXT + 1}"):
        steered_logits(model, prompts_of([4] * CONTEXT), [()])
    with pytest.raises(ValueError, match=f"below the model's {D_VOCAB}"):
        steered_logits(model, prompts_of([D_VOCAB]), [()])
    with pytest.raises(ValueError, match=f"in \\[0, {D_VOCAB}"):
        steered_logits(model, prompts, [()], token_ids=[D_VOCAB])
    with pytest.raises(ValueError, match="center_writing_weights=True"):
        steered_logits(model, prompts, [clamp(replace(loaded, center_writing_weights=True), 3, 1.0)])
    with pytest.raises(ValueError, match="hook of the model"):
        steered_parts(model, prompts, [()], hook_names=["blocks.1.nothing"])
    with pytest.raises(ValueError, match="batch_size is at least 1"):
        steered_logits(model, prompts, [()], batch_size=0)


def test_a_half_precision_model_is_steered(model_folder, prompts, vector):
    """bfloat16 rounds to 3 digits: the shared prefix is still accepted, and the logits are those of a hand-written hook."""
    model = load_model(model_folder, device="cpu", dtype="bfloat16")
    hook_name = "blocks.0.hook_resid_post"
    found = steered_logits(model, prompts, [add(vector, hook_name=hook_name)])[0]
    step = torch.from_numpy(vector).to(torch.bfloat16)
    expected = by_hand(model, prompts, hook_name, lambda x: x + step, AT["everywhere"])
    assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


def test_gradients_pass_through_an_intervention(model, vector):
    """What an attribution by gradient needs: the answer's logit still depends on what comes below the hook."""
    prompts = prompts_of([5, 9, 11])
    ids = torch.from_numpy(prompts.input_ids)
    embedded = model.embed(ids).detach().requires_grad_()
    with (
        model.hooks(fwd_hooks=[("hook_embed", lambda _, **__: embedded)]),
        intervening(model, prompts, add(vector, hook_name=HOOK)),
    ):
        logit = model(ids, prepend_bos=False)[0, -1, 4]
    logit.backward()
    assert embedded.grad is not None and embedded.grad.abs().max() > 1e-3


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "bloom"])
def test_other_architectures(architecture, tmp_path, tokenizer, prompts, vector):
    """Rotations, grouped keys, alternating masks, capped logits, no positions at all: what is skipped is theirs to know."""
    shape = {"vocab_size": D_VOCAB, "hidden_size": D_MODEL, "initializer_range": 0.3}
    if architecture == "bloom":
        config = AutoConfig.for_model("bloom", **shape, n_layer=3, n_head=2)
    else:
        config = AutoConfig.for_model(
            architecture, **shape, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1, head_dim=8,
            intermediate_size=32, max_position_embeddings=CONTEXT,
        )  # fmt: skip
    torch.manual_seed(3)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = load_model(tmp_path, device="cpu")
    expected = by_hand(model, prompts, HOOK, lambda x: x + torch.from_numpy(vector).float(), AT["everywhere"])
    settings = [(), add(vector, hook_name=HOOK)]
    for side in ("left", "right"):
        for shared_prefix in (True, False):
            found = steered_logits(model, prompts.padded(side), settings, shared_prefix=shared_prefix)
            assert np.allclose(found[1], expected, atol=LOGIT_ATOL)
    cached, plain = (generate(model, prompts, settings, n_new=5, use_cache=use_cache) for use_cache in (True, False))
    assert np.array_equal(cached, plain)


def test_a_centred_model(tmp_path, tokenizer, prompts, vector, loaded):
    """What dictionaries such as gpt2-small-res-jb need: hooks have two names there, and still act once."""
    torch.manual_seed(3)
    AutoModelForCausalLM.from_config(config_of("gpt2")).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = load_model(tmp_path, device="cpu", center_writing_weights=True)
    centred = replace(loaded, center_writing_weights=True)
    keep = torch.from_numpy(prompts.keep_mask)
    for hook_name in (HOOK, "blocks.1.hook_out"):
        streams = [
            part.activations[hook_name][keep]
            for part in steered_parts(model, prompts, [(), add(vector, hook_name=hook_name)], hook_names=[hook_name])
        ]
        step = torch.from_numpy(vector).float().expand_as(streams[0])
        assert torch.allclose(streams[1] - streams[0], step, atol=LOGIT_ATOL)
    found = steered_logits(model, prompts, [clamp(centred, 3, 2.5)])[0]
    sae = loaded.sae
    expected = by_hand(model, prompts, HOOK, lambda x: x + (2.5 - sae.encode(x)[3]) * sae.W_dec[3], AT["everywhere"])
    assert np.allclose(found, expected, atol=LOGIT_ATOL)
