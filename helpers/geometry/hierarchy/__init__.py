"""Concept hierarchies: directions of concepts, and whether they predict words and kinds that they have not seen."""

from helpers.geometry.hierarchy.directions import (
    Simplex,
    concept_direction,
    concept_directions,
    cosines,
    shown_order,
    sibling_simplex,
    simplexes,
    step_cosines,
)
from helpers.geometry.hierarchy.held_out import (
    held_out_kinds,
    held_out_plane,
    held_out_projections,
    held_out_words,
    mean_recognition,
    share_below,
)
from helpers.geometry.hierarchy.nest import Nest, moved_concepts, shuffled_words, unnested_sets
from helpers.geometry.hierarchy.planted import PlantedHierarchy, planted_hierarchy
from helpers.geometry.hierarchy.steps import StepCosines, step_test
from helpers.geometry.hierarchy.taxonomy import Taxonomy, load_taxonomy, make_taxonomy, story_taxonomy
from helpers.geometry.hierarchy.whitening import Whitening, fit_whitening

__all__ = [
    "Nest",
    "PlantedHierarchy",
    "Simplex",
    "StepCosines",
    "Taxonomy",
    "Whitening",
    "concept_direction",
    "concept_directions",
    "cosines",
    "fit_whitening",
    "held_out_kinds",
    "held_out_plane",
    "held_out_projections",
    "held_out_words",
    "load_taxonomy",
    "make_taxonomy",
    "mean_recognition",
    "moved_concepts",
    "planted_hierarchy",
    "share_below",
    "shown_order",
    "shuffled_words",
    "sibling_simplex",
    "simplexes",
    "step_cosines",
    "step_test",
    "story_taxonomy",
    "unnested_sets",
]
