"""Null distributions: what a score would be by chance."""

from helpers.nulls.controls import KnownAnswers, known_answers
from helpers.nulls.correction import benjamini_hochberg
from helpers.nulls.equal_n import EqualRows, compare_at_equal_rows, place_between
from helpers.nulls.feature_draws import frequency_matched_draw, random_draw, random_features_test
from helpers.nulls.many_tests import CorrectedTest, correct_tests, permutations_needed
from helpers.nulls.matched_rows import GaussianSource, gaussian_rows, shuffled_columns
from helpers.nulls.permutation import PermutationResult, permutation_test
from helpers.nulls.rejection import SECOND_DRAW, RejectionRate, is_broken, rejection_rate, rejection_rates

__all__ = [
    "SECOND_DRAW",
    "CorrectedTest",
    "EqualRows",
    "GaussianSource",
    "KnownAnswers",
    "PermutationResult",
    "RejectionRate",
    "benjamini_hochberg",
    "compare_at_equal_rows",
    "correct_tests",
    "frequency_matched_draw",
    "gaussian_rows",
    "is_broken",
    "known_answers",
    "permutation_test",
    "permutations_needed",
    "place_between",
    "random_draw",
    "random_features_test",
    "rejection_rate",
    "rejection_rates",
    "shuffled_columns",
]
