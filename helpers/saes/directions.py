"""Directions of a dictionary's features, and a dictionary of random directions as its control."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float

if TYPE_CHECKING:
    from sae_lens import SAE


def feature_directions(
    sae: SAE, *, space: Literal["decoder", "encoder"] = "decoder"
) -> Float[np.ndarray, "d_sae d_in"]:
    """One row a feature: what it writes (decoder) or what it reads (encoder).

    Returns:
        (d_sae, d_in) float64. W_enc is stored as (d_in, d_sae) and is transposed here, so that row i is feature i in
        both spaces.
    Raises:
        ValueError: another `space`.
    """
    weights = {"decoder": lambda: sae.W_dec, "encoder": lambda: sae.W_enc.T}
    if space not in weights:
        raise ValueError(f"space must be 'decoder' or 'encoder'; got '{space}'")
    return weights[space]().detach().cpu().double().numpy()


@torch.no_grad()
def random_sae(sae: SAE, *, seed: int) -> SAE:
    """A dictionary of the same shape, activation function and biases whose directions are random.

    Decoder rows are uniform on the sphere with the norms of the original's; the encoder reads along the same directions,
    with the original's encoder norms. What it rebuilds is what width and sparsity give without any learning.
    """
    control = copy.deepcopy(sae)
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(sae.W_dec.shape, generator=generator)
    directions = (directions / directions.norm(dim=1, keepdim=True)).to(sae.W_dec)
    control.W_dec.copy_(directions * sae.W_dec.norm(dim=1, keepdim=True))
    control.W_enc.copy_(directions.T * sae.W_enc.norm(dim=0, keepdim=True))
    if getattr(control, "b_enc", None) is not None:
        control.b_enc.zero_()
    return control
