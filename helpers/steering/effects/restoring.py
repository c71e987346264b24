"""Which downstream features carry an effect: steer, and put one of them back to what it was in the plain run.

The share that a feature carries is the share of the answers' change that is lost when it is restored at every token, with the
rest of the stream left as steering made it. Beside features stand the main directions of the difference (by singular values),
which no dictionary has chosen, and for each of both random directions that move every row as far.

Source: path patching of features, Marks et al. 2024 (arXiv:2403.19647).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from helpers.models import hook_layer, require_hook
from helpers.saes import LoadedSae
from helpers.steering.effects.answers import Answers, answer_values
from helpers.steering.effects.row_edits import AddRows, every_real_token, prompt_parts, recorded_rows
from helpers.steering.effects.saving import load_result, save_result
from helpers.steering.feature_edits import decoder_rows, require_plain_sae
from helpers.steering.hooking import Setting, as_setting
from helpers.steering.interventions import Intervention
from helpers.steering.prompts import Prompts
from helpers.steering.running import BATCH_SIZE

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_KIND = "table of restored features"
_NO_EFFECT = 1e-4  # change of the answers, in logits: rounding of float32 through a model is about a tenth of it


@dataclass(frozen=True, eq=False)
class RestoredParts:
    """Parts of the difference at one layer, each put back by itself.

    Shapes:
        ids: (n_parts,) feature ids, or places of singular directions; shares: (n_parts,) of the effect that is lost; moved:
            (n_parts,) squared length of what is put back over that of the whole difference; random: (n_parts, n_random) shares
            lost when every row moves as far along a random direction.
    """

    ids: Int[np.ndarray, " n_parts"]
    shares: Float[np.ndarray, " n_parts"]
    moved: Float[np.ndarray, " n_parts"]
    random: Float[np.ndarray, "n_parts n_random"]

    @property
    def p_values(self) -> Float[np.ndarray, " n_parts"]:
        """(1 + random directions that carry at least as much) / (1 + random directions)."""
        hits = (self.random >= self.shares[:, None]).sum(axis=1)
        return (1 + hits) / (1 + self.random.shape[1])


@dataclass(frozen=True, eq=False)
class RestoredEffect:
    """How much of a steering effect goes through each part of a later layer.

    Args:
        plain, steered: mean over prompts of what is read off the answers.
        features, directions: each restored by itself; shares need not add up to 1.
        features_together: share lost when all these features are restored at once; dictionary: when all features of the
            dictionary are; whole: when the whole stream of the layer is, 1 unless something goes round the hook.
    """

    hook_name: str
    plain: float
    steered: float
    features: RestoredParts
    directions: RestoredParts
    features_together: float
    dictionary: float
    whole: float

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        parts = {"features": self.features, "directions": self.directions}
        arrays = {f"{part}.{name}": array for part, each in parts.items() for name, array in vars(each).items()}
        save_result(path, kind=_KIND, arrays=arrays, told={k: v for k, v in vars(self).items() if k not in parts})

    @classmethod
    def load(cls, path: str | Path) -> RestoredEffect:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, or another kind of file.
        """
        saved = load_result(path, kind=_KIND)
        parts: dict[str, Any] = {
            part: RestoredParts(**{name.split(".")[1]: a for name, a in saved.arrays.items() if name.startswith(part)})
            for part in ("features", "directions")
        }
        return cls(**parts, **saved.told)


