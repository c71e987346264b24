"""Families of features: who covers whom (a forest), and who fires together (communities).

A *parent* of a feature is clearly more frequent and fires on nearly all tokens on which the feature fires. If several
do, the closest is taken, whose tokens overlap most with the child's (Jaccard), so that in animal > mammal > dog the
parent of dog is mammal, although animal covers it as well. Edges point from rarer to more frequent features only, so
there is no circle, and the best parent of every child together are the maximum spanning forest of all such edges.

O'Neill et al. 2024 (arXiv:2408.00657) take a maximum spanning tree of normalised co-occurrence above a threshold,
point its edges from frequent to rare, and repeat without the parents found to see further levels. Here all levels come
out at once, chance is taken out of the covers, and the threshold can be held against a null (`cofiring_chance`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from helpers.array_file import ArrayFile
from helpers.geometry.cofiring import CofiringPairs

_FILE = ArrayFile("feature families", remedy="run 17_feature_families again")
NONE = -1
ARRAYS = ("parents", "cover", "n_candidates", "counts")


@dataclass(frozen=True)
class FeatureForest:
    """The parent of every feature.

    Shapes:
        parents: (d_sae,) int64, -1 where there is none; cover: (d_sae,) float64, how far the parent covers the feature,
        0 where there is none; n_candidates: (d_sae,) int64, features that could be its parent, of which the closest is;
        counts: (d_sae,) int64, tokens on which a feature fires.
    """

    parents: np.ndarray
    cover: np.ndarray
    n_candidates: np.ndarray
    counts: np.ndarray

    @property
    def d_sae(self) -> int:
        return len(self.parents)

    @cached_property
    def edges(self) -> np.ndarray:
        """(n_edges, 2) int64: child, parent; children ascending."""
        children = np.flatnonzero(self.parents >= 0)
        return np.column_stack([children, self.parents[children]])

    @cached_property
    def n_children(self) -> np.ndarray:
        """(d_sae,) int64."""
        return np.bincount(self.edges[:, 1], minlength=self.d_sae)

    def children(self, feature: int) -> np.ndarray:
        """Ids of the children of a feature, the most frequent first."""
        ids = np.flatnonzero(self.parents == feature)
        return ids[np.lexsort((ids, -self.counts[ids]))]

    @cached_property
    def depths(self) -> np.ndarray:
        """(d_sae,) int64: steps up to the root; 0 for roots and features alone."""
        depths = np.zeros(self.d_sae, dtype=np.int64)
        at = self.parents
        while (climbing := at >= 0).any():
            depths += climbing
            at = np.where(climbing, self.parents[at], NONE)
        return depths

    @cached_property
    def trees(self) -> np.ndarray:
        """(d_sae,) int64: the root of the tree that a feature is in, -1 for features alone."""
        top = np.arange(self.d_sae)
        while (climbing := self.parents[top] >= 0).any():
            top = np.where(climbing, self.parents[top], top)
        return np.where((self.parents >= 0) | (self.n_children > 0), top, NONE)

    @cached_property
    def tree_sizes(self) -> np.ndarray:
        """Features in every tree, the largest first."""
        sizes = np.bincount(self.trees[self.trees >= 0])
        return np.sort(sizes[sizes > 0])[::-1]

    def largest_families(self, n: int) -> np.ndarray:
        """Ids of the `n` features with the most children, equals by id."""
        order = np.argsort(-self.n_children, kind="stable")[:n]
        return order[self.n_children[order] > 0]

    def alike_families(self, labels: Any, names: Any, *, min_names: int) -> np.ndarray:
        """Ids of the parents whose children have at least `min_names` different names, those first whose children agree
        most on a label.

        Shapes:
            labels: (d_sae,), None where unknown; an unknown label agrees with none. names: (d_sae,).
        """
        ranked = []
        for parent in np.flatnonzero(self.n_children >= min_names):
            children = self.children(int(parent))
            known = [labels[child] for child in children if labels[child] is not None]
            share = max((known.count(label) for label in known), default=0) / len(children)
            if len({names[child] for child in children}) >= min_names:
                ranked.append((-share, -len(children), int(parent)))
        return np.array([parent for _, _, parent in sorted(ranked)], dtype=np.int64)

    def as_text(self) -> dict[str, str]:
        """Column -> text, for a table of a report."""
        n_children = len(self.edges)
        contested = self.n_candidates[self.n_candidates > 0]
        return {
            "children": f"{n_children:,}",
            "parents": f"{np.sum(self.n_children > 0):,}",
            "trees": f"{len(self.tree_sizes):,}",
            "features in the largest tree": f"{self.tree_sizes.max(initial=0):,}",
            "deepest level": f"{self.depths.max():,}",
            "possible parents of a child, mean": f"{contested.mean():.1f}" if n_children else "0",
            "children with only one": f"{(contested == 1).mean():.0%}" if n_children else "0%",
        }

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        _FILE.write(path, **{name: getattr(self, name) for name in ARRAYS})

    @classmethod
    def load(cls, path: str | Path) -> FeatureForest:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, not a file of families, or a newer format.
        """
        with _FILE.read(path) as content:
            return cls(**{name: content[name] for name in ARRAYS})


