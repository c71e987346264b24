"""Inside one dictionary and on one side only: twins, and features that the other dictionary does not have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from helpers.matching.candidates import Engine
from helpers.matching.engines import open_direction_engine, open_engine
from helpers.matching.match import ZERO
from helpers.matching.pairs import FeaturePairs, make_pairs


def twins(
    a: Any,
    *,
    top_k: int = 1,
    association: str = "pearson",
    min_firings: int = 1,
    min_corr: float = 0.0,
    n_threads: int | None = None,
) -> FeaturePairs:
    """The nearest *other* features of the same dictionary, for every feature: duplicated or split features.

    Shapes:
        a: (n_tokens, d_sae); as for `match_features`.
    Args:
        as for `match_features`; direction is "a_to_b": ids_a ask, ids_b are their twins.
    Raises:
        ValueError: as `match_features`.
    """
    engine = open_engine(a, a, association=association, min_firings=min_firings, n_threads=n_threads)
    about = {"association": association, "min_firings": min_firings, "min_corr": min_corr, "n_tokens": np.shape(a)[0]}
    return _twins(engine, top_k, min_corr, about)


def direction_twins(W: Any, *, top_k: int = 1, min_corr: float = 0.0) -> FeaturePairs:
    """As `twins`, by the cosine of directions: (d_sae, d_in) decoder rows."""
    engine = open_direction_engine(W, W)
    about = {"association": "direction_cosine", "min_corr": min_corr, "d_in": np.shape(W)[-1]}
    return _twins(engine, top_k, min_corr, about)


@dataclass(frozen=True)
class OneSided:
    """How well every feature is answered by the other dictionary, and which are not.

    Shapes:
        best_a: (d_sae_a,) float32, best association with any eligible feature of b: 0 where none is positive, NaN
        where the feature itself is not eligible (dead, constant, too rare); best_b: (d_sae_b,), the reverse.
    Args:
        only_a, only_b: ids of eligible features whose best association is at most `max_corr`, the least answered first.
    """

    only_a: np.ndarray
    only_b: np.ndarray
    best_a: np.ndarray
    best_b: np.ndarray
    max_corr: float

    @property
    def share_only_a(self) -> float:
        """Of a's eligible features; 0 if there are none."""
        return _share(self.only_a, self.best_a)

    @property
    def share_only_b(self) -> float:
        """Of b's eligible features; 0 if there are none."""
        return _share(self.only_b, self.best_b)

    def at(self, max_corr: float) -> OneSided:
        """The same features under another threshold."""
        only_a, only_b = _least_first(self.best_a, max_corr), _least_first(self.best_b, max_corr)
        return OneSided(only_a, only_b, self.best_a, self.best_b, max_corr)


def one_sided_features(
    a: Any,
    b: Any,
    *,
    max_corr: float,
    association: str = "pearson",
    min_firings: int = 1,
    allow_mixed_kinds: bool = False,
    n_threads: int | None = None,
) -> OneSided:
    """Features that only one model has: no feature of the other associates with them above `max_corr`.

    This is not "unmatched": a feature may lose its partner to a stronger rival, and dead or rare features are unmatched
    without being anyone's own. Take `max_corr` from the shuffled null (`match_shuffled`), e.g. its 99th percentile.
    Args:
        max_corr: in [0, 1); others as for `match_features`.
    Raises:
        ValueError: max_corr out of range; otherwise as `match_features`.
    """
    if not 0 <= max_corr < 1:
        raise ValueError(f"max_corr must be in [0, 1); got {max_corr}")
    engine = open_engine(
        a,
        b,
        association=association,
        min_firings=min_firings,
        allow_mixed_kinds=allow_mixed_kinds,
        n_threads=n_threads,
    )
    lists = engine.both_lists(k=1, floor=ZERO)
    best_a, best_b = (
        np.where(usable, np.maximum(best.values[:, 0], 0.0), np.nan).astype(np.float32)
        for best, usable in ((lists.of_a, engine.usable_a), (lists.of_b, engine.usable_b))
    )
    nobody = np.empty(0, dtype=np.int64)
    return OneSided(nobody, nobody, best_a, best_b, 0.0).at(max_corr)


def _twins(engine: Engine, top_k: int, min_corr: float, about: dict[str, Any]) -> FeaturePairs:
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1; got {top_k}")
    if not -1 <= min_corr < 1:
        raise ValueError(f"min_corr must be in [-1, 1); got {min_corr}; only positive associations make a pair")
    # One more than asked for: a feature is mostly first on its own list, though not if it has several exact copies.
    best = engine.best_partners(of="a", k=top_k + 1, floor=max(min_corr, ZERO))
    others = (best.ids >= 0) & (best.ids != np.arange(engine.d_a)[:, None])
    others &= np.cumsum(others, axis=1) <= top_k
    ids, slots = np.nonzero(others)
    settings = {
        "method": "twins",
        "direction": "a_to_b",
        "top_k": top_k,
        "max_partners": None,
        **about,
        "d_sae_a": engine.d_a,
        "d_sae_b": engine.d_b,
    }
    return make_pairs(ids, best.ids[ids, slots], best.values[ids, slots], settings=settings)


def _least_first(best: np.ndarray, max_corr: float) -> np.ndarray:
    ids = np.flatnonzero(best <= max_corr)  # NaN is not
    return ids[np.argsort(best[ids], kind="stable")]


def _share(ids: np.ndarray, best: np.ndarray) -> float:
    eligible = int((~np.isnan(best)).sum())
    return len(ids) / eligible if eligible else 0.0
