"""Run prompts under many settings: several settings a forward pass, and the layers below the lowest hook once for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from helpers.models import require_hook
from helpers.progress import progress_bar
from helpers.steering.forward import last_logits
from helpers.steering.hooking import Setting, Share, as_setting, require_finite, setting_part, steered_rows
from helpers.steering.interventions import Intervention
from helpers.steering.prefix import Prefix, recorded_prefix, start_block, starting_from
from helpers.steering.prompts import Prompts, repeated_prompts, require_fits

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

BATCH_SIZE = 256


@dataclass(frozen=True, eq=False)
class SteeredPart:
    """What came out of the model for some prompts under one setting.

    Shapes:
        logits: (n_here, d_vocab) float32, after each prompt; activations: hook -> (n_here, n_columns, d), after the
            interventions.
    Args:
        setting: its number; prompts: start and stop of the prompts.
    """

    setting: int
    prompts: slice
    logits: Float[Tensor, "n_here d_vocab"]
    activations: dict[str, Tensor]


def steered_logits(
    model: TransformerBridge,
    prompts: Prompts,
    settings: Sequence[Intervention | Sequence[Intervention]],
    *,
    token_ids: Sequence[int] | None = None,
    batch_size: int = BATCH_SIZE,
    shared_prefix: bool = True,
) -> Float[np.ndarray, "n_settings n_prompts n_token_ids"]:
    """Next-token logits after every prompt under every setting.

    Args:
        settings: an intervention each, or several that are made together, or an empty tuple: the plain model.
        token_ids: tokens whose logits are kept; None keeps the whole vocabulary, which a large model and sweep may not have
            room for (`steered_parts` gives one setting at a time).
        batch_size, shared_prefix: see `steered_parts`.
    Returns:
        (n_settings, n_prompts, n_token_ids) float32.
    Raises:
        ValueError: as `steered_parts`; a token id beyond the vocabulary.
    """
    n_kept = model.cfg.d_vocab if token_ids is None else len(token_ids)
    if token_ids is not None and not all(0 <= token_id < model.cfg.d_vocab for token_id in token_ids):
        raise ValueError(f"token ids are in [0, {model.cfg.d_vocab}); got {min(token_ids)} to {max(token_ids)}")
    found = np.empty((len(settings), prompts.n_prompts, n_kept), np.float32)
    for part in steered_parts(model, prompts, settings, batch_size=batch_size, shared_prefix=shared_prefix):
        kept = part.logits if token_ids is None else part.logits[:, list(token_ids)]
        found[part.setting, part.prompts] = kept.cpu().numpy()
    return found


def steered_parts(
    model: TransformerBridge,
    prompts: Prompts,
    settings: Sequence[Intervention | Sequence[Intervention]],
    *,
    hook_names: Sequence[str] = (),
    batch_size: int = BATCH_SIZE,
    shared_prefix: bool = True,
) -> Iterator[SteeredPart]:
    """Run every prompt under every setting and yield what comes out, setting by setting, the lowest hooks first.

    Args:
        settings: as for `steered_logits`.
        hook_names: hooks whose activations are kept.
        batch_size: rows (a prompt under a setting) a forward pass; results do not depend on it.
        shared_prefix: run what is below a setting's lowest hook once for all settings; False for models whose layers hand
            each other more than the stream.
    Raises:
        ValueError: prompts that do not fit the model, an unknown hook, an intervention of another width, logits that are not
            finite, or a model for which the prefix cannot be shared.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is at least 1; got {batch_size}; raise it")
    require_fits(model, prompts)
    wanted = [as_setting(setting) for setting in settings]
    for hook_name in [*hook_names, *(each.hook_name for setting in wanted for each in setting)]:
        require_hook(model, hook_name)
    starts = [_start(model, setting, hook_names) if shared_prefix else 0 for setting in wanted]
    return _parts(model, prompts, wanted, starts, list(hook_names), batch_size)


@torch.no_grad()
def _parts(
    model: TransformerBridge,
    prompts: Prompts,
    settings: list[Setting],
    starts: list[int],
    hook_names: list[str],
    batch_size: int,
) -> Iterator[SteeredPart]:
    with progress_bar(total=len(settings) * prompts.n_prompts, description="Steering", unit="prompts") as bar:
        for first in range(0, prompts.n_prompts, batch_size):
            here = prompts.part(first, first + batch_size)
            rows = slice(first, first + here.n_prompts)
            at_once = max(1, batch_size // here.n_prompts)
            prefixes = recorded_prefix(model, here, starts)
            for start, numbers in _groups(starts, at_once):
                shares = [Share(here, setting_part(settings[each], rows, prompts.n_prompts)) for each in numbers]
                parts = _run(model, shares, prefixes.get(start), hook_names)
                for number, (logits, activations) in zip(numbers, parts, strict=True):
                    require_finite(logits, settings[number])
                    yield SteeredPart(number, rows, logits, activations)
                    bar.update(here.n_prompts)


def _run(
    model: TransformerBridge, shares: list[Share], prefix: Prefix | None, hook_names: list[str]
) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """One forward pass over the same prompts under several settings: logits and activations, setting by setting."""
    n_settings, n_prompts = len(shares), shares[0].prompts.n_prompts
    seen: dict[str, Tensor] = {}

    def keep(tensor: Tensor, hook: object, *, name: str) -> None:  # noqa: ARG001 (TransformerLens calls it with both)
        seen[name] = tensor.detach()

    with ExitStack() as stack:
        stack.enter_context(starting_from(model, prefix, torch.arange(n_prompts).repeat(n_settings)))
        stack.enter_context(steered_rows(model, shares))
        watched = [(name, partial(keep, name=name)) for name in hook_names]  # after the interventions at the same hook
        stack.enter_context(model.hooks(fwd_hooks=watched))
        logits = last_logits(model, repeated_prompts(shares[0].prompts, n_settings))
    missing = [name for name in hook_names if name not in seen]
    if missing:
        raise ValueError(
            f"the model never came by '{missing[0]}'; take a residual hook such as blocks.1.hook_resid_post"
        )
    for number in range(n_settings):
        part = slice(number * n_prompts, (number + 1) * n_prompts)
        yield logits[part], {name: tensor[part] for name, tensor in seen.items()}


def _start(model: TransformerBridge, setting: Setting, hook_names: Sequence[str]) -> int:
    """The first block that must be run; the plain model's logits alone need none, as the prefix has gone through all."""
    names = [*hook_names, *(each.hook_name for each in setting)]
    n_blocks = len(model.blocks) if hasattr(model, "blocks") else 0
    return min((start_block(model, name) for name in names), default=n_blocks)


def _groups(starts: Sequence[int], at_once: int) -> Iterator[tuple[int, list[int]]]:
    """(first block, settings that share it), at most `at_once` settings each."""
    for start in sorted(set(starts)):
        numbers = [number for number, each in enumerate(starts) if each == start]
        for first in range(0, len(numbers), at_once):
            yield start, numbers[first : first + at_once]
