"""Dictionaries in the file layouts that real ones are published in; random, or with given weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor


def random_weights(d_in: int, d_sae: int, *, seed: int = 0) -> dict[str, Tensor]:
    """W_enc (d_in, d_sae), b_enc, W_dec (d_sae, d_in) with rows of norm 1, b_dec; none of them is zero."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"W_enc": (d_in, d_sae), "b_enc": (d_sae,), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    weights["W_dec"] /= weights["W_dec"].norm(dim=1, keepdim=True)
    return weights


def save_sparsify(folder: Path, weights: Mapping[str, Tensor], *, k: int, **settings: Any) -> Path:
    """Eleuther's layout: cfg.json and sae.safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    d_sae, d_in = weights["W_dec"].shape
    content = {"expansion_factor": 32, "normalize_decoder": True, "num_latents": d_sae, "k": k, "signed": False}
    (folder / "cfg.json").write_text(json.dumps(content | {"d_in": d_in} | settings))
    tensors = {
        "encoder.weight": weights["W_enc"].T.contiguous(),
        "encoder.bias": weights["b_enc"],
        "W_dec": weights["W_dec"],
        "b_dec": weights["b_dec"],
    }
    save_file(tensors, folder / "sae.safetensors")
    return folder


def save_saelens(folder: Path, weights: Mapping[str, Tensor], *, hook_name: str, **settings: Any) -> Path:
    """The layout of SAELens before version 6, in which most registered releases are: flat cfg.json, no version."""
    folder.mkdir(parents=True, exist_ok=True)
    d_sae, d_in = weights["W_dec"].shape
    content: dict[str, Any] = {
        "model_name": "stand-in",
        "hook_point": hook_name,
        "hook_point_layer": 0,
        "d_in": d_in,
        "d_sae": d_sae,
        "dtype": "torch.float32",
        "device": "cuda",
        "activation_fn_str": "relu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "prepend_bos": True,
        "context_size": 128,
    }
    (folder / "cfg.json").write_text(json.dumps(content | settings))
    save_file({name: weight.contiguous() for name, weight in weights.items()}, folder / "sae_weights.safetensors")
    return folder


def save_gemma_scope(folder: Path, weights: Mapping[str, Tensor], threshold: Tensor) -> Path:
    """Gemma Scope's layout: one params.npz, no settings (SAELens tells them from the names)."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name.replace("W_", "w_"): weight.numpy() for name, weight in weights.items()}
    np.savez_compressed(folder / "params.npz", threshold=threshold.numpy(), **arrays)
    return folder
