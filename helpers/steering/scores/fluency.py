"""Does a steered model still write what the plain model would call text? Perplexity of continuations under the plain model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int64

from helpers.steering.forward import attention_options
from helpers.steering.generation import generate
from helpers.steering.interventions import Intervention
from helpers.steering.prompts import Prompts, require_fits

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_BATCH_SIZE = 256


@dataclass(frozen=True, eq=False)
class Continuations:
    """What a model wrote after prompts under some settings, and how the plain model likes it.

    Shapes:
        tokens: (n_settings, n_prompts, n_new); surprise: (n_settings, n_prompts, n_new), minus the natural logarithm of each
            token's probability under the plain model.
    """

    tokens: Int64[np.ndarray, "n_settings n_prompts n_new"]
    surprise: Float[np.ndarray, "n_settings n_prompts n_new"]

    @property
    def perplexity(self) -> Float[np.ndarray, " n_settings"]:
        """exp of the mean surprise of all tokens but the first of each text; at least 1, lower = more fluent.

        The first token is the answer that steering is to change: that the plain model would not have given it is the point.
        What is asked is how it goes on from there.
        """
        return np.exp(self.surprise[:, :, 1:].mean(axis=(1, 2)))


def steered_continuations(
    model: TransformerBridge,
    prompts: Prompts,
    settings: Sequence[Intervention | Sequence[Intervention]],
    *,
    n_new: int,
    temperature: float = 1.0,
    seed: int = 0,
) -> Continuations:
    """Let the model go on under every setting, and read the texts with the plain model.

    Args:
        n_new: tokens of each text, at least 2.
        temperature, seed: as in `generate`; with 0 a text that repeats itself looks fluent.
    Raises:
        ValueError: fewer than 2 tokens, or as `generate`.
    """
    if n_new < 2:
        raise ValueError(f"n_new is at least 2: the first token is the answer and does not count; got {n_new}")
    tokens = generate(model, prompts, settings, n_new=n_new, temperature=temperature, seed=seed)
    return Continuations(tokens, np.stack([plain_surprise(model, prompts, texts) for texts in tokens]))


@torch.no_grad()
def plain_surprise(
    model: TransformerBridge, prompts: Prompts, texts: Int64[np.ndarray, "n_prompts n_new"]
) -> Float[np.ndarray, "n_prompts n_new"]:
    """Minus the natural logarithm of the probability that the plain model gives every token of texts after prompts."""
    require_fits(model, prompts, n_new=texts.shape[1])
    left = prompts.padded("left")
    real = np.ones_like(texts, dtype=bool)
    rows = Prompts(
        np.concatenate([left.input_ids, texts], axis=1),
        np.concatenate([left.attention_mask, real], axis=1),
        np.concatenate([left.keep_mask, real], axis=1),
    )
    found = []
    for first in range(0, rows.n_prompts, _BATCH_SIZE):
        here = rows.part(first, first + _BATCH_SIZE)
        ids = torch.from_numpy(here.input_ids).to(model.cfg.device)
        options = attention_options(here, model)
        logits = model(ids, return_type="logits", prepend_bos=False, use_cache=False, **options)
        logprobs = logits[:, left.n_columns - 1 : -1].float().log_softmax(dim=-1)
        told = logprobs.gather(2, ids[:, left.n_columns :, None])[:, :, 0]
        found.append(-told.cpu().double().numpy())
    return np.concatenate(found)
