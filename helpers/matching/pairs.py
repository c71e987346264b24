"""FeaturePairs: which features of two dictionaries belong together, and with what association."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from helpers.array_file import ArrayFile

_FILE = ArrayFile("feature pairs", remedy="run 04_match_features again")


@dataclass(frozen=True)
class FeaturePairs:
    """Pairs of features, the strongest association first.

    Shapes:
        ids_a, ids_b: (n_pairs,) int64; corr: (n_pairs,) float32.
    Args:
        corr: the association named in `settings`, in (0, 1].
        unmatched_a, unmatched_b: ids in no pair, ascending: dead, constant, too rare, or without a partner.
        settings: how the pairs were made; JSON types only.
    """

    ids_a: np.ndarray
    ids_b: np.ndarray
    corr: np.ndarray
    unmatched_a: np.ndarray
    unmatched_b: np.ndarray
    settings: dict[str, Any]

    @property
    def n_pairs(self) -> int:
        return len(self.ids_a)

    @cached_property
    def d_sae_a(self) -> int:
        return int(self.settings["d_sae_a"])

    @cached_property
    def d_sae_b(self) -> int:
        return int(self.settings["d_sae_b"])

    def partner_counts(self, side: str) -> np.ndarray:
        """Pairs that every feature of side "a" or "b" is in, (d_sae,) int64."""
        _require_side(side)
        ids, d_sae = (self.ids_a, self.d_sae_a) if side == "a" else (self.ids_b, self.d_sae_b)
        return np.bincount(ids, minlength=d_sae)

    @property
    def share_unique_partners(self) -> float:
        """Distinct partners over pairs, of the searched side (of a for b_to_a); 1 = no partner is shared, 0 = no pair."""
        searched = self.ids_a if self.settings["direction"] == "b_to_a" else self.ids_b
        return len(np.unique(searched)) / self.n_pairs if self.n_pairs else 0.0

    def most_shared(self, side: str, *, n: int) -> list[tuple[int, int]]:
        """The `n` features of side "a" or "b" that are in the most pairs: (feature id, pairs), the most popular first."""
        counts = self.partner_counts(side)
        order = np.argsort(-counts, kind="stable")[:n]
        return [(int(feature), int(counts[feature])) for feature in order if counts[feature] > 0]

    def above(self, min_corr: float) -> FeaturePairs:
        """Only the pairs with an association of at least `min_corr`; features that lose all their pairs are unmatched."""
        return self.select(self.corr >= min_corr, min_corr=float(min_corr))

    def select(self, keep_mask: np.ndarray, **settings: Any) -> FeaturePairs:
        """The pairs under a mask (True = kept); `settings` are noted beside the others.

        Raises:
            ValueError: the mask is not one bool a pair.
        """
        keep_mask = np.asarray(keep_mask)
        if keep_mask.shape != (self.n_pairs,) or keep_mask.dtype != bool:
            raise ValueError(
                f"keep_mask must be ({self.n_pairs},) bool, one a pair; got {keep_mask.dtype} {keep_mask.shape}"
            )
        return make_pairs(
            self.ids_a[keep_mask], self.ids_b[keep_mask], self.corr[keep_mask], settings=self.settings | settings
        )

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        _FILE.write(
            path,
            ids_a=self.ids_a,
            ids_b=self.ids_b,
            corr=self.corr,
            settings=np.array(json.dumps(self.settings, allow_nan=False)),
        )

    @classmethod
    def load(cls, path: str | Path) -> FeaturePairs:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, not a pairs file, or a newer format.
        """
        with _FILE.read(path) as content:
            settings = json.loads(str(content["settings"]))
            return make_pairs(content["ids_a"], content["ids_b"], content["corr"], settings=settings)


def make_pairs(ids_a: np.ndarray, ids_b: np.ndarray, corr: np.ndarray, *, settings: dict[str, Any]) -> FeaturePairs:
    """Sort pairs (association descending, then ids) and work out who is unmatched.

    Args:
        settings: must hold d_sae_a, d_sae_b and direction.
    """
    order = np.lexsort((ids_b, ids_a, -np.asarray(corr, dtype=np.float64)))
    ids_a, ids_b = np.asarray(ids_a, np.int64)[order], np.asarray(ids_b, np.int64)[order]
    # Rounding may leave an association a hair above 1.
    corr = np.minimum(np.asarray(corr, np.float64)[order], 1.0).astype(np.float32)
    return FeaturePairs(
        ids_a=ids_a,
        ids_b=ids_b,
        corr=corr,
        unmatched_a=np.setdiff1d(np.arange(settings["d_sae_a"]), ids_a),
        unmatched_b=np.setdiff1d(np.arange(settings["d_sae_b"]), ids_b),
        settings=dict(settings),
    )


def _require_side(side: str) -> None:
    if side not in ("a", "b"):
        raise ValueError(f"side must be 'a' or 'b'; got {side!r}")
