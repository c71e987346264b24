"""Changes that differ from token to token: every row gets a step of its own.

The other interventions say how any row is changed. To put back what a feature was at every token, each of them must be told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from helpers.steering.hooking import Setting, setting_part
from helpers.steering.interventions import Intervention
from helpers.steering.prompts import At, Prompts
from helpers.steering.running import steered_parts

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, eq=False, kw_only=True)
class AddRows(Intervention):
    """Row i + strength * amounts[i] @ directions, rows counted prompt by prompt and column by column over the chosen tokens.

    For prompts that are run in one batch: the rows of a part of them are not known here.
    """

    amounts: Float[Tensor, "n_rows n_directions"]
    directions: Float[Tensor, "n_directions d"]

    @property
    def width(self) -> int:
        return self.directions.shape[1]

    def _edited(self, rows: Tensor) -> Tensor:
        if len(rows) != len(self.amounts):
            raise ValueError(
                f"expected one step a row, {len(self.amounts)}; got {len(rows)} rows; run all prompts in one batch"
            )
        steps = self.amounts.to(rows) @ self.directions.to(rows)
        return rows + self.strength * steps


def every_real_token(prompts: Prompts) -> At:
    """All tokens of every prompt, BOS included, as places of an intervention."""
    return tuple(tuple(range(length)) for length in prompts.lengths.tolist())


@dataclass(frozen=True)
class PromptPart:
    """Some of the prompts, with their rows among those of all: slices of the prompts and of the chosen tokens."""

    prompts: Prompts
    numbers: slice
    rows: slice

    def setting(self, setting: Setting, n_prompts: int) -> Setting:
        """A setting of all `n_prompts` prompts, for these."""
        return setting_part(setting, self.numbers, n_prompts)


def prompt_parts(
    prompts: Prompts, chosen: Bool[np.ndarray, "n_prompts n_columns"], *, batch_size: int
) -> Iterator[PromptPart]:
    """At most `batch_size` prompts at a time, with the rows of the chosen tokens."""
    ends = np.cumsum(chosen.sum(axis=1))
    for first in range(0, prompts.n_prompts, batch_size):
        numbers = slice(first, min(first + batch_size, prompts.n_prompts))
        rows = slice(int(ends[first - 1]) if first else 0, int(ends[numbers.stop - 1]))
        yield PromptPart(prompts.part(numbers.start, numbers.stop), numbers, rows)


def recorded_rows(
    model: TransformerBridge,
    prompts: Prompts,
    settings: Sequence[Setting],
    *,
    hook_name: str,
    chosen: Bool[np.ndarray, "n_prompts n_columns"],
    batch_size: int,
) -> Float[Tensor, "n_settings n_rows d"]:
    """What a hook gives at the chosen tokens under every setting, in float32; rows in the order of `AddRows`."""
    parts: list[dict[int, Tensor]] = [{} for _ in settings]
    for part in steered_parts(model, prompts, settings, hook_names=[hook_name], batch_size=batch_size):
        mask = torch.from_numpy(chosen[part.prompts])
        activations = part.activations[hook_name]
        parts[part.setting][part.prompts.start] = activations[mask.to(activations.device)].float()
    return torch.stack([torch.cat([rows for _, rows in sorted(each.items())]) for each in parts])
