"""Pair the features of two dictionaries by how they fire on the same tokens, or by their directions."""

from helpers.matching.agreement import MatchingAgreement, agreement
from helpers.matching.bands import correlation_bands
from helpers.matching.chance import match_shuffled, one_sided_beside_chance
from helpers.matching.filtering import FilterReport, FilterStep, RemovedPair, apply_filters
from helpers.matching.filters import (
    NON_CONCEPT_WORDS,
    ConceptTokens,
    MaxDensity,
    MinCorrelation,
    MinDensity,
    OneToOne,
    PairFilter,
    SharedTopToken,
    non_concept_words,
)
from helpers.matching.match import (
    match_again,
    match_by_every_method,
    match_directions,
    match_features,
    sweep_max_partners,
)
from helpers.matching.pairs import FeaturePairs
from helpers.matching.quality import PairAgreement, same_concept_share, same_token_score
from helpers.matching.row_parts import first_documents, first_rows, random_documents, take_rows
from helpers.matching.twins import OneSided, direction_twins, one_sided_features, twins

__all__ = [
    "NON_CONCEPT_WORDS",
    "ConceptTokens",
    "FeaturePairs",
    "FilterReport",
    "FilterStep",
    "MatchingAgreement",
    "MaxDensity",
    "MinCorrelation",
    "MinDensity",
    "OneSided",
    "OneToOne",
    "PairAgreement",
    "PairFilter",
    "RemovedPair",
    "SharedTopToken",
    "agreement",
    "apply_filters",
    "correlation_bands",
    "direction_twins",
    "first_documents",
    "first_rows",
    "match_again",
    "match_by_every_method",
    "match_directions",
    "match_features",
    "match_shuffled",
    "non_concept_words",
    "one_sided_beside_chance",
    "one_sided_features",
    "random_documents",
    "same_concept_share",
    "same_token_score",
    "sweep_max_partners",
    "take_rows",
    "twins",
]
