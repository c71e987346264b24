"""The best partners of every feature: the one result that all matching methods are made from.

Order of preference is total, so nothing depends on threads or blocks: higher association first, then the lower feature
id. Only associations above a floor (at least 0) are candidates: two non-negative features that never fire together
correlate at most 0, so a feature's best partner is found among those it fires with, or does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

# Sums in another order differ in their last bits. On this grid equal associations are equal on every device and in
# every block, so ties go to the lower ids everywhere; it is far finer than float32 and far coarser than the rounding.
GRID = 2.0**40


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

    @classmethod
    def empty(cls, d_sae: int, k: int) -> BestPartners:
        return cls(np.full((d_sae, k), -1, np.int32), np.full((d_sae, k), -np.inf), np.zeros(d_sae, dtype=bool))


@dataclass(frozen=True)
class BothLists:
    """The lists of both sides. A pair has the same value, to the last bit, in the lists of both its features."""

    of_a: BestPartners
    of_b: BestPartners


class Engine(Protocol):
    """Finds best partners: one implementation each for sparse activations, dense ones, and a GPU."""

    @property
    def d_a(self) -> int: ...  # pragma: no cover

    @property
    def d_b(self) -> int: ...  # pragma: no cover

    @property
    def usable_a(self) -> np.ndarray: ...  # pragma: no cover

    @property
    def usable_b(self) -> np.ndarray: ...  # pragma: no cover

    def best_partners(
        self, *, of: str, k: int, floor: float, keep_a: np.ndarray | None = None, keep_b: np.ndarray | None = None
    ) -> BestPartners:
        """Partners of every feature of side `of` ("a" or "b"), among the kept features of both sides."""
        ...  # pragma: no cover

    def both_lists(
        self, *, k: int, floor: float, keep_a: np.ndarray | None = None, keep_b: np.ndarray | None = None
    ) -> BothLists:
        """Both sides' lists from one pass."""
        ...  # pragma: no cover

    def block(self, ids_a: np.ndarray, ids_b: np.ndarray) -> np.ndarray:
        """Associations of some usable features, (len(ids_a), len(ids_b)) float64.

        Sparse features that never fire together have 0 here (their correlation is at most 0).
        """
        ...  # pragma: no cover


@dataclass
class RememberingEngine:
    """An engine that keeps its last `both_lists`: several questions that start alike search once."""

    engine: Engine
    _last: tuple[int, float, BothLists] | None = field(default=None, repr=False)

    @property
    def d_a(self) -> int:
        return self.engine.d_a

    @property
    def d_b(self) -> int:
        return self.engine.d_b

    @property
    def usable_a(self) -> np.ndarray:
        return self.engine.usable_a

    @property
    def usable_b(self) -> np.ndarray:
        return self.engine.usable_b

    def best_partners(
        self, *, of: str, k: int, floor: float, keep_a: np.ndarray | None = None, keep_b: np.ndarray | None = None
    ) -> BestPartners:
        """See `Engine`."""
        return self.engine.best_partners(of=of, k=k, floor=floor, keep_a=keep_a, keep_b=keep_b)

    def both_lists(
        self, *, k: int, floor: float, keep_a: np.ndarray | None = None, keep_b: np.ndarray | None = None
    ) -> BothLists:
        """See `Engine`; only a search among all features is kept."""
        if not (_keeps_all(keep_a) and _keeps_all(keep_b)):
            return self.engine.both_lists(k=k, floor=floor, keep_a=keep_a, keep_b=keep_b)
        if self._last is None or self._last[:2] != (k, floor):
            self._last = (k, floor, self.engine.both_lists(k=k, floor=floor))
        return self._last[2]

    def block(self, ids_a: np.ndarray, ids_b: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        return self.engine.block(ids_a, ids_b)


def on_grid(values: np.ndarray) -> np.ndarray:
    """Associations rounded to the grid."""
    return np.rint(values * GRID) / GRID


def _keeps_all(keep_mask: np.ndarray | None) -> bool:
    return keep_mask is None or bool(keep_mask.all())
