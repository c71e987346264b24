"""Null distributions: what a score would be by chance."""

from helpers.nulls.correction import benjamini_hochberg
from helpers.nulls.permutation import PermutationResult, permutation_test

__all__ = ["PermutationResult", "benjamini_hochberg", "permutation_test"]
