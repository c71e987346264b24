"""A Mapper graph: clusters of rows as nodes, ties where clusters have rows in common, and what its shape is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from jaxtyping import Float64, Int64

from helpers.array_file import ArrayFile
from helpers.geometry.mapper.nerve import Nerve, component_labels, n_loops, nerve_of

_FILE = ArrayFile("a Mapper graph", remedy="run 09_mapper again")
#: Statistic -> what it counts.
STATISTICS = {
    "components": "parts of the graph that are not tied to each other",
    "loops": "holes: independent cycles that are not filled in by clusters with common rows",
    "branches": "arms: ends at least two nodes away from the first fork",
}


@dataclass(frozen=True)
class MapperStatistics:
    """The shape of a Mapper graph, in numbers.

    Args:
        components: parts with at least `min_share` of the rows that are in the graph.
        loops: holes (first Betti number of the nerve) of these parts; of a graph along one lens component, with a gain
            of at most one half, the number of independent cycles (cycle rank).
        branches: ends of arms, that is nodes with exactly one neighbour which itself has at most two: a circle has none,
            a path two, a star with four arms four. (Where arms meet, or at the turn of a loop, the outermost piece hangs on
            the fork by itself; that is no arm.) Along two lens components patches have no ends; branches are then rare.
        unused: share of all rows that are in no node, in [0, 1].
    """

    components: int
    loops: int
    branches: int
    n_nodes: int
    n_edges: int
    unused: float


@dataclass(frozen=True, eq=False)
class MapperGraph:
    """Clusters and what ties them.

    Shapes:
        members: (n_memberships,) int64, rows of all nodes, node after node; ends: (n_nodes,) int64, where each node's
        rows end; lens: (n_rows, n_components) float64; reach: (n_values,) float64 ascending, distances inside the cubes
        from which eps was read off (`reach_curve`).
    Args:
        settings: how it was made (lens, metric, n_cubes, gain, eps, min_samples, seed ...); JSON types only.
    """

    members: Int64[np.ndarray, " n_memberships"]
    ends: Int64[np.ndarray, " n_nodes"]
    lens: Float64[np.ndarray, "n_rows n_components"]
    reach: Float64[np.ndarray, " n_values"]
    settings: dict[str, Any]

    @property
    def n_nodes(self) -> int:
        return len(self.ends)

    @property
    def n_rows(self) -> int:
        return len(self.lens)

    @cached_property
    def sizes(self) -> Int64[np.ndarray, " n_nodes"]:
        """Rows of every node."""
        return np.diff(self.ends, prepend=0)

    def rows_of(self, node: int) -> Int64[np.ndarray, " n_members"]:
        """Rows of a node, ascending."""
        return self.members[self.ends[node] - self.sizes[node] : self.ends[node]]

    @cached_property
    def membership(self) -> scipy.sparse.csr_array:
        """(n_nodes, n_rows) int32 of ones."""
        ones = np.ones(len(self.members), dtype=np.int32)
        return scipy.sparse.csr_array((ones, self.members, np.append(0, self.ends)), shape=(self.n_nodes, self.n_rows))

    @cached_property
    def nerve(self) -> Nerve:
        return nerve_of(self.membership)

    @property
    def edges(self) -> Int64[np.ndarray, "n_edges 2"]:
        """Nodes that have rows in common."""
        return self.nerve.edges

    @cached_property
    def degrees(self) -> Int64[np.ndarray, " n_nodes"]:
        """Neighbours of every node."""
        return np.bincount(self.edges.ravel(), minlength=self.n_nodes)

    @cached_property
    def is_branch_end(self) -> np.ndarray:
        """(n_nodes,) bool: nodes with one neighbour, which has at most two."""
        first, second = self.edges.T
        beside = np.zeros(self.n_nodes, dtype=np.int64)  # of nodes with one neighbour: how many that one has
        beside[first], beside[second] = self.degrees[second], self.degrees[first]
        return (self.degrees == 1) & (beside <= 2)

    @cached_property
    def components(self) -> Int64[np.ndarray, " n_nodes"]:
        """Component of every node; 0 has the most rows, equals by their first node."""
        if self.n_nodes == 0:
            return np.empty(0, dtype=np.int64)
        labels = component_labels(self.n_nodes, self.edges)
        order = np.argsort(-self._component_rows(labels), kind="stable")
        return np.argsort(order)[labels]

    def _component_rows(self, labels: np.ndarray) -> np.ndarray:
        """Different rows of every component. (No row is in two of them: it would tie them.)"""
        firsts = np.unique(self.members, return_index=True)[1]
        return np.bincount(labels[np.searchsorted(self.ends, firsts, side="right")])

    def node_values(self, values: Any) -> Float64[np.ndarray, " n_nodes"]:
        """Mean of a value over the members of every node; rows with NaN do not count, a node of such rows has NaN.

        Shapes:
            values: (n_rows,).
        Raises:
            ValueError: not one value a row.
        """
        values = np.asarray(values, dtype=np.float64)
        if values.shape != (self.n_rows,):
            raise ValueError(f"expected one value for each of {self.n_rows} rows; got shape {values.shape}")
        known = np.isfinite(values)
        total = self.membership @ np.where(known, values, 0.0)
        counts = (self.membership @ known.astype(np.float64)).astype(np.float64)
        return np.divide(total, counts, out=np.full(self.n_nodes, np.nan), where=counts > 0)

    def statistics(self, *, min_share: float = 0.02) -> MapperStatistics:
        """Count components, loops and branches.

        Args:
            min_share: components with a smaller share of the rows in the graph do not count: a few rows that stand
                together somewhere are no part of the shape.
        """
        if self.n_nodes == 0:
            return MapperStatistics(0, 0, 0, 0, 0, 1.0)
        rows = self._component_rows(self.components)
        counted = np.isin(self.components, np.flatnonzero(rows >= min_share * rows.sum()))
        number = np.cumsum(counted) - 1
        edges = number[self.edges[counted[self.edges[:, 0]]]]
        triangles = number[self.nerve.triangles[counted[self.nerve.triangles[:, 0]]]]
        return MapperStatistics(
            components=len(np.unique(self.components[counted])),
            loops=n_loops(int(counted.sum()), edges, triangles),
            branches=int((self.is_branch_end & counted).sum()),
            n_nodes=self.n_nodes,
            n_edges=len(self.edges),
            unused=1.0 - len(np.unique(self.members)) / self.n_rows,
        )

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        _FILE.write(
            path,
            members=self.members,
            ends=self.ends,
            lens=self.lens,
            reach=self.reach,
            settings=np.array(json.dumps(self.settings, allow_nan=False)),
        )

    @classmethod
    def load(cls, path: str | Path) -> MapperGraph:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, not a Mapper graph, or a newer format.
        """
        with _FILE.read(path) as content:
            arrays = {name: content[name] for name in ("members", "ends", "lens", "reach")}
            return cls(**arrays, settings=json.loads(str(content["settings"])))
