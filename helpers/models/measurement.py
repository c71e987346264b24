"""A model's report: loss on held-out tokens beside two baselines that need no context, and what it knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from helpers.corpus import Probe, TokenBatch
from helpers.models.measures import next_token_loss, probe_accuracies

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class ModelMeasurement:
    """What one language model knows.

    loss: nats per kept token of held-out text; unigram_loss: the same for knowing only how frequent every token of that
    very text is (the entropy of its token counts, so no model without context does better); accuracies: kind of
    question -> share of answers that are the first choice out of the whole vocabulary; n_parameters: weights.
    """

    loss: float
    unigram_loss: float
    accuracies: dict[str, float]
    n_parameters: int


def measure_language_model(
    model: TransformerBridge, tokenizer: PreTrainedTokenizerBase, *, tokens: TokenBatch, probes: Sequence[Probe] = ()
) -> ModelMeasurement:
    """Measure a model on held-out tokens and, if the corpus has them, on questions with known answers."""
    return ModelMeasurement(
        loss=next_token_loss(model, tokens),
        unigram_loss=unigram_entropy(tokens),
        accuracies=probe_accuracies(model, tokenizer, probes),
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


def unigram_entropy(tokens: TokenBatch) -> float:
    """Entropy of the kept tokens' frequencies, in nats."""
    _, counts = np.unique(tokens.token_ids(), return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def reinitialise(model: TransformerBridge, *, seed: int) -> TransformerBridge:
    """The same architecture with fresh random weights: what a comparison shows before anything was learnt.

    Source:
        Random-weight controls for SAEs: Heap et al. 2025, arXiv:2501.17727.
    """
    from transformer_lens.model_bridge import TransformerBridge

    original = model.original_model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(original)(original.config)
    name = str(getattr(original.config, "_name_or_path", "")) or "reinitialised"
    bridge = TransformerBridge.boot_transformers(
        name, hf_model=fresh.to(model.cfg.device), tokenizer=model.tokenizer, device=model.cfg.device
    )
    bridge.eval()
    bridge.requires_grad_(False)
    return bridge
