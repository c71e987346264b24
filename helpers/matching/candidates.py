"""The best partners of every feature: the one result that all matching methods are made from.

Order of preference is total, so nothing depends on threads or blocks: higher association first, then the lower feature
id. Only associations above a floor (at least 0) are candidates: two non-negative features that never fire together
correlate at most 0, so a feature's best partner is found among those it fires with, or does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class BestPartners:
    """The k best partners of every feature of one side.

    Shapes:
        ids: (d_sae, k) int32, -1 where there are fewer; values: (d_sae, k) float64 descending, -inf where fewer;
        truncated: (d_sae,) bool, there are more candidates than the list holds.
    """

    ids: np.ndarray
    values: np.ndarray
    truncated: np.ndarray


class Engine(Protocol):
    """Finds best partners; one implementation for sparse, one for dense activations."""

    @property
    def d_a(self) -> int: ...  # pragma: no cover

    @property
    def d_b(self) -> int: ...  # pragma: no cover

    def best_partners(
        self, *, of: str, k: int, floor: float, keep_a: np.ndarray | None = None, keep_b: np.ndarray | None = None
    ) -> BestPartners:
        """Partners of every feature of side `of` ("a" or "b"), among the kept features of both sides."""
        ...  # pragma: no cover
