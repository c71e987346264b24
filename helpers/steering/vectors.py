"""SteeringVector: a direction of one layer of one model, with how it was made; saved and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from helpers.array_file import ArrayFile
from helpers.models import hook_layer
from helpers.steering.conditions import Condition
from helpers.steering.interventions import AddVector, ProjectOut, Unit, add, project_out, require_direction
from helpers.steering.prompts import At

_FILE = ArrayFile("a steering vector", remedy="make it again")


@dataclass(frozen=True, eq=False)
class SteeringVector:
    """A direction to steer with.

    Shapes:
        vector: (d,) float64, finite, not zero.
    Args:
        hook_name: the hook whose rows it is a direction of; model: which model, as the study calls it.
        method: how it was made, e.g. "difference of means"; details: what from; JSON types only.
        residual_norm: mean length of the hook's rows on the texts that it was made from, the unit of relative strengths; None
            where it was made without a model.
    """

    vector: Float[np.ndarray, " d"]
    hook_name: str
    model: str
    method: str
    details: Mapping[str, Any] = field(default_factory=dict)
    residual_norm: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "vector", require_direction(self.vector))

    @property
    def norm(self) -> float:
        """Its length."""
        return float(np.linalg.norm(self.vector))

    @property
    def layer(self) -> int:
        """Number of the layer that it is a direction of."""
        return hook_layer(self.hook_name)

    def add(
        self,
        *,
        strength: float = 1.0,
        unit: Unit = "vector",
        at: At = "everywhere",
        condition: Condition | None = None,
    ) -> AddVector:
        """Add it (negative: subtract); see `interventions.add`.

        Raises:
            ValueError: a strength in mean lengths of a hook that were not measured, or a condition of another hook.
        """
        return add(
            self.vector,
            hook_name=self.hook_name,
            strength=strength,
            unit=unit,
            residual_norm=self.residual_norm if unit == "residual_norm" else None,
            at=at,
            condition=condition,
        )

    def project_out(self, *, strength: float = 1.0, at: At = "everywhere") -> ProjectOut:
        """Take it out of every row; see `interventions.project_out`."""
        return project_out(self.vector, hook_name=self.hook_name, strength=strength, at=at)

    def changed(self, vector: Float[np.ndarray, " d"], *, method: str, details: Mapping[str, Any]) -> SteeringVector:
        """Another vector of the same layer that was made from this one: its details tell how both were."""
        told = {**details, "from": {"method": self.method, **self.details}}
        return replace(self, vector=vector, method=method, details=told)

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        told = {
            "hook_name": self.hook_name,
            "model": self.model,
            "method": self.method,
            "details": dict(self.details),
            "residual_norm": self.residual_norm,
        }
        text = json.dumps(told, allow_nan=False)
        _FILE.write(path, vector=self.vector, told=np.array(text))

    @classmethod
    def load(cls, path: str | Path) -> SteeringVector:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, not a steering vector, or a newer format.
        """
        with _FILE.read(path) as content:
            return cls(vector=content["vector"], **json.loads(str(content["told"])))
