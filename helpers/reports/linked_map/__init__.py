"""Two maps of features side by side, whose partners light up together: one HTML file that needs no network."""

from helpers.reports.linked_map.content import LinkedMap, MapSide
from helpers.reports.linked_map.page import embedded_map, linked_map_html, save_linked_map
from helpers.reports.linked_map.sides import map_side

__all__ = ["LinkedMap", "MapSide", "embedded_map", "linked_map_html", "map_side", "save_linked_map"]
