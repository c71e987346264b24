"""An untrained copy of a model: same architecture and tokenizer, new random weights, as an ordinary model folder."""

from __future__ import annotations

from pathlib import Path

import torch

from helpers.models.loading import quiet_transformers
from helpers.models.reference import ModelReference
from helpers.storage import atomic_folder


def save_reinitialised(reference: ModelReference, *, folder: str | Path, seed: int) -> ModelReference:
    """Save the architecture of a model with fresh random weights, and its tokenizer, as a Hugging Face folder.

    Args:
        reference: the model whose architecture is taken; its weights are not read.
        folder: where the new model goes.
        seed: of the weights; no global random state is touched.
    Returns:
        A reference to the new folder.
    Source:
        Random-weight controls for SAEs: Heap et al. 2025, arXiv:2501.17727.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(reference.name_or_path, revision=reference.revision)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = AutoModelForCausalLM.from_config(config)
    with atomic_folder(folder) as partial, quiet_transformers():
        fresh.save_pretrained(partial)
        reference.load_tokenizer().save_pretrained(partial)
    return ModelReference(source="folder", name_or_path=str(Path(folder)), dtype=reference.dtype)
