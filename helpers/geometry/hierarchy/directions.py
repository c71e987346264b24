"""Concepts as directions, and how parents, children and siblings lie to each other.

A concept's direction is estimated from the whitened rows of its words, in one of two ways. "mean": their mean, which is
the difference to the mean of the whole vocabulary, since whitening has centred that. "lda": the mean through the inverse
of the words' own covariance, so that directions in which the words differ among themselves count less. Both have the
length of the paper's vector: a word of the concept projects onto it, on average, at 1 (in units of its length).

Words are few and dimensions many, so the covariance inside a concept is shrunk towards a multiple of the identity by
Ledoit and Wolf's formula, and by at least 1 %: with three or four words the formula may say 0, and the inverse then
would look at nothing but the directions in which these words happen not to differ. Whitened coordinates have no
arbitrary axes, so that shrinking there is harmless (rotations leave it as it is).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from helpers.geometry.hierarchy.nest import ROOT, Nest

Method = Literal["mean", "lda"]
METHODS = ("mean", "lda")
MIN_SHRINKAGE = 0.01
MIN_SIBLINGS = 3


def concept_direction(words: Any, *, method: Method = "lda") -> Float[np.ndarray, " d"]:
    """The direction of one concept.

    Shapes:
        words: (n, d), whitened rows of the words of the concept, at least one.
    Returns:
        (d,): rows of the concept project onto it at 1 on average (x @ v / v @ v).
    Raises:
        ValueError: another method, no row, not finite, or the words' mean has no length.
    Source:
        Park et al. 2024, arXiv:2406.01506, estimation of vector representations; Ledoit and Wolf 2004,
        doi:10.1016/S0047-259X(03)00096-4.
    """
    words = np.asarray(words, dtype=np.float64)
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got '{method}'")
    if words.ndim != 2 or not words.size or not np.isfinite(words).all():
        raise ValueError(f"expected finite rows of at least one word; got shape {words.shape}")
    mean = words.mean(axis=0)
    if np.linalg.norm(mean) <= 1e-9 * np.linalg.norm(words):
        raise ValueError(
            "the words of a concept have a mean of length 0, which is no direction; are they zero vectors?"
        )
    if method == "mean":
        return mean
    slope = _through_inverse(words - mean, mean)
    return slope * (mean @ slope) / (slope @ slope)


def concept_directions(
    rows: Any, members: Bool[np.ndarray, "n_words n_concepts"], *, method: Method = "lda"
) -> Float[np.ndarray, "n_concepts d"]:
    """The directions of all concepts; zeros for one without words.

    Shapes:
        rows: (n_words, d), whitened; members: [i, j]: row i belongs to concept j (`Nest.members`).
    Raises:
        ValueError: rows and members of different words, or what `concept_direction` refuses.
    """
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(members):
        raise ValueError(f"expected one row for each of {len(members)} words; got shape {rows.shape}")
    found = np.zeros((members.shape[1], rows.shape[1]))
    for concept, chosen in enumerate(members.T):
        if chosen.any():
            found[concept] = concept_direction(rows[chosen], method=method)
    return found


def cosines(directions: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n n"]:
    """Cosines between all directions.

    Raises:
        ValueError: a direction of length 0.
    """
    lengths = np.linalg.norm(directions, axis=1)
    if not lengths.all():
        raise ValueError(
            f"direction {int(np.argmin(lengths))} has length 0, and no angle; leave out concepts without words"
        )
    unit = directions / lengths[:, None]
    return np.clip(unit @ unit.T, -1.0, 1.0)


def step_cosines(directions: Float[np.ndarray, "n d"], nest: Nest) -> Float[np.ndarray, " n_edges"]:
    """Cosine between every parent and the step from it to a child (child minus parent), in the order of `nest.edges`.

    Returns:
        In [-1, 1]; 0 = the child is the parent and something orthogonal. By itself this proves nothing: it is 0 in
        expectation for random nested sets, too, and with method "mean" the products of a parent with its steps sum to 0
        over its children, whatever the words.
    Raises:
        ValueError: a parent or a step without length.
    """
    children, parents = nest.edges.T
    above, steps = directions[parents], directions[children] - directions[parents]
    lengths = np.linalg.norm(above, axis=1) * np.linalg.norm(steps, axis=1)
    if not lengths.all():
        bad = nest.names[children[int(np.argmin(lengths))]]
        raise ValueError(
            f"'{bad}' and its parent have the same direction, or the parent has none; are their words the same?"
        )
    return np.einsum("ij,ij->i", above, steps) / lengths


@dataclass(frozen=True)
class Simplex:
    """How evenly siblings lie around their common centre.

    Args:
        n: siblings.
        cosine: mean cosine between two siblings, seen from their centre.
        spread: its standard deviation over pairs; 0 in a regular simplex.
        flatness: least over largest extent of the figure in its n - 1 dimensions, in [0, 1]; 1 = regular, 0 = the
            siblings lie in fewer dimensions, e.g. three of them on a line.
    """

    n: int
    cosine: float
    spread: float
    flatness: float

    @property
    def regular_cosine(self) -> float:
        """The cosine in a regular simplex of as many siblings."""
        return -1.0 / (self.n - 1)


def sibling_simplex(vertices: Any) -> Simplex:
    """Do siblings form a simplex, the shape of categories that exclude each other?

    Shapes:
        vertices: (n, d), directions of at least three siblings.
    Raises:
        ValueError: fewer than three siblings, or one at their centre.
    Notes:
        Directions of random words in many dimensions form a regular simplex as well; compare with shuffles.
    """
    vertices = np.asarray(vertices, dtype=np.float64)
    if vertices.ndim != 2 or len(vertices) < MIN_SIBLINGS:
        raise ValueError(f"expected at least {MIN_SIBLINGS} siblings; got shape {vertices.shape}")
    centred = vertices - vertices.mean(axis=0)
    between = cosines(centred)[np.triu_indices(len(vertices), k=1)]
    extents = np.linalg.svd(centred, compute_uv=False)[: len(vertices) - 1]
    flatness = float(extents[-1] / extents[0]) if len(extents) == len(vertices) - 1 else 0.0
    return Simplex(len(vertices), float(between.mean()), float(between.std()), flatness)


def simplexes(directions: Float[np.ndarray, "n d"], nest: Nest) -> dict[str, Simplex]:
    """Parent -> the simplex of its children, for parents of at least three children with words."""
    found = {}
    for place, name in enumerate(nest.names):
        children = np.flatnonzero((nest.parents == place) & (nest.sizes > 0))
        if len(children) >= MIN_SIBLINGS:
            found[name] = sibling_simplex(directions[children])
    return found


def shown_order(nest: Nest, names: Any) -> np.ndarray:
    """Places of the named concepts and of all below them, in the order of the taxonomy; none named = all with rows."""
    roots = [nest.place(name) for name in names] or np.flatnonzero(nest.parents == ROOT).tolist()
    return np.flatnonzero(nest.inside[:, roots].any(axis=1) & (nest.sizes > 0))


def _through_inverse(centred: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The shrunk covariance's inverse times the mean, by the (n, n) matrix of inner products (Woodbury)."""
    n, d = centred.shape
    inner = centred @ centred.T
    total = float(np.trace(inner)) / n
    if total <= 1e-18 * float(mean @ mean):
        return mean  # the words are one point: no covariance to look at
    shrinkage = _shrinkage(inner, d)
    scale, floor = (1 - shrinkage) / n, shrinkage * total / d
    if scale == 0:
        return mean / floor
    inside = np.linalg.solve(inner + np.eye(n) * (floor / scale), centred @ mean)
    return (mean - centred.T @ inside) / floor


def _shrinkage(inner: np.ndarray, d: int) -> float:
    """Ledoit and Wolf's share of the identity, from the inner products of the centred rows."""
    n = len(inner)
    squared = float((inner**2).sum()) / n**2  # of the covariance's elements
    noise = (float((np.diag(inner) ** 2).sum()) / n - squared) / (d * n)
    distance = (squared - (float(np.trace(inner)) / n) ** 2 / d) / d
    return float(np.clip(noise / distance if distance > 0 else 1.0, MIN_SHRINKAGE, 1.0))
