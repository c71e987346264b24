"""Is the shape of a Mapper graph more than chance? The same computation on random rows, with everything read off anew.

Random rows have no shape and yet a Mapper graph of them may have loops, arms and parts: thin places tear. So the counts
stand beside those of rows of equal mean and covariance, and of rows whose columns were shuffled one by one. Lens, cover
and the *rule* for eps are the same; the values of the lens and eps are those that the rule gives on the random rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64

from helpers.geometry.mapper.build import MapperSettings, clusters_along, lens_of
from helpers.geometry.mapper.graph import STATISTICS, MapperGraph, MapperStatistics
from helpers.geometry.mapper.lenses import MapperPoints
from helpers.nulls import gaussian_rows, shuffled_columns
from helpers.progress import progress_bar

SAME_LENGTH = 1e-3  # rows whose lengths differ by less lie on a sphere
NULLS = ("equal covariance", "shuffled columns")


@dataclass(frozen=True)
class MapperChance:
    """Counts of a Mapper graph beside those of random rows.

    Shapes:
        drawn: statistic (see STATISTICS) -> (n_runs,) int64, one count a run.
    Args:
        null: what the random rows are; one of NULLS.
        observed: of the graph itself.
    """

    null: str
    observed: MapperStatistics
    drawn: Mapping[str, Int64[np.ndarray, " n_runs"]]

    def p_value(self, statistic: str) -> float:
        """(1 + runs with at least as many) / (1 + runs); in (0, 1]."""
        counts = self.drawn[statistic]
        return float((1 + (counts >= getattr(self.observed, statistic)).sum()) / (1 + len(counts)))


def mapper_chance(
    rows: Any,
    graph: MapperGraph,
    settings: MapperSettings,
    *,
    n_runs: int = 99,
    scores: Any = None,
    min_share: float = 0.02,
    seed: int = 0,
) -> dict[str, MapperChance]:
    """Hold a graph against random rows.

    Shapes:
        rows: (n, d) from which `graph` was made with `settings`; scores as for `mapper_graph`: row i of the random rows
        keeps the score of row i.
    Args:
        n_runs: random copies of each null; p cannot fall below 1 / (1 + n_runs).
        min_share: as for `MapperGraph.statistics`.
        seed: of the random rows.
    Returns:
        Null -> result. A random copy without any node counts 0 for everything.
    Raises:
        ValueError: no run; a graph of other rows; random rows on which the lens or the rule for eps has no answer (the
            message says which).
    Notes:
        Rows of one length, such as decoder rows, get Gaussian rows of that length.
        Of 100 clouds of noise 0 to 3 are called more than chance at 5 %, along one lens component 0 or 1 (measured in the
        benchmarks): counts tie often, which is never taken for a finding.
    """
    if n_runs < 1:
        raise ValueError(f"n_runs must be at least 1; got {n_runs}")
    rows = np.asarray(rows, dtype=np.float64)
    if len(rows) != graph.n_rows:
        raise ValueError(f"the graph was made from {graph.n_rows} rows; got {len(rows)}")
    lengths = np.linalg.norm(rows, axis=1)
    on_sphere = bool(np.ptp(lengths) <= SAME_LENGTH * lengths.max())
    draws: dict[str, Callable[[int], np.ndarray]] = {
        NULLS[0]: lambda number: gaussian_rows(rows, seed=number, keep_norms=on_sphere),
        NULLS[1]: lambda number: shuffled_columns(rows, seed=number),
    }
    observed = graph.statistics(min_share=min_share)
    seeds = np.random.SeedSequence(seed, spawn_key=(1,)).generate_state(n_runs)
    found = {}
    for null, draw in draws.items():
        counts = []
        with progress_bar(total=n_runs, description=f"Mapper, {null}", unit="graphs") as bar:
            for number in map(int, seeds):
                counts.append(asdict(_counted(draw(number), settings, scores, min_share, null)))
                bar.update(1)
        drawn = {name: np.array([count[name] for count in counts], dtype=np.int64) for name in STATISTICS}
        found[null] = MapperChance(null, observed, drawn)
    return found


def _counted(rows: np.ndarray, settings: MapperSettings, scores: Any, min_share: float, null: str) -> MapperStatistics:
    try:
        data = MapperPoints.of(rows, metric=settings.metric)
        graph = clusters_along(data, lens_of(data, settings, scores=scores), settings)
    except ValueError as error:
        raise ValueError(f"random rows ({null}) have no Mapper graph with these settings: {error}") from error
    return graph.statistics(min_share=min_share)
