"""The points on a loop, in order: what a bar of dimension 1 runs through.

Homology says that there is a loop, not where it runs; many circuits are the same loop. Drawn is the shortest circuit
that the loop's cocycle proves to be one: a cocycle is a cut, a set of edges such that a circuit that crosses it an odd
number of times cannot be filled in before the bar ends. The circuit runs along edges that are there when the loop
closes, so it goes around in the smallest steps there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from jaxtyping import Int64
from scipy.sparse.csgraph import dijkstra

from helpers.geometry.homology.persistence import Persistence

#: Births are float32; an edge is there at a birth if it is longer by rounding alone.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Loop:
    """A circuit that stands for a bar.

    Shapes:
        ids: (n,) int64, rows around the loop, in order; the last is next to the first. It starts with the lowest id, and
        towards the lower of its two neighbours.
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
        Of several equally short circuits any may come. Copies of a row stand for each other.
    """
    if found.max_dim < 1 or not 0 <= bar < len(found.cocycles):
        n = len(found.cocycles)
        raise ValueError(f"expected a loop from 0 to {n - 1}; got {bar}" if n else "there is no loop to walk around")
    birth, death = found.diagrams[1][bar]
    circuit = _shortest_odd_circuit(found.distances, found.cocycles[bar], scale=float(birth) * (1 + ROUNDING))
    steps = found.distances[circuit, np.roll(circuit, -1)]
    ids = found.landmarks.ids[circuit]
    ids = np.roll(ids, -int(np.argmin(ids)))
    if len(ids) > 2 and ids[-1] < ids[1]:
        ids = np.concatenate([ids[:1], ids[:0:-1]])
    return Loop(ids, bar, float(birth), float(death), float(steps.sum()))


def _shortest_odd_circuit(distances: np.ndarray, cut: np.ndarray, *, scale: float) -> np.ndarray:
    """Shortest circuit of edges up to `scale` that crosses the cut an odd number of times.

    Every point is there twice, before and behind the cut; only edges of the cut lead across. A shortest way from a point
    to its double crosses an odd number of times.
    """
    n = len(distances)
    near = np.triu(distances <= scale, k=1)
    crossing = np.zeros((n, n), dtype=bool)
    crossing[cut.min(axis=1), cut.max(axis=1)] = True
    left, right = np.nonzero(near)
    across = crossing[left, right]
    # A step of length 0 (between copies) would be no edge for a sparse matrix.
    weights = np.maximum(distances[left, right], np.finfo(float).tiny)
    other = np.where(across, n, 0)
    graph = scipy.sparse.csr_array(
        (
            np.concatenate([weights, weights]),
            (np.concatenate([left, left + n]), np.concatenate([right + other, right + n - other])),
        ),
        shape=(2 * n, 2 * n),
    )
    starts = np.unique(left[across])
    lengths, before = dijkstra(graph, directed=False, indices=starts, return_predecessors=True)
    doubles = lengths[np.arange(len(starts)), starts + n]
    best = int(np.argmin(doubles))
    assert np.isfinite(doubles[best]), "a loop is closed when it is born"
    path, at = [], int(starts[best]) + n
    while at != starts[best]:
        path.append(at % n)
        at = int(before[best, at])
    return np.array(path[::-1], dtype=np.int64)
