"""Steering: find directions, see what they are made of, and change what a model computes while it reads or writes."""

from helpers.steering.generation import generate
from helpers.steering.hooking import intervening
from helpers.steering.interventions import (
    AddVector,
    EditFeatures,
    Intervention,
    ProjectOut,
    add,
    clamp,
    edit_features,
    project_out,
    reconstruct,
    subtract,
)
from helpers.steering.measuring import mean_residual_norm, prompt_states
from helpers.steering.prompts import Prompts, encode_prompts, prompts_of_batch
from helpers.steering.running import SteeredPart, steered_logits, steered_parts

__all__ = [
    "AddVector",
    "EditFeatures",
    "Intervention",
    "ProjectOut",
    "Prompts",
    "SteeredPart",
    "add",
    "clamp",
    "edit_features",
    "encode_prompts",
    "generate",
    "intervening",
    "mean_residual_norm",
    "project_out",
    "prompt_states",
    "prompts_of_batch",
    "reconstruct",
    "steered_logits",
    "steered_parts",
    "subtract",
]
