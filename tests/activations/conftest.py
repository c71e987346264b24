"""Small dictionaries on the tiny model, and stores of random activations."""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch
from sae_lens import StandardSAE, StandardSAEConfig, TopKSAE, TopKSAEConfig

from helpers.activations import ActivationStore

D_IN = 16


def small_sae(*, d_sae: int = 40, k: int | None = 4, d_in: int = D_IN, seed: int = 0):
    """A random TopK dictionary, or with k=None a ReLU one."""
    if k is None:
        sae = StandardSAE(StandardSAEConfig(d_in=d_in, d_sae=d_sae))
    else:
        sae = TopKSAE(TopKSAEConfig(d_in=d_in, d_sae=d_sae, k=k))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return sae


def random_activations(n_tokens: int, d_sae: int, *, density: float = 0.1, seed: int = 0) -> scipy.sparse.csr_array:
    """Non-negative sparse activations, exact in float16."""
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 64, size=(n_tokens, d_sae)) / 8
    return scipy.sparse.csr_array(values * (rng.random((n_tokens, d_sae)) < density))


def append(writer, batch, *, first: int) -> None:
    """Append rows that look like documents of 10 tokens."""
    rows = np.arange(first, first + batch.shape[0])
    writer.append(batch, token_ids=rows % 13, documents=rows // 10, positions=rows % 10)


def write_store(path, matrix, *, batch_rows: int = 64, **options) -> ActivationStore:
    """A store of a matrix, written in batches."""
    with ActivationStore.create(path, d_sae=matrix.shape[1], **options) as writer:
        for first in range(0, matrix.shape[0], batch_rows):
            append(writer, matrix[first : first + batch_rows], first=first)
    return ActivationStore.open(path, verify=True)
