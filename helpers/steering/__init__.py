"""Steering: find directions, see what they are made of, and change what a model computes while it reads or writes."""

from helpers.steering.conditions import Condition, fit_condition
from helpers.steering.decomposition import decompose, encode_difference
from helpers.steering.feature_edits import EditFeatures, clamp, edit_features, reconstruct
from helpers.steering.feature_sums import Disagreement, FeatureSum, disagreement
from helpers.steering.generation import generate
from helpers.steering.hooking import intervening
from helpers.steering.interventions import AddVector, AddWhere, Intervention, ProjectOut, add, project_out, subtract
from helpers.steering.making import (
    contrastive_pairs,
    difference_of_means,
    feature_vector,
    given_vector,
    mean_activation,
    plane_step,
)
from helpers.steering.measuring import mean_residual_norm, prompt_states, text_rows
from helpers.steering.prompts import Prompts, encode_prompts, prompts_of_batch
from helpers.steering.running import SteeredPart, steered_logits, steered_parts
from helpers.steering.vectors import SteeringVector
from helpers.steering.word_sums import CellTest, Word, WordSums, fit_word_sums, held_out_cells, word_sum_vector

__all__ = [
    "AddVector",
    "AddWhere",
    "CellTest",
    "Condition",
    "Disagreement",
    "EditFeatures",
    "FeatureSum",
    "Intervention",
    "ProjectOut",
    "Prompts",
    "SteeredPart",
    "SteeringVector",
    "Word",
    "WordSums",
    "add",
    "clamp",
    "contrastive_pairs",
    "decompose",
    "difference_of_means",
    "disagreement",
    "edit_features",
    "encode_difference",
    "encode_prompts",
    "feature_vector",
    "fit_condition",
    "fit_word_sums",
    "generate",
    "given_vector",
    "held_out_cells",
    "intervening",
    "mean_activation",
    "mean_residual_norm",
    "plane_step",
    "project_out",
    "prompt_states",
    "prompts_of_batch",
    "reconstruct",
    "steered_logits",
    "steered_parts",
    "subtract",
    "text_rows",
    "word_sum_vector",
]
