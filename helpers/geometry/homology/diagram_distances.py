"""How far apart the bars of two clouds are, in spaces that share no axes, and what that is worth.

Bars know nothing of axes, only of distances, so clouds of different dimension can be compared. Distances are first
divided by the cloud's median distance: a model whose directions are all twice as long has the same shape.

A distance between two diagrams means nothing by itself. Two tests ask about it, each with a null of its own:

- `parts_test`: **are the shapes different?** Null: both sides' rows are draws from one cloud (up to rotation and scale).
  Rows cannot be pooled across models, diagrams can: each side is cut at random into parts of equally many rows, each
  part has its diagram, and under the null all these diagrams are exchangeable. So sides are shuffled among diagrams.
- `nearer_than_random`: **are the shapes alike beyond the obvious?** Null: the second cloud is Gaussian, with its own
  mean and covariance. If the first is no nearer to the real rows than to such a cloud, they share no shape beyond what
  covariance gives.

Both may be small: alike beyond chance, and yet not the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from persim import bottleneck, wasserstein

from helpers.geometry.family_tests import Scale
from helpers.geometry.homology.persistence import Persistence, persistence
from helpers.geometry.homology.significance import random_copies
from helpers.nulls.permutation import PermutationResult, null_rng, summarise

Kind = Literal["bottleneck", "wasserstein"]
_DISTANCES: dict[Kind, Callable[[np.ndarray, np.ndarray], float]] = {
    "bottleneck": bottleneck,
    "wasserstein": wasserstein,
}
MIN_ROWS = 8  # of a part; fewer make no loop worth the name


def diagram_distance(a: Persistence, b: Persistence, *, dim: int, kind: Kind = "bottleneck") -> float:
    """Distance of two diagrams, in median distances of two landmarks.

    Args:
        dim: dimension of the bars; the component that never ends takes no part.
        kind: "bottleneck": the furthest that a bar has to move (at most) when bars are matched with bars, or with bars
            of length 0, as well as can be; it sees the longest differences only. "wasserstein": the sum of all these
            moves; it sees many small ones too, and grows with the number of bars.
    Returns:
        At least 0; 0 = equal bars.
    Raises:
        ValueError: another kind; a dimension that was not computed.
    Notes:
        Diagrams of different numbers of landmarks differ for that reason alone: compare equal numbers.
    """
    if kind not in _DISTANCES:
        raise ValueError(f"kind must be one of {', '.join(_DISTANCES)}; got '{kind}'")
    first, second = a.relative(dim), b.relative(dim)
    if not len(first) and not len(second):
        return 0.0
    return float(_DISTANCES[kind](first, second))


def parts_test(
    rows_a: Any,
    rows_b: Any,
    *,
    dim: int = 1,
    kind: Kind = "wasserstein",
    n_parts: int = 6,
    max_rows: int = 100,
    n_permutations: int = 999,
    seed: int = 0,
    **settings: Any,
) -> PermutationResult:
    """Do the bars of two models differ by more than those of parts of one model do?

    Shapes:
        rows_a: (n_a, d_a); rows_b: (n_b, d_b); they need not be paired.
    Args:
        n_parts: parts of each side, at least 3; 6 make 462 different shuffles.
        max_rows: of a part, at most; all parts of both sides have the same number.
        settings: of `persistence`.
    Returns:
        Mean distance of a diagram of A from one of B less that of two of the same side, in median distances; around 0
        where the null holds, and p small where the sides differ. The score has no upper end, so it is not calibrated.
    Raises:
        ValueError: an argument out of range; too few rows for the parts.
    Notes:
        Null: parts are draws from the same cloud, up to rotation and scale. It is exact for rows that are independent
        draws; features of one dictionary are only about that.
    Source:
        Robinson and Turner 2017, arXiv:1310.7467.
    """
    n_rows = min(len(rows_a) // n_parts, len(rows_b) // n_parts, max_rows) if n_parts >= 3 else 0
    if n_rows < MIN_ROWS or n_permutations < 1:
        raise ValueError(
            f"expected at least 3 parts of {MIN_ROWS} rows on each side and n_permutations of at least 1; got "
            f"{len(rows_a)} and {len(rows_b)} rows in {n_parts} parts, at most {max_rows} rows each, and "
            f"{n_permutations} permutations; lower n_parts"
        )
    rng = null_rng(seed)
    settings = {"max_dim": dim, "n_landmarks": n_rows, **settings}
    diagrams = [
        persistence(np.asarray(rows)[part], **settings)
        for rows in (rows_a, rows_b)
        for part in np.split(rng.permutation(len(rows))[: n_rows * n_parts], n_parts)
    ]
    between = np.zeros((2 * n_parts, 2 * n_parts))
    for i, j in zip(*np.triu_indices(2 * n_parts, k=1), strict=True):
        between[i, j] = between[j, i] = diagram_distance(diagrams[i], diagrams[j], dim=dim, kind=kind)
    sides = np.repeat([0, 1], n_parts)
    null = np.array([_excess(between, rng.permutation(sides)) for _ in range(n_permutations)])
    about = {"n_parts": n_parts, "rows_of_a_part": n_rows, "dim": dim, "kind": kind, "seed": seed}
    return summarise(Scale(f"{kind}_excess"), _excess(between, sides), null, n_rows, about, null_kind="pairing")


def nearer_than_random(
    a: Persistence,
    rows_b: Any,
    *,
    dim: int = 1,
    kind: Kind = "bottleneck",
    n_runs: int = 39,
    seed: int = 0,
    **settings: Any,
) -> PermutationResult:
    """Are the bars of B nearer to those of A than bars of a Gaussian cloud with the covariance of B?

    Args:
        a: bars of the first model.
        rows_b: (n_b, d_b), rows of the second.
        settings: of `persistence`, the same as for `a`.
    Returns:
        The distance, with distances of random clouds as its null; p small = nearer than chance.
    Raises:
        ValueError: n_runs below 1; different numbers of landmarks.
    """
    if n_runs < 1:
        raise ValueError(f"n_runs must be at least 1; got {n_runs}")
    settings = {"max_dim": dim, **settings}
    b = persistence(rows_b, seed=seed, **settings)
    if a.landmarks.n != b.landmarks.n:
        raise ValueError(
            f"diagrams of equally many landmarks can be compared; got {a.landmarks.n} and {b.landmarks.n}; set "
            "n_landmarks to the smaller number, or pass equally many rows"
        )
    score = diagram_distance(a, b, dim=dim, kind=kind)
    copies = random_copies(rows_b, n_runs=n_runs, seed=seed, **settings)
    null = np.array([diagram_distance(a, copy, dim=dim, kind=kind) for copy in copies])
    about = {"dim": dim, "kind": kind, "n_landmarks": b.landmarks.n, "n_runs": n_runs, "seed": seed}
    scale = Scale(f"{kind}_distance", "distance", 0.0)
    return summarise(scale, score, null, len(np.asarray(rows_b)), about, null_kind="random_matrix")


def _excess(between: np.ndarray, sides: np.ndarray) -> float:
    same = sides[:, None] == sides[None, :]
    np.fill_diagonal(same, False)
    return float(between[sides[:, None] != sides[None, :]].mean() - between[same].mean())
