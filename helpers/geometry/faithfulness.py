"""How much of the neighbourhoods a map keeps. A map without these numbers is a picture of nothing in particular."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from helpers.geometry.nearest import distances_of, prepared_rows

BLOCK_VALUES = 1 << 23


@dataclass(frozen=True)
class Faithfulness:
    """What a map keeps of the rows that it shows.

    trustworthiness: in [0, 1], 1 = no row has neighbours in the map that are far from it in truth; 0.5 is about what
    random positions give. neighbours_kept: share of the k nearest rows that are among the k nearest points, in [0, 1];
    chance: what random positions keep, k / (n - 1); k, n_points: neighbours and points; n_asked: points that were asked.
    """

    trustworthiness: float
    neighbours_kept: float
    chance: float
    k: int
    n_points: int
    n_asked: int

    def sentence(self, name: str) -> str:
        """For the line under a map."""
        return (
            f"{name}: the map keeps {self.neighbours_kept:.0%} of each feature's {self.k} nearest (chance "
            f"{self.chance:.1%}); trustworthiness {self.trustworthiness:.2f}."
        )


def map_faithfulness(
    rows: Any, points: Any, *, k: int = 15, metric: str = "cosine", n_asked: int = 2000, seed: int = 0
) -> Faithfulness:
    """Compare neighbourhoods of rows and of their points.

    Shapes:
        rows: (n, d); points: (n, 2 or 3), row by row.
    Args:
        k: neighbours; below n / 2.
        metric: of the rows; points are compared by Euclidean distance.
        n_asked: at most so many rows are asked, drawn at random: all ranks of a row are needed.
    Raises:
        ValueError: numbers of rows differ, or k is not below n / 2.
    Source:
        Venna and Kaski 2001 (trustworthiness).
    """
    high, low = prepared_rows(rows, metric=metric), prepared_rows(points, metric="euclidean")
    n = len(high)
    if len(low) != n:
        raise ValueError(f"rows and points must be the same features; got {n} and {len(low)}")
    if not 1 <= k < n / 2:
        raise ValueError(f"k must be at least 1 and below half the number of rows, {n}; got {k}")
    asked = np.sort(np.random.default_rng(seed).permutation(n)[: min(n, n_asked)])
    penalty, kept = 0.0, 0
    step = max(1, BLOCK_VALUES // n)
    for start in range(0, len(asked), step):
        block = torch.from_numpy(asked[start : start + step])
        ranks = _ranks(high, block, metric)  # 0 is the row itself
        shown = distances_of(low, block, "euclidean")
        shown[torch.arange(len(block)), block] = torch.inf
        near = shown.topk(k, dim=1, largest=False).indices
        true_rank = ranks.gather(1, near)
        penalty += float((true_rank - k).clamp_min(0).sum())
        kept += int((true_rank <= k).sum())
    worst = len(asked) * k * (2 * n - 3 * k - 1)
    return Faithfulness(1 - 2 * penalty / worst, kept / (len(asked) * k), k / (n - 1), k, n, len(asked))


@dataclass(frozen=True)
class PartnerDistance:
    """How far partners lie apart in two maps, beside wrong partners; lower is nearer.

    mean: over the pairs, in units of the mean distance between wrong partners (1 = no nearer than those);
    null_low, null_high: 2.5 % and 97.5 % of shuffles; p_value: (1 + shuffles as near) / (1 + shuffles).
    """

    mean: float
    null_low: float
    null_high: float
    p_value: float
    n_pairs: int


def partner_distance(
    points_a: Float[np.ndarray, "n_pairs k"],
    points_b: Float[np.ndarray, "n_pairs k"],
    *,
    n_permutations: int = 1000,
    seed: int = 0,
) -> PartnerDistance:
    """Do partners lie at like places? Meaningful only between maps that were not fitted together.

    Shapes:
        points_a, points_b: (n_pairs, k), the two points of every pair.
    Raises:
        ValueError: shapes differ, or fewer than two pairs.
    """
    a, b = (np.asarray(points, dtype=np.float64) for points in (points_a, points_b))
    if a.shape != b.shape or len(a) < 2:
        raise ValueError(f"expected the two points of at least two pairs; got {a.shape} and {b.shape}")
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    observed = float(np.linalg.norm(a - b, axis=1).mean())
    null = np.array([np.linalg.norm(a - b[rng.permutation(len(b))], axis=1).mean() for _ in range(n_permutations)])
    unit = float(null.mean())
    hits = int((null <= observed * (1 + 1e-12)).sum())
    low, high = np.quantile(null / unit, [0.025, 0.975])
    return PartnerDistance(observed / unit, float(low), float(high), (1 + hits) / (1 + n_permutations), len(a))


def _ranks(points: torch.Tensor, block: Int[torch.Tensor, " n_block"], metric: str) -> torch.Tensor:
    """Rank of every row as a neighbour of each row of the block; the row itself has rank 0."""
    distances = distances_of(points, block, metric)
    distances[torch.arange(len(block)), block] = -torch.inf
    order = distances.argsort(dim=1, stable=True)
    ranks = torch.empty_like(order)
    places = torch.arange(order.shape[1]).expand_as(order)
    return ranks.scatter_(1, order, places)
