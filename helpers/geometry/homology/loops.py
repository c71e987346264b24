"""The points on a loop, in order: what a bar of dimension 1 runs through.

Homology says that there is a loop, not where it runs; many circuits are the same loop. Drawn is the shortest circuit
that is there when the loop is born: the edge that closes it, and the shortest way between its ends along earlier edges.
No other circuit of that moment goes through this edge without being the same loop up to older ones, and it cannot be
filled in before the bar ends. It goes around in the smallest steps there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from jaxtyping import Int64
from scipy.sparse.csgraph import dijkstra

from helpers.geometry.homology.persistence import Persistence


@dataclass(frozen=True)
class Loop:
    """A circuit that stands for a bar.

    Shapes:
        ids: (n,) int64, rows around the loop, in order; the last is next to the first. It starts with the lowest id, and
        goes towards the lower of its two neighbours.
    Args:
        bar: place of the bar in `Persistence.diagrams[1]`.
        birth, death: of the bar, in the metric's unit.
        length: sum of its steps.
    """

    ids: Int64[np.ndarray, " n"]
    bar: int
    birth: float
    death: float
    length: float

    @property
    def n(self) -> int:
        return len(self.ids)


def loop_around(found: Persistence, *, bar: int = 0) -> Loop:
    """The shortest circuit around a loop when it is born.

    Args:
        bar: place in `found.diagrams[1]`; 0 is the longest.
    Raises:
        ValueError: no such bar.
    Notes:
        Of several equally short circuits any may come.
    """
    n_loops = len(found.edges)
    if not 0 <= bar < n_loops:
        raise ValueError(
            f"expected a loop from 0 to {n_loops - 1}; got {bar}" if n_loops else "there is no loop to walk around"
        )
    birth, death = found.diagrams[1][bar]
    start, stop = found.edges[bar]
    circuit = _shortest_way(found.distances, int(start), int(stop))
    ids = found.landmarks.ids[circuit]
    ids = np.roll(ids, -int(np.argmin(ids)))
    if ids[-1] < ids[1]:
        ids = np.concatenate([ids[:1], ids[:0:-1]])
    steps = found.distances[circuit, np.roll(circuit, -1)]
    return Loop(ids, bar, float(birth), float(death), float(steps.sum()))


def _shortest_way(distances: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Points from `start` to `stop` along edges that come before the edge between them."""
    n, longest = len(distances), distances[start, stop]
    left, right = np.triu_indices(n, k=1)
    lengths = distances[left, right]
    place = np.arange(len(lengths))
    own = int(np.flatnonzero((left == start) & (right == stop))[0])  # of equal edges the first comes first
    earlier = (lengths < longest) | ((lengths == longest) & (place < own))
    left, right = left[earlier], right[earlier]
    # A step of length 0, between copies, would be no edge for a sparse matrix.
    weights = np.maximum(lengths[earlier], np.finfo(np.float64).tiny)
    graph = scipy.sparse.csr_array((weights, (left, right)), shape=(n, n))
    before = dijkstra(graph, directed=False, indices=start, return_predecessors=True)[1]
    path = [stop]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    return np.array(path[::-1], dtype=np.int64)
