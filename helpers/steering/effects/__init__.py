"""What steering does: at later layers, in the answers, feature by feature, and in two models at once."""

from helpers.steering.effects.answers import Answers
from helpers.steering.effects.attribution import FeatureEffects, ablation_effects, feature_effects
from helpers.steering.effects.circle import CircleMovement, CirclePlane, move_along_circle, swap_words
from helpers.steering.effects.downstream import DownstreamEffect, downstream_effect
from helpers.steering.effects.functional import FunctionalSimilarity, functional_similarity
from helpers.steering.effects.functional_tests import partners_beside_others, similarity_and_match
from helpers.steering.effects.layer_effects import KINDS, FeatureChanges, LayerEffect
from helpers.steering.effects.restoring import RestoredEffect, RestoredParts, restored_effect

__all__ = [
    "KINDS",
    "Answers",
    "CircleMovement",
    "CirclePlane",
    "DownstreamEffect",
    "FeatureChanges",
    "FeatureEffects",
    "FunctionalSimilarity",
    "LayerEffect",
    "RestoredEffect",
    "RestoredParts",
    "ablation_effects",
    "downstream_effect",
    "feature_effects",
    "functional_similarity",
    "move_along_circle",
    "partners_beside_others",
    "restored_effect",
    "similarity_and_match",
    "swap_words",
]