def restored_effect(
    model: TransformerBridge,
    prompts: Prompts,
    setting: Intervention | Sequence[Intervention],
    loaded: LoadedSae,
    answers: Answers,
    *,
    feature_ids: Int[np.ndarray, " n_features"] | None = None,
    n_features: int = 10,
    n_directions: int = 5,
    n_random: int = 20,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> RestoredEffect:
    """Steer, restore parts of a later layer in turn, and see how much of the answers' change is left.

    Args:
        loaded: a dictionary of a later layer, or of the intervention's own hook.
        feature_ids: features to restore; None takes the `n_features` whose writing changes most, over all tokens.
        n_directions: main directions of the difference.
        n_random: random directions for each part.
        seed: of the random directions.
    Raises:
        ValueError: an intervention that does not move the answers or is above the dictionary, no feature that changes, ids
            beyond d_sae or named twice, counts below 1, or what `steered_parts` refuses.
    """
    made = as_setting(setting)
    _require(model, prompts, made, loaded, answers, min(n_features, n_directions, n_random, batch_size))
    run = _Run(model, prompts, made, loaded.hook_name, answers, batch_size)
    plain, steered = run.plain_and_steered()
    plain_rows, steered_rows = recorded_rows(
        model, prompts, [(), made], hook_name=loaded.hook_name, chosen=prompts.attention_mask, batch_size=batch_size
    )
    difference = plain_rows - steered_rows
    with torch.no_grad():
        acts = [loaded.sae.encode(rows.to(loaded.sae.W_dec)).float() for rows in (plain_rows, steered_rows)]
    feature_steps = acts[0] - acts[1]
    rows = decoder_rows(loaded, torch.arange(loaded.sae.cfg.d_sae)).detach().float()
    ids = _features(feature_steps, rows, feature_ids, n_features)
    axes = torch.linalg.svd(difference.double(), full_matrices=False).Vh[:n_directions].float()
    shares = _Shares(run, difference, plain, steered)
    generator = torch.Generator().manual_seed(seed)
    together = [(feature_steps[:, ids], rows[ids]), (feature_steps, rows), (difference, torch.eye(difference.shape[1]))]
    three = shares.of([(amounts.cpu(), directions.cpu()) for amounts, directions in together])
    return RestoredEffect(
        hook_name=loaded.hook_name,
        plain=plain,
        steered=steered,
        features=shares.parts(ids.numpy(), feature_steps[:, ids], rows[ids], n_random, generator),
        directions=shares.parts(np.arange(len(axes)), difference @ axes.T, axes, n_random, generator),
        features_together=float(three[0]),
        dictionary=float(three[1]),
        whole=float(three[2]),
    )


@dataclass(frozen=True)
class _Run:
    """The steered model, with something put back at one hook."""

    model: TransformerBridge
    prompts: Prompts
    setting: Setting
    hook_name: str
    answers: Answers
    batch_size: int

    def plain_and_steered(self) -> tuple[float, float]:
        values = answer_values(
            self.model, self.prompts, [(), self.setting], self.answers, batch_size=self.batch_size
        ).mean(axis=1)
        if not abs(values[1] - values[0]) > _NO_EFFECT:
            raise ValueError(
                f"expected an intervention that moves the answers; got {values[0]:.6g} plain and {values[1]:.6g} steered; "
                "take a larger strength, or other answers"
            )
        return float(values[0]), float(values[1])

    def restored(self, steps: Sequence[tuple[Tensor, Tensor]]) -> Float[np.ndarray, " n_steps"]:
        """Mean value of the answers with each step (amounts of all rows, directions) made on top of the setting."""
        found = np.zeros(len(steps))
        for part in prompt_parts(self.prompts, self.prompts.attention_mask, batch_size=self.batch_size):
            at = every_real_token(part.prompts)
            setting = part.setting(self.setting, self.prompts.n_prompts)
            settings = [
                (*setting, AddRows(hook_name=self.hook_name, amounts=amounts[part.rows], directions=directions, at=at))
                for amounts, directions in steps
            ]
            answers = self.answers.part(part.numbers)
            values = answer_values(self.model, part.prompts, settings, answers, batch_size=self.batch_size)
            found += values.sum(axis=1)
        return found / self.prompts.n_prompts


@dataclass(frozen=True)
class _Shares:
    """Shares of the effect that are lost by steps."""

    run: _Run
    difference: Tensor
    plain: float
    steered: float

    def of(self, steps: Sequence[tuple[Tensor, Tensor]]) -> Float[np.ndarray, " n_steps"]:
        return (self.steered - self.run.restored(steps)) / (self.steered - self.plain)

    def parts(
        self, ids: np.ndarray, amounts: Tensor, directions: Tensor, n_random: int, generator: torch.Generator
    ) -> RestoredParts:
        """Every column of amounts along its direction, and along random ones of the same length."""
        amounts, directions = amounts.cpu(), directions.cpu()
        lengths = directions.norm(dim=1)
        drawn = torch.randn((len(ids), n_random, directions.shape[1]), generator=generator)
        drawn = drawn / drawn.norm(dim=2, keepdim=True) * lengths[:, None, None]
        steps = [(amounts[:, [i]], way[None]) for i in range(len(ids)) for way in (directions[i], *drawn[i])]
        found = self.of(steps).reshape(len(ids), 1 + n_random)
        squares = (amounts.double().square().sum(dim=0) * lengths.double().square()).numpy()
        moved = squares / float(self.difference.double().square().sum())
        return RestoredParts(ids=ids.astype(np.int64), shares=found[:, 0], moved=moved, random=found[:, 1:])


def _require(
    model: TransformerBridge, prompts: Prompts, setting: Setting, loaded: LoadedSae, answers: Answers, least: int
) -> None:
    if least < 1:
        raise ValueError(f"n_features, n_directions, n_random and batch_size are at least 1; got {least}")
    require_plain_sae(loaded)
    require_hook(model, loaded.hook_name)
    answers.require_for(model, prompts)
    if not setting:
        raise ValueError("expected an intervention whose effect is taken apart; got none")
    highest = max(hook_layer(each.hook_name) for each in setting)
    if highest > hook_layer(loaded.hook_name):
        raise ValueError(
            f"features are restored above the intervention, in layer {highest} or later; got a dictionary of "
            f"{loaded.hook_name}"
        )


def _features(
    steps: Float[Tensor, "n_rows d_sae"],
    rows: Float[Tensor, "d_sae d"],
    feature_ids: np.ndarray | None,
    n_features: int,
) -> Int[Tensor, " n_features"]:
    if feature_ids is not None:
        ids = np.asarray(feature_ids)
        if ids.ndim != 1 or not ids.size or len(np.unique(ids)) != len(ids) or ids.min() < 0 or ids.max() >= len(rows):
            raise ValueError(f"feature ids are distinct and in [0, {len(rows)}), at least one; got {ids.tolist()}")
        return torch.from_numpy(ids.astype(np.int64))
    written = (steps.double().square().sum(dim=0).sqrt() * rows.double().norm(dim=1)).cpu().numpy()
    order = np.argsort(-written, kind="stable")[:n_features]
    order = order[written[order] > 0]
    if not len(order):
        raise ValueError("expected features that the intervention changes; got none; take another dictionary")
    return torch.from_numpy(order)
