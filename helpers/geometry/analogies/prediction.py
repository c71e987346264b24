"""Maps from one domain onto another, and whether they find a partner that they have not seen.

Rows = roles, columns = dimensions; row i of x and row i of y are partners. One pair is left out, a map is learnt from the
others, and all words of the second domain are ranked by their cosine with the prediction, seen from the centre of the
words learnt from. With as many dimensions as there are here any map fits the pairs that it learns from, whatever they
are; only the pair left out tells, and only beside shuffled partners, with the whole fit repeated for each shuffle.

The maps: "offset", the parallelogram: all partners differ by one vector; "procrustes": a rotation; "ridge": any linear
map, as short as it can be; "cca": the directions in which both domains vary together, among few principal components.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from helpers.geometry.analogies.roles import MIN_PAIRS
from helpers.geometry.family_tests import Scale
from helpers.nulls.permutation import PermutationResult, null_rng, summarise

MapMethod = Literal["offset", "procrustes", "ridge", "cca"]
MAP_METHODS: tuple[MapMethod, ...] = ("offset", "procrustes", "ridge", "cca")
PARTNERS = "held_out_partners"
_RANK = 1e-9  # singular values below this share of the largest are rounding
_PAIRS_A_COMPONENT = 4  # of CCA: with fewer pairs a component, canonical correlations are near 1 whatever the rows


def held_out_partners(
    x: Any,
    y: Any,
    *,
    method: MapMethod = "ridge",
    candidates: Any = None,
    groups: Int[np.ndarray, " n"] | None = None,
    n_permutations: int = 199,
    seed: int = 0,
) -> PermutationResult:
    """Is the partner of a pair that was left out ranked above the other words of its domain?

    Shapes:
        x: (n, d_x); y: (n, d_y); method "offset" needs d_x = d_y; candidates: (n, d_y).
    Args:
        candidates: rows that are ranked in the place of y, e.g. of another model, y then being carried into its space;
            not for method "cca".
        groups: partners are shuffled inside these groups only; None: among all pairs.
    Returns:
        Share of the other words of the domain that rank below the right partner, averaged over the pairs left out; in
        [0, 1], 1 = always first, 0.5 = by chance. `settings["first"]` is how often it is the first.
    Raises:
        ValueError: another method; rows that do not fit, are not finite or all equal; fewer than five pairs; groups in
            which nothing can be shuffled.
    """
    x, y, ranked = _checked(x, y, candidates, method)
    n = len(x)
    labels = np.zeros(n, dtype=np.int64) if groups is None else np.asarray(groups)
    if np.unique(labels, return_counts=True)[1].max() < 2:
        raise ValueError("every pair is a group by itself, so no partner can be exchanged; widen the groups")
    rng = null_rng(seed)
    orders = np.array([_shuffle_inside(labels, rng) for _ in range(n_permutations)])
    x, y, ranked = _in_few_dimensions(x, y, ranked, together=method == "offset")
    shares, first = _scores(x, y, ranked, np.vstack([np.arange(n), orders]), method)
    settings = {
        "n_permutations": n_permutations, "seed": seed, "method": method, "first": float(first[0]),
        "null": "partners" if groups is None else "partners inside groups",
    }  # fmt: skip
    return summarise(Scale(PARTNERS), float(shares[0]), shares[1:], n, settings, null_kind="pairing")


def _checked(x: Any, y: Any, candidates: Any, method: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if method not in MAP_METHODS:
        raise ValueError(f"method must be one of {', '.join(MAP_METHODS)}; got '{method}'")
    if candidates is not None and method == "cca":
        raise ValueError("method 'cca' has no prediction in another space; use ridge, procrustes or offset")
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    ranked = y if candidates is None else np.asarray(candidates, dtype=np.float64)
    shapes = x.shape, y.shape, ranked.shape
    if any(rows.ndim != 2 or len(rows) != len(x) or not np.isfinite(rows).all() for rows in (x, y, ranked)):
        raise ValueError(f"expected finite matrices with a row for every pair; got {shapes}")
    if ranked.shape != y.shape or (method == "offset" and x.shape != y.shape):
        raise ValueError(f"candidates (and for 'offset' x) must have the columns of y; got {shapes}")
    if len(x) < MIN_PAIRS:
        raise ValueError(f"expected at least {MIN_PAIRS} pairs, or nothing can be learnt; got {len(x)}")
    for name, rows in (("x", x), ("y", y), ("candidates", ranked)):
        if np.linalg.norm(rows - rows.mean(axis=0)) <= _RANK * max(float(np.linalg.norm(rows)), 1e-300):
            raise ValueError(f"all rows of {name} are equal; there is nothing to map")
    return x, y, ranked


def _in_few_dimensions(
    x: np.ndarray, y: np.ndarray, ranked: np.ndarray, *, together: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same rows, moved and turned into the dimensions that they vary in: no score changes, and all are faster."""
    found = []
    for group in ((x, y, ranked),) if together else ((x,), (y, ranked)):
        rows = np.vstack(group)
        rows = rows - rows.mean(axis=0)
        _, spread, axes = np.linalg.svd(rows, full_matrices=False)
        found += np.split(rows @ axes[spread > _RANK * spread[0]].T, len(group))
    return found[0], found[1], found[2]


