"""What a layer holds at the prompts that a steering vector is made from, and how long its rows are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float

from helpers.corpus import TokenBatch
from helpers.models import split_batch, stream_activations
from helpers.steering.prompts import Prompts, require_fits

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Token = Literal["last", "mean"]
_BATCH_SIZE = 64


def prompt_states(
    model: TransformerBridge, prompts: Prompts, *, hook_name: str, token: Token = "last"
) -> Float[np.ndarray, "n_prompts d"]:
    """One row a prompt: what the hook gives at its last token, or on average over its tokens of text.

    Returns:
        (n_prompts, d) float64.
    Raises:
        ValueError: another `token`, an unknown hook, prompts that do not fit the model, or, for the mean, a prompt of special
            tokens only.
    """
    if token not in ("last", "mean"):
        raise ValueError(f"token is 'last' or 'mean'; got {token!r}")
    if token == "mean" and not prompts.keep_mask.any(axis=1).all():
        raise ValueError("a mean needs a token of text in every prompt; got a prompt of special tokens only")
    found = []
    for right, acts in _streamed(model, prompts, hook_name):
        rows = acts[np.arange(right.n_prompts), right.last] if token == "last" else _means(acts, right.keep_mask)
        found.append(rows)
    return np.concatenate(found)


def mean_residual_norm(model: TransformerBridge, prompts: Prompts, *, hook_name: str) -> float:
    """Mean length of the hook's rows over all tokens of text: the unit of relative strengths.

    BOS and other special tokens do not count: in many models BOS is hundreds of times as long as any other token.

    Raises:
        ValueError: no token of text, an unknown hook, or prompts that do not fit the model.
    """
    if not prompts.keep_mask.any():
        raise ValueError("a mean length needs a token of text; got special tokens only")
    total, n = 0.0, 0
    for right, acts in _streamed(model, prompts, hook_name):
        lengths = np.linalg.norm(acts[right.keep_mask], axis=1)
        total, n = total + float(lengths.sum()), n + len(lengths)
    return total / n


def text_rows(
    model: TransformerBridge, tokens: TokenBatch, *, hook_names: Sequence[str], n_rows: int
) -> dict[str, Float[np.ndarray, "n_rows d"]]:
    """The first rows of several hooks over a text, the same tokens for all; special tokens do not count.

    Args:
        n_rows: at most so many; fewer where the text has fewer.
    Returns:
        Hook -> (n_rows, d) float32.
    Raises:
        ValueError: no row asked for, an unknown hook, or a text that does not fit the model.
    """
    if n_rows < 1:
        raise ValueError(f"n_rows is at least 1; got {n_rows}")
    found: dict[str, list[np.ndarray]] = {hook: [] for hook in hook_names}
    n_found = 0
    for batch, activations in stream_activations(model, split_batch(tokens, batch_size=_BATCH_SIZE), hook_names):
        for hook, rows in found.items():
            rows.append(activations[hook].cpu().float().numpy()[batch.keep_mask])
        n_found += int(batch.keep_mask.sum())
        if n_found >= n_rows:
            break
    return {hook: np.concatenate(rows)[:n_rows] for hook, rows in found.items()}


def _streamed(
    model: TransformerBridge, prompts: Prompts, hook_name: str
) -> Iterator[tuple[Prompts, Float[np.ndarray, "n_here n_columns d"]]]:
    """Right-padded prompts, a batch at a time, with what the hook gives, in float64."""
    require_fits(model, prompts)
    right = prompts.padded("right")
    first = 0
    for batch, activations in stream_activations(
        model, split_batch(right.as_batch(), batch_size=_BATCH_SIZE), [hook_name]
    ):
        here = right.part(first, first + batch.n_sequences)
        first += batch.n_sequences
        acts = activations[hook_name]
        if acts.ndim != 3:
            raise ValueError(
                f"expected one vector a token, (rows, tokens, d), at '{hook_name}'; got {tuple(acts.shape)}; take a "
                "residual or MLP hook"
            )
        yield here, acts.to("cpu", torch.float64).numpy()


def _means(acts: Float[np.ndarray, "n_here n_columns d"], keep_mask: np.ndarray) -> Float[np.ndarray, "n_here d"]:
    weights = keep_mask / keep_mask.sum(axis=1, keepdims=True)
    return np.einsum("rcd,rc->rd", acts, weights)