def family_forest(pairs: CofiringPairs, *, min_cover: float = 0.7, min_ratio: float = 2.0) -> FeatureForest:
    """Give every feature its closest parent, if it has one.

    Args:
        min_cover: least cover of a child by its parent, in [pairs.min_cover, 1]; "nearly all" of its tokens.
        min_ratio: a parent fires on at least so many times as many tokens; above 1. Features that cover each other
            about equally are copies of one another, not parent and child.
    Raises:
        ValueError: an argument out of range.
    """
    if not pairs.min_cover <= min_cover <= 1:
        raise ValueError(
            f"min_cover must be in [{pairs.min_cover}, 1], as pairs below were not kept; got {min_cover}; "
            "find the pairs again with a lower min_cover"
        )
    if not min_ratio > 1:
        raise ValueError(f"min_ratio must be above 1, or two features could be each other's parent; got {min_ratio}")
    counts = pairs.counts
    good = pairs.select((pairs.cover >= min_cover) & (counts[pairs.wider] >= min_ratio * counts[pairs.rarer]))
    # The last of every child wins: highest overlap, then the lower id.
    order = np.lexsort((-good.wider.astype(np.int64), good.jaccard, good.rarer))
    last = order[np.append(good.rarer[order][1:] != good.rarer[order][:-1], True)] if good.n_pairs else order
    parents, cover = np.full(pairs.d_sae, NONE, dtype=np.int64), np.zeros(pairs.d_sae)
    parents[good.rarer[last]], cover[good.rarer[last]] = good.wider[last], good.cover[last]
    return FeatureForest(parents, cover, np.bincount(good.rarer, minlength=pairs.d_sae), counts)


def cofiring_communities(
    pairs: CofiringPairs, *, min_cover: float, min_jaccard: float = 0.2, resolution: float = 1.0, seed: int = 0
) -> np.ndarray:
    """Groups of features that fire together more than with others, without above and below (Louvain communities).

    Args:
        min_cover: pairs below are no edges; take it from `cover_threshold`.
        min_jaccard: in [0, 1]: nor are pairs that share less of their tokens; a wide feature covers many that have
            nothing else in common and would tie them all together.
        resolution: above 1 gives more and smaller groups.
        seed: Louvain visits features in random order.
    Returns:
        (d_sae,) int64: number of the group, 0 the largest; -1 for features in no group of at least two.
    Raises:
        ValueError: an argument out of range.
    Source:
        Blondel et al. 2008, arXiv:0803.0476; edges are weighted by Jaccard.
    """
    if not pairs.min_cover <= min_cover <= 1 or not 0 <= min_jaccard <= 1:
        raise ValueError(
            f"expected min_cover in [{pairs.min_cover}, 1] and min_jaccard in [0, 1]; got {min_cover} and {min_jaccard}"
        )
    good = pairs.select((pairs.cover >= min_cover) & (pairs.jaccard >= min_jaccard))
    graph = nx.Graph()
    graph.add_nodes_from(np.union1d(good.rarer, good.wider).tolist())
    graph.add_weighted_edges_from(zip(good.rarer.tolist(), good.wider.tolist(), good.jaccard.tolist(), strict=True))
    labels = np.full(pairs.d_sae, NONE, dtype=np.int64)
    found = nx.community.louvain_communities(graph, resolution=resolution, seed=seed) if graph else []
    groups = sorted((sorted(group) for group in found if len(group) > 1), key=lambda group: (-len(group), group[0]))
    for number, group in enumerate(groups):
        labels[group] = number
    return labels
