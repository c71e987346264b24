"""Steering across models: carry a vector, or a removal, from one model into another, and see how much of it arrives."""

from helpers.steering.transfer.ablation import (
    AnswerDomain,
    active_features,
    carrying_features,
    removal_effects,
    remove_partners,
)
from helpers.steering.transfer.maps import LinearMap, decoder_map, procrustes_map, ridge_map, shuffled_maps
from helpers.steering.transfer.moments import PairedMoments, paired_moments
from helpers.steering.transfer.partners import PARTNER_NULLS, carry_features, exchanged_partners, partners_of
from helpers.steering.transfer.shares import RANDOM_VECTORS, Share, TransferScores, score_transfer
from helpers.steering.transfer.shifts import AnswerShift, ShiftEffects, chosen_strength, shift_effects

__all__ = [
    "PARTNER_NULLS",
    "RANDOM_VECTORS",
    "AnswerDomain",
    "AnswerShift",
    "LinearMap",
    "PairedMoments",
    "Share",
    "ShiftEffects",
    "TransferScores",
    "active_features",
    "carry_features",
    "carrying_features",
    "chosen_strength",
    "decoder_map",
    "exchanged_partners",
    "paired_moments",
    "partners_of",
    "procrustes_map",
    "removal_effects",
    "remove_partners",
    "ridge_map",
    "score_transfer",
    "shift_effects",
    "shuffled_maps",
]
