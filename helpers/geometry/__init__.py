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
from helpers.geometry.planted_splitting import PlantedSplitting, planted_splitting
from helpers.geometry.point_clouds import BETTI, PointCloud, point_cloud
from helpers.geometry.splitting import Clashes, Splitting, find_splitting, sibling_clashes
from helpers.geometry.splitting_chance import (
    LinkThresholds,
    SplitsByChance,
    link_thresholds,
    random_directions,
    split_features,
    splits_by_chance,
)
from helpers.geometry.splitting_tests import children_inside, families_of_one_kind
from helpers.geometry.splitting_tree import first_ids, routes_agree, splitting_forest
from helpers.geometry.width_links import WidthLinks, WidthPair, open_widths, width_links
from helpers.geometry.width_steps import WidthStep, meaning_tests, width_step, width_steps

__all__ = [
    "BETTI",
    "Clashes",
    "CofiringPairs",
    "CoverThreshold",
    "Embedding",
    "Faithfulness",
    "FeatureForest",
    "FiringRows",
    "KeptFamilies",
    "LinkThresholds",
    "NearestRows",
    "PartnerDistance",
    "PlantedFamilies",
    "PlantedSplitting",
    "PointCloud",
    "SplitsByChance",
    "Splitting",
    "WidthLinks",
    "WidthPair",
    "WidthStep",
    "children_inside",
    "cofiring_communities",
    "cofiring_pairs",
    "compare_families",
    "concept_agreement",
    "cover_threshold",
    "embed",
    "embed_along",
    "embed_together",
    "families_kept",
    "families_of_one_kind",
    "family_forest",
    "family_members",
    "find_splitting",
    "firing_rows",
    "first_ids",
    "implied_firings",
    "link_thresholds",
    "map_faithfulness",
    "meaning_tests",
    "nearest_rows",
    "open_widths",
    "partner_distance",
    "planted_families",
    "planted_splitting",
    "point_cloud",
    "random_directions",
    "relations_kept",
    "relatives_alike",
    "routes_agree",
    "shuffled_firings",
    "sibling_clashes",
    "split_features",
    "splits_by_chance",
    "splitting_forest",
    "turn_onto",
    "width_links",
    "width_step",
    "width_steps",
    "words_gathered",
]
