"""Where to draw the nodes of a Mapper graph: parts side by side, each laid out by its ties; the same seed, the same picture."""

from __future__ import annotations

import networkx as nx
import numpy as np
from jaxtyping import Float64

from helpers.geometry.mapper.graph import MapperGraph

MOST_EXACT = 150  # nodes of a part that is laid out by its path lengths; larger parts by springs
GAP = 0.35


def graph_layout(graph: MapperGraph, *, seed: int = 0, width: float = 2.0) -> Float64[np.ndarray, "n_nodes 2"]:
    """Positions of all nodes.

    Args:
        seed: of the springs.
        width: of the sheet, in units of its height: parts are set in lines, the largest first.
    Returns:
        Positions; one unit is about the length of a tie.
    """
    parts = []
    for number in range(int(graph.components.max(initial=-1)) + 1):
        nodes = np.flatnonzero(graph.components == number)
        parts.append((nodes, _part(graph, nodes, seed)))
    return _packed(parts, graph.n_nodes, width)


def _part(graph: MapperGraph, nodes: np.ndarray, seed: int) -> np.ndarray:
    """One part with its long side across, from (0, 0)."""
    if len(nodes) == 1:
        return np.zeros((1, 2))
    if len(nodes) == 2:
        return np.array([[0.0, 0.0], [1.0, 0.0]])
    ends = np.searchsorted(nodes, graph.edges[np.isin(graph.edges[:, 0], nodes)])
    ties = nx.Graph()
    ties.add_nodes_from(range(len(nodes)))
    ties.add_edges_from(ends.tolist())
    start = dict(enumerate(_on_circle(len(nodes))))
    if len(nodes) <= MOST_EXACT:
        placed = nx.kamada_kawai_layout(ties, pos=start)
    else:
        placed = nx.spring_layout(ties, pos=start, seed=seed, iterations=200)
    points = np.array([placed[place] for place in range(len(nodes))])
    centred = points - points.mean(axis=0)
    points = centred @ np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    points /= np.median(np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1))
    return points - points.min(axis=0)


def _on_circle(n: int) -> np.ndarray:
    angle = 2 * np.pi * np.arange(n) / n
    return np.column_stack([np.cos(angle), np.sin(angle)])


def _packed(parts: list[tuple[np.ndarray, np.ndarray]], n_nodes: int, width: float) -> np.ndarray:
    """Parts in lines, left to right and then down."""
    sizes = [points.max(axis=0) + 2 * GAP + 0.4 for _, points in parts]
    line = max(np.sqrt(width * sum(float(np.prod(size)) for size in sizes)) * 1.15, max(size[0] for size in sizes))
    positions = np.empty((n_nodes, 2))
    left = top = height = 0.0
    for (nodes, points), size in zip(parts, sizes, strict=True):
        if left > 0 and left + size[0] > line:
            left, top, height = 0.0, top + height, 0.0
        positions[nodes] = points + [left + GAP, top + GAP]
        left, height = left + size[0], max(height, size[1])
    positions[:, 1] *= -1
    return positions
