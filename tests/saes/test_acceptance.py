"""Good dictionaries pass, poor ones only where it is asked for, and what reads the wrong thing never does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sae_lens import StandardSAE, StandardSAEConfig
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from helpers.corpus import tokenize_corpus
from helpers.models import load_model, stream_activations
from helpers.saes import SaeMeasurement, accept_sae, loss_with_mean, measure_sae, random_sae
from tests.stand_ins.training import fit_model
from tests.tiny import CONTEXT

HOOK = "blocks.1.hook_resid_post"
D_MODEL = 16
SHORTER_THAN = 4.0  # few coordinates of the activations are larger


@pytest.fixture(scope="module")
def trained(world, tokenizer, tmp_path_factory):
    """A model that predicts better than a blind guess."""
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=len(tokenizer), hidden_size=D_MODEL, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=CONTEXT, bos_token_id=tokenizer.bos_token_id,
    )  # fmt: skip
    language_model = GPTNeoXForCausalLM(config)
    ids = tokenize_corpus(world, tokenizer, context_size=CONTEXT, n_tokens=6000).input_ids
    fit_model(language_model, torch.from_numpy(ids).long(), n_steps=60, rate=1e-2)
    folder = tmp_path_factory.mktemp("trained")
    language_model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load_model(folder, device="cpu")


def exact_sae(*, shift: float = 0.0, scale: float = 1.0, seed: int | None = None) -> StandardSAE:
    """Rebuilds everything, times `scale`, plus `shift` in every dimension, which layer norm takes away again.

    With a seed it writes in other directions than it reads: what a dictionary of another model does.
    """
    sae = StandardSAE(StandardSAEConfig(d_in=D_MODEL, d_sae=2 * D_MODEL, apply_b_dec_to_input=False))
    read = torch.cat([torch.eye(D_MODEL), -torch.eye(D_MODEL)])
    write = read
    if seed is not None:
        turn = torch.linalg.qr(torch.randn(D_MODEL, D_MODEL, generator=torch.Generator().manual_seed(seed))).Q
        write = read @ turn
    with torch.no_grad():
        sae.W_enc.copy_(read.T)
        sae.W_dec.copy_(scale * write)
        sae.b_enc.zero_()
        sae.b_dec.fill_(shift)
    return sae


def accepted(sae, model, tokens, **changes) -> str:
    measured, control = (
        measure_sae(each, model=model, hook_name=HOOK, tokens=tokens) for each in (sae, random_sae(sae, seed=0))
    )
    options = {"allow_poor": False} | changes
    return accept_sae(measured, control, model=model, hook_name=HOOK, tokens=tokens, **options)


@pytest.mark.parametrize("allow_poor", [False, True])
def test_a_good_dictionary_passes_without_a_warning(trained, tokens, allow_poor):
    assert accepted(exact_sae(), trained, tokens, allow_poor=allow_poor) == ""


def test_a_poor_one_that_the_model_can_use_stops_and_the_error_says_how_to_go_on(trained, tokens):
    with pytest.raises(ValueError, match=r"no better than the mean activation \(FVU .*wrong hook.*allow_poor: true"):
        accepted(exact_sae(shift=50.0), trained, tokens)


def test_a_poor_one_that_the_model_can_use_goes_on_with_a_warning_where_it_is_asked_for(trained, tokens):
    warning = accepted(exact_sae(shift=50.0), trained, tokens, allow_poor=True)
    measured = measure_sae(exact_sae(shift=50.0), model=trained, hook_name=HOOK, tokens=tokens)
    assert measured.fvu > 1
    assert f"FVU {measured.fvu:.2f}" in warning and "allow_poor" in warning


@pytest.mark.parametrize("allow_poor", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_a_dictionary_of_another_model_never_passes(trained, tokens, seed, allow_poor):
    with pytest.raises(ValueError, match="wrong hook, model or scale"):
        accepted(exact_sae(seed=seed), trained, tokens, allow_poor=allow_poor)


@pytest.mark.parametrize("allow_poor", [False, True])
def test_a_dictionary_made_for_activations_of_another_scale_never_passes(trained, tokens, allow_poor):
    """Its thresholds are right for activations as long as sqrt(d_in); these are shorter, and nearly nothing fires."""
    sae = exact_sae(scale=3.0)
    with torch.no_grad():
        sae.b_enc.fill_(-SHORTER_THAN)
    with pytest.raises(ValueError, match="wrong hook, model or scale"):
        accepted(sae, trained, tokens, allow_poor=allow_poor)


def test_a_model_that_predicts_nothing_cannot_vouch_for_a_poor_dictionary(model, tokens):
    with pytest.raises(ValueError, match="nothing shows that the model can use it"):
        accepted(exact_sae(shift=50.0), model, tokens, allow_poor=True)


def measurement(**changes) -> SaeMeasurement:
    counts = np.ones(3, dtype=np.int64)
    return replace(SaeMeasurement(10, 1.0, 0.1, 0.0, counts, 2.0, 2.5, 4.0, loss_uniform=5.0), **changes)


def judged(measured, control) -> str:
    """Without a model: these cases are decided by the measurements alone."""
    return accept_sae(measured, control, allow_poor=False, model=None, hook_name="", tokens=None)


def test_worse_than_random_directions_is_poor_although_better_than_the_mean():
    with pytest.raises(ValueError, match=r"no better than random directions \(FVU 0.80.*have 0.70\)"):
        judged(measurement(fvu=0.8), measurement(fvu=0.7))


def test_worse_than_the_mean_is_poor_although_random_directions_are_worse_still():
    with pytest.raises(ValueError, match=r"no better than the mean activation \(FVU 1.30.*have 9.00\)"):
        judged(measurement(fvu=1.3), measurement(fvu=9.0))


def test_no_help_to_the_model_is_never_let_pass():
    with pytest.raises(ValueError, match=r"no better with the reconstruction \(4.000 nats\) than with zeros"):
        judged(measurement(loss_spliced=4.0), measurement(fvu=0.7))


def test_a_place_that_the_model_does_not_need_cannot_be_helped():
    """Zeros cost nothing there, or the model knows nothing: what it loses or saves is an accident."""
    assert judged(measurement(loss_zero=2.0), measurement(fvu=0.7)) == ""


def test_the_loss_with_the_mean_is_that_of_a_forward_pass_with_it(trained, tokens):
    rows = [
        activations[HOOK][torch.from_numpy(part.keep_mask)].double()
        for part, activations in stream_activations(trained, [tokens], [HOOK])
    ]
    mean = torch.cat(rows).mean(dim=0)
    constant = exact_sae()
    with torch.no_grad():
        constant.W_enc.zero_()
        constant.b_dec.copy_(mean)
    spliced = measure_sae(constant, model=trained, hook_name=HOOK, tokens=tokens).loss_spliced
    assert loss_with_mean(trained, hook_name=HOOK, tokens=tokens, batch_size=3) == pytest.approx(spliced, rel=1e-5)
