"""The engine for two inputs: sparse loops, dense blocks, or a GPU where there is one."""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np

from helpers.activations.batches import dense_array
from helpers.activations.moments import Moments
from helpers.devices import cuda_is_likely
from helpers.matching.associations import ASSOCIATIONS
from helpers.matching.candidates import Engine
from helpers.matching.dense_engine import DenseEngine
from helpers.matching.inputs import Side, check_pair, read_side
from helpers.matching.sparse_engine import SparseEngine

logger = logging.getLogger(__name__)


def open_engine(
    a: Any,
    b: Any,
    *,
    association: str = "pearson",
    min_firings: int = 1,
    allow_mixed_kinds: bool = False,
    n_threads: int | None = None,
) -> Engine:
    """Check two sides of activations and open the engine for them; see `match_features` for the arguments.

    Raises:
        ValueError: unknown association; different row counts, tokens or tokenizers; NaN or infinite values.
    """
    if association not in ASSOCIATIONS:
        raise ValueError(f"association must be one of {', '.join(ASSOCIATIONS)}; got {association!r}")
    if min_firings < 1:
        raise ValueError(f"min_firings must be at least 1; got {min_firings}")
    check_pair(a, b, allow_mixed_kinds=allow_mixed_kinds)
    side_a = read_side(a, name="a")
    side_b = side_a if b is a else read_side(b, name="b")
    if side_a.n_tokens != side_b.n_tokens:
        raise ValueError(
            f"a and b must have the same rows (tokens); got {side_a.n_tokens} and {side_b.n_tokens}; "
            "save both from one token batch"
        )
    usable_a, usable_b = (_usable(side, association, min_firings) for side in (side_a, side_b))
    n_threads = n_threads or available_cores()
    if side_a.sparse is not None and side_b.sparse is not None:
        if cuda_is_likely() and (engine := _cuda_engine(side_a, side_b, association, usable_a, usable_b)) is not None:
            return engine
        return SparseEngine(side_a, side_b, association, usable_a, usable_b, n_threads)
    return DenseEngine(side_a, side_b, association, usable_a, usable_b, n_threads)


def open_direction_engine(W_a: Any, W_b: Any) -> DenseEngine:
    """The engine for the cosines of directions, (d_sae_a, d_in) and (d_sae_b, d_in); zero rows are not usable.

    Raises:
        ValueError: not two-dimensional; different d_in; NaN or infinite values.
    """
    first = _directions(W_a, "W_a")
    second = first if W_b is W_a else _directions(W_b, "W_b")
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"W_a and W_b must share d_in; got {first.shape[1]} and {second.shape[1]}; the directions of models of "
            "different width have no cosine: match their activations (match_features)"
        )
    sides = [Side(None, W.T, Moments.empty(len(W)), np.asarray(W.any(axis=1))) for W in (first, second)]
    return DenseEngine(sides[0], sides[1], "cosine", sides[0].varies, sides[1].varies, available_cores())


def _cuda_engine(a: Side, b: Side, association: str, usable_a: np.ndarray, usable_b: np.ndarray) -> Engine | None:
    """The GPU's engine, if there is a usable GPU with room for both sides."""
    import torch

    from helpers.matching.torch_engine import TorchEngine, device_bytes

    if not torch.cuda.is_available():
        return None
    free, _ = torch.cuda.mem_get_info()
    if device_bytes(a, b) > free:
        logger.info(
            "matching on the CPU: the GPU has %.1f GiB free, %.1f needed", free / 2**30, device_bytes(a, b) / 2**30
        )
        return None
    return TorchEngine(a, b, association, usable_a, usable_b, torch.device("cuda"))


def available_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _directions(W: Any, name: str) -> np.ndarray:
    rows = dense_array(W)
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(f"{name} must have shape (d_sae, d_in), both at least 1; got {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError(f"{name} has {int((~np.isfinite(rows)).sum())} NaN or infinite values; load the SAE again")
    return rows


def _usable(side: Side, association: str, min_firings: int) -> np.ndarray:
    """Features that may be matched: firing often enough and not constant."""
    counts = side.moments.counts
    fires = (counts >= max(min_firings, 1)) & side.varies
    # All that jaccard sees of a feature is on which tokens it fires; on all of them it is constant.
    return fires & (counts < side.n_tokens) if association == "jaccard" else fires
