"""What a training went through: loss and probe accuracies by tokens seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from helpers.storage import read_json, write_json


@dataclass(frozen=True)
class TrainingHistory:
    """Curves of one training.

    Args:
        tokens: tokens seen at each loss point.
        loss: mean next-token loss since the point before, in nats a token.
        probe_tokens: tokens seen at each probe point.
        accuracies: probe kind -> accuracy at each probe point (no kinds for a corpus without probes).
        n_steps: optimiser steps.
        seconds: wall time of all sessions of the training together.
    """

    tokens: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    probe_tokens: list[int] = field(default_factory=list)
    accuracies: dict[str, list[float]] = field(default_factory=dict)
    n_steps: int = 0
    seconds: float = 0.0

    @property
    def n_tokens(self) -> int:
        """Tokens seen in all."""
        return self.tokens[-1] if self.tokens else 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingHistory:
        """Inverse of `to_dict`."""
        return cls(**values)

    def save(self, path: str | Path) -> None:
        """Write as JSON."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> TrainingHistory:
        """Read what `save` wrote."""
        return cls.from_dict(read_json(path))
