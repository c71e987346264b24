"""Sets of rows inside one another, and shuffles that keep them so.

Sets that are nested are alike for that reason alone: the mean of a set holds the mean of its part. Every null of a
hierarchy must therefore shuffle *inside* the nesting, or it finds the nesting and takes it for meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int

ROOT = -1


@dataclass(frozen=True, eq=False)
class Nest:
    """A taxonomy over rows: every row belongs to one concept, and with it to all that are above.

    Shapes:
        parents: (n_concepts,), place of the parent, -1 at the top; owners: (n_words,), place of each row's own concept.
    Raises:
        ValueError: a concept that stands before its parent, or an owner that is no concept.
    """

    names: tuple[str, ...]
    parents: Int[np.ndarray, " n_concepts"]
    owners: Int[np.ndarray, " n_words"]

    def __post_init__(self) -> None:
        n = len(self.names)
        in_order = self.parents.shape == (n,) and (self.parents >= ROOT).all() and (self.parents < np.arange(n)).all()
        if not in_order or not ((self.owners >= 0) & (self.owners < n)).all():
            raise ValueError(
                f"expected {n} concepts, each after its parent, and owners among them; make nests by Taxonomy.nest"
            )

    @property
    def n_words(self) -> int:
        return len(self.owners)

    @cached_property
    def inside(self) -> Bool[np.ndarray, "n_concepts n_concepts"]:
        """[i, j]: concept i is j, or lies below it."""
        inside = np.eye(len(self.names), dtype=bool)
        at = self.parents
        while (climbing := at >= 0).any():
            inside[np.flatnonzero(climbing), at[climbing]] = True
            at = np.where(climbing, self.parents[at], ROOT)
        return inside

    @cached_property
    def members(self) -> Bool[np.ndarray, "n_words n_concepts"]:
        """[i, j]: row i belongs to concept j or to one below it."""
        return self.inside[self.owners]

    @cached_property
    def sizes(self) -> Int[np.ndarray, " n_concepts"]:
        """Rows of every concept, those of its children included."""
        return self.members.sum(axis=0)

    @cached_property
    def edges(self) -> Int[np.ndarray, "n_edges 2"]:
        """(child, parent), children ascending; only pairs of which both have rows, and the parent others than the child's."""
        children = np.flatnonzero(self.parents >= 0)
        edges = np.column_stack([children, self.parents[children]])
        return edges[(self.sizes[edges[:, 0]] > 0) & (self.sizes[edges[:, 1]] > self.sizes[edges[:, 0]])]

    def place(self, name: str) -> int:
        """Place of a concept.

        Raises:
            ValueError: no concept of this name.
        """
        if name not in self.names:
            raise ValueError(f"'{name}' is no concept here; there are {', '.join(self.names[:8])} and others")
        return self.names.index(name)


def shuffled_words(nest: Nest, rng: np.random.Generator) -> Nest:
    """Random nested sets of the same sizes: rows change places, the shape of the taxonomy stays.

    Answers: "any words in such a nest would do".
    """
    return replace(nest, owners=rng.permutation(nest.owners))


def moved_concepts(nest: Nest, rng: np.random.Generator) -> tuple[Nest, Int[np.ndarray, " n_concepts"]]:
    """Concepts keep their words and change their places in the taxonomy, so that parents get strange children.

    Answers: "its children are concepts, and the parent is nothing but them".

    Returns:
        The nest, and for every place the concept that it holds now; places without own words keep theirs.
    """
    with_words = np.unique(nest.owners)
    holds = np.arange(len(nest.names))
    holds[with_words] = rng.permutation(with_words)
    goes_to = np.argsort(holds)
    return replace(nest, owners=goes_to[nest.owners]), holds


def unnested_sets(nest: Nest, rng: np.random.Generator) -> Bool[np.ndarray, "n_words n_concepts"]:
    """Random sets of the same sizes, each by itself: the null that must *not* be used for a hierarchy.

    A child's set then is no part of its parent's, and child minus parent leans far away from the parent. Against it any
    nested sets look orthogonal, random ones too. It is here to show that.
    """
    chosen = np.zeros((nest.n_words, len(nest.names)), dtype=bool)
    for concept, size in enumerate(nest.sizes):
        chosen[rng.choice(nest.n_words, size=size, replace=False), concept] = True
    return chosen
