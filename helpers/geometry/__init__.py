"""Shapes of feature spaces: maps, co-firing families, and how faithful or kept they are."""

from helpers.geometry.cofiring import CofiringPairs, cofiring_pairs
from helpers.geometry.cofiring_chance import CoverThreshold, cover_threshold, implied_firings, shuffled_firings
from helpers.geometry.embedding import Embedding, embed, embed_along, embed_together, turn_onto
from helpers.geometry.faithfulness import Faithfulness, PartnerDistance, map_faithfulness, partner_distance
from helpers.geometry.families import FeatureForest, cofiring_communities, family_forest
from helpers.geometry.family_comparison import KeptFamilies, compare_families
from helpers.geometry.family_tests import (
    concept_agreement,
    families_kept,
    family_members,
    relations_kept,
    relatives_alike,
    words_gathered,
)
from helpers.geometry.firing import FiringRows, firing_rows
from helpers.geometry.nearest import NearestRows, nearest_rows
from helpers.geometry.planted import PlantedFamilies, planted_families

__all__ = [
    "CofiringPairs",
    "CoverThreshold",
    "Embedding",
    "Faithfulness",
    "FeatureForest",
    "FiringRows",
    "KeptFamilies",
    "NearestRows",
    "PartnerDistance",
    "PlantedFamilies",
    "cofiring_communities",
    "cofiring_pairs",
    "compare_families",
    "concept_agreement",
    "cover_threshold",
    "embed",
    "embed_along",
    "embed_together",
    "families_kept",
    "family_forest",
    "family_members",
    "firing_rows",
    "implied_firings",
    "map_faithfulness",
    "nearest_rows",
    "partner_distance",
    "planted_families",
    "relations_kept",
    "relatives_alike",
    "shuffled_firings",
    "turn_onto",
    "words_gathered",
]
