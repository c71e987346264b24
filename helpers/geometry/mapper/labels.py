"""What the nodes of a Mapper graph hold, in words: the names that their members share more than others do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from helpers.geometry.mapper.graph import MapperGraph

LEAST_SHARE = 0.2  # of a node's members; a few among hundreds do not name it


@dataclass(frozen=True)
class NodeLabel:
    """One node in words.

    Args:
        names: the most common names of its members, the most common first, of equals the one that is rarer elsewhere.
        group: the group that most of its members with a group belong to, "" if fewer than two do, or less than a fifth of
            all members.
        group_share: share of all members that are in this group, in [0, 1].
    """

    names: tuple[str, ...]
    group: str
    group_share: float

    def text(self) -> str:
        """A few words."""
        return ", ".join(self.names) or "(no names)"


def node_labels(
    graph: MapperGraph, names: Sequence[str], groups: Sequence[str] | None = None, *, n_names: int = 4
) -> list[NodeLabel]:
    """Describe every node.

    Args:
        names: one of every row, e.g. the word on which a feature fires; "" where there is none, which never counts.
        groups: one of every row, "" for none.
        n_names: names kept.
    Raises:
        ValueError: not one name or group a row.
    """
    groups = [""] * graph.n_rows if groups is None else groups
    if len(names) != graph.n_rows or len(groups) != graph.n_rows:
        raise ValueError(
            f"expected one name and group for each of {graph.n_rows} rows; got {len(names)}, {len(groups)}"
        )
    everywhere = Counter(names)
    found = []
    for node in range(graph.n_nodes):
        rows = graph.rows_of(node)
        common = Counter(names[row] for row in rows if names[row])
        ranked = sorted(common, key=lambda name: (-common[name], everywhere[name], name))
        of_groups = Counter(groups[row] for row in rows if groups[row])
        group = min(of_groups, key=lambda name: (-of_groups[name], name), default="")
        n_members = of_groups[group] if group else 0
        kept = group if n_members > 1 and n_members >= LEAST_SHARE * len(rows) else ""
        found.append(NodeLabel(tuple(ranked[:n_names]), kept, n_members / len(rows) if kept else 0.0))
    return found


def rows_together(graph: MapperGraph) -> Int64[np.ndarray, "n 2"]:
    """Every two rows that share a node, each once: relatives for `geometry.concept_agreement`."""
    members = graph.membership
    together = (members.T @ members).tocoo()
    upper = together.row < together.col
    return np.column_stack([together.row[upper], together.col[upper]]).astype(np.int64)
