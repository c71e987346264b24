"""Paired directions whose relation is known, drawn from a pair of worlds.

The test of a measure: how does it answer rows that are the same features, rows that only claim to be, and mixtures?
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from helpers.ground_truth.validity import TwoSides
from helpers.ground_truth.worlds import WorldPair, WorldSettings, build_worlds


def mixed_pairs(worlds: WorldPair, *, share_correct: float, n_rows: int, seed: int) -> TwoSides:
    """True directions of `n_rows` pairs, of which a share are the same feature and the rest features of one world only.

    Args:
        share_correct: 1 = all pairs shared and paired rightly, 0 = features that the other world does not have.
    Raises:
        ValueError: a share outside [0, 1], or fewer features of a kind than are needed.
    """
    if not 0 <= share_correct <= 1:
        raise ValueError(f"share_correct must be in [0, 1]; got {share_correct}")
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(4,)))
    n_correct = round(share_correct * n_rows)
    n_wrong = n_rows - n_correct
    there = {"shared": len(worlds.shared_a), "unshared": len(worlds.unshared_a)}
    if n_correct > there["shared"] or n_wrong > there["unshared"]:
        raise ValueError(
            f"{n_rows} rows need {n_correct} shared and {n_wrong} unshared features; "
            f"got {there['shared']} and {there['unshared']}; lower n_rows or raise n_features"
        )
    chosen = rng.choice(there["shared"], n_correct, replace=False)
    ids_a = [worlds.shared_a[chosen], rng.choice(worlds.unshared_a, n_wrong, replace=False)]
    ids_b = [worlds.shared_b[chosen], rng.choice(worlds.unshared_b, n_wrong, replace=False)]
    return TwoSides(worlds.a.directions[np.concatenate(ids_a)], worlds.b.directions[np.concatenate(ids_b)])


def unrelated_worlds(settings: WorldSettings, *, n_rows: int) -> Callable[[np.random.Generator], TwoSides]:
    """A draw of directions of two worlds that share nothing, as clustered as those of worlds that do.

    Raises:
        ValueError: n_rows exceeds the features of a world.
    """
    if not 1 <= n_rows <= settings.n_features:
        raise ValueError(f"n_rows must be in 1..n_features = {settings.n_features}; got {n_rows}")
    nothing_shared = replace(settings, shared=0.0)

    def draw(rng: np.random.Generator) -> TwoSides:
        worlds = build_worlds(nothing_shared, seed=int(rng.integers(2**32)))
        return TwoSides(worlds.a.directions[:n_rows], worlds.b.directions[:n_rows])

    return draw


def unrelated_gaussians(*, n_rows: int, d_model: int) -> Callable[[np.random.Generator], TwoSides]:
    """A draw of two independent Gaussian matrices, the null of the measures that ignore the pairing."""

    def draw(rng: np.random.Generator) -> TwoSides:
        return TwoSides(rng.standard_normal((n_rows, d_model)), rng.standard_normal((n_rows, d_model)))

    return draw
