"""Which features an answer rests on: the effect of taking each out, guessed by gradient and then measured.

The guess for scaling feature f by a factor is (factor - 1) * activation * (gradient of the answer . decoder row), added up
over tokens: exact where everything above the hook is linear, and one pass for all features. What it ranks highest is then
ablated for good, beside what fires most and what is drawn at random: most active is not most important.

Source: attribution patching, Nanda 2023; Syed et al. 2023 (arXiv:2310.10348); on features, Marks et al. 2024 (arXiv:2403.19647).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import spearmanr
from torch import Tensor

from helpers.models import require_hook
from helpers.saes import LoadedSae
from helpers.steering.effects.answers import Answers, answer_values
from helpers.steering.effects.saving import load_result, save_result
from helpers.steering.feature_edits import decoder_rows, edit_features, require_plain_sae
from helpers.steering.forward import last_logits
from helpers.steering.hooking import require_finite
from helpers.steering.prompts import At, Prompts, require_fits, steered_columns
from helpers.steering.running import BATCH_SIZE

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Ranking = Literal["attribution", "activation"]
_KIND = "table of feature effects"


@dataclass(frozen=True, eq=False)
class FeatureEffects:
    """What scaling each feature does to the answers.

    Shapes:
        attributions: (d_sae, n_prompts), guessed change of each prompt's answer; activations: (d_sae,) mean over the tokens
            at which features are scaled; candidates: (n_candidates,) features that were scaled for good, the largest effect
            first; effects: (n_candidates, n_prompts), measured change.
    Args:
        factor: what activations are multiplied by; 0 = ablation. Changes are scaled minus plain: a feature that speaks for the
            answer has a negative one when it is ablated.
    """

    attributions: Float[np.ndarray, "d_sae n_prompts"]
    activations: Float[np.ndarray, " d_sae"]
    candidates: Int[np.ndarray, " n_candidates"]
    effects: Float[np.ndarray, "n_candidates n_prompts"]
    factor: float = 0.0

    @property
    def sizes(self) -> Float[np.ndarray, " n_candidates"]:
        """Mean over prompts of the effect's size, whatever its sign: what candidates are ranked by."""
        return np.abs(self.effects).mean(axis=1)

    def ranked_by(self, ranking: Ranking) -> Float[np.ndarray, " n_candidates"]:
        """What another ranking goes by, for the candidates: the mean size of the attribution, or the mean activation."""
        if ranking not in ("attribution", "activation"):
            raise ValueError(f"ranking is 'attribution' or 'activation'; got {ranking!r}")
        if ranking == "activation":
            return self.activations[self.candidates]
        return np.abs(self.attributions[self.candidates]).mean(axis=1)

    def agreement(self, ranking: Ranking) -> float | None:
        """Spearman correlation, over candidates, of a ranking with the measured one; None where one has only ties."""
        other = self.ranked_by(ranking)
        if len(other) < 2 or np.ptp(other) == 0 or np.ptp(self.sizes) == 0:
            return None
        return float(spearmanr(other, self.sizes).statistic)

    def found(self, ranking: Ranking, *, n: int) -> float:
        """Sizes of the first n candidates of a ranking, over those of the n largest: 1 = the ranking finds them all."""
        if not 1 <= n <= len(self.candidates):
            raise ValueError(f"n is from 1 to the number of candidates, {len(self.candidates)}; got {n}")
        order = np.argsort(-self.ranked_by(ranking), kind="stable")[:n]
        best = float(self.sizes[:n].sum())
        return float(self.sizes[order].sum()) / best if best else 0.0

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        names = ("attributions", "activations", "candidates", "effects")
        arrays = {name: getattr(self, name) for name in names}
        save_result(path, kind=_KIND, arrays=arrays, told={"factor": self.factor})

    @classmethod
    def load(cls, path: str | Path) -> FeatureEffects:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, or another kind of file.
        """
        saved = load_result(path, kind=_KIND)
        return cls(**saved.arrays, **saved.told)


def feature_effects(
    model: TransformerBridge,
    prompts: Prompts,
    loaded: LoadedSae,
    answers: Answers,
    *,
    n_candidates: int = 20,
    n_random: int = 20,
    factor: float = 0.0,
    at: At = "everywhere",
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> FeatureEffects:
    """Guess every feature's effect on the answers, and measure that of the likeliest.

    Args:
        n_candidates: features that are scaled for good, from the top of each ranking (by attribution, by activation).
        n_random: further ones, drawn from those that fire, so that a ranking is not judged on its own choice alone.
        factor: what a feature's activation is multiplied by; 0 takes it out.
        at: tokens at which it is.
        seed: of the draw.
    Raises:
        ValueError: not one answer a prompt, prompts or a dictionary that do not fit the model, a factor of 1, no candidate
            asked for, or no feature that fires.
    """
    if factor == 1:
        raise ValueError("factor 1 changes nothing; take 0 to ablate, 2 to double")
    if n_candidates < 1 or n_random < 0:
        raise ValueError(f"n_candidates is at least 1 and n_random at least 0; got {n_candidates} and {n_random}")
    guessed = _attributions(model, prompts, loaded, answers, at, batch_size)
    attributions, activations = (factor - 1) * guessed.slopes, guessed.activations
    candidates = _candidates(attributions, activations, n_candidates, n_random, seed)
    effects = ablation_effects(model, prompts, loaded, answers, candidates, factor=factor, at=at, batch_size=batch_size)
    order = np.lexsort((candidates, -np.abs(effects).mean(axis=1)))
    return FeatureEffects(attributions, activations, candidates[order], effects[order], factor)


def ablation_effects(
    model: TransformerBridge,
    prompts: Prompts,
    loaded: LoadedSae,
    answers: Answers,
    feature_ids: Int[np.ndarray, " n_features"],
    *,
    factor: float = 0.0,
    at: At = "everywhere",
    batch_size: int = BATCH_SIZE,
) -> Float[np.ndarray, "n_features n_prompts"]:
    """Measured change of every prompt's answer when each feature by itself is scaled, with the error term kept.

    Raises:
        ValueError: as `feature_effects`; ids beyond d_sae.
    """
    answers.require_for(model, prompts)
    settings = [(), *((edit_features(loaded, factors={int(i): factor}, at=at),) for i in feature_ids)]
    values = answer_values(model, prompts, settings, answers, batch_size=batch_size)
    return values[1:] - values[0]


@dataclass(frozen=True, eq=False)
class _Guessed:
    slopes: Float[np.ndarray, "d_sae n_prompts"]  # activation x gradient along the decoder row, added up over tokens
    activations: Float[np.ndarray, " d_sae"]


def _attributions(
    model: TransformerBridge, prompts: Prompts, loaded: LoadedSae, answers: Answers, at: At, batch_size: int
) -> _Guessed:
    if batch_size < 1:
        raise ValueError(f"batch_size is at least 1; got {batch_size}; raise it")
    require_plain_sae(loaded)
    require_hook(model, loaded.hook_name)
    require_fits(model, prompts)
    answers.require_for(model, prompts)
    chosen = steered_columns(prompts, at)
    if not chosen.any():
        raise ValueError(f"expected tokens of the prompts at {at!r}; got none; prompts have no new tokens")
    slopes = np.zeros((loaded.sae.cfg.d_sae, prompts.n_prompts))
    totals = np.zeros(loaded.sae.cfg.d_sae)
    all_rows = decoder_rows(loaded, torch.arange(loaded.sae.cfg.d_sae)).detach()
    for first in range(0, prompts.n_prompts, batch_size):
        here = slice(first, first + batch_size)
        stream, gradient = _gradients(model, prompts.part(first, here.stop), loaded.hook_name, answers.part(here))
        for number, mask in enumerate(chosen[here]):
            where = torch.from_numpy(mask).to(stream.device)
            with torch.no_grad():
                acts = loaded.sae.encode(stream[number, where].to(all_rows))
                slopes_here = (acts * (gradient[number, where].to(all_rows) @ all_rows.T)).sum(dim=0)
            slopes[:, first + number] = slopes_here.double().cpu().numpy()
            totals += acts.sum(dim=0).double().cpu().numpy()
    return _Guessed(slopes, totals / chosen.sum())


def _gradients(model: TransformerBridge, prompts: Prompts, hook_name: str, answers: Answers) -> tuple[Tensor, Tensor]:
    """What the hook gives, and the gradient of each prompt's answer with respect to it, (n_prompts, n_columns, d) both."""
    leaves: list[Tensor] = []

    def cut(stream: Tensor, hook: object) -> Tensor:  # noqa: ARG001 (TransformerLens calls it with both)
        if stream.ndim != 3:
            raise ValueError(
                f"expected one vector a token at '{hook_name}'; got {tuple(stream.shape)}; take another hook"
            )
        leaves.append(stream.detach().requires_grad_())
        return leaves[-1].clone()  # blocks may add to their input in place

    with torch.enable_grad(), model.hooks(fwd_hooks=[(hook_name, cut)]):
        logits = last_logits(model, prompts)
        require_finite(logits, ())
        total = answers.values(logits).sum()  # prompts do not see each other
    return leaves[-1].detach(), torch.autograd.grad(total, leaves[-1])[0]


def _candidates(
    attributions: np.ndarray, activations: np.ndarray, n_candidates: int, n_random: int, seed: int
) -> Int[np.ndarray, " n_candidates"]:
    """The first of both rankings, and others that fire."""
    firing = np.flatnonzero(activations > 0)
    if not len(firing):
        raise ValueError(
            "expected a feature that fires on the prompts; got none; take other prompts or another dictionary"
        )
    sizes = np.abs(attributions[firing]).mean(axis=1)
    first = [firing[np.argsort(-scores, kind="stable")[:n_candidates]] for scores in (sizes, activations[firing])]
    chosen = np.union1d(*first)
    rest = np.setdiff1d(firing, chosen)
    drawn = np.random.default_rng(seed).choice(rest, min(n_random, len(rest)), replace=False)
    return np.concatenate([chosen, drawn]).astype(np.int64)
