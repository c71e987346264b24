"""Logits of the last real token of padded prompts."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.steering.prompts import Prompts

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def last_logits(model: TransformerBridge, prompts: Prompts) -> Float[Tensor, "n_prompts d_vocab"]:
    """Next-token logits after every prompt, in float32.

    Notes:
        Where every prompt ends in the last column, models that know how compute the logits of this column only.
    """
    device = model.cfg.device
    options = attention_options(prompts, model)
    at_end = bool((prompts.last == prompts.n_columns - 1).all())
    if at_end and "logits_to_keep" in inspect.signature(model.original_model.forward).parameters:
        options["logits_to_keep"] = 1
    input_ids = torch.from_numpy(prompts.input_ids).to(device)
    logits = model(input_ids, return_type="logits", prepend_bos=False, use_cache=False, **options)
    last = torch.from_numpy(prompts.last).to(logits.device) - (prompts.n_columns - logits.shape[1])
    return logits[torch.arange(prompts.n_prompts, device=logits.device), last].float()


def attention_options(prompts: Prompts, model: TransformerBridge) -> dict[str, Any]:
    """What the model must be told of padding: nothing if there is none on the left, as no token sees what is on its right."""
    if not prompts.is_left_padded:
        return {}
    return {"attention_mask": torch.from_numpy(prompts.attention_mask).to(model.cfg.device).long()}
