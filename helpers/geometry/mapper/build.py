"""Rows to a Mapper graph: lens, overlapping cubes, clusters inside each, ties between clusters with common rows.

The graph is kmapper's (KeplerMapper); lens, eps and the reading of the result are ours.

Source: Singh, Memoli and Carlsson 2007, Topological Methods for the Analysis of High Dimensional Data Sets and 3D Object
Recognition, doi:10.2312/SPBG/SPBG07/091-100; van Veen et al. 2019, doi:10.21105/joss.01315 (KeplerMapper).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from kmapper import KeplerMapper
from sklearn.cluster import DBSCAN

from helpers.geometry.mapper.cover import automatic_cubes, checked_cover, cube_rows, reach_curve
from helpers.geometry.mapper.graph import MapperGraph
from helpers.geometry.mapper.lenses import MAX_LANDMARKS, MapperPoints, mapper_lens


@dataclass(frozen=True)
class MapperSettings:
    """How a Mapper graph is made; the same settings make its null graphs.

    Args:
        lens, n_components, n_neighbors, max_landmarks, seed: as for `mapper_lens`.
        metric: "euclidean", or "cosine": rows are scaled to unit length first.
        n_cubes: cubes along each component of the lens (resolution); 0 takes `automatic_cubes`.
        gain: share of a cube that it has in common with its neighbour, in (0, 1). Up to one half, a row lies in at most
            two cubes a component.
        eps: how near two rows of a cluster are, in the metric's Euclidean distance; 0 reads it off (`reach_curve`).
        reach_k: neighbour of the curve that eps is read off; 0 takes 3 ln m in a cube of m rows, which keeps a thin loop
            whole; a small number, e.g. `min_samples` - 1, finds families of a few rows and leaves more rows in no node.
        core_share: share of the curve at which eps is read off, in (0, 1]; 0 takes its knee.
        min_samples: rows within eps, the row itself counted, that make it the core of a cluster; also the smallest node.
    """

    lens: str = "pca"
    n_components: int = 1
    metric: str = "euclidean"
    n_cubes: int = 0
    gain: float = 0.4
    eps: float = 0.0
    reach_k: int = 0
    core_share: float = 0.0
    min_samples: int = 5
    n_neighbors: int = 15
    max_landmarks: int = MAX_LANDMARKS
    seed: int = 0

    def __post_init__(self) -> None:
        if self.min_samples < 2 or min(self.eps, self.n_cubes, self.reach_k) < 0:
            raise ValueError(
                "expected min_samples of at least 2, and eps, n_cubes and reach_k of at least 0 (0 = automatic); got "
                f"{self.min_samples}, {self.eps}, {self.n_cubes} and {self.reach_k}"
            )
        if not 0 <= self.core_share <= 1:
            raise ValueError(f"core_share must be in [0, 1] (0 = the knee); got {self.core_share}")


def mapper_graph(rows: Any, settings: MapperSettings, *, scores: Any = None) -> MapperGraph:
    """Make the Mapper graph of rows.

    Shapes:
        rows: (n, d), at least four; scores: (n,) or (n, 2) with the lens "concept".
    Returns:
        The graph, with at least two nodes and one tie; its `settings` have what was read off the data (n_cubes, eps).
        Turning the rows, or changing their order, changes only the numbering (but see `mapper_lens`).
    Raises:
        ValueError: what `MapperPoints`, `mapper_lens` and `cube_rows` refuse; no cube with enough rows; no cluster, one
            cluster, or no two clusters with a common row: the message names the parameter to change, and its direction.
    Notes:
        Cost: distances inside every cube; memory: the neighbours of the fullest cube, m^2 numbers at worst for m rows, and
        the rows as float64 three times.
    """
    data = MapperPoints.of(rows, metric=settings.metric)
    graph = clusters_along(data, lens_of(data, settings, scores=scores), settings)
    _require_a_graph(graph)
    return graph


def lens_of(data: MapperPoints, settings: MapperSettings, *, scores: Any = None) -> np.ndarray:
    """The lens that the settings name, (n, n_components)."""
    return mapper_lens(
        data,
        lens=settings.lens,
        n_components=settings.n_components,
        n_neighbors=settings.n_neighbors,
        scores=scores,
        max_landmarks=settings.max_landmarks,
        seed=settings.seed,
    )


def clusters_along(data: MapperPoints, lens: np.ndarray, settings: MapperSettings) -> MapperGraph:
    """The graph along a finished lens, be it empty."""
    n_cubes = settings.n_cubes or automatic_cubes(len(lens), lens.shape[1])
    cubes = cube_rows(lens, n_cubes=n_cubes, gain=settings.gain)
    curve = reach_curve(
        data.points, cubes, min_samples=settings.min_samples, k=settings.reach_k, core_share=settings.core_share
    )
    eps = settings.eps or curve.eps
    if eps == 0:
        raise ValueError(
            "eps cannot be read off: most rows have so many exact copies that the nearest rows are at distance 0; drop the "
            "copies (np.unique(rows, axis=0)) or pass eps"
        )
    made = KeplerMapper().map(
        lens,
        data.points,
        clusterer=DBSCAN(eps=eps, min_samples=settings.min_samples),
        cover=checked_cover(n_cubes, settings.gain),
        nerve=_NoNerve(),
    )
    nodes = [np.sort(rows) for rows in made["nodes"].values()]
    about = asdict(settings) | {"n_cubes": n_cubes, "n_cubes_filled": len(cubes), "eps": float(eps)}
    about |= {"eps_read": curve.eps, "k_low": curve.k_low, "k_high": curve.k_high}
    members = np.concatenate([np.empty(0, dtype=np.int64), *nodes]).astype(np.int64)
    ends = np.cumsum([len(rows) for rows in nodes], dtype=np.int64)
    return MapperGraph(members, ends, lens, curve.distances, about)


class _NoNerve:
    """kmapper compares all pairs of nodes as sets, which takes minutes where there are thousands; `nerve_of` does it."""

    min_intersection = 1  # kmapper notes it down

    def compute(self, nodes: Any) -> tuple[dict[str, list[str]], list[list[str]]]:
        del nodes
        return {}, []


def _require_a_graph(graph: MapperGraph) -> None:
    """Two nodes and one tie, or an error that says what to change; distances are those that eps was read off."""
    about = graph.settings
    eps, n_cubes, gain = (about[name] for name in ("eps", "n_cubes", "gain"))
    n_used = len(np.unique(graph.members))
    seen = (
        f"inside cubes the {about['k_low']}th to {about['k_high']}th nearest row is {graph.reach[0]:.3g} to "
        f"{graph.reach[-1]:.3g} away, and eps=0 reads off {about['eps_read']:.3g}"
    )
    if graph.n_nodes == 0:
        raise ValueError(
            f"the Mapper graph is empty: eps={eps:.3g} is too small ({seen}); raise eps, or lower n_cubes={n_cubes}"
        )
    if graph.n_nodes == 1 and 2 * n_used < graph.n_rows:
        raise ValueError(
            f"the Mapper graph has one node, and {graph.n_rows - n_used:,} of {graph.n_rows:,} rows are in none: raise "
            f"eps={eps:.3g} ({seen}), or lower n_cubes={n_cubes}"
        )
    if graph.n_nodes == 1:
        raise ValueError(
            f"the Mapper graph has one node, which holds {n_used:,} of {graph.n_rows:,} rows: raise n_cubes={n_cubes} to cut "
            f"them into more pieces, or lower eps={eps:.3g} ({seen})"
        )
    if len(graph.edges) == 0:
        raise ValueError(
            f"no two of the {graph.n_nodes} nodes of the Mapper graph have a row in common: raise gain={gain:g} so that cubes "
            f"overlap more, or lower n_cubes={n_cubes}; with many rows in no node ({graph.n_rows - n_used:,} of "
            f"{graph.n_rows:,}) raise eps={eps:.3g} ({seen})"
        )
