"""What taking one feature out does to the next-token distribution at every token of a text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers.saes import LoadedSae
from helpers.steering.effects.row_edits import AddRows
from helpers.steering.feature_edits import decoder_rows
from helpers.steering.hooking import Share, require_finite, steered_rows
from helpers.steering.prefix import Prefix, recorded_prefix, start_block, starting_from
from helpers.steering.prompts import Prompts, repeated_prompts

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Scale = Literal["probability", "log_probability"]
_LOGIT_ENTRIES = 1 << 25  # of one forward pass: 128 MiB


@dataclass(frozen=True, eq=False)
class AblatedChanges:
    """The features that fire in one text, and what changes at its tokens when each is taken out everywhere.

    Shapes:
        features: (n_firing,) places among the features that were asked for; activations: (n_firing, n_tokens); changes:
            (n_firing, n_tokens * d_vocab) of the next token's distribution, ablated minus plain; totals: (n_firing, n_tokens)
            total variation distance, in [0, 1].
    """

    features: Int[np.ndarray, " n_firing"]
    activations: Float[Tensor, "n_firing n_tokens"]
    changes: Float[Tensor, "n_firing n_entries"]
    totals: Float[Tensor, "n_firing n_tokens"]


@torch.no_grad()
def ablated_changes(
    model: TransformerBridge,
    loaded: LoadedSae,
    text: Prompts,
    feature_ids: Int[np.ndarray, " n_features"],
    *,
    scale: Scale,
    batch_size: int,
) -> AblatedChanges:
    """Run one text once plain and once for every feature that fires in it; features that do not fire change nothing.

    Args:
        text: one sequence; tokens of text are ablated and compared, BOS and other special tokens are not.
    """
    kept = torch.from_numpy(text.keep_mask[0]).to(model.cfg.device)
    start = start_block(model, loaded.hook_name)
    prefix = recorded_prefix(model, text, [start]).get(start)
    plain, stream = _plain(model, text, loaded.hook_name)
    plain = plain[0, kept].float()
    ids = torch.from_numpy(feature_ids).to(loaded.sae.W_dec.device)
    activations = loaded.sae.encode(stream[0, kept].to(loaded.sae.W_dec))[:, ids].T.float()
    firing = torch.nonzero((activations > 0).any(dim=1))[:, 0]
    rows = decoder_rows(loaded, ids[firing]).float()
    probabilities = plain.softmax(dim=1)
    changes, totals = [], []
    for logits in _ablated(model, text, loaded.hook_name, activations[firing], rows, prefix, batch_size):
        here = logits[:, kept].float()
        require_finite(here, ())
        moved = here.softmax(dim=2) - probabilities
        totals.append(moved.abs().sum(dim=2) / 2)
        if (
            scale == "log_probability"
        ):  # less its mean, as a shift of all logits says nothing; probabilities add up to 1 anyway
            moved = (here - here.mean(dim=2, keepdim=True)) - (plain - plain.mean(dim=1, keepdim=True))
        changes.append(moved.flatten(start_dim=1))
    n_tokens, d_vocab = plain.shape
    return AblatedChanges(
        features=firing.cpu().numpy(),
        activations=activations[firing],
        changes=torch.cat(changes) if changes else plain.new_empty((0, n_tokens * d_vocab)),
        totals=torch.cat(totals) if totals else plain.new_empty((0, n_tokens)),
    )


def _plain(model: TransformerBridge, text: Prompts, hook_name: str) -> tuple[Tensor, Tensor]:
    seen: list[Tensor] = []
    with model.hooks(fwd_hooks=[(hook_name, lambda stream, hook: seen.append(stream.detach()))]):  # noqa: ARG005
        logits = _all_logits(model, text)
    if not seen or seen[0].ndim != 3:
        raise ValueError(
            f"expected one vector a token at '{hook_name}'; got none; take a dictionary of a residual hook"
        )
    return logits, seen[0]


def _ablated(
    model: TransformerBridge,
    text: Prompts,
    hook_name: str,
    activations: Float[Tensor, "n_firing n_tokens"],
    rows: Float[Tensor, "n_firing d"],
    prefix: Prefix | None,
    batch_size: int,
) -> Iterator[Float[Tensor, "n_here n_columns d_vocab"]]:
    """Logits with each feature taken out, some features a pass."""
    at_once = max(1, min(batch_size, _LOGIT_ENTRIES // (text.n_columns * model.cfg.d_vocab)))
    everywhere = AddRows(hook_name=hook_name, amounts=-activations[:1].T, directions=rows[:1])
    for first in range(0, len(rows), at_once):
        places = range(first, min(first + at_once, len(rows)))
        steps = [
            replace(everywhere, amounts=-activations[place][:, None], directions=rows[place][None]) for place in places
        ]
        with ExitStack() as stack:
            stack.enter_context(starting_from(model, prefix, torch.zeros(len(places), dtype=torch.int64)))
            stack.enter_context(steered_rows(model, [Share(text, (step,)) for step in steps]))
            logits = _all_logits(model, repeated_prompts(text, len(places)))
        yield logits


def _all_logits(model: TransformerBridge, prompts: Prompts) -> Float[Tensor, "n_prompts n_columns d_vocab"]:
    input_ids = torch.from_numpy(prompts.input_ids).to(model.cfg.device)
    return model(input_ids, return_type="logits", prepend_bos=False, use_cache=False)