def _shuffle_inside(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    order = np.arange(len(labels))
    for label in np.unique(labels):
        inside = np.flatnonzero(labels == label)
        order[inside] = rng.permutation(inside)
    return order


def _scores(
    x: np.ndarray, y: np.ndarray, ranked: np.ndarray, orders: np.ndarray, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """For every order of the partners: share of candidates below the right one, and how often it is first."""
    n = len(x)
    shares, first = np.zeros(len(orders)), np.zeros(len(orders))
    for left_out in range(n):
        kept = np.delete(np.arange(n), left_out)
        centre = x[kept].mean(axis=0)
        learnt = y[orders[:, kept]]
        targets = learnt - learnt.mean(axis=1, keepdims=True)
        options = ranked[None] - ranked[orders[:, kept]].mean(axis=1, keepdims=True)
        predicted, options = _predict(x[kept] - centre, targets, x[left_out] - centre, options, method)
        lengths = np.linalg.norm(options, axis=2)
        cosine = np.einsum("pr,pnr->pn", predicted, options) / np.where(lengths > 0, lengths, 1.0)
        right = np.take_along_axis(cosine, orders[:, [left_out]], axis=1)
        higher, ties = (cosine > right).sum(axis=1), (cosine == right).sum(axis=1) - 1
        shares += 1 - (higher + ties / 2) / (n - 1)
        first += higher == 0
    return shares / n, first / n


def _predict(
    sources: np.ndarray, targets: np.ndarray, query: np.ndarray, options: np.ndarray, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions (p, r) and candidates (p, n, r), in the space where they are compared.

    Shapes:
        sources: (m, d_x), targets: (p, m, d_y), centred; query: (d_x,); options: (p, n, d_y).
    """
    if method == "offset":  # the mean difference moves all by as much, and is gone after centring
        return np.broadcast_to(query, (len(targets), len(query))), options
    if method == "ridge":
        inner = sources @ sources.T
        weights = np.linalg.solve(inner + np.eye(len(inner)) * np.trace(inner) / len(inner), sources @ query)
        return np.einsum("m,pmr->pr", weights, targets), options
    left, spread, axes = np.linalg.svd(sources, full_matrices=False)
    rank = int((spread > _RANK * spread[0]).sum())
    if method == "procrustes":
        joint = (left[:, :rank] * spread[:rank]).T @ targets
        values, vectors = np.linalg.eigh(joint @ joint.transpose(0, 2, 1))
        kept = values > _RANK * values[:, -1:]
        turn = np.where(kept, 1 / np.sqrt(np.where(kept, values, 1.0)), 0.0)
        turned = ((axes[:rank] @ query) @ vectors * turn)[:, None] @ vectors.transpose(0, 2, 1) @ joint
        return turned[:, 0], options
    n_components = max(1, min(rank, len(sources) // _PAIRS_A_COMPONENT))
    values, vectors = np.linalg.eigh(targets @ targets.transpose(0, 2, 1))
    scores_y = vectors[:, :, ::-1][:, :, :n_components]
    spread_y = np.sqrt(np.maximum(values[:, ::-1][:, None, :n_components], _RANK * values[:, -1:, None]))
    axes_y = targets.transpose(0, 2, 1) @ scores_y / spread_y
    turn_x, correlations, turn_y = np.linalg.svd(left[:, :n_components].T @ scores_y)
    canonical = (axes[:n_components] @ query / spread[:n_components]) @ turn_x * correlations
    return canonical, (options @ axes_y / spread_y) @ turn_y.transpose(0, 2, 1)
