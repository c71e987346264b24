"""How far the shape of a Mapper graph depends on the cover: the same rows over a grid of resolutions and gains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int64

from helpers.geometry.mapper.build import MapperSettings, clusters_along, lens_of
from helpers.geometry.mapper.graph import STATISTICS
from helpers.geometry.mapper.lenses import MapperPoints


@dataclass(frozen=True)
class StabilitySweep:
    """Counts over the grid.

    Shapes:
        counts: statistic (see STATISTICS) -> (n_gains, n_resolutions) int64; 0 throughout where there is no node.
    """

    n_cubes: tuple[int, ...]
    gains: tuple[float, ...]
    counts: dict[str, Int64[np.ndarray, "n_gains n_resolutions"]]


def stability_sweep(
    rows: Any,
    settings: MapperSettings,
    *,
    n_cubes: Sequence[int],
    gains: Sequence[float],
    scores: Any = None,
    min_share: float = 0.02,
) -> StabilitySweep:
    """Make the graph of every cover; the lens is computed once, eps is read off anew for each.

    Raises:
        ValueError: nothing to sweep; what `mapper_graph` refuses of the rows, the lens and every cover (but not an empty
            graph, which is a result here).
    """
    if not len(n_cubes) or not len(gains):
        raise ValueError(f"expected at least one resolution and one gain; got {list(n_cubes)} and {list(gains)}")
    data = MapperPoints.of(rows, metric=settings.metric)
    lens = lens_of(data, settings, scores=scores)
    counts = {name: np.zeros((len(gains), len(n_cubes)), dtype=np.int64) for name in STATISTICS}
    for i, gain in enumerate(gains):
        for j, number in enumerate(n_cubes):
            graph = clusters_along(data, lens, replace(settings, n_cubes=number, gain=gain))
            found = graph.statistics(min_share=min_share)
            for name, table in counts.items():
                table[i, j] = getattr(found, name)
    return StabilitySweep(tuple(n_cubes), tuple(gains), counts)
