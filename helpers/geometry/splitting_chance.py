"""Thresholds and counts of split features where there is nothing to find.

Containment: the same search after the tokens of the wide dictionary were shuffled, so that every feature fires as often
and as strongly, on other tokens. The threshold is a high quantile of what a specific feature's *best* general feature
reaches, so it already pays for the search among all of them.

Cosine: every specific feature keeps the general features that contain it and gets a random direction, drawn with the mean
and the covariance of the wide dictionary's decoder rows, because rows crowd in a few dimensions and directions from the
whole sphere would be too easy to beat. The threshold is a high quantile of the best cosine with one of *these* general
features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from helpers.geometry.family_tests import Scale
from helpers.geometry.splitting import Splitting, find_splitting
from helpers.geometry.width_links import WidthPair, contained_pairs, cosines, width_links
from helpers.matching.chance import shuffled_rows
from helpers.nulls.permutation import PermutationResult, null_rng, summarise


@dataclass(frozen=True, eq=False)
class LinkThresholds:
    """From where on a link is more than chance.

    Shapes:
        containment: (n_eligible,) float64, the best that each eligible specific feature reaches on shuffled tokens;
        cosine: (n_contained,) float64, the best that each one with a containing general feature reaches by a random
        direction.
    Args:
        min_containment, min_cosine: their quantile.
    """

    min_containment: float
    min_cosine: float
    containment: np.ndarray
    cosine: np.ndarray
    quantile: float
    seed: int


def link_thresholds(pair: WidthPair, *, quantile: float = 0.99, seed: int = 0) -> LinkThresholds:
    """Read the thresholds off one shuffle and one set of random directions.

    Args:
        quantile: in [0, 1): of the specific features' best values by chance.
    Raises:
        ValueError: quantile out of range.
    """
    if not 0 <= quantile < 1:
        raise ValueError(f"quantile must be at least 0 and below 1; got {quantile}")
    shuffled = pair.with_wide(shuffled_rows(pair.wide, seed=seed))
    containment = np.concatenate([block.max(axis=0) for _, _, _, block in contained_pairs(shuffled)])
    # A chance containment of 0 would link everything with everything.
    lowest = max(float(np.quantile(containment, quantile)), 1e-9)
    directions = random_directions(pair.rows_wide[pair.eligible_wide], n=int(pair.eligible_wide.sum()), seed=seed)
    best, done = [], 0
    for general, specific, _, block in contained_pairs(pair):
        cosine = pair.rows_narrow[general] @ directions[done : done + len(specific)].T
        contained = block >= lowest
        best.append(np.where(contained, cosine, -np.inf).max(axis=0)[contained.any(axis=0)])
        done += len(specific)
    cosine = np.concatenate(best)
    return LinkThresholds(
        lowest, float(np.quantile(cosine, quantile)) if cosine.size else 1.0, containment, cosine, quantile, seed
    )


def random_directions(rows: np.ndarray, *, n: int, seed: int) -> np.ndarray:
    """Directions drawn from a normal distribution with the mean and covariance of `rows`.

    Shapes:
        rows: (n_rows, d_in); returns (n, d_in), rows of unit length.
    """
    centred = rows - rows.mean(axis=0)
    # A random combination of centred rows has their covariance, whatever their number.
    weights = null_rng(seed).normal(size=(n, len(rows))) / np.sqrt(len(rows))
    drawn = weights @ centred + rows.mean(axis=0)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def split_features(pair: WidthPair, thresholds: LinkThresholds, *, alpha: float = 0.01) -> Splitting:
    """`find_splitting` of the links beyond these thresholds."""
    links = width_links(pair, min_containment=thresholds.min_containment, min_cosine=thresholds.min_cosine)
    return find_splitting(pair, links, alpha=alpha)


@dataclass(frozen=True, eq=False)
class SplitsByChance:
    """How much splitting the same thresholds find where firing and direction say nothing about each other.

    Args:
        children: share of the wide dictionary's features with a parent, beside its null.
        families: share of the narrow dictionary's features with two children or more, beside its null.
        shares_wide, shares_narrow: class -> mean share over the shuffles.
    """

    children: PermutationResult
    families: PermutationResult
    shares_wide: dict[str, float]
    shares_narrow: dict[str, float]

    def shares(self, side: str) -> dict[str, float]:
        """Class -> mean share of the features of side "narrow" or "wide"."""
        return {"narrow": self.shares_narrow, "wide": self.shares_wide}[side]


def splits_by_chance(
    pair: WidthPair,
    found: Splitting,
    thresholds: LinkThresholds,
    *,
    shuffle: Literal["tokens", "directions"] = "tokens",
    n_shuffles: int = 19,
    seed: int = 0,
) -> SplitsByChance:
    """Search again after shuffling the wide dictionary, with the same thresholds.

    Args:
        found: what was found in `pair` with these `thresholds`.
        shuffle: "tokens": every feature fires as often, on other tokens; "directions": every feature keeps its tokens
            and gets the decoder row of another.
        n_shuffles: searches; the p-value cannot fall below 1 / (1 + n_shuffles).
        seed: of the shuffles, which are not those that made the thresholds.
    Raises:
        ValueError: unknown shuffle, or n_shuffles below 1.
    """
    if shuffle not in ("tokens", "directions") or n_shuffles < 1:
        raise ValueError(
            f"expected shuffle 'tokens' or 'directions' and n_shuffles of at least 1; got {shuffle!r} and {n_shuffles}"
        )
    searched = _searched_tokens if shuffle == "tokens" else _searched_directions
    others = list(searched(pair, thresholds, n_shuffles, null_rng(seed)))
    about = {"n_shuffles": n_shuffles, "seed": seed, "shuffle": shuffle}
    results = {}
    for name, share, eligible in (
        ("children", _share_of_children, pair.eligible_wide),
        ("families", _share_of_families, pair.eligible_narrow),
    ):
        null = np.array([share(other, eligible) for other in others])
        scale = Scale(f"share_of_{name}")
        results[name] = summarise(scale, share(found, eligible), null, int(eligible.sum()), about, null_kind="features")
    return SplitsByChance(**results, shares_wide=_means(others, "wide"), shares_narrow=_means(others, "narrow"))


def _searched_tokens(
    pair: WidthPair, thresholds: LinkThresholds, n_shuffles: int, rng: np.random.Generator
) -> Iterator[Splitting]:
    for _ in range(n_shuffles):
        yield split_features(pair.with_wide(shuffled_rows(pair.wide, seed=int(rng.integers(1 << 62)))), thresholds)


def _searched_directions(
    pair: WidthPair, thresholds: LinkThresholds, n_shuffles: int, rng: np.random.Generator
) -> Iterator[Splitting]:
    """Directions do not change who contains whom, so that is found once."""
    contained = width_links(pair, min_containment=thresholds.min_containment, min_cosine=-1.0)
    ids = np.flatnonzero(pair.eligible_wide)
    for _ in range(n_shuffles):
        given = pair.rows_wide.copy()
        given[ids] = pair.rows_wide[rng.permutation(ids)]
        shuffled = replace(pair, rows_wide=given)
        links = replace(contained, cosine=cosines(shuffled, contained.general, contained.specific))
        yield find_splitting(shuffled, links.select(links.cosine >= thresholds.min_cosine))


def _share_of_children(found: Splitting, eligible: np.ndarray) -> float:
    return float((found.parents >= 0).sum() / eligible.sum())


def _share_of_families(found: Splitting, eligible: np.ndarray) -> float:
    return float((found.n_children >= 2).sum() / eligible.sum())


def _means(found: Sequence[Splitting], side: str) -> dict[str, float]:
    shares = [each.shares(side) for each in found]
    return {name: float(np.mean([share[name] for share in shares])) for name in shares[0]}
