"""The evidence: directions must predict what they have not seen.

Two questions, each beside the null that takes away what it asks for, and nothing else:

- **words**: a concept's direction is estimated without one of its words. Does that word project higher than words that
  do not belong? Null: words change places inside the taxonomy (`shuffled_words`).
- **kinds**: a parent's direction is estimated without one whole child. Do the child's words project higher than words
  outside the parent? Null: concepts keep their words and change places (`moved_concepts`), so that a parent that is
  nothing but a heap of concepts is told from one that its children share.

Projections come from the inner products of all rows, taken once: "mean" directions are sums of rows, and leaving a row
out is one subtraction. Ties count half.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from jaxtyping import Bool, Float

from helpers.geometry.family_tests import Scale
from helpers.geometry.hierarchy.directions import Method, concept_direction
from helpers.geometry.hierarchy.nest import Nest, moved_concepts, shuffled_words
from helpers.nulls.permutation import PermutationResult, null_rng, summarise

MIN_WORDS = 4
WORDS, KINDS, PROJECTION = "held_out_words", "held_out_kinds", "held_out_projection"


def held_out_words(
    rows: Any, nest: Nest, *, min_words: int = MIN_WORDS, n_permutations: int = 1000, seed: int = 0
) -> dict[str, PermutationResult]:
    """Is a word that was left out recognised as one of its concept?

    Shapes:
        rows: (n_words, d), whitened.
    Args:
        min_words: concepts of fewer words are undefined, as are those that leave fewer outside.
        n_permutations: shuffles of the words inside the taxonomy; all concepts are scored on the same.
    Returns:
        Concept -> share of the words outside that project lower than a left-out word, on the direction ("mean") of the
        other words, over all left-out words; in [0, 1], 1 = always, 0.5 = by chance.
    Raises:
        ValueError: rows that do not fit; min_words below 2.
    """
    inner = _inner_products(rows, nest)
    if min_words < 2:
        raise ValueError(f"min_words must be at least 2, or nothing is left to estimate from; got {min_words}")
    tested = np.flatnonzero((nest.sizes >= min_words) & (nest.n_words - nest.sizes >= min_words))
    score = _word_scores(inner, nest.members[:, tested].T.copy())
    rng = null_rng(seed)
    null = np.array(
        [_word_scores(inner, shuffled_words(nest, rng).members[:, tested].T.copy()) for _ in range(n_permutations)]
    )
    settings = {"n_permutations": n_permutations, "seed": seed, "null": "shuffled words"}
    results = {}
    for place, name in enumerate(nest.names):
        n = int(nest.sizes[place])
        if place in tested:
            at = int(np.searchsorted(tested, place))
            results[name] = summarise(Scale(WORDS), float(score[at]), null[:, at], n, settings, null_kind="pairing")
        elif n:
            reason = f"{n} of {nest.n_words} words; at least {min_words} are needed inside and outside"
            results[name] = _undefined(WORDS, n, reason, settings)
    return results


def held_out_kinds(
    rows: Any, nest: Nest, *, min_words: int = MIN_WORDS, n_permutations: int = 1000, seed: int = 0
) -> dict[str, dict[str, PermutationResult]]:
    """Is a child that was left out recognised as one of its parent's?

    Shapes:
        rows: (n_words, d), whitened.
    Args:
        min_words: words that a child needs, that the parent needs beside it, and that must be outside; children with
            fewer are left out.
        n_permutations: ways in which concepts change places; all parents are scored on the same.
    Returns:
        Parent with at least two such children -> two results, the means over its children:
        "held_out_kinds", share of the words outside the parent that project lower than the child's, in [0, 1];
        "held_out_projection", where the child's words lie on the parent's direction, 1 = where the parent's own words do
        (then child minus parent is orthogonal to the parent, without the words in common that make it so by
        construction), 0 = where any word lies.
    Raises:
        ValueError: rows that do not fit, or no parent with two such children.
    """
    inner = _inner_products(rows, nest)
    blocks = np.zeros((len(nest.names), nest.n_words))
    np.add.at(blocks, nest.owners, inner)
    child, parent = nest.edges.T
    enough = [nest.sizes[child], nest.sizes[parent] - nest.sizes[child], nest.n_words - nest.sizes[parent]]
    usable = np.all([count >= min_words for count in enough], axis=0)
    usable &= np.bincount(parent[usable], minlength=len(nest.names))[parent] >= 2
    if not usable.any():
        raise ValueError(
            f"no parent has two children of at least {min_words} words; lower min_words or widen the taxonomy"
        )
    child, parent = child[usable], parent[usable]

    def scores(moved: Nest, sums: np.ndarray) -> np.ndarray:
        """(2, n_edges): shares and projections."""
        counts = np.bincount(moved.owners, minlength=len(nest.names))
        return _kind_scores(sums, counts, nest.parents, moved.members.T.copy(), child, parent)

    observed = scores(nest, blocks)
    rng = null_rng(seed)
    drawn = (moved_concepts(nest, rng) for _ in range(n_permutations))
    null = np.array([scores(moved, blocks[holds]) for moved, holds in drawn])
    settings = {"n_permutations": n_permutations, "seed": seed, "null": "moved concepts"}
    results = {}
    for place in np.unique(parent):
        of_parent = parent == place
        results[nest.names[place]] = {
            name: summarise(
                Scale(name), float(observed[number, of_parent].mean()), null[:, number, of_parent].mean(axis=1),
                int(of_parent.sum()), settings | {"children": [nest.names[c] for c in child[of_parent]]}, null_kind="pairing",
            )
            for number, name in enumerate((KINDS, PROJECTION))
        }  # fmt: skip
    return results


def held_out_projections(
    rows: Any, members: Bool[np.ndarray, " n_words"], *, method: Method = "lda", n_folds: int = 5, seed: int = 0
) -> Float[np.ndarray, " n_words"]:
    """Where every word lies on a concept's direction that was estimated without it: 1 = the concept's own words, 0 = others.

    Shapes:
        rows: (n_words, d), whitened; members: the words of the concept, at least two.
    Args:
        n_folds: all words are divided into so many parts, each projected onto the direction of the other parts' members.
        seed: of the division.
    Notes:
        A direction from few words is longer than it should be, by the noise of their mean; what is left out then lies
        below 1. Compare with other words, or with shuffles.
    Raises:
        ValueError: fewer than two members, or fewer than two folds.
    """
    rows = np.asarray(rows, dtype=np.float64)
    found = np.empty(len(rows))
    for part in _folds(members, n_folds, seed):
        direction = concept_direction(rows[members & ~part], method=method)
        found[part] = rows[part] @ direction / (direction @ direction)
    return found


def held_out_plane(
    rows: Any,
    parent: Bool[np.ndarray, " n_words"],
    child: Bool[np.ndarray, " n_words"],
    *,
    method: Method = "lda",
    n_folds: int = 5,
    seed: int = 0,
) -> Float[np.ndarray, "n_words 2"]:
    """The plane of a parent and the step to its child, every word placed by directions that were estimated without it.

    Shapes:
        rows: (n_words, d), whitened; parent, child: their words, those of the child among the parent's.
    Returns:
        (n_words, 2): projection onto the parent, and onto child minus parent, each in units of its length. If the
        hierarchy is there, words of the child lie near (1, 1), other words of the parent near (1, 0), all others near 0.
    Raises:
        ValueError: a child that is no part of its parent or all of it, or of fewer than two words.
    """
    rows = np.asarray(rows, dtype=np.float64)
    if (child & ~parent).any() or not (parent & ~child).any():
        raise ValueError("the child's words must be some of the parent's, and not all of them")
    found = np.empty((len(rows), 2))
    for part in _folds(child, n_folds, seed, also=parent):
        above = concept_direction(rows[parent & ~part], method=method)
        step = concept_direction(rows[child & ~part], method=method) - above
        for column, direction in enumerate((above, step)):
            found[part, column] = rows[part] @ direction / (direction @ direction)
    return found


def mean_recognition(
    rows: Any, nest: Nest, *, method: Method = "lda", min_words: int = MIN_WORDS, n_folds: int = 5,
    n_permutations: int = 19, seed: int = 0,
) -> PermutationResult:  # fmt: skip
    """Are left-out words recognised on average over all concepts? One test, for methods that no shortcut leaves words out of.

    Returns:
        The mean over concepts of the share of outside words that project lower than left-out words, in [0, 1]; null:
        words shuffled inside the taxonomy, everything estimated again.
    """
    rows = np.asarray(rows, dtype=np.float64)
    tested = np.flatnonzero((nest.sizes >= min_words) & (nest.n_words - nest.sizes >= min_words))

    def score(members: np.ndarray) -> float:
        found = []
        for chosen in members[:, tested].T:
            projected = held_out_projections(rows, chosen, method=method, n_folds=n_folds, seed=seed)
            found.append(share_below(projected[chosen], projected[~chosen]))
        return float(np.mean(found))

    rng = null_rng(seed)
    null = np.array([score(shuffled_words(nest, rng).members) for _ in range(n_permutations)])
    settings = {"n_permutations": n_permutations, "seed": seed, "method": method, "n_folds": n_folds}
    return summarise(Scale(WORDS), score(nest.members), null, len(tested), settings, null_kind="pairing")


def share_below(values: Any, others: Any) -> float:
    """How many of the others lie below a value, on average over the values (area under the ROC curve); ties count half."""
    ordered = np.sort(others)
    below = (np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")) / 2
    return float(below.mean() / len(ordered))


def _folds(members: np.ndarray, n_folds: int, seed: int, also: np.ndarray | None = None) -> list[np.ndarray]:
    """Masks that divide all rows; the members are spread evenly over them, and so are the rest."""
    n = int(members.sum())
    if n < 2 or n_folds < 2:
        raise ValueError(
            f"expected at least two members and two folds; got {n} and {n_folds}; a single word predicts nothing"
        )
    rng = np.random.default_rng(seed)
    rank = members.astype(np.int64) + (0 if also is None else also)
    order = np.lexsort((rng.random(len(members)), -rank))  # members first, in random order
    fold = np.empty(len(members), dtype=np.int64)
    fold[order] = np.arange(len(members)) % min(n_folds, n)
    return [fold == number for number in range(min(n_folds, n))]


def _inner_products(rows: Any, nest: Nest) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != nest.n_words or not np.isfinite(rows).all():
        raise ValueError(f"expected one finite row for each of {nest.n_words} words; got shape {rows.shape}")
    if not np.linalg.norm(rows, axis=1).all():
        bad = int(np.argmin(np.linalg.norm(rows, axis=1)))
        raise ValueError(f"row {bad} has length 0; leave words without a direction out")
    return rows @ rows.T


def _undefined(measure: str, n: int, reason: str, settings: dict[str, Any]) -> PermutationResult:
    return PermutationResult.without_score(
        Scale(measure), null_kind="pairing", n_rows=n, reason=reason, settings=settings
    )


@numba.njit(cache=True, nogil=True, fastmath=True)
def _share_lower(values, row, mine, outside):  # pragma: no cover (compiled)
    """Summed weights of the entries of values - row below `mine`, ties half; without branches, so that it runs in lanes."""
    twice = np.float32(0)
    for other in range(len(values)):
        value = values[other] - row[other]
        twice += outside[other] * (np.float32(value < mine) + np.float32(value <= mine))
    return twice / 2


@numba.njit(cache=True, nogil=True)
def _word_scores(inner, members):  # pragma: no cover (compiled)
    n_concepts, n_words = members.shape
    scores = np.zeros(n_concepts)
    total = np.empty(n_words)
    for concept in range(n_concepts):
        places = np.flatnonzero(members[concept])
        outside = (~members[concept]).astype(np.float32)
        total[:] = 0
        for place in places:
            total += inner[place]
        below = 0.0
        for place in places:
            below += _share_lower(total, inner[place], total[place] - inner[place, place], outside)
        scores[concept] = below / (len(places) * (n_words - len(places)))
    return scores


@numba.njit(cache=True, nogil=True)
def _kind_scores(sums, counts, parents, members, child, parent):  # pragma: no cover (compiled)
    """Shapes: sums (n_concepts, n_words), counts (n_concepts,): inner products with each concept's own words, and how many."""
    n_edges, n_words = len(child), members.shape[1]
    totals, sizes = sums.copy(), counts.copy()
    for place in range(len(parents) - 1, -1, -1):  # parents stand before their children
        if parents[place] >= 0:
            totals[parents[place]] += totals[place]
            sizes[parents[place]] += sizes[place]
    nothing = np.zeros(n_words)
    scores = np.zeros((2, n_edges))
    for edge in range(n_edges):
        values = (totals[parent[edge]] - totals[child[edge]]) / (sizes[parent[edge]] - sizes[child[edge]])
        inside, above = members[child[edge]], members[parent[edge]]
        outside = (~above).astype(np.float32)
        below = 0.0
        for word in np.flatnonzero(inside):
            below += _share_lower(values, nothing, values[word], outside)
        scores[0, edge] = below / (inside.sum() * outside.sum())
        scores[1, edge] = values[inside].mean() / values[above & ~inside].mean()
    return scores
