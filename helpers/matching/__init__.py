"""Pair the features of two dictionaries by how they fire on the same tokens."""

from helpers.matching.chance import match_shuffled
from helpers.matching.match import match_features
from helpers.matching.pairs import FeaturePairs
from helpers.matching.quality import PairAgreement, same_concept_share, same_token_score

__all__ = [
    "FeaturePairs",
    "PairAgreement",
    "match_features",
    "match_shuffled",
    "same_concept_share",
    "same_token_score",
]
