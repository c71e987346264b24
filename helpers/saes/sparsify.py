"""Dictionaries of Eleuther's sparsify library, read into SAELens's TopK SAE.

A dictionary is a folder with cfg.json and sae.safetensors: `encoder.weight` (d_sae, d_in), `encoder.bias` (d_sae),
`W_dec` (d_sae, d_in), `b_dec` (d_in). Both directions of sparsify subtract and add `b_dec`:

    feature_acts = the k largest of relu((x - b_dec) @ encoder.weight.T + encoder.bias), the others 0
    x_hat        = feature_acts @ W_dec + b_dec

SAELens's own reader of this layout is not used: it transposes W_dec, keeps bfloat16, calls every hook of a layer its
residual stream, and leaves out `b_dec` before encoding where decoder rows have norm 1.

Source: EleutherAI/sparsify, sparsify/sparse_coder.py and config.py (the formula), data.py (every training sequence of a
document opens with the end-of-text token, so prepend_bos is true).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file

from helpers.storage import read_json

if TYPE_CHECKING:
    from sae_lens import SAE

CONFIG_FILE, WEIGHTS_FILE = "cfg.json", "sae.safetensors"
_HOOKPOINT = re.compile(r"(?:.*\.)?(?:layers|h)\.(\d+)(?:\.(mlp|attention|attn|self_attn))?")
_HOOKS = {None: "hook_resid_post", "mlp": "hook_mlp_out"}  # what is neither is the output of attention
# Settings that change the formula, and the value under which it is the one above.
_PLAIN = {
    "activation": "topk",
    "signed": False,
    "transcode": False,
    "skip_connection": False,
    "embed_skip": False,
    "gram_lookup": False,
}


def fetch_sparsify(repository: str, name: str) -> Path:
    """The folder of one dictionary: inside a folder on this machine, or downloaded from a Hub repository.

    Args:
        repository: Hub name such as EleutherAI/sae-pythia-70m-32k, or a folder.
        name: folder inside, e.g. "layers.3" (residual stream after layer 3) or "layers.3.mlp".
    Raises:
        OSError: the Hub's own errors (see `helpers.hub.hub_reason`).
    """
    here = Path(repository) / name
    if here.is_dir():
        return here
    paths = [Path(hf_hub_download(repository, f"{name}/{file}")) for file in (CONFIG_FILE, WEIGHTS_FILE)]
    return paths[0].parent


def load_sparsify(folder: str | Path, *, device: torch.device | str = "cpu") -> SAE:
    """The dictionary in a sparsify folder, as a float32 TopK SAE.

    Raises:
        ValueError: settings that SAELens's TopK SAE cannot express, or weights that do not fit the settings.
    """
    from sae_lens import SAE

    return SAE.load_from_disk(folder, device=str(device), converter=_convert)


def sparsify_hook(name: str) -> str | None:
    """TransformerLens's name of the place that a dictionary reads, told from its folder's name; None if it does not tell."""
    match = _HOOKPOINT.fullmatch(name)
    return f"blocks.{match[1]}.{_HOOKS.get(match[2], 'hook_attn_out')}" if match else None


def _convert(
    path: str | Path, device: str, cfg_overrides: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Settings (flat keys, from which SAELens makes config and metadata) and weights; a converter of SAELens."""
    folder = Path(path)
    given = read_json(folder / CONFIG_FILE)
    for key, plain in _PLAIN.items():
        if given.get(key, plain) != plain:
            raise ValueError(
                f"{folder / CONFIG_FILE}: {key} is {given[key]!r}, and only {plain!r} can be read as a TopK SAE; "
                "take another dictionary"
            )
    weights = load_file(folder / WEIGHTS_FILE, device=device)
    d_in = int(given["d_in"])
    d_sae = int(given.get("num_latents") or d_in * given["expansion_factor"])
    shapes = {"encoder.weight": (d_sae, d_in), "encoder.bias": (d_sae,), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}
    found = {key: tuple(weight.shape) for key, weight in weights.items()}
    if found != shapes:
        raise ValueError(f"{folder / WEIGHTS_FILE}: expected {shapes}, got {found}; the file is of another kind")
    settings = {
        "architecture": "topk",
        "d_in": d_in,
        "d_sae": d_sae,
        "k": int(given["k"]),
        "dtype": "float32",
        "device": device,
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "hook_name": sparsify_hook(folder.name),
        "prepend_bos": True,
    }
    single = {key: weight.float() for key, weight in weights.items()}
    return settings | (cfg_overrides or {}), {
        "W_enc": single["encoder.weight"].T.contiguous(),
        "b_enc": single["encoder.bias"],
        "W_dec": single["W_dec"],
        "b_dec": single["b_dec"],
    }
