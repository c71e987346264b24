"""How good is an SAE? Sparsity, reconstruction, dead features, and what its reconstruction costs the model.

All sums are float64 and streamed, so the result does not depend on the batch size, and only kept tokens count: padding,
BOS and other special tokens are neither measured nor replaced when the reconstruction is spliced in.

Sources: loss recovered, Bricken et al. 2023; FVU = 1 - explained variance, e.g. Gao et al. 2024 (arXiv:2406.04093).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from helpers.corpus import TokenBatch
from helpers.models import kept_rows, next_token_loss, require_hook, split_batch, stream_activations
from helpers.progress import progress_bar

if TYPE_CHECKING:
    from sae_lens import SAE
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True)
class SaeMeasurement:
    """Quality of one SAE on held-out tokens.

    l0: mean active features a token; fvu: fraction of variance unexplained, 0 = perfect, 1 = no better than the mean;
    dead_share: share of features that fire on none of the `n_tokens` tokens; feature_counts: (d_sae,) tokens on which
    each feature fires; loss_*: nats a token of the model as it is, with the reconstruction spliced in, with zeros, and
    of guessing all tokens of the vocabulary alike;
    loss_recovered: (loss_zero - loss_spliced) / (loss_zero - loss_model), 1 = nothing lost.
    """

    n_tokens: int
    l0: float
    fvu: float
    dead_share: float
    feature_counts: np.ndarray
    loss_model: float
    loss_spliced: float
    loss_zero: float
    loss_uniform: float

    @property
    def loss_recovered(self) -> float | None:
        """Share of the loss that zeroing the site would cost and the reconstruction saves.

        None where there is nothing to save: zeroing costs nothing, or the model predicts no better than a blind guess,
        as with random weights, where the share would be a ratio of two accidents.
        """
        if self.loss_model >= min(self.loss_zero, self.loss_uniform):
            return None
        return (self.loss_zero - self.loss_spliced) / (self.loss_zero - self.loss_model)


@torch.no_grad()
def measure_sae(
    sae: SAE, *, model: TransformerBridge, hook_name: str, tokens: TokenBatch, batch_size: int = 32
) -> SaeMeasurement:
    """Measure an SAE on the kept tokens of `tokens`.

    Args:
        model: a TransformerBridge; hook_name: the hook that the SAE reads.
        batch_size: sequences a forward pass; the result does not depend on it.
    Raises:
        ValueError: the SAE's d_in is not the width of the hook, or an activation is not finite.
    """
    require_hook(model, hook_name)
    sums = _Sums(sae)
    with progress_bar(total=tokens.n_sequences, description="Encoding with the SAE", unit="sequences") as bar:
        for batch, activations in stream_activations(model, split_batch(tokens, batch_size=batch_size), [hook_name]):
            sums.add(kept_rows(activations[hook_name], batch).float())
            bar.update(batch.n_sequences)
    losses = {
        name: next_token_loss(model, tokens, batch_size=batch_size, hook_of=_replacing(hook_name, replacement))
        for name, replacement in (("spliced", sae), ("zero", torch.zeros_like))
    }
    return SaeMeasurement(
        n_tokens=sums.n,
        l0=float(sums.firings.sum() / sums.n),
        fvu=sums.fvu(),
        dead_share=float((sums.firings == 0).mean()),
        feature_counts=sums.firings,
        loss_model=next_token_loss(model, tokens, batch_size=batch_size),
        loss_spliced=losses["spliced"],
        loss_zero=losses["zero"],
        loss_uniform=math.log(model.cfg.d_vocab),
    )


def loss_with_mean(model: TransformerBridge, *, hook_name: str, tokens: TokenBatch, batch_size: int = 32) -> float:
    """Nats a token when the mean activation of the kept tokens stands at the hook: all that tells tokens apart is gone.

    What a dictionary rebuilds must be of more use than this to the model; zeros in the residual stream are a weaker
    control, since any constant of the usual norm beats them.
    """
    require_hook(model, hook_name)
    total: Tensor | float = 0.0
    for batch, activations in stream_activations(model, split_batch(tokens, batch_size=batch_size), [hook_name]):
        acts = activations[hook_name]
        total = total + acts[torch.from_numpy(batch.keep_mask).to(acts.device)].double().sum(dim=0)
    mean = torch.as_tensor(total) / tokens.n_tokens
    hook_of = _replacing(hook_name, lambda rows: mean.to(rows).expand_as(rows))
    return next_token_loss(model, tokens, batch_size=batch_size, hook_of=hook_of)


def norm_factor(model: TransformerBridge, *, hook_name: str, tokens: TokenBatch, batch_size: int = 32) -> float:
    """What the kept tokens' activations are multiplied by to have a mean norm of sqrt(d_in).

    Source:
        Anthropic's update of April 2024; SAELens's normalize_activations "expected_average_only_in".
    """
    require_hook(model, hook_name)
    total, d_in = 0.0, 0
    for batch, activations in stream_activations(model, split_batch(tokens, batch_size=batch_size), [hook_name]):
        acts = activations[hook_name]
        rows = acts[torch.from_numpy(batch.keep_mask).to(acts.device)].flatten(start_dim=1)
        total += float(rows.double().norm(dim=1).sum())
        d_in = rows.shape[1]
    return math.sqrt(d_in) * tokens.n_tokens / total


class _Sums:
    """Streamed sums: error, variance and firings."""

    def __init__(self, sae: SAE) -> None:
        self.sae = sae
        self.n = 0
        self.error = 0.0
        self.squares = 0.0
        self.total: Tensor | None = None
        self.firings = np.zeros(sae.cfg.d_sae, dtype=np.int64)

    def add(self, rows: Tensor) -> None:
        flat = rows.flatten(start_dim=1)
        if flat.shape[1] != self.sae.cfg.d_in:
            raise ValueError(
                f"the hook has width {flat.shape[1]}, the SAE reads d_in {self.sae.cfg.d_in}; "
                "this SAE belongs to another model or hook"
            )
        if not torch.isfinite(flat).all():
            raise ValueError("activations are not finite; load the model with dtype float32 or bfloat16")
        feature_acts = self.sae.encode(rows)
        error = self.sae.decode(feature_acts).flatten(start_dim=1).double() - flat.double()
        self.n += len(flat)
        self.error += float(error.square().sum())
        self.squares += float(flat.double().square().sum())
        sums = flat.double().sum(dim=0)
        self.total = sums if self.total is None else self.total + sums
        self.firings += (feature_acts != 0).sum(dim=0).cpu().numpy()

    def fvu(self) -> float:
        assert self.total is not None
        variance = self.squares - float(self.total.square().sum()) / self.n
        return self.error / variance


def _replacing(
    hook_name: str, replacement: Callable[[Tensor], Tensor]
) -> Callable[[TokenBatch], tuple[str, Callable[..., Tensor]]]:
    """For each batch a hook that replaces the activations of the kept tokens, and of no others."""

    def hook_of(batch: TokenBatch) -> tuple[str, Callable[..., Tensor]]:
        keep_mask = torch.from_numpy(batch.keep_mask)

        def hook_function(activation: Tensor, hook: object) -> Tensor:  # noqa: ARG001 (the name is TransformerLens's)
            mask = keep_mask.to(activation.device)
            replaced = activation.clone()
            replaced[mask] = replacement(activation[mask].float()).to(activation.dtype)
            return replaced

        return hook_name, hook_function

    return hook_of
