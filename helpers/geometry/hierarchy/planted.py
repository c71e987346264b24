"""Words in a hierarchy that is known: the tools must find it, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from helpers.geometry.hierarchy.taxonomy import Taxonomy, make_taxonomy


@dataclass(frozen=True)
class PlantedHierarchy:
    """Rows of words, a vocabulary around them, and their taxonomy.

    Shapes:
        rows: (n_words, d), in the order of `taxonomy.all_words`; vocabulary: (n_vocabulary, d), the words among others.
    """

    rows: np.ndarray
    vocabulary: np.ndarray
    taxonomy: Taxonomy


def planted_hierarchy(
    *,
    n_parents: int = 5,
    n_children: int = 4,
    n_words: int = 8,
    n_others: int = 300,
    d: int = 48,
    parent: float = 3.0,
    child: float = 3.0,
    seed: int = 0,
) -> PlantedHierarchy:
    """A word is its parent's direction, its child's direction and Gaussian noise of variance 1 a dimension.

    Args:
        n_parents: kinds, each of `n_children` concepts of `n_words` words.
        n_others: words that belong to no concept.
        parent, child: length of the planted directions; 0 plants none of that level.
    Raises:
        ValueError: fewer than two parents, children or words.
    """
    if min(n_parents, n_children, n_words) < 2 or n_others < 0:
        raise ValueError(f"expected at least two of everything; got {n_parents}, {n_children}, {n_words}, {n_others}")
    rng = np.random.default_rng(seed)

    def unit(*shape: int) -> np.ndarray:
        drawn = rng.standard_normal((*shape, d))
        return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)

    centres = parent * unit(n_parents, 1) + child * unit(n_parents, n_children)
    rows = np.repeat(centres.reshape(-1, d), n_words, axis=0)
    rows += rng.standard_normal(rows.shape)
    names = [(f"kind {i}", f"kind {i}, concept {j}") for i in range(n_parents) for j in range(n_children)]
    words = {concept: [f"word {number} of {concept}" for number in range(n_words)] for _, concept in names}
    taxonomy = make_taxonomy({concept: kind for kind, concept in names}, words)
    vocabulary = np.concatenate([rows, rng.standard_normal((n_others, d))])
    return PlantedHierarchy(rows, vocabulary, taxonomy)
