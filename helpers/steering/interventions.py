"""What can be done to a layer's activations: add a direction, project it out, set or scale features of a dictionary.

An intervention names a hook, the tokens that it changes, and how it changes one row, (d,) -> (d,); which rows these are, with
padding and with a cache, is worked out in `hooking`. A strength of 0 leaves every row as it is, to the bit.

Sources: adding directions, Turner et al. 2023 (arXiv:2308.10248); projecting out, Arditi et al. 2024 (arXiv:2406.11717);
clamping features with the error term kept, Templeton et al. 2024 (transformer-circuits.pub/2024/scaling-monosemanticity).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from helpers.saes import LoadedSae
from helpers.steering.prompts import At, require_place

Unit = Literal["vector", "absolute", "residual_norm"]
_FEATURE_ENTRIES = 1 << 24  # rows x features encoded at once: 64 MiB
_CENTRED = 1e-3  # mean over d_model, in shares of the root mean square, below which a stream counts as centred


@dataclass(frozen=True, eq=False, kw_only=True)
class Intervention:
    """A change of some tokens' activations at one hook.

    Args:
        hook_name: where; it must give one vector a token.
        strength: how much of the change is made: 0 = none; what 1 means is told by each kind.
        at: which tokens; see `steered_columns`.
    """

    hook_name: str
    strength: float = 1.0
    at: At = "everywhere"

    def __post_init__(self) -> None:
        require_place(self.at)
        if not math.isfinite(self.strength):
            raise ValueError(f"strength is a finite number; got {self.strength}")

    @property
    def width(self) -> int:
        """d of the rows that it changes."""
        raise NotImplementedError

    def edit(self, rows: Float[Tensor, "n_rows d"]) -> Float[Tensor, "n_rows d"]:
        """The rows after the intervention, in their dtype.

        Raises:
            ValueError: they are too long: their squares overflow float32, and a layer norm would make zeros of them.
        """
        if self.strength == 0:
            return rows
        edited = self._edited(rows.float())
        if not bool(torch.isfinite(edited.square().sum())):
            raise ValueError(
                f"rows at '{self.hook_name}' overflow at strength {self.strength}, or were not finite before; lower it"
            )
        return edited.to(rows.dtype)

    def _edited(self, rows: Tensor) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True, eq=False, kw_only=True)
class AddVector(Intervention):
    """x + strength * step: see `add`."""

    step: Float[np.ndarray, " d"]

    @property
    def width(self) -> int:
        return len(self.step)

    def _edited(self, rows: Tensor) -> Tensor:
        return rows + _on(rows, self._change)

    @cached_property
    def _change(self) -> Tensor:
        return torch.from_numpy(self.strength * self.step).float()


@dataclass(frozen=True, eq=False, kw_only=True)
class ProjectOut(Intervention):
    """x - strength * (x . u) u: see `project_out`."""

    unit: Float[np.ndarray, " d"]

    @property
    def width(self) -> int:
        return len(self.unit)

    def _edited(self, rows: Tensor) -> Tensor:
        unit = _on(rows, self._unit)
        return rows - self.strength * (rows @ unit)[:, None] * unit

    @cached_property
    def _unit(self) -> Tensor:
        return torch.from_numpy(self.unit).float()


@dataclass(frozen=True, eq=False, kw_only=True)
class EditFeatures(Intervention):
    """Change activations of a dictionary's features and write the difference: see `edit_features`."""

    loaded: LoadedSae
    values: Mapping[int, float] = field(default_factory=dict)
    factors: Mapping[int, float] = field(default_factory=dict)
    amounts: Mapping[int, float] = field(default_factory=dict)
    keep_error: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_plain_sae(self.loaded)
        edits = (self.values, self.factors, self.amounts)
        ids = [feature_id for edit in edits for feature_id in edit]
        d_sae = self.loaded.sae.cfg.d_sae
        if len(set(ids)) != len(ids):
            raise ValueError("a feature is set, scaled or added to, once; got one that is in two of them")
        if any(not 0 <= feature_id < d_sae for feature_id in ids):
            raise ValueError(f"feature ids are in [0, {d_sae}); got {min(ids)} to {max(ids)}")
        if not all(math.isfinite(number) for edit in edits for number in edit.values()):
            raise ValueError("values, factors and amounts are finite numbers; got one that is not")

    @property
    def width(self) -> int:
        return int(self.loaded.sae.cfg.d_in)

    def _edited(self, rows: Tensor) -> Tensor:
        _require_centring(self.loaded, rows)
        if not self._ids and self.keep_error:
            return rows  # the reconstruction with its error is the row itself
        step = max(1, _FEATURE_ENTRIES // self.loaded.sae.cfg.d_sae)
        return torch.cat([self._edited_block(block) for block in rows.split(step)]) if len(rows) else rows

    def _edited_block(self, rows: Tensor) -> Tensor:
        sae = self.loaded.sae
        feature_acts = sae.encode(rows.to(sae.W_dec))
        ids = torch.tensor(self._ids, dtype=torch.int64, device=rows.device)
        old = feature_acts[:, ids]
        new = self._changed(old)
        if self.keep_error:
            return rows + self.strength * ((new - old) @ decoder_rows(self.loaded, ids)).float()
        rebuilt = sae.decode(feature_acts.index_copy(1, ids, new)).float()
        return rows + self.strength * (rebuilt - rows) if self.strength != 1 else rebuilt

    @cached_property
    def _ids(self) -> list[int]:
        return [*self.values, *self.factors, *self.amounts]

    def _changed(self, old: Tensor) -> Tensor:
        """New activations of the edited features, in the order of `_ids`."""
        n_set, n_scaled = len(self.values), len(self.factors)
        values = old.new_tensor(list(self.values.values())).expand(len(old), -1)
        scaled = old[:, n_set : n_set + n_scaled] * old.new_tensor(list(self.factors.values()))
        added = old[:, n_set + n_scaled :] + old.new_tensor(list(self.amounts.values()))
        return torch.cat([values, scaled, added.clamp(min=0)], dim=1)


def add(
    vector: Float[np.ndarray, " d"],
    *,
    hook_name: str,
    strength: float = 1.0,
    unit: Unit = "vector",
    residual_norm: float | None = None,
    at: At = "everywhere",
) -> AddVector:
    """Add a direction.

    Args:
        vector: the direction; its length counts with unit "vector" only.
        strength: how much, negative to go the other way.
        unit: what a strength of 1 adds: "vector", the vector as it is; "absolute", a vector of length 1 in its direction;
            "residual_norm", one as long as the hook's rows are on average. Strengths of different layers, models and
            dictionaries (whose decoder rows differ in length) are comparable in the last only.
        residual_norm: mean length of the hook's rows (`mean_residual_norm`); needed for that unit, and only there.
    Raises:
        ValueError: a zero, non-finite or not one-dimensional vector, an unknown unit, or a mean length that is missing, not
            positive, or not asked for.
    """
    vector = require_direction(vector)
    length = float(np.linalg.norm(vector))
    if unit not in ("vector", "absolute", "residual_norm"):
        raise ValueError(f"unit is 'vector', 'absolute' or 'residual_norm'; got {unit!r}")
    if (unit == "residual_norm") != (residual_norm is not None):
        raise ValueError(
            f"residual_norm is given with the unit 'residual_norm' and with no other; got {residual_norm} with {unit!r}; "
            "measure it with mean_residual_norm"
        )
    wanted = length if unit == "vector" else 1.0
    if residual_norm is not None:
        if not (math.isfinite(residual_norm) and residual_norm > 0):
            raise ValueError(
                f"residual_norm is a positive length; got {residual_norm}; measure it with mean_residual_norm"
            )
        wanted = residual_norm
    return AddVector(hook_name=hook_name, strength=strength, at=at, step=vector * (wanted / length))


def subtract(
    vector: Float[np.ndarray, " d"],
    *,
    hook_name: str,
    strength: float = 1.0,
    unit: Unit = "vector",
    residual_norm: float | None = None,
    at: At = "everywhere",
) -> AddVector:
    """Subtract a direction: `add` with the opposite strength."""
    return add(vector, hook_name=hook_name, strength=-strength, unit=unit, residual_norm=residual_norm, at=at)


def project_out(
    vector: Float[np.ndarray, " d"], *, hook_name: str, strength: float = 1.0, at: At = "everywhere"
) -> ProjectOut:
    """Take a direction out of every row, however much of it a row has.

    Args:
        vector: the direction; its length does not count.
        strength: 1 leaves nothing of it, 2 mirrors the row.
    Raises:
        ValueError: a zero, non-finite or not one-dimensional vector.
    """
    vector = require_direction(vector)
    return ProjectOut(hook_name=hook_name, strength=strength, at=at, unit=vector / np.linalg.norm(vector))


def edit_features(
    loaded: LoadedSae,
    *,
    values: Mapping[int, float] | None = None,
    factors: Mapping[int, float] | None = None,
    amounts: Mapping[int, float] | None = None,
    keep_error: bool = True,
    strength: float = 1.0,
    at: At = "everywhere",
) -> EditFeatures:
    """Encode a row, change some features' activations, and write what that changes; at the dictionary's own hook.

    Args:
        values: feature id -> the activation it gets, whatever it was (a clamp; 0 takes the feature out).
        factors: feature id -> what its activation is multiplied by.
        amounts: feature id -> what is added to its activation, which does not sink below 0.
        keep_error: what the dictionary does not explain stays: the row moves by the differences of activations times decoder
            rows, and by nothing else. Otherwise the row becomes the reconstruction.
        strength: share of the way to the changed row.
    Raises:
        ValueError: an id beyond d_sae or named twice, a number that is not finite, or a dictionary that scales its input
            (`require_plain_sae`).
    Notes:
        Encoding the changed row again need not give the wanted activations.
    """
    return EditFeatures(
        hook_name=loaded.hook_name,
        loaded=loaded,
        values=dict(values or {}),
        factors=dict(factors or {}),
        amounts=dict(amounts or {}),
        keep_error=keep_error,
        strength=strength,
        at=at,
    )


def clamp(
    loaded: LoadedSae,
    feature_id: int,
    value: float,
    *,
    keep_error: bool = True,
    strength: float = 1.0,
    at: At = "everywhere",
) -> EditFeatures:
    """Set one feature's activation: `edit_features` with one value."""
    return edit_features(loaded, values={feature_id: value}, keep_error=keep_error, strength=strength, at=at)


def reconstruct(
    loaded: LoadedSae, *, keep_error: bool = False, strength: float = 1.0, at: At = "everywhere"
) -> EditFeatures:
    """Replace rows by what the dictionary makes of them: what every edit without the error term costs by itself.

    With the error term kept nothing changes.
    """
    return edit_features(loaded, keep_error=keep_error, strength=strength, at=at)


def require_direction(vector: Float[np.ndarray, " d"]) -> Float[np.ndarray, " d"]:
    """The vector in float64.

    Raises:
        ValueError: it is not one-dimensional, not finite, or zero.
    """
    vector = np.asarray(vector, dtype=np.float64)
    if vector.ndim != 1 or not vector.size:
        raise ValueError(f"a direction has shape (d,); got {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError("a direction is finite; got NaN or infinity; look at the activations that it was made from")
    if not np.linalg.norm(vector) > 0:
        raise ValueError(
            "a direction is not zero; got zeros: the two sides do not differ, or the feature has no weight"
        )
    return vector


def require_plain_sae(loaded: LoadedSae) -> None:
    """Make sure that a decoder row has one length in the model's stream.

    Raises:
        ValueError: the dictionary scales or reshapes its input.
    """
    scaling, shape = loaded.sae.cfg.normalize_activations, loaded.sae.cfg.reshape_activations
    if scaling != "none" or shape != "none":
        raise ValueError(
            f"expected an SAE that reads the stream as it is; got one with normalize_activations '{scaling}' and "
            f"reshape_activations '{shape}'; fold the scaling into its weights, or take another SAE"
        )


def decoder_rows(loaded: LoadedSae, feature_ids: Sequence[int] | Tensor) -> Float[Tensor, "n_features d_in"]:
    """What an activation of 1 of each feature writes."""
    rows = loaded.sae.W_dec[feature_ids]
    if getattr(loaded.sae.cfg, "rescale_acts_by_decoder_norm", False):
        return rows / rows.norm(dim=1, keepdim=True)
    return rows


def _require_centring(loaded: LoadedSae, rows: Tensor) -> None:
    """An SAE of a model with centred writing weights reads rows without a mean."""
    if loaded.center_writing_weights and len(rows):
        mean = rows.mean(dim=1).abs().max()
        if mean > _CENTRED * rows.square().mean().sqrt():
            raise ValueError(
                "this SAE was trained on a model with centred writing weights, and the rows have a mean; load the model "
                "with center_writing_weights=True"
            )


def _on(rows: Tensor, vector: Tensor) -> Tensor:
    return vector.to(rows.device)
