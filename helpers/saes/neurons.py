"""The neurons of an MLP as a dictionary: the basis that a model has without any sparse autoencoder.

A neuron is a dictionary element that nobody had to train: it fires when its activation is positive, and it writes its
row of the MLP's output weights into the residual stream. As a dictionary on `blocks.N.mlp.hook_post` it is the
identity, so pre-activations (`hidden_pre`) are the neurons' activations of both signs; what its elements write is kept
beside it, because the identity has no geometry.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float

from helpers.models import hook_layer, hook_width, require_hook
from helpers.saes.directions import feature_directions
from helpers.saes.load import SaeReference, load_sae
from helpers.storage import atomic_folder

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

NEURON_HOOK = "mlp.hook_post"
DIRECTIONS_FILE = "directions.npy"


def neuron_directions(model: TransformerBridge, *, hook_name: str) -> Float[np.ndarray, "d_mlp d_model"]:
    """What each neuron writes into the residual stream: its row of the MLP's output weights, as float64.

    Raises:
        ValueError: `hook_name` is not the hook of an MLP's neurons.
    """
    _require_neurons(model, hook_name)
    return model.blocks[hook_layer(hook_name)].mlp.W_out.detach().cpu().double().numpy()


def save_neurons(model: TransformerBridge, *, hook_name: str, folder: str | Path) -> SaeReference:
    """Save the neurons of one MLP as an SAE folder whose encoder and decoder are the identity.

    Args:
        hook_name: blocks.N.mlp.hook_post.
        folder: where cfg.json, the weights and the neurons' directions go.
    Returns:
        A reference to the folder.
    Raises:
        ValueError: `hook_name` is not the hook of an MLP's neurons.
    """
    from sae_lens import StandardSAE, StandardSAEConfig
    from sae_lens.saes.sae import SAEMetadata

    _require_neurons(model, hook_name)
    width = hook_width(model, hook_name)
    metadata = SAEMetadata(hook_name=hook_name, prepend_bos=True)
    neurons = StandardSAE(StandardSAEConfig(d_in=width, d_sae=width, metadata=metadata))
    with torch.no_grad():
        neurons.W_enc.copy_(torch.eye(width))
        neurons.W_dec.copy_(torch.eye(width))
        neurons.b_enc.zero_()
        neurons.b_dec.zero_()
    with atomic_folder(folder) as partial:
        neurons.save_model(partial)
        np.save(partial / DIRECTIONS_FILE, neuron_directions(model, hook_name=hook_name))
    return SaeReference("folder", hook_name, folder=str(Path(folder)))


def written_directions(reference: SaeReference) -> Float[np.ndarray, "d_sae d_out"]:
    """One row an element of a dictionary: what it writes into the model, for an SAE and for neurons alike.

    Returns:
        (d_sae, d_out) float64: decoder rows, or the neurons' output weights.
    """
    if has_written_directions(reference):
        return np.load(Path(reference.folder) / DIRECTIONS_FILE)
    return feature_directions(load_sae(reference).sae)


def has_written_directions(reference: SaeReference) -> bool:
    """Whether a dictionary keeps its directions beside it, as neurons do."""
    return reference.source == "folder" and (Path(reference.folder) / DIRECTIONS_FILE).exists()


def _require_neurons(model: TransformerBridge, hook_name: str) -> None:
    require_hook(model, hook_name)
    if not hook_name.endswith(NEURON_HOOK):
        raise ValueError(f"neurons are read at blocks.N.{NEURON_HOOK}; got '{hook_name}'")
