"""Interventions on a dictionary's features: set, scale or raise activations, or keep only what the dictionary rebuilds.

Source: clamping features with the error term kept, Templeton et al. 2024
(transformer-circuits.pub/2024/scaling-monosemanticity).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from helpers.saes import LoadedSae
from helpers.steering.interventions import Intervention
from helpers.steering.prompts import At

_FEATURE_ENTRIES = 1 << 24  # rows x features encoded at once: 64 MiB
_CENTRED = 1e-3  # mean over d_model, in shares of the root mean square, below which a stream counts as centred


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
        ids = torch.tensor(self._ids, dtype=torch.int64, device=feature_acts.device)
        old = feature_acts[:, ids]
        new = self._changed(old)
        if self.keep_error:
            return rows + self.strength * ((new - old) @ decoder_rows(self.loaded, ids)).to(rows)
        rebuilt = sae.decode(feature_acts.index_copy(1, ids, new)).to(rows)
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
