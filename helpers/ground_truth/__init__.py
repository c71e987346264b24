"""Synthetic worlds of known features, and how right the suite's tools are about them."""

from helpers.ground_truth.dictionaries import Encoded, encode, train_dictionary
from helpers.ground_truth.geometries import mixed_pairs, unrelated_gaussians, unrelated_worlds
from helpers.ground_truth.pair_scores import PairScore, Truth, match_every_way, score_above, score_pairs
from helpers.ground_truth.readings import PAIRED_MEASURES, FalseAlarms, Readings, false_alarms, read_measures
from helpers.ground_truth.recovery import FeatureRecovery, recover_features
from helpers.ground_truth.spectra import (
    GaussianComparison,
    compare_with_gaussian,
    same_spectrum_elsewhere,
    spectra_table,
    spectrum_distances,
    spectrum_lines,
)
from helpers.ground_truth.sweeps import (
    MatchingCase,
    SweepPoint,
    as_good_as_best,
    feature_cases,
    mean_by_method,
    sweep_curves,
    sweep_matching,
)
from helpers.ground_truth.trained_worlds import TrainedWorlds, random_recovery, recovery_table, train_both
from helpers.ground_truth.validity import RejectionRates, TwoSides, rejection_rates
from helpers.ground_truth.worlds import World, WorldPair, WorldSample, WorldSettings, build_worlds

__all__ = [
    "PAIRED_MEASURES",
    "Encoded",
    "FalseAlarms",
    "FeatureRecovery",
    "GaussianComparison",
    "MatchingCase",
    "PairScore",
    "Readings",
    "RejectionRates",
    "SweepPoint",
    "TrainedWorlds",
    "Truth",
    "TwoSides",
    "World",
    "WorldPair",
    "WorldSample",
    "WorldSettings",
    "as_good_as_best",
    "build_worlds",
    "compare_with_gaussian",
    "encode",
    "false_alarms",
    "feature_cases",
    "match_every_way",
    "mean_by_method",
    "mixed_pairs",
    "random_recovery",
    "read_measures",
    "recover_features",
    "recovery_table",
    "rejection_rates",
    "same_spectrum_elsewhere",
    "score_above",
    "score_pairs",
    "spectra_table",
    "spectrum_distances",
    "spectrum_lines",
    "sweep_curves",
    "sweep_matching",
    "train_both",
    "train_dictionary",
    "unrelated_gaussians",
    "unrelated_worlds",
]
