"""Groups of dictionary elements that may write one feature of several dimensions together.

A dictionary can only write such a feature with several elements: those of a circle point to places on it. Engels et al.
(arXiv:2405.14860) look for them among elements whose directions are alike, by spectral clustering or as components of a
nearest-neighbour graph. Directions of far sides of a circle are opposite, but neighbours on it are alike, so the graph
holds the circle together. Elements can also be tied by firing on the same tokens.

Graphs are sparse: a few neighbours a feature. Features without an edge are in no cluster, and nothing is forced into one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import networkx as nx
import numpy as np
import scipy.sparse
from scipy.sparse.linalg import eigsh
from sklearn.cluster import KMeans

from helpers.geometry.cofiring import CofiringPairs
from helpers.geometry.nearest import nearest_rows, prepared_rows
from helpers.nulls import gaussian_rows

NONE = -1
_DENSE = 2000  # features of a component whose eigenvectors are found densely
ClusterMethod = Literal["components", "communities", "spectral"]
METHODS: tuple[ClusterMethod, ...] = ("components", "communities", "spectral")


@dataclass(frozen=True)
class FeatureClusters:
    """Which cluster every feature is in.

    Shapes:
        labels: (d_sae,) int64; 0 is the largest cluster, -1 no cluster of at least two.
    Args:
        name: how they were made, e.g. "cosine, components".
    """

    labels: np.ndarray
    name: str

    @property
    def n_clusters(self) -> int:
        return int(self.labels.max(initial=NONE)) + 1

    @property
    def sizes(self) -> np.ndarray:
        """(n_clusters,) int64, features of every cluster, descending."""
        return np.bincount(self.labels[self.labels >= 0], minlength=self.n_clusters)

    def members(self, number: int) -> np.ndarray:
        """Ids of a cluster's features, ascending.

        Raises:
            ValueError: no such cluster.
        """
        if not 0 <= number < self.n_clusters:
            raise ValueError(f"clusters are numbered 0 to {self.n_clusters - 1}; got {number}")
        return np.flatnonzero(self.labels == number)

    @classmethod
    def of(cls, groups: Sequence[Any], *, d_sae: int, name: str) -> FeatureClusters:
        """Clusters from lists of ids, numbered by size, equals by their first id; groups of one are dropped.

        Raises:
            ValueError: a feature in two groups, or an id out of range.
        """
        labels = np.full(d_sae, NONE, dtype=np.int64)
        ids = [np.unique(np.asarray(group, dtype=np.int64)) for group in groups]
        kept = sorted((group for group in ids if len(group) > 1), key=lambda group: (-len(group), group[0]))
        for number, group in enumerate(kept):
            if group[0] < 0 or group[-1] >= d_sae or (labels[group] >= 0).any():
                raise ValueError(
                    f"expected ids from 0 to {d_sae - 1}, each in one group; got {group[:8]} in group {number}"
                )
            labels[group] = number
        return cls(labels, name)


def cosine_graph(
    directions: Any, ids: Any, *, k: int = 2, min_cosine: float = 0.5, mutual: bool = False
) -> scipy.sparse.csr_array:
    """Tie every feature to those whose directions are most alike.

    Shapes:
        directions: (d_sae, d), of which rows `ids` are used; ids: (n,), features that take part, e.g. those that fire.
        Returns (d_sae, d_sae), symmetric; entries are cosines.
    Args:
        k: nearest neighbours a feature; fewer where there are fewer others.
        min_cosine: in (0, 1]; neighbours below are not tied.
        mutual: tie two features only if each is among the other's neighbours.
    Raises:
        ValueError: a direction of length 0 (it has no cosine), fewer than two features, or a parameter out of range.
    Source:
        The graph of arXiv:2405.14860, whose code has k = 1 beside the feature itself and min_cosine = 0.5.
    """
    rows, ids = np.asarray(directions), np.asarray(ids, dtype=np.int64)
    if len(ids) < 2 or k < 1 or not 0 < min_cosine <= 1:
        raise ValueError(
            f"expected at least 2 features, k of at least 1 and min_cosine in (0, 1]; got {len(ids)}, {k} and {min_cosine}"
        )
    near = nearest_rows(rows[ids], k=min(k, len(ids) - 1))
    cosines = 1 - near.distances.astype(np.float64)
    asked, places = np.nonzero(cosines >= min_cosine)
    edges = (cosines[asked, places], (ids[asked], ids[near.ids[asked, places]]))
    graph = scipy.sparse.csr_array(edges, shape=(len(rows), len(rows)))
    if mutual:
        return graph.minimum(graph.T).tocsr()
    return graph.maximum(graph.T).tocsr()


def chance_cosine(directions: Any, ids: Any, *, quantile: float = 0.99, seed: int = 0) -> float:
    """Cosine of nearest neighbours that only this share of random directions falls short of: the least that ties.

    The random directions have the covariance and the lengths of the given ones, so a dictionary that crowds into few
    dimensions, or around one direction, has a higher bar.

    Shapes:
        directions: (d_sae, d); ids: (n,), features that take part.
    Args:
        quantile: in (0, 1).
    Raises:
        ValueError: quantile out of range, fewer than two features, or a direction of length 0.
    """
    rows = np.asarray(directions)[np.asarray(ids, dtype=np.int64)]
    if not 0 < quantile < 1 or len(rows) < 2:
        raise ValueError(f"expected a quantile in (0, 1) and at least 2 features; got {quantile} and {len(rows)}")
    prepared_rows(rows, metric="cosine")  # says which direction is zero
    random = nearest_rows(gaussian_rows(rows, seed=seed, keep_norms=True), k=1)
    return float(np.clip(np.quantile(1 - random.distances, quantile), 0.01, 1.0))


def firing_graph(pairs: CofiringPairs, *, min_jaccard: float = 0.1) -> scipy.sparse.csr_array:
    """Tie features that fire on the same tokens: entries are Jaccard indices, (d_sae, d_sae), symmetric.

    Args:
        pairs: `cofiring_pairs`, those beyond chance; min_jaccard: in (0, 1]; pairs below are not tied.
    Raises:
        ValueError: min_jaccard out of range.
    """
    if not 0 < min_jaccard <= 1:
        raise ValueError(f"min_jaccard must be in (0, 1]; got {min_jaccard}")
    good = pairs.select(pairs.jaccard >= min_jaccard)
    shape = (pairs.d_sae, pairs.d_sae)
    graph = scipy.sparse.csr_array((good.jaccard, (good.rarer, good.wider)), shape=shape)
    return graph.maximum(graph.T).tocsr()


def cluster_features(
    graph: scipy.sparse.csr_array,
    *,
    method: ClusterMethod = "communities",
    max_size: int = 20,
    resolution: float = 1.0,
    seed: int = 0,
    name: str = "",
) -> FeatureClusters:
    """Cut a graph of features into clusters.

    Args:
        graph: (d_sae, d_sae) symmetric, of `cosine_graph` or `firing_graph`.
        method: "components" (what hangs together; one chance edge joins two), "communities" (Louvain, cuts at chance
            edges), "spectral" (components, of which those above `max_size` are cut where the fewest ties are lost).
        max_size: of "spectral" only; features of a cluster, about, at least 2.
        resolution: of "communities" only; above 1 gives more and smaller clusters.
        name: of the graph, for the name of the result.
    Returns:
        The clusters; a graph without edges has none.
    Raises:
        ValueError: an unknown method, a graph that is not square, or max_size below 2.
    Source:
        Louvain: Blondel et al. 2008, arXiv:0803.0476. Spectral: Ng, Jordan and Weiss 2002, NeurIPS 14.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got '{method}'")
    if graph.shape[0] != graph.shape[1] or max_size < 2:
        raise ValueError(f"expected a square graph and max_size of at least 2; got {graph.shape} and {max_size}")
    graph = scipy.sparse.csr_array(graph, copy=True)
    graph.eliminate_zeros()
    tied = np.flatnonzero(np.diff(graph.indptr) > 0)
    among = graph[tied][:, tied]
    if not len(tied):
        groups: list[Any] = []
    elif method == "communities":
        found = nx.community.louvain_communities(nx.from_scipy_sparse_array(among), resolution=resolution, seed=seed)
        groups = [sorted(group) for group in found]
    else:
        groups = _groups(scipy.sparse.csgraph.connected_components(among, directed=False)[1])
        if method == "spectral":
            groups = [part for group in groups for part in _spectral_parts(among, group, max_size, seed)]
    made = f"{name}, {method}" if name else method
    return FeatureClusters.of([tied[group] for group in groups], d_sae=graph.shape[0], name=made)


def _groups(labels: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def _spectral_parts(graph: scipy.sparse.csr_array, group: np.ndarray, max_size: int, seed: int) -> list[np.ndarray]:
    """A component in as many parts as it is too large: k-means of the leading eigenvectors of its normalised graph."""
    n_parts = -(-len(group) // max_size)
    if n_parts == 1:
        return [group]
    part = graph[group][:, group]
    scale = scipy.sparse.diags_array(1 / np.sqrt(part.sum(axis=1)))
    normalised = scale @ part @ scale
    if len(group) <= _DENSE:
        vectors = np.linalg.eigh(normalised.toarray())[1][:, -n_parts:]
    else:
        first = np.random.default_rng(seed).random(len(group))
        vectors = eigsh(normalised, k=n_parts, v0=first)[1]
    rows = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    labels = KMeans(n_parts, n_init=4, random_state=seed).fit(rows).labels_
    return [group[members] for members in _groups(labels)]
