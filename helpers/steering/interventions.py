"""What can be done to a layer's activations: add a direction, everywhere or where a condition holds, or project it out
(features: see `feature_edits`).

An intervention names a hook, the tokens that it changes, and how it changes one row, (d,) -> (d,); which rows these are, with
padding and with a cache, is worked out in `hooking`. A strength of 0 leaves every row as it is, to the bit.

Sources: adding directions, Turner et al. 2023 (arXiv:2308.10248); projecting out, Arditi et al. 2024 (arXiv:2406.11717).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from helpers.steering.conditions import Condition
from helpers.steering.prompts import At, require_place

Unit = Literal["vector", "absolute", "residual_norm"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Intervention(ABC):
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
    @abstractmethod
    def width(self) -> int:
        """d of the rows that it changes."""

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

    @abstractmethod
    def _edited(self, rows: Tensor) -> Tensor:
        """The rows after the change, in float32, whatever their number."""


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
class AddWhere(AddVector):
    """x + strength * step, of the rows for which a condition holds; the others stay as they are."""

    condition: Condition

    def _edited(self, rows: Tensor) -> Tensor:
        return torch.where(self.condition.holds(rows)[:, None], super()._edited(rows), rows)


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


def add(
    vector: Float[np.ndarray, " d"],
    *,
    hook_name: str,
    strength: float = 1.0,
    unit: Unit = "vector",
    residual_norm: float | None = None,
    at: At = "everywhere",
    condition: Condition | None = None,
) -> AddVector:
    """Add a direction.

    Args:
        vector: the direction; its length counts with unit "vector" only.
        strength: how much, negative to go the other way.
        unit: what a strength of 1 adds: "vector", the vector as it is; "absolute", a vector of length 1 in its direction;
            "residual_norm", one as long as the hook's rows are on average. Strengths of different layers, models and
            dictionaries (whose decoder rows differ in length) are comparable in the last only.
        residual_norm: mean length of the hook's rows (`mean_residual_norm`); needed for that unit, and only there.
        condition: add it only to rows for which this holds before.
    Raises:
        ValueError: a zero, non-finite or not one-dimensional vector, an unknown unit, a mean length that is missing, not
            positive, or not asked for, or a condition of another hook or width.
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
    step = vector * (wanted / length)
    if condition is None:
        return AddVector(hook_name=hook_name, strength=strength, at=at, step=step)
    if condition.hook_name != hook_name or len(condition.weights) != len(vector):
        raise ValueError(
            f"a condition tests the rows that are steered, of {hook_name} and width {len(vector)}; got one of "
            f"{condition.hook_name} and width {len(condition.weights)}"
        )
    return AddWhere(hook_name=hook_name, strength=strength, at=at, step=step, condition=condition)


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


def _on(rows: Tensor, vector: Tensor) -> Tensor:
    return vector.to(rows.device)
