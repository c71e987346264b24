"""Every intervention against a forward hook written by hand, on one unpadded prompt at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.saes import LoadedSae
from helpers.steering import (
    Condition,
    add,
    clamp,
    edit_features,
    intervening,
    mean_residual_norm,
    project_out,
    reconstruct,
    steered_logits,
    steered_parts,
    subtract,
)
from helpers.steering.feature_edits import decoder_rows
from tests.steering.conftest import D_MODEL, D_SAE, HOOK, make_sae

# float32 through three layers: rounding is about 1e-6; the interventions move logits by 0.1 and more.
LOGIT_ATOL = 1e-5


def by_hand(model, prompts, hook_name, change, columns):
    """Last logits of every prompt by itself, unpadded, with a hand-written hook; `columns(length)` are changed."""
    rows = []
    for number in range(prompts.n_prompts):
        ids = torch.from_numpy(prompts.input_ids[number][prompts.attention_mask[number]])[None]

        def hook_function(stream, hook, ids=ids):
            stream = stream.clone()
            for column in columns(ids.shape[1]):
                stream[0, column] = change(stream[0, column])
            return stream

        with torch.no_grad():
            rows.append(model.run_with_hooks(ids, fwd_hooks=[(hook_name, hook_function)], prepend_bos=False)[0, -1])
    return torch.stack(rows).float().numpy()


AT = {
    "last": lambda length: [length - 1],
    "from_last": lambda length: [length - 1],
    "everywhere": lambda length: range(1, length),  # no BOS
    "new": lambda _: [],
    (0, -1): lambda length: [0, length - 1],
}


def cases(vector, loaded):
    """Name -> (intervention, the same change of one row by hand)."""
    v = torch.from_numpy(vector).float()
    unit = v / v.norm()
    sae = loaded.sae

    def clamped(x):
        return x + (2.5 - sae.encode(x)[3]) * sae.W_dec[3]

    def scaled_without_error(x):
        acts = sae.encode(x)
        acts[4] *= 3
        acts[6] = 0
        return sae.decode(acts)

    def added(x):
        acts = sae.encode(x)
        return x + (torch.relu(acts[9] - 0.4) - acts[9]) * sae.W_dec[9] + 1.5 * sae.W_dec[2]

    due = Condition(vector, 0.0, HOOK)

    return {
        "add": (add(vector, hook_name=HOOK, strength=0.7), lambda x: x + 0.7 * v),
        "add where due": (
            add(vector, hook_name=HOOK, strength=0.7, condition=due),
            lambda x: x + 0.7 * v if float(x @ v) > 0 else x,
        ),
        "add absolute": (add(vector, hook_name=HOOK, strength=3, unit="absolute"), lambda x: x + 3 * unit),
        "add relative": (
            add(vector, hook_name=HOOK, strength=0.5, unit="residual_norm", residual_norm=8.0),
            lambda x: x + 4 * unit,
        ),
        "subtract": (subtract(vector, hook_name=HOOK, strength=0.7), lambda x: x - 0.7 * v),
        "project out": (project_out(vector, hook_name=HOOK), lambda x: x - (x @ unit) * unit),
        "half out": (project_out(vector, hook_name=HOOK, strength=0.5), lambda x: x - 0.5 * (x @ unit) * unit),
        "clamp": (clamp(loaded, 3, 2.5), clamped),
        "scale": (edit_features(loaded, values={6: 0}, factors={4: 3}, keep_error=False), scaled_without_error),
        "amounts": (edit_features(loaded, amounts={9: -0.4, 2: 1.5}), added),
        "reconstruct": (reconstruct(loaded), lambda x: sae(x)),
        "halfway": (reconstruct(loaded, strength=0.5), lambda x: (x + sae(x)) / 2),
    }


NAMES = list(cases(np.ones(D_MODEL), LoadedSae(make_sae(), HOOK, True, False)))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_a_hand_written_hook(model, prompts, vector, loaded, name, side):
    intervention, change = cases(vector, loaded)[name]
    settings = [replace(intervention, at=at) for at in AT]
    found = steered_logits(model, prompts.padded(side), settings)
    plain = by_hand(model, prompts, HOOK, lambda x: x, AT["new"])
    for number, (at, columns) in enumerate(AT.items()):
        expected = by_hand(model, prompts, HOOK, change, columns)
        assert np.allclose(found[number], expected, atol=LOGIT_ATOL), at
        assert at == "new" or np.abs(expected - plain).max() > 100 * LOGIT_ATOL  # the test can fail


def all_streams(model, prompts, setting):
    names = [f"blocks.{layer}.hook_resid_post" for layer in range(3)]
    [part] = steered_parts(model, prompts, [setting], hook_names=names)
    return [part.activations[name] for name in names] + [part.logits]


@pytest.mark.parametrize("name", NAMES)
def test_strength_0_changes_nothing_to_the_bit(model, prompts, vector, loaded, name):
    intervention, _ = cases(vector, loaded)[name]
    plain = all_streams(model, prompts, ())
    still = all_streams(model, prompts, replace(intervention, strength=0.0))
    assert all(torch.equal(a.view(torch.int32), b.view(torch.int32)) for a, b in zip(plain, still, strict=True))
    # In a sweep too, where the plain model needs no block above the prefix and the intervention does.
    logits = steered_logits(model, prompts, [(), replace(intervention, strength=0.0)])
    assert np.array_equal(logits[0].view(np.int32), logits[1].view(np.int32))


def test_tokens_that_are_not_steered_stay_to_the_bit(model, prompts, vector, loaded):
    plain = all_streams(model, prompts, ())[1]
    for name, (intervention, _) in cases(vector, loaded).items():
        changed = all_streams(model, prompts, intervention)[1]
        moved = (changed != plain).any(dim=2).numpy()
        due = (plain @ torch.from_numpy(vector).float() > 0).numpy() if name == "add where due" else True
        assert np.array_equal(moved, prompts.keep_mask & due), name


def test_a_clamped_feature_moves_the_stream_by_its_decoder_row(model, prompts, loaded):
    plain, changed = (all_streams(model, prompts, setting)[1] for setting in ((), clamp(loaded, 3, 2.5)))
    keep = torch.from_numpy(prompts.keep_mask)
    missing = 2.5 - loaded.sae.encode(plain[keep])[:, 3]
    expected = plain[keep] + missing[:, None] * loaded.sae.W_dec[3]
    assert torch.equal(changed[keep], expected)
    assert missing.abs().max() > 1
    assert not torch.allclose(loaded.sae.encode(changed[keep])[:, 3], torch.tensor(2.5), atol=0.1)  # need not survive


def test_reconstruction_with_its_error_is_nothing(model, prompts, loaded):
    plain, same = (all_streams(model, prompts, setting) for setting in ((), reconstruct(loaded, keep_error=True)))
    assert all(torch.equal(a, b) for a, b in zip(plain, same, strict=True))


def test_a_decoder_row_and_an_amount_of_its_feature_are_the_same(model, prompts, loaded):
    """Adding 2 to a feature's activation with the error kept is adding its decoder row twice, however long it is."""
    row = loaded.sae.W_dec[2].double().numpy()
    by_row, by_feature = steered_logits(
        model, prompts, [add(row, hook_name=HOOK, strength=2), edit_features(loaded, amounts={2: 2})]
    )
    assert np.allclose(by_row, by_feature, atol=LOGIT_ATOL)


