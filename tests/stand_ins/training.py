"""Short trainings, so that stand-ins are a little better than chance, which the notebooks' controls ask of every model."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel

BIASES = ("b_enc", "b_dec")


def fit_model(model: PreTrainedModel, ids: Tensor, *, n_steps: int, n_sequences: int = 8, rate: float = 6e-3) -> None:
    """Some steps of AdamW on random sequences of `ids` (n_sequences, context); the best model there is, is not needed."""
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rate, total_steps=n_steps)
    model.train()
    for _ in range(n_steps):
        batch = ids[torch.randint(len(ids), (n_sequences,), generator=generator)]
        model(batch, labels=batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
    model.eval()


@torch.no_grad()
def quieten(model: PreTrainedModel, *, gain: float = 0.03) -> None:
    """Make what every block of a Llama or Gemma writes small at first; deep ones then learn in a few steps."""
    for name, weight in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weight.mul_(gain)
        if "gemma2" in model.config.model_type and ("post_attention" in name or "post_feedforward" in name):
            weight.fill_(gain - 1)  # gains are stored less one


def fit_dictionary(rows: Tensor, *, d_sae: int, k: int, n_steps: int = 150) -> tuple[dict[str, Tensor], Tensor]:
    """A TopK dictionary of `rows` (n_tokens, d_in).

    Returns:
        Its weights, and the one threshold (d_sae times) above which k features are active on average.
    """
    generator = torch.Generator().manual_seed(0)
    scale = rows.shape[1] ** 0.5 / rows.norm(dim=1).mean()  # steps of one size fit rows of any
    rows = rows * scale
    mean = rows.mean(dim=0)
    chosen = rows[torch.randint(len(rows), (d_sae,), generator=generator)] - mean
    W_dec = chosen / chosen.norm(dim=1, keepdim=True).clamp_min(1e-6)
    weights = {"W_enc": W_dec.T.clone(), "b_enc": torch.zeros(d_sae), "W_dec": W_dec.clone(), "b_dec": mean.clone()}
    optimiser = torch.optim.Adam([weight.requires_grad_() for weight in weights.values()], lr=3e-3)
    for _ in range(n_steps):
        x = rows[torch.randint(len(rows), (256,), generator=generator)]
        best = _before(x, weights).relu().topk(k, dim=1)
        acts = torch.zeros(len(x), d_sae).scatter(1, best.indices, best.values)
        ((acts @ weights["W_dec"] + weights["b_dec"] - x) ** 2).sum(dim=1).mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    finished = {name: weight.detach() for name, weight in weights.items()}
    before = _before(rows[:2000], finished).flatten()
    threshold = before.kthvalue(max(1, round(len(before) * (1 - k / d_sae)))).values.clamp_min(1e-3)
    for bias in BIASES:
        finished[bias] = finished[bias] / scale
    return finished, (threshold / scale).expand(d_sae).clone()


def as_relu(weights: dict[str, Tensor], threshold: Tensor, rows: Tensor, *, n_steps: int = 600) -> dict[str, Tensor]:
    """The same with a plain ReLU: the bias cuts off what is below the threshold, the decoder makes up for it, and some steps of both."""
    generator = torch.Generator().manual_seed(0)
    scale = rows.shape[1] ** 0.5 / rows.norm(dim=1).mean()
    shifted = weights | {"b_enc": weights["b_enc"] - threshold}
    shifted["W_dec"] = _best_decoder(rows, shifted)
    scaled = {name: (scale * weight if name in BIASES else weight).clone() for name, weight in shifted.items()}
    optimiser = torch.optim.Adam([weight.requires_grad_() for weight in scaled.values()], lr=1e-3)
    for _ in range(n_steps):
        x = rows[torch.randint(len(rows), (256,), generator=generator)] * scale
        acts = _before(x, scaled).relu()
        error = (acts @ scaled["W_dec"] + scaled["b_dec"] - x).square().sum(dim=1)
        (error + 0.1 * acts @ scaled["W_dec"].norm(dim=1)).mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    return {name: weight.detach() / (scale if name in BIASES else 1) for name, weight in scaled.items()}


def _best_decoder(rows: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """The decoder that rebuilds `rows` best, nearly."""
    acts = _before(rows, weights).relu().double()
    ridge = 1e-3 * acts.square().sum(dim=0).mean() * torch.eye(acts.shape[1], dtype=torch.float64)
    return torch.linalg.solve(acts.T @ acts + ridge, acts.T @ (rows - weights["b_dec"]).double()).float()


def _before(x: Tensor, weights: dict[str, Tensor]) -> Tensor:
    return (x - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]
