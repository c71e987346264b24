"""One cell of the layer grid, as a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from helpers.comparison.conditions import ConditionScores
from helpers.nulls import EqualRows, PermutationResult
from helpers.storage import read_json, write_json

FEATURES = "features"
CEILINGS = ("ceiling_a", "ceiling_b")


@dataclass(frozen=True)
class LayerPairScores:
    """Layer `layer_a` of one model against layer `layer_b` of another, under every condition."""

    layer_a: int
    layer_b: int
    conditions: Mapping[str, ConditionScores]

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        write_json(
            path,
            {
                "layer_a": self.layer_a,
                "layer_b": self.layer_b,
                "conditions": [_condition_to_dict(condition) for condition in self.conditions.values()],
            },
        )

    @classmethod
    def load(cls, path: str | Path) -> LayerPairScores:
        """Inverse of `save`."""
        values = read_json(path)
        conditions = [_condition_from_dict(entry) for entry in values["conditions"]]
        return cls(values["layer_a"], values["layer_b"], {condition.name: condition for condition in conditions})


def _condition_to_dict(condition: ConditionScores) -> dict[str, Any]:
    return {
        "name": condition.name,
        "n_pairs": condition.n_pairs,
        "tests": {measure: result.to_dict() for measure, result in condition.tests.items()},
        "equal": {measure: _equal_to_dict(result) for measure, result in condition.equal.items()},
    }


def _condition_from_dict(values: dict[str, Any]) -> ConditionScores:
    return ConditionScores(
        name=values["name"],
        n_pairs=values["n_pairs"],
        tests={measure: PermutationResult.from_dict(entry) for measure, entry in values["tests"].items()},
        equal={measure: _equal_from_dict(entry) for measure, entry in values["equal"].items()},
    )


def _equal_to_dict(result: EqualRows) -> dict[str, Any]:
    values = dataclasses.asdict(result)
    return {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in values.items()}


def _equal_from_dict(values: dict[str, Any]) -> EqualRows:
    arrays = {key: np.asarray(values[key], dtype=np.float64) for key in ("scores", "null_scores")}
    return EqualRows(**{**values, **arrays})
