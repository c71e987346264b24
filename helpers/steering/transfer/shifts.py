"""How far vectors of one layer move the answers of prompts from one domain to another.

Two measures. *Success*: the answer is a word of the wanted domain. *Logit difference*: the mean logit of the wanted domain's
words less that of the other's, and how the vector changes it. Any push away from where a stream lies costs the plain answer
some of its lead, whatever its direction; so the change is taken as half the difference between adding and subtracting the
vector, in which that part cancels. What adding alone changes is kept beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64

from helpers.models import hook_width
from helpers.steering.interventions import Intervention, add
from helpers.steering.prompts import Prompts
from helpers.steering.running import steered_parts

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


@dataclass(frozen=True, eq=False)
class AnswerShift:
    """Prompts that are to be answered from another domain.

    Shapes:
        toward: (n_toward,) token ids of the wanted domain's words; away: (n_away,) of the plain answers' domain.
    Raises:
        ValueError: a domain without words, ids that are no tokens, or a word in both.
    """

    prompts: Prompts
    toward: Int64[np.ndarray, " n_toward"]
    away: Int64[np.ndarray, " n_away"]

    def __post_init__(self) -> None:
        for name in ("toward", "away"):
            ids = np.unique(np.asarray(getattr(self, name), dtype=np.int64))
            if not len(ids) or ids[0] < 0:
                raise ValueError(f"{name} holds token ids of a domain's words, at least one; got {ids[:3].tolist()}")
            object.__setattr__(self, name, ids)
        both = np.intersect1d(self.toward, self.away)
        if len(both):
            raise ValueError(f"a word is of one domain; got token {both[0]} in both")


@dataclass(frozen=True, eq=False)
class ShiftEffects:
    """What every vector does to every prompt.

    Shapes:
        all: (n_vectors, n_prompts). logit_difference: float64, half the difference between adding and subtracting;
        added: float64, adding alone less the plain model; success: bool.
    """

    logit_difference: Float[np.ndarray, "n_vectors n_prompts"]
    added: Float[np.ndarray, "n_vectors n_prompts"]
    success: Bool[np.ndarray, "n_vectors n_prompts"]


def shift_effects(
    model: TransformerBridge,
    shift: AnswerShift,
    vectors: Float[np.ndarray, "n_vectors d"],
    *,
    hook_name: str,
    strength: float,
    residual_norm: float,
) -> ShiftEffects:
    """Add every vector to the last token of every prompt, at one length, and subtract it.

    Args:
        vectors: only their directions count.
        strength: length of the step, in mean lengths of the hook's rows (`residual_norm`).
    Raises:
        ValueError: a strength that is not positive, vectors of another width, zero or not finite, an unknown hook, prompts or
            words that the model does not know, logits that are not finite.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    width = hook_width(model, hook_name)
    if vectors.ndim != 2 or not len(vectors) or vectors.shape[1] != width:
        raise ValueError(
            f"expected vectors of shape (n, {width}), the width of {hook_name}; got {vectors.shape}: of another model or hook"
        )
    if not strength > 0:
        raise ValueError(f"strength is positive; got {strength}: a vector and its opposite are both added anyway")
    top_id = max(int(shift.toward[-1]), int(shift.away[-1]))
    if top_id >= model.cfg.d_vocab:
        raise ValueError(f"token ids are below the model's {model.cfg.d_vocab}; got {top_id}; use its own tokenizer")
    step = {"hook_name": hook_name, "unit": "residual_norm", "residual_norm": residual_norm, "at": "last"}
    signed = [add(v, strength=sign * strength, **step) for v in vectors for sign in (1, -1)]  # type: ignore[arg-type]
    settings: list[Intervention | Sequence[Intervention]] = [(), *signed]
    difference = np.empty((len(settings), shift.prompts.n_prompts))
    success = np.empty(difference.shape, bool)
    toward = torch.from_numpy(shift.toward)
    for part in steered_parts(model, shift.prompts, settings):
        logits = part.logits.cpu()
        lead = logits[:, shift.toward].double().mean(dim=1) - logits[:, shift.away].double().mean(dim=1)
        difference[part.setting, part.prompts] = lead.numpy()
        success[part.setting, part.prompts] = torch.isin(logits.argmax(dim=1), toward).numpy()
    plus, minus = difference[1::2], difference[2::2]
    return ShiftEffects((plus - minus) / 2, plus - difference[0], success[1::2])


def chosen_strength(
    model: TransformerBridge,
    shift: AnswerShift,
    vector: Float[np.ndarray, " d"],
    *,
    hook_name: str,
    residual_norm: float,
    strengths: tuple[float, ...],
    min_success: float,
) -> tuple[float, dict[float, float]]:
    """The least strength at which a vector succeeds on enough prompts, or the one with most success where none does.

    Args:
        shift: prompts that nothing is scored on later; strengths: to try; min_success: share of the prompts.
    Returns:
        The strength, and the success at each.
    Raises:
        ValueError: no strength; otherwise as `shift_effects`.
    """
    if not strengths:
        raise ValueError("expected strengths to try; got none")
    step = {"hook_name": hook_name, "residual_norm": residual_norm}
    found = {
        strength: float(shift_effects(model, shift, vector[None], strength=strength, **step).success.mean())  # type: ignore[arg-type]
        for strength in sorted(strengths)
    }
    enough = [strength for strength, success in found.items() if success >= min_success]
    best = max(found.values())
    return (enough or [strength for strength, success in found.items() if success == best])[0], found
