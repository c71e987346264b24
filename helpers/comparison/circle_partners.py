"""Is a cluster that draws a shape in one model one that draws it in the other, along the matched features?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from helpers.comparison.circle_sides import CirclePair, CircleSide
from helpers.geometry.circles import Candidate, FiringColumns, plane_scores
from helpers.geometry.circles.cluster_points import direction_factor, principal_coordinates


def cluster_words(side: CircleSide, ids: np.ndarray, columns: FiringColumns, *, n: int = 6) -> str:
    """The words on which a cluster fires most often, as text."""
    rows = np.unique(columns.matrix[:, ids].indices)
    found, counts = np.unique(side.words.word_ids[rows], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return ", ".join([side.words.words[found[i]] for i in order if found[i] >= 0][:n])


@dataclass(frozen=True)
class PartnerPlane:
    """A candidate of a, through its partners in b.

    Args:
        candidate: of a; ids_b: partners of its features; score_a, score_b: of the best plane.
        agreement: of the two planes' points on shared tokens after turning and scaling, in [0, 1].
        p_score, p_agreement: (1 + hits) / (1 + runs) beside as many features of b that are partners of others.
        chance: mean agreement of these.
    """

    candidate: Candidate
    ids_b: np.ndarray
    score_a: float
    score_b: float
    agreement: float
    chance: float
    p_score: float
    p_agreement: float


def partner_planes(
    pair: CirclePair, candidates: Sequence[Candidate], *, n_runs: int = 99, max_points: int = 1000, seed: int = 0
) -> list[PartnerPlane]:
    """Is a candidate of a also one in b, along the matched features? Beside shuffled partners.

    Returns:
        One result for every candidate of which at least two features have partners that draw a plane.
    """
    columns_a, columns_b = FiringColumns.of(pair.a.store), FiringColumns.of(pair.b.store)
    found = []
    for number, candidate in enumerate(candidates):
        ids_b = np.unique(pair.pairs.ids_b[np.isin(pair.pairs.ids_a, candidate.ids)])
        if len(ids_b) < 2:
            continue
        places = columns_a.points_of(candidate.ids, pair.a.directions, max_points=max_points, seed=seed)
        flat = places.principal().coordinates[:, candidate.plane : candidate.plane + 2]
        rng = np.random.default_rng([seed, number])
        draws = [rng.choice(pair.pairs.ids_b, len(ids_b), replace=False) for _ in range(n_runs)]
        scores = [
            _side_by_side(columns_b, pair.b.directions, np.unique(ids), places.rows, flat) for ids in [ids_b, *draws]
        ]
        (score_b, agreement), null = scores[0], np.array(scores[1:])
        p_score, p_agreement = (1 + (null >= np.array(scores[0]) - 1e-12).sum(axis=0)) / (1 + n_runs)
        found.append(
            PartnerPlane(
                candidate,
                ids_b,
                candidate.score,
                score_b,
                agreement,
                float(null[:, 1].mean()),
                float(p_score),
                float(p_agreement),
            )
        )
    return found


def _side_by_side(
    columns: FiringColumns, directions: np.ndarray, ids: np.ndarray, rows: np.ndarray, flat: np.ndarray
) -> tuple[float, float]:
    """Score of b's features on the tokens of a's, and the best agreement of any of their planes with a's."""
    acts = columns.matrix[:, ids].tocsr()[rows].toarray().astype(np.float64)
    coordinates = principal_coordinates(acts, direction_factor(directions[ids]))
    if coordinates.shape[1] < 2:
        return 0.0, 0.0
    best = float(plane_scores(coordinates)[:, 2].max())
    return best, max(_agreement(flat, coordinates[:, k : k + 2]) for k in range(coordinates.shape[1] - 1))


def _agreement(x: np.ndarray, y: np.ndarray) -> float:
    """Squared Procrustes correlation of two planes, in [0, 1]; turning, mirroring and scaling change nothing."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    size = float((x**2).sum() * (y**2).sum())
    return float(np.linalg.svd(x.T @ y, compute_uv=False).sum() ** 2 / size) if size > 0 else 0.0
