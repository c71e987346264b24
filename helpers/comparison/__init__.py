"""One layer pair beside its controls, and every layer pair of two models in one grid."""

from helpers.comparison.conditions import ConditionScores, matched_rows, score_conditions
from helpers.comparison.grid import LayerGrid
from helpers.comparison.layer_pair import LayerPairScores

__all__ = ["ConditionScores", "LayerGrid", "LayerPairScores", "matched_rows", "score_conditions"]
