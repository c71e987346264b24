"""Two spaces beside their nulls, one layer pair beside its controls, and every layer pair of two models in one grid."""

from helpers.comparison.conditions import ConditionScores, matched_rows, score_conditions
from helpers.comparison.filtered_pairs import filter_matching
from helpers.comparison.grid import LayerGrid
from helpers.comparison.layer_pair import LayerPairScores
from helpers.comparison.matched_sides import MatchedSides, load_sides, open_sides
from helpers.comparison.matched_spaces import MatchedSpaces, load_matched_spaces, space_directions
from helpers.comparison.null_tests import (
    score_against_nulls,
    score_along,
    score_at_ceiling,
    score_kept_variance,
    survivors,
)

__all__ = [
    "ConditionScores",
    "LayerGrid",
    "LayerPairScores",
    "MatchedSides",
    "MatchedSpaces",
    "filter_matching",
    "load_matched_spaces",
    "load_sides",
    "matched_rows",
    "open_sides",
    "score_against_nulls",
    "score_along",
    "score_at_ceiling",
    "score_conditions",
    "score_kept_variance",
    "space_directions",
    "survivors",
]
