"""What an effect is measured on: the logit of every prompt's answer, or how far it lies above that of another token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers.steering.hooking import Setting
from helpers.steering.prompts import Prompts
from helpers.steering.running import steered_parts

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, eq=False)
class Answers:
    """A token a prompt whose logit is read after the prompt.

    Shapes:
        token_ids, others: (n_prompts,).
    Args:
        others: tokens whose logits are subtracted, e.g. what the plain model answers; None reads the logit alone, which also
            moves when all logits do.
    """

    token_ids: Int[np.ndarray, " n_prompts"]
    others: Int[np.ndarray, " n_prompts"] | None = None

    def __post_init__(self) -> None:
        if self.token_ids.ndim != 1 or not self.token_ids.size:
            raise ValueError(f"expected one answer a prompt, (n_prompts,); got {self.token_ids.shape}")
        if self.others is not None and self.others.shape != self.token_ids.shape:
            raise ValueError(f"expected one other token an answer; got {self.others.shape} and {self.token_ids.shape}")
        if self.others is not None and (self.others == self.token_ids).any():
            raise ValueError("an answer and the token it is held against differ; got one token twice: nothing can move")

    def part(self, rows: slice) -> Answers:
        """The answers of some of the prompts."""
        return Answers(self.token_ids[rows], None if self.others is None else self.others[rows])

    def values(self, logits: Float[Tensor, "n_prompts d_vocab"]) -> Float[Tensor, " n_prompts"]:
        """What is read off the logits, prompt by prompt."""
        values = _picked(logits, self.token_ids)
        return values if self.others is None else values - _picked(logits, self.others)

    def require_for(self, model: TransformerBridge, prompts: Prompts) -> None:
        """Make sure that there is one answer a prompt, in the model's vocabulary.

        Raises:
            ValueError: there is not.
        """
        if len(self.token_ids) != prompts.n_prompts:
            raise ValueError(f"expected one answer a prompt, {prompts.n_prompts}; got {len(self.token_ids)}")
        ids = np.concatenate([self.token_ids, self.token_ids if self.others is None else self.others])
        if ids.min() < 0 or ids.max() >= model.cfg.d_vocab:
            raise ValueError(f"answers are token ids in [0, {model.cfg.d_vocab}); got {ids.min()} to {ids.max()}")


def answer_values(
    model: TransformerBridge, prompts: Prompts, settings: Sequence[Setting], answers: Answers, *, batch_size: int
) -> Float[np.ndarray, "n_settings n_prompts"]:
    """The answers' values under every setting, in float64."""
    found = np.empty((len(settings), prompts.n_prompts))
    for part in steered_parts(model, prompts, settings, batch_size=batch_size):
        found[part.setting, part.prompts] = answers.part(part.prompts).values(part.logits).double().cpu().numpy()
    return found


def _picked(logits: Tensor, token_ids: np.ndarray) -> Tensor:
    chosen = torch.from_numpy(token_ids.astype(np.int64)).to(logits.device)
    return logits.gather(1, chosen[:, None])[:, 0]