def test_decoder_rows_of_a_dictionary_that_divides_by_their_norms(loaded):
    loud = make_sae()
    loud.cfg.rescale_acts_by_decoder_norm = True
    rows = decoder_rows(replace(loaded, sae=loud), [1, 2])
    assert torch.allclose(rows.norm(dim=1), torch.ones(2))
    assert not torch.allclose(decoder_rows(loaded, [1, 2]).norm(dim=1), torch.ones(2), atol=0.1)


def test_relative_strength_is_in_mean_lengths_of_text_tokens(model, prompts, vector):
    keep = torch.from_numpy(prompts.keep_mask)
    plain = all_streams(model, prompts, ())[1]
    norm = mean_residual_norm(model, prompts, hook_name=HOOK)
    assert norm == pytest.approx(float(plain[keep].norm(dim=1).mean()), rel=1e-5)
    assert norm != pytest.approx(float(plain[torch.from_numpy(prompts.attention_mask)].norm(dim=1).mean()), rel=1e-3)
    relative = add(5 * vector, hook_name=HOOK, strength=2, unit="residual_norm", residual_norm=norm)
    moved = all_streams(model, prompts, relative)[1] - plain
    assert torch.allclose(moved[keep].norm(dim=1), torch.tensor(2 * norm), rtol=1e-4)


