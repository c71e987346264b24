"""What a re-pairing asks of two symmetric matrices, by compiled loops or, for many rows, on a GPU where there is one.

Both sum in float64 and agree to rounding; rsa and linear_cka come down to this sum for every permutation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from helpers.devices import cuda_is_likely
from helpers.similarity.kernels import permuted_inner

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

#: With fewer rows a thousand permutations take the CPU about as long as loading torch does.
GPU_ROWS = 1000
#: Values of b that are put in order at once: 128 MiB of float64.
ORDERED_VALUES = 1 << 24


def pairing_sum(a: np.ndarray, b: np.ndarray) -> Callable[[np.ndarray], float]:
    """The function of a permutation p that returns the sum over i < j of a[i, j] * b[p[i], p[j]].

    Shapes:
        a, b: (n, n) float64, symmetric.
    """
    device = _gpu_with_room(a, b) if len(a) >= GPU_ROWS and cuda_is_likely() else None
    if device is not None:
        return device_pairing_sum(a, b, device=device)
    return lambda permutation: float(permuted_inner(a, b, permutation))


def device_pairing_sum(a: np.ndarray, b: np.ndarray, *, device: torch.device) -> Callable[[np.ndarray], float]:
    """`pairing_sum` on a torch device, which holds both matrices; some rows of b are put in order at a time."""
    import torch

    from helpers.transfers import to_device

    upper, other = to_device(np.triu(a, k=1), device), to_device(b, device)
    step = max(1, ORDERED_VALUES // len(a))

    def evaluate(permutation: np.ndarray) -> float:
        order = to_device(permutation, device)
        total = torch.zeros((), dtype=torch.float64, device=device)
        for rows, weights in zip(order.split(step), upper.split(step), strict=True):
            total += (weights * other[rows[:, None], order]).sum()
        return float(total)

    return evaluate


def _gpu_with_room(a: np.ndarray, b: np.ndarray) -> torch.device | None:
    import torch

    if not torch.cuda.is_available():
        return None
    free, _ = torch.cuda.mem_get_info()
    needed = a.nbytes + b.nbytes + 4 * 8 * max(ORDERED_VALUES, len(a))
    if needed > free:
        logger.info("permutations on the CPU: the GPU has %.1f GiB free, %.1f needed", free / 2**30, needed / 2**30)
        return None
    return torch.device("cuda")
