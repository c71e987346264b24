"""Analogies: one domain mapped onto another inside a model, tested on pairs that were left out."""

from helpers.geometry.analogies.planted import PlantedAnalogy, planted_analogy
from helpers.geometry.analogies.prediction import MAP_METHODS, MapMethod, held_out_partners
from helpers.geometry.analogies.roles import MIN_PAIRS, Analogy, load_analogies

__all__ = [
    "MAP_METHODS",
    "MIN_PAIRS",
    "Analogy",
    "MapMethod",
    "PlantedAnalogy",
    "held_out_partners",
    "load_analogies",
    "planted_analogy",
]