def n_hooks(model):
    return sum(len(hook.fwd_hooks) for hook in {id(hook): hook for hook in model.hook_dict.values()}.values())


def is_untouched(model):
    return n_hooks(model) == 0 and not any("forward" in block.__dict__ for block in model.blocks)


def test_a_model_is_never_left_hooked(model, prompts, vector, loaded, monkeypatch):
    with pytest.raises(KeyboardInterrupt), intervening(model, prompts, add(vector, hook_name=HOOK)):
        assert n_hooks(model) == 1
        raise KeyboardInterrupt
    assert is_untouched(model)
    with pytest.raises(ValueError, match="width"):
        steered_logits(model, prompts, [add(vector[1:], hook_name=HOOK)])
    assert is_untouched(model)

    def interrupted(rows):
        raise KeyboardInterrupt

    broken = clamp(loaded, 3, 1.0)
    monkeypatch.setattr(loaded.sae, "encode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        steered_logits(model, prompts, [broken])
    assert is_untouched(model)
    unfinished = steered_parts(model, prompts, [add(vector, hook_name=HOOK)] * 4, batch_size=3)
    next(unfinished)
    assert is_untouched(model)  # also between the parts of a sweep
    unfinished.close()


def test_bad_interventions(vector, loaded):
    for bad, message in ((np.zeros(D_MODEL), "not zero"), (vector * np.nan, "finite"), (vector[None], r"shape \(d,\)")):
        with pytest.raises(ValueError, match=message):
            add(bad, hook_name=HOOK)
        with pytest.raises(ValueError, match=message):
            project_out(bad, hook_name=HOOK)
    with pytest.raises(ValueError, match="strength is a finite"):
        add(vector, hook_name=HOOK, strength=float("inf"))
    with pytest.raises(ValueError, match="unit is"):
        add(vector, hook_name=HOOK, unit="relative")
    with pytest.raises(ValueError, match="measure it with mean_residual_norm"):
        add(vector, hook_name=HOOK, unit="residual_norm")
    with pytest.raises(ValueError, match="and with no other"):
        add(vector, hook_name=HOOK, residual_norm=3.0)
    with pytest.raises(ValueError, match="positive length"):
        add(vector, hook_name=HOOK, unit="residual_norm", residual_norm=0.0)
    for at, message in (
        ("end", "one of last"),
        ((), "tuple of positions"),
        ((1.5,), "whole numbers"),
        (((),), "whole"),
    ):
        with pytest.raises(ValueError, match=message):
            add(vector, hook_name=HOOK, at=at)
    with pytest.raises(ValueError, match="in two of them"):
        edit_features(loaded, values={3: 1.0}, factors={3: 2.0})
    with pytest.raises(ValueError, match=f"in \\[0, {D_SAE}"):
        clamp(loaded, D_SAE, 1.0)
    with pytest.raises(ValueError, match="finite numbers"):
        clamp(loaded, 1, float("nan"))
    scaled = replace(loaded, sae=make_sae(normalize_activations="layer_norm"))
    with pytest.raises(ValueError, match="normalize_activations 'layer_norm'"):
        reconstruct(scaled)


def test_centred_rows_pass(loaded):
    centred = clamp(replace(loaded, center_writing_weights=True), 3, 1.0)
    rows = torch.randn(5, D_MODEL, generator=torch.Generator().manual_seed(1))
    centred.edit(rows - rows.mean(dim=1, keepdim=True))
    with pytest.raises(ValueError, match="have a mean"):
        centred.edit(rows)


def test_edits_keep_the_dtype_of_the_rows(vector, loaded):
    rows = torch.randn(5, D_MODEL, generator=torch.Generator().manual_seed(1)).to(torch.bfloat16)
    for intervention, _ in cases(vector, loaded).values():
        edited = intervention.edit(rows)
        assert edited.dtype == torch.bfloat16
        assert torch.equal(edited, intervention.edit(rows.float()).to(torch.bfloat16))  # computed in float32
