"""Rows of a model's activations encoded with a dictionary, a few at a time, and made small before they travel.

Encoding is done in the dictionary's own precision: activations of a bfloat16 or float16 model are cast once, on entering
a float32 dictionary. The dense result of a few rows is reduced to its non-zero values where it was computed, so that
these alone go through the bus and the host's memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
import torch

from helpers.activations.batches import dense_array, sparse_array
from helpers.activations.topk_rows import takes_tiles, topk_rows
from helpers.devices import run_in_halves
from helpers.transfers import HostCopy

if TYPE_CHECKING:
    from sae_lens import SAE

# Values encoded at once. On a CPU 8 MiB of float32 stay in the allocator and near the cache (40 % faster than 64 MiB).
ENCODED_VALUES = {"cpu": 1 << 21, "cuda": 1 << 26}

#: Gives encoded rows, a CSR array or (pre-activations) a dense one, once they are on the host; waits for them.
Arriving = Callable[[], Any]


class RowEncoder:
    """Encodes rows with the SAE's own `encode`, or, where that gives the same and costs less, without its dense result.

    Args:
        sae: any SAE of SAELens, on any device.
        kind: "feature_acts" (post-activations) or "hidden_pre" (pre-activations).
    Attributes:
        n_rows: rows encoded at once; halved, for good, when an accelerator's memory is too small for so many.
    """

    def __init__(self, sae: SAE, *, kind: str):
        self.sae = sae
        self.kind = kind
        self._tiles = kind == "feature_acts" and takes_tiles(sae)
        self._parameter = next(sae.parameters())
        self.n_rows = max(1, _encoded_values(self._parameter.device) // sae.cfg.d_sae)

    def encode(self, activations: torch.Tensor) -> Arriving:
        """Start to encode rows; what is returned gives them, in order.

        Shapes:
            activations: (n_rows, d_in), on any device and of any float type. Gives (n_rows, d_sae).
        Raises:
            torch.OutOfMemoryError: a single row does not fit.
        """
        tiled = topk_rows(self.sae, activations) if self._tiles else None
        if tiled is not None:
            return lambda: tiled
        parts: list[Arriving] = []
        start = 0
        while start < len(activations):
            rest = activations[start:]
            n_fitting = min(self.n_rows, len(rest))
            part, n_encoded = run_in_halves(partial(self._first_rows, rest), n_fitting, unit="rows")
            if n_encoded < n_fitting:
                self.n_rows = n_encoded
            parts.append(part)
            start += n_encoded
        return lambda: _stacked([part() for part in parts])

    @torch.no_grad()
    def _first_rows(self, activations: torch.Tensor, n_rows: int) -> Arriving:
        rows = activations[:n_rows].to(device=self._parameter.device, dtype=self._parameter.dtype)
        if self.kind == "hidden_pre":
            copy = HostCopy(_pre_activations(self.sae, rows))
            return lambda: dense_array(copy.tensor())
        return arriving_sparse(self.sae.encode(rows))


def arriving_sparse(block: torch.Tensor) -> Arriving:
    """Start to bring the non-zero values of a dense block to the host.

    Shapes:
        block: (n_rows, d_sae), on any device. Gives a CSR array of this shape; NaN counts as non-zero.
    """
    if block.device.type == "cpu":
        rows = sparse_array(block)
        return lambda: rows
    return non_zero_copies(block)


def non_zero_copies(block: torch.Tensor) -> Arriving:
    """`arriving_sparse` by the device itself. The host waits for the encoding here, for only then is it known how many
    values there are; it does not wait for the copies."""
    rows, columns = torch.nonzero(block, as_tuple=True)
    values = block[rows, columns]
    copies = (
        HostCopy((block != 0).sum(dim=1)),
        HostCopy(columns.to(torch.int32)),
        HostCopy(values if values.dtype == torch.float64 else values.float()),
    )
    shape = tuple(block.shape)

    def arrived() -> scipy.sparse.csr_array:
        counts, indices, data = (copy.tensor().numpy() for copy in copies)
        return scipy.sparse.csr_array((data, indices, np.concatenate([[0], np.cumsum(counts)])), shape=shape)

    return arrived


def _encoded_values(device: torch.device) -> int:
    return ENCODED_VALUES.get(device.type, ENCODED_VALUES["cpu"])


def _pre_activations(sae: SAE, activations: torch.Tensor) -> torch.Tensor:
    """What the SAE's encoder computes before its activation function, read at its own hook."""
    caught: list[torch.Tensor] = []

    def catch(value: torch.Tensor, hook: Any) -> None:  # noqa: ARG001 (the hook protocol passes it by name)
        caught.append(value)

    with sae.hooks(fwd_hooks=[("hook_sae_acts_pre", catch)]):
        sae.encode(activations)
    if len(caught) != 1:
        raise ValueError(f"{type(sae).__name__} does not expose hook_sae_acts_pre; store kind='feature_acts' instead")
    return caught[0]


def _stacked(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else scipy.sparse.vstack(parts, format="csr")
