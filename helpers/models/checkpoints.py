"""Checkpoints of a training: weights, optimiser, place in the corpus and curves; from one the training goes on exactly.

A checkpoint belongs to a recipe: a hash of everything that decides the result. One of another recipe is not used.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from helpers.code_fingerprint import code_fingerprint
from helpers.params import LanguageModelParams
from helpers.storage import atomic_folder, read_json, sha256_file, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_WEIGHTS, _STATE, _MANIFEST = "weights.safetensors", "state.pt", "manifest.json"
_RECIPE_CODE = ("corpus/*.py", "models/*.py", "../params/data/story_world.yaml")
# What does not change the trained weights.
_IRRELEVANT = {"runs_folder", "study", "run", "n_eval_tokens", "device"}
_log = logging.getLogger(__name__)


@dataclass
class Progress:
    """Where a training stands: the place of the next sequence in the corpus, and the curves so far."""

    n_tokens: int = 0
    document: int = 0
    skip_sequences: int = 0
    n_steps: int = 0
    next_checkpoint: int = 0
    window_loss: float = 0.0
    window_tokens: int = 0
    history: dict[str, Any] | None = None


def training_recipe(params: LanguageModelParams, *, tokenizer_fingerprint: str, corpus_fingerprint: str) -> str:
    """Hex SHA-256 of all that decides the trained weights: parameters, tokenizer, corpus, code and library versions."""
    parts = [
        params.model_dump(mode="json", exclude=_IRRELEVANT),
        tokenizer_fingerprint,
        corpus_fingerprint,
        code_fingerprint(*_RECIPE_CODE),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def save_checkpoint(
    folder: Path, *, recipe: str, model: PreTrainedModel, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write a checkpoint to `folder`, atomically, in place of the one before."""
    with atomic_folder(folder) as partial:
        save_file({name: tensor.contiguous() for name, tensor in _own_weights(model).items()}, partial / _WEIGHTS)
        torch.save({"optimizer": optimizer.state_dict(), **vars(progress)}, partial / _STATE)
        checksums = {name: sha256_file(partial / name) for name in (_WEIGHTS, _STATE)}
        write_json(partial / _MANIFEST, {"recipe": recipe, "sha256": checksums})


def load_checkpoint(
    folder: Path, *, recipe: str, model: PreTrainedModel, optimizer: torch.optim.Optimizer
) -> Progress | None:
    """Put a checkpoint's weights and optimiser state in place; None if there is none of this recipe.

    Raises:
        ValueError: the checkpoint is damaged.
    """
    if not (folder / _MANIFEST).exists():
        return None
    manifest = read_json(folder / _MANIFEST)
    if manifest["recipe"] != recipe:
        _log.warning("The checkpoint in %s belongs to other parameters or code; training starts anew.", folder)
        return None
    for name, checksum in manifest["sha256"].items():
        if not (folder / name).exists() or sha256_file(folder / name) != checksum:
            raise ValueError(f"'{name}' of the checkpoint in '{folder}' is damaged; delete that folder and run again")
    state = torch.load(folder / _STATE, map_location="cpu", weights_only=True)
    weights = load_file(folder / _WEIGHTS)
    model.load_state_dict(weights, strict=False)
    optimizer.load_state_dict(state.pop("optimizer"))
    return Progress(**state)


def _own_weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Parameters without the second name of tied ones."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}
