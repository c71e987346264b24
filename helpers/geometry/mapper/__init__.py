"""Mapper: rows as a graph of overlapping clusters along a lens, and whether its shape is more than chance."""

from helpers.geometry.mapper.build import MapperSettings, mapper_graph
from helpers.geometry.mapper.chance import NULLS, MapperChance, mapper_chance
from helpers.geometry.mapper.graph import STATISTICS, MapperGraph, MapperStatistics
from helpers.geometry.mapper.labels import NodeLabel, node_labels, rows_together
from helpers.geometry.mapper.layout import graph_layout
from helpers.geometry.mapper.lenses import LENSES
from helpers.geometry.mapper.partners import partners_stay_together
from helpers.geometry.mapper.stability import StabilitySweep, stability_sweep

__all__ = [
    "LENSES",
    "NULLS",
    "STATISTICS",
    "MapperChance",
    "MapperGraph",
    "MapperSettings",
    "MapperStatistics",
    "NodeLabel",
    "StabilitySweep",
    "graph_layout",
    "mapper_chance",
    "mapper_graph",
    "node_labels",
    "partners_stay_together",
    "rows_together",
    "stability_sweep",
]
