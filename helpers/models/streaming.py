"""Stream raw activations of one or more hooks; the forward pass stops after the deepest of them.

Memory is bounded by one batch. One that an accelerator's memory is too small for is run in halves, and so are all after it,
with the same result. Rows of the result stay (sequence, position): take the used ones with `kept_rows`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from helpers.corpus import TokenBatch
from helpers.devices import run_in_halves
from helpers.models.hooks import hook_layer, require_hook
from helpers.transfers import to_device

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def stream_activations(
    model: TransformerBridge, batches: Iterable[TokenBatch], hook_names: Sequence[str]
) -> Iterator[tuple[TokenBatch, dict[str, torch.Tensor]]]:
    """Run every batch through the model and yield what the hooks saw, on the model's device and without gradient.

    Shapes:
        each tensor: (n_sequences, context_size, d) in the model's dtype.
    Args:
        batches: e.g. from stream_sequences, or `split_batch` of a fixed batch.
        hook_names: hooks inside layers; layers after the deepest are not computed.
    Raises:
        ValueError: no hook name, or an unknown one.
    """
    if not hook_names:
        raise ValueError("hook_names needs at least one name; got none; pass e.g. ['blocks.1.hook_resid_post']")
    for hook_name in hook_names:
        require_hook(model, hook_name)
    stop = max(hook_layer(hook_name) for hook_name in hook_names) + 1
    return _stream(model, batches, list(dict.fromkeys(hook_names)), stop)


def split_batch(tokens: TokenBatch, *, batch_size: int) -> Iterator[TokenBatch]:
    """A large batch as consecutive smaller ones of at most `batch_size` sequences (rows keep their order)."""
    if batch_size < 1:
        raise ValueError(f"batch_size is at least 1; got {batch_size}; raise it")
    for start in range(0, tokens.n_sequences, batch_size):
        yield tokens.sequences(start, start + batch_size)


def kept_rows(activations: torch.Tensor, batch: TokenBatch) -> torch.Tensor:
    """The rows of a batch's used tokens, in the order of its rows.

    Shapes:
        activations: (n_sequences, context_size, ...), what a hook saw of the batch. Returns (n_tokens, ...).
    Notes:
        By numbers of rows, not by the mask: a device would have to be waited for to learn how many a mask picks.
    """
    rows = to_device(np.flatnonzero(batch.keep_mask), activations.device)
    return activations.flatten(end_dim=1)[rows]


def batch_input_ids(model: TransformerBridge, batch: TokenBatch) -> torch.Tensor:
    """The batch's ids as int64 on the model's device.

    Raises:
        ValueError: an id that the model's vocabulary does not have, or sequences longer than its positions.
    """
    largest = int(batch.input_ids.max(initial=0))
    if largest >= model.cfg.d_vocab:
        raise ValueError(
            f"token ids are below the model's {model.cfg.d_vocab}; got {largest}; tokenise with the model's tokenizer"
        )
    n_ctx = model.cfg.n_ctx
    if n_ctx and batch.context_size > n_ctx:
        raise ValueError(f"sequences fit the model's {n_ctx} positions; got {batch.context_size}; lower context_size")
    return to_device(batch.input_ids, model.cfg.device or "cpu").to(torch.int64)


def _stream(
    model: TransformerBridge, batches: Iterable[TokenBatch], hook_names: list[str], stop: int
) -> Iterator[tuple[TokenBatch, dict[str, torch.Tensor]]]:
    n_fitting: int | None = None  # sequences that fit; None: no batch was too large yet
    for batch in batches:
        run = partial(_run_in_parts, model, batch, hook_names, stop)
        parts, n_run = run_in_halves(run, min(n_fitting or batch.n_sequences, batch.n_sequences), unit="sequences")
        n_fitting = n_run if n_run < batch.n_sequences else n_fitting
        yield batch, {hook: _joined([part[hook] for part in parts]) for hook in hook_names}


def _run_in_parts(
    model: TransformerBridge, batch: TokenBatch, hook_names: list[str], stop: int, n_sequences: int
) -> list[dict[str, torch.Tensor]]:
    """What the hooks saw, in parts of so many sequences."""
    parts = split_batch(batch, batch_size=n_sequences) if n_sequences < batch.n_sequences else [batch]
    return [_run(model, part, hook_names, stop) for part in parts]


def _run(model: TransformerBridge, batch: TokenBatch, hook_names: list[str], stop: int) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        _, cache = model.run_with_cache(
            batch_input_ids(model, batch),
            names_filter=hook_names,
            stop_at_layer=stop,
            return_cache_object=False,
            prepend_bos=False,
        )
    return {hook_name: cache[hook_name] for hook_name in hook_names}


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
