"""The search: every cluster scored beside three nulls, and the ranked list of candidate multi-dimensional features.

The score of a cluster is that of its best plane of successive principal components (1-2 to 4-5), and the choice of the
plane is repeated in every null. A high score alone means little, because many things look tied together. Each null keeps
what is no finding and destroys one thing that is needed:

* **Gaussian**: points with the cluster's own covariance. What a stretched blob scores.
* **own firing**: every feature keeps its direction and its activations, which are dealt out anew among the cluster's
  tokens, each feature by itself. What independent one-dimensional features in these directions score.
* **own directions**: every token keeps its activations, and the features' directions are dealt out anew among them. What
  features that avoid or seek each other's company score when it has nothing to do with where they point; however the
  directions lie, in clouds or at random, this null has them too. Of fewer than `DEALT` features too few deals differ, and
  their directions are drawn at random instead, as alike on average as the true ones. Two separate features that never
  fire together score the same here.

A candidate must beat all three, so its p-value is the largest of the three (an intersection-union test: it needs no
correction for the three, only for the number of clusters). Two features that never meet have at least half of their points
along one line, so a plane with such a mixture index is no candidate, whatever its p. Runs stop early where the answer is clear: after `STOP_HITS`
null scores as high, and the nulls that come after get as many runs as the first needed. This only makes p larger.

Source: arXiv:2405.14860 for the score; Berger 1982, doi:10.1080/00401706.1982.10487790, for the largest p; Besag and
Clifford 1991, doi:10.1093/biomet/78.2.301, for stopping early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from helpers.geometry.circles.cluster_points import (
    ClusterPoints,
    FiringColumns,
    direction_factor,
    principal_coordinates,
)
from helpers.geometry.circles.clusters import FeatureClusters
from helpers.geometry.circles.irreducibility import best_score, bins_for, plane_scores
from helpers.nulls import benjamini_hochberg, gaussian_rows, shuffled_columns
from helpers.nulls.permutation import TIE_TOLERANCE
from helpers.progress import shown_when_long

NULLS = ("own directions", "own firing", "Gaussian")  # the one that is hardest to beat comes first
STOP_HITS = 3
LEAST_RUNS = 9
DEALT = 7  # features; their directions draw 360 different pictures, not counting turns and mirrors
MIXED = 0.5  # mixture index from which a plane is no candidate: half of its points lie along one line
MIN_POINTS = 50  # a histogram of fewer says nothing


@dataclass(frozen=True)
class NullScores:
    """Null scores of one cluster and kind of null.

    Args:
        mean: of the null scores; n_runs: how many were drawn; p_value: (1 + hits) / (1 + runs).
    """

    mean: float
    n_runs: int
    p_value: float


@dataclass(frozen=True, eq=False)
class Candidate:
    """One cluster, scored.

    Args:
        made: how its clustering was made; ids: its features; n_tokens: on which it fires.
        plane: 0 = principal components 1-2, and so on.
        separability: bits; mixture: in (0, 1]; score: separability * (1 - mixture), all of the best plane.
        nulls: kind of null -> its scores.
        p_corrected: corrected for the number of clusters (Benjamini and Hochberg).
    """

    made: str
    ids: np.ndarray
    n_tokens: int
    plane: int
    separability: float
    mixture: float
    score: float
    nulls: dict[str, NullScores]
    p_corrected: float

    @property
    def p_value(self) -> float:
        """Of the null that is hardest to beat."""
        return max(null.p_value for null in self.nulls.values())

    @property
    def excess(self) -> float:
        """Score beyond the mean of the highest null."""
        return self.score - max(null.mean for null in self.nulls.values())

    def as_text(self) -> dict[str, str]:
        """Column -> text, for a table of a report."""
        return {
            "features": f"{len(self.ids)}",
            "separability": f"{self.separability:.2f}",
            "mixture": f"{self.mixture:.2f}",
            "score": f"{self.score:.2f}",
            "directions / firing / Gaussian": " / ".join(f"{self.nulls[kind].mean:.2f}" for kind in NULLS),
            "p": f"{self.p_value:.2g}",
            "p, corrected": f"{self.p_corrected:.2g}",
        }


@dataclass(frozen=True)
class CandidateList:
    """All clusters that could be scored, the best first: by p, then by the score beyond the highest null.

    Args:
        n_too_few_tokens, n_other_size, n_flat: clusters that were left out: they fire on fewer than `MIN_POINTS` tokens,
            have fewer or more features than asked for, or lie on one line.
    """

    candidates: tuple[Candidate, ...]
    n_too_few_tokens: int
    n_other_size: int
    n_flat: int

    def significant(self, alpha: float = 0.05) -> list[Candidate]:
        """Those whose corrected p is at most alpha and which are no mixture (`MIXED`)."""
        return [found for found in self.candidates if found.p_corrected <= alpha and found.mixture < MIXED]

    def sentence(self) -> str:
        """For the line under the table."""
        return (
            f"{len(self.candidates):,} clusters scored; left out: {self.n_too_few_tokens:,} that fire on fewer than "
            f"{MIN_POINTS} tokens, {self.n_other_size:,} with too few or too many features, {self.n_flat:,} that lie on a line."
        )


def find_candidates(
    acts: Any,
    directions: Any,
    clusterings: Sequence[FeatureClusters],
    *,
    n_runs: int = 999,
    max_points: int = 500,
    min_members: int = 3,
    max_members: int = 60,
    seed: int = 0,
    n_threads: int = 1,
) -> CandidateList:
    """Score every cluster of a dictionary.

    Shapes:
        acts: (n_tokens, d_sae), a store of feature activations, a SciPy sparse matrix, an array, or `FiringColumns`;
        directions: (d_sae, d), decoder rows.
    Args:
        clusterings: ways to cut the dictionary into clusters; what several of them find is scored once.
        n_runs: null scores of each kind for clusters that keep beating them.
        max_points: a random sample of so many of a cluster's tokens is scored.
        min_members: clusters with fewer features are left out, at least 2; two directions draw a corner at most.
        max_members: clusters with more features are left out: they are no one feature.
        n_threads: clusters that are scored at once.
    Returns:
        The ranked list; empty where there are no clusters.
    Raises:
        ValueError: clusters or directions of another number of features, negative activations, or a parameter out of range.
    Notes:
        Memory: the activations by feature (sparse), and max_points x max_members a thread. The result does not depend
        on n_threads.
    """
    if n_runs < 1 or n_threads < 1 or max_points < MIN_POINTS or not 2 <= min_members <= max_members:
        raise ValueError(
            f"expected n_runs and n_threads of at least 1, max_points of at least {MIN_POINTS} and 2 <= min_members <= "
            f"max_members; got {n_runs}, {n_threads}, {max_points}, {min_members} and {max_members}"
        )
    columns = acts if isinstance(acts, FiringColumns) else FiringColumns.of(acts)
    directions = np.asarray(directions)
    d_sae = columns.matrix.shape[1]
    wrong = [len(made.labels) for made in clusterings if len(made.labels) != d_sae]
    if wrong or len(directions) != d_sae:
        raise ValueError(
            f"the activations have {d_sae} features; got {len(directions)} directions and clusters of {wrong or d_sae} "
            "features; take all of one dictionary"
        )
    distinct = _distinct(clusterings)
    small = {ids: made for ids, made in distinct.items() if min_members <= len(ids) <= max_members}

    def scored(ids: tuple[int, ...]) -> Candidate | str:
        points = _sampled(columns, directions, np.array(ids), max_points, seed)
        return points if isinstance(points, str) else _score_cluster(points, small[ids], n_runs, seed)

    with threadpool_limits(1), ThreadPoolExecutor(n_threads) as pool:
        scores = pool.map(scored, small)
        outcomes = list(shown_when_long(scores, total=len(small), description="Scoring clusters", unit="clusters"))
    found = [outcome for outcome in outcomes if isinstance(outcome, Candidate)]
    return CandidateList(
        tuple(_ranked(found)), outcomes.count(_TOO_FEW), len(distinct) - len(small), outcomes.count(_FLAT)
    )


def _distinct(clusterings: Sequence[FeatureClusters]) -> dict[tuple[int, ...], str]:
    """Members of every cluster -> the first clustering that has it."""
    distinct: dict[tuple[int, ...], str] = {}
    for made in clusterings:
        for number in range(made.n_clusters):
            distinct.setdefault(tuple(made.members(number).tolist()), made.name)
    return distinct


_TOO_FEW, _FLAT = "too few tokens", "flat"


def _sampled(
    columns: FiringColumns, directions: np.ndarray, ids: np.ndarray, max_points: int, seed: int
) -> ClusterPoints | str:
    fires = np.diff(columns.matrix.indptr)[ids] > 0
    if fires.sum() < 2:
        return _TOO_FEW
    points = columns.points_of(ids[fires], directions, max_points=max_points, seed=seed)
    return points if len(points.rows) >= MIN_POINTS else _TOO_FEW


def _ranked(found: list[Candidate]) -> Iterator[Candidate]:
    corrected = benjamini_hochberg([candidate.p_value for candidate in found])
    order = sorted(range(len(found)), key=lambda i: (found[i].p_value, -found[i].excess))
    for i in order:
        p_corrected = corrected[i]
        assert p_corrected is not None
        yield Candidate(**{**vars(found[i]), "p_corrected": p_corrected})


def _score_cluster(points: ClusterPoints, made: str, n_runs: int, seed: int) -> Candidate | str:
    factor = direction_factor(points.directions)
    coordinates = principal_coordinates(points.acts, factor)
    if coordinates.shape[1] < 2:
        return _FLAT
    scores = plane_scores(coordinates)
    plane = int(np.argmax(scores[:, 2]))
    separability, mixture, score = (float(value) for value in scores[plane])
    # Every cluster has a stream of its own, so that neither threads nor the other clusters change a result.
    streams = np.random.SeedSequence([seed, len(points.rows), *np.sort(points.rows)[:8].tolist()]).spawn(len(NULLS))
    nulls: dict[str, NullScores] = {}
    for (kind, draw), stream in zip(_null_draws(points, factor, coordinates).items(), streams, strict=True):
        nulls[kind] = _null_scores(draw, score, np.random.default_rng(stream), n_runs, bins_for(len(points.rows)))
        n_runs = min(n_runs, max(LEAST_RUNS, nulls[kind].n_runs))
    return Candidate(made, points.ids, points.n_tokens, plane, separability, mixture, score, nulls, 1.0)


def _null_scores(
    draw: Callable[[np.random.Generator], np.ndarray],
    score: float,
    rng: np.random.Generator,
    n_runs: int,
    n_bins: int,
) -> NullScores:
    total, hits, runs = 0.0, 0, 0
    while runs < n_runs and hits < STOP_HITS:
        coordinates = draw(rng)
        null = best_score(coordinates, n_bins=n_bins) if coordinates.shape[1] > 1 else 0.0
        total, hits, runs = total + null, hits + (null >= score - TIE_TOLERANCE * score), runs + 1
    return NullScores(total / runs, runs, (1 + hits) / (1 + runs))


def _null_draws(
    points: ClusterPoints, factor: np.ndarray, coordinates: np.ndarray
) -> dict[str, Callable[[np.random.Generator], np.ndarray]]:
    """Kind of null -> given a generator, coordinates of a null cloud along its own principal components."""
    norms = np.linalg.norm(points.directions, axis=1)
    units = points.directions / np.maximum(norms, np.finfo(np.float64).tiny)[:, None]
    n_members = len(norms)
    likeness = max(0.0, float((np.sum(units.sum(axis=0) ** 2) - n_members) / (n_members * (n_members - 1))))
    d = points.directions.shape[1]

    def gaussian(rng: np.random.Generator) -> np.ndarray:
        rows = gaussian_rows(coordinates, seed=int(rng.integers(2**32)))
        return principal_coordinates(rows, np.eye(rows.shape[1]))

    def firing(rng: np.random.Generator) -> np.ndarray:
        acts = shuffled_columns(points.acts, seed=int(rng.integers(2**32)))
        return principal_coordinates(acts[acts.any(axis=1)], factor)

    def directions(rng: np.random.Generator) -> np.ndarray:
        if n_members >= DEALT:
            return principal_coordinates(points.acts, factor[rng.permutation(n_members)])
        drawn = np.sqrt(1 - likeness) * _random_units(n_members, max(1, d - 1), rng)
        common = np.full((n_members, 1), np.sqrt(likeness))
        return principal_coordinates(points.acts, np.hstack([common, drawn]) * norms[:, None])

    return dict(zip(NULLS, (directions, firing, gaussian), strict=True))


def _random_units(n: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """`n` uniform directions in d dimensions, in a basis of their span: (n, min(n, d)).

    Of n directions only the angles count, so with n below d the triangular factor is drawn instead of n x d numbers
    (Bartlett 1933: chi on the diagonal, normal below).
    """
    if n >= d:
        rows = rng.standard_normal((n, d))
    else:
        rows = np.tril(rng.standard_normal((n, n)), -1)
        rows[np.diag_indices(n)] = np.sqrt(rng.chisquare(d - np.arange(n)))
    return rows / np.linalg.norm(rows, axis=1)[:, None]
