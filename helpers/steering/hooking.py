"""Put interventions into a model's forward passes, and take them out again whatever happens.

Rows of one forward pass may have different interventions: a `Share` of the rows is some prompts under one setting. With a
cache of keys and values a hook sees the prompt first and then one new token at a time, so columns are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from helpers.models import require_hook
from helpers.steering.interventions import Intervention
from helpers.steering.prompts import Prompts, require_fits, steered_columns

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

#: Interventions that are made together; none of them is the plain model.
Setting = tuple[Intervention, ...]


@dataclass(frozen=True)
class Share:
    """Some rows of a forward pass: all `prompts`, in their order, under one setting."""

    prompts: Prompts
    setting: Setting


@contextmanager
def intervening(
    model: TransformerBridge, prompts: Prompts, setting: Intervention | Sequence[Intervention], *, cached: bool = False
) -> Iterator[None]:
    """Every forward pass of these prompts inside the block is steered: `model(...)`, `run_with_cache`, and so on.

    Args:
        prompts: what the model is called with, padded as here; new tokens may follow in further columns.
        setting: one intervention, or several that are made in this order.
        cached: the first pass is over the prompts, and every further one over new tokens only, as with a cache of keys and
            values; one block then holds one generation. Otherwise every pass starts with the first column.
    Raises:
        ValueError: an unknown hook, one that is never reached or does not give one vector a token, an intervention of
            another width, prompts that do not fit the model, or a pass over other rows than the prompts.
    """
    require_fits(model, prompts)
    with steered_rows(model, [Share(prompts, as_setting(setting))], cached=cached):
        yield


@contextmanager
def steered_rows(model: TransformerBridge, shares: Sequence[Share], *, cached: bool = False) -> Iterator[None]:
    """As `intervening`, with a setting for every share of the rows."""
    hook_names = list(dict.fromkeys(each.hook_name for share in shares for each in share.setting))
    for hook_name in hook_names:
        require_hook(model, hook_name)
    editors = {hook_name: _Editor(hook_name, shares, cached=cached) for hook_name in hook_names}
    with model.hooks(fwd_hooks=list(editors.items())):
        yield
    silent = [hook_name for hook_name, editor in editors.items() if not editor.n_calls]
    if silent:  # not reached after an exception, which tells more
        raise ValueError(
            f"the model never came by '{silent[0]}', so nothing was changed there; call the model inside the block, or "
            "take a residual hook such as blocks.1.hook_resid_post"
        )


def as_setting(setting: Intervention | Sequence[Intervention]) -> Setting:
    """One intervention or several as a setting."""
    return (setting,) if isinstance(setting, Intervention) else tuple(setting)


def setting_part(setting: Setting, rows: slice, n_prompts: int) -> Setting:
    """A setting for some of the prompts: positions that are given prompt by prompt are those of these prompts.

    Raises:
        ValueError: positions for another number of prompts.
    """
    parts = []
    for each in setting:
        if isinstance(each.at, tuple) and isinstance(each.at[0], tuple):
            if len(each.at) != n_prompts:
                raise ValueError(f"expected one tuple of positions a prompt, {n_prompts}; got {len(each.at)}")
            each = replace(each, at=each.at[rows])
        parts.append(each)
    return tuple(parts)


class _Editor:
    """The forward hook of one name."""

    def __init__(self, hook_name: str, shares: Sequence[Share], *, cached: bool) -> None:
        self.hook_name = hook_name
        self.cached = cached
        self.n_calls = 0
        self._columns_seen = 0
        self._n_rows = sum(share.prompts.n_prompts for share in shares)
        self._edits: list[tuple[slice, Prompts, Intervention]] = []
        start = 0
        for share in shares:
            rows = slice(start, start + share.prompts.n_prompts)
            start = rows.stop
            self._edits += [(rows, share.prompts, each) for each in share.setting if each.hook_name == hook_name]

    def __call__(self, stream: Tensor, hook: object) -> Tensor:  # noqa: ARG002 (TransformerLens calls it with both)
        self.n_calls += 1
        first = self._columns_seen if self.cached else 0
        self._columns_seen = first + stream.shape[1]
        self._require_shape(stream)
        masks: dict[tuple[int, object], Tensor | None] = {}
        steered = stream
        for rows, prompts, intervention in self._edits:
            key = (id(prompts), intervention.at)
            if key not in masks:
                masks[key] = _mask(prompts, intervention, first, stream)
            mask = masks[key]
            if mask is None or intervention.strength == 0:
                continue
            if steered is stream:
                steered = stream.clone()
            part = steered[rows]  # a view
            part[mask] = intervention.edit(part[mask])
        return steered

    def _require_shape(self, stream: Tensor) -> None:
        if stream.ndim != 3:
            raise ValueError(
                f"expected one vector a token, (rows, tokens, d), at '{self.hook_name}'; got {tuple(stream.shape)}; "
                "take a residual or MLP hook"
            )
        n_columns = max((prompts.n_columns for _, prompts, _ in self._edits), default=0)
        later = self.cached and self.n_calls > 1
        if stream.shape[0] != self._n_rows or (stream.shape[1] != 1 if later else stream.shape[1] < n_columns):
            expected = "one new token" if later else f"{n_columns} columns or more"
            raise ValueError(
                f"expected a pass over {self._n_rows} prompts and {expected}; got {tuple(stream.shape[:2])}; run the prompts "
                "that were given, and say with `cached` whether keys and values are kept"
            )
        for _, _, intervention in self._edits:
            if intervention.width != stream.shape[2]:
                raise ValueError(
                    f"an intervention at '{self.hook_name}' has the width of its rows, {stream.shape[2]}; got "
                    f"{intervention.width}; it was made for another model or hook"
                )


def _mask(prompts: Prompts, intervention: Intervention, first: int, stream: Tensor) -> Tensor | None:
    """Which of the columns that the hook sees are changed; None where there is none."""
    stop = first + stream.shape[1]
    columns = steered_columns(prompts, intervention.at, n_new=max(0, stop - prompts.n_columns))[:, first:stop]
    return torch.from_numpy(columns).to(stream.device) if columns.any() else None


def require_finite(logits: Tensor, setting: Setting) -> None:
    """Make sure that the model survived an intervention.

    Raises:
        ValueError: a logit is NaN or infinite.
    """
    if not bool(torch.isfinite(logits).all()):
        strengths = [each.strength for each in setting] or "no intervention"
        raise ValueError(f"logits are finite; got NaN or infinity at strengths {strengths}; lower them")
