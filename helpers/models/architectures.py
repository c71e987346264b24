"""The two small architectures that the suite trains: GPT-NeoX-like and GPT-2-like, without dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from helpers.params import LanguageModelParams

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers import PreTrainedTokenizerBase as Tokenizer

_MLP_FACTOR = 4
# Narrow models start better from larger weights than the usual 0.02.
_INITIAL_SCALE = {"gpt_neox": 0.06, "gpt2": 0.08}
_POSITION_SCALE = 0.1
_LOWEST_FREQUENCY = 1e-3


def new_model(params: LanguageModelParams, *, tokenizer: Tokenizer) -> PreTrainedModel:
    """A freshly initialised model; `params.seed` fixes its weights, and no global random state is touched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(params.seed)
        return _gpt_neox(params, tokenizer) if params.architecture == "gpt_neox" else _gpt2(params, tokenizer)


def _gpt_neox(params: LanguageModelParams, tokenizer: Tokenizer) -> PreTrainedModel:
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    config = GPTNeoXConfig(
        vocab_size=len(tokenizer),
        hidden_size=params.d_model,
        num_hidden_layers=params.n_layers,
        num_attention_heads=params.n_heads,
        intermediate_size=_MLP_FACTOR * params.d_model,
        max_position_embeddings=params.context_size,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        use_parallel_residual=True,
        tie_word_embeddings=False,
        initializer_range=_INITIAL_SCALE[params.architecture],
        **_token_ids(tokenizer),
    )
    return GPTNeoXForCausalLM(config)


def _gpt2(params: LanguageModelParams, tokenizer: Tokenizer) -> PreTrainedModel:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=params.d_model,
        n_layer=params.n_layers,
        n_head=params.n_heads,
        n_inner=_MLP_FACTOR * params.d_model,
        n_positions=params.context_size,
        activation_function="gelu_pytorch_tanh",  # the same function as GPT-2's gelu_new, in one kernel
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=False,
        initializer_range=_INITIAL_SCALE[params.architecture],
        **_token_ids(tokenizer),
    )
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        model.transformer.wpe.weight.copy_(_sinusoids(params.context_size, params.d_model))
    return model


def _sinusoids(n_positions: int, d_model: int) -> torch.Tensor:
    """Starting values of learned positions: waves, from which "the token before" is soon found.

    From noise instead, this model took twice the tokens to find successors.
    """
    frequencies = _LOWEST_FREQUENCY ** (torch.arange(0, d_model, 2) / d_model)
    angles = torch.arange(n_positions)[:, None] * frequencies
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1)
    return _POSITION_SCALE * waves.flatten(1)[:, :d_model]


def _token_ids(tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
