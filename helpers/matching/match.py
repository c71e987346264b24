"""match_features: pair the features of two dictionaries by how they fire on the same tokens."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from helpers.matching.associations import ASSOCIATIONS
from helpers.matching.candidates import Engine
from helpers.matching.dense_engine import DenseEngine
from helpers.matching.inputs import Side, check_pair, read_side
from helpers.matching.methods import METHODS, Request
from helpers.matching.pairs import FeaturePairs, make_pairs
from helpers.matching.sparse_engine import SparseEngine

DIRECTIONS = ("a_to_b", "b_to_a")
ZERO = 1e-12  # associations up to this are rounding errors of 0


def match_features(
    a: Any,
    b: Any,
    *,
    method: str = "one_to_one",
    direction: str = "b_to_a",
    top_k: int = 1,
    association: str = "pearson",
    min_firings: int = 1,
    max_partners: int | None = None,
    min_corr: float = 0.0,
    allow_mixed_kinds: bool = False,
    n_threads: int | None = None,
) -> FeaturePairs:
    """Pair features of `a` with features of `b`.

    Shapes:
        a: (n_tokens, d_sae_a); b: (n_tokens, d_sae_b); an ActivationStore, a SciPy sparse matrix, or a dense array or
        tensor; row i is the same token in both.
    Args:
        method: "nearest" (each feature of the asking side takes its best), "mutual" (each other's best) or
            "one_to_one" (greedy on sorted association, over all pairs).
        direction: who asks. "b_to_a": for each feature of b the best of a; "a_to_b": the reverse.
        top_k: nearest only: partners taken by each asking feature.
        association: "pearson", "cosine" (of activations) or "jaccard" (of firing).
        min_firings: features that are non-zero on fewer tokens stay unmatched.
        max_partners: a searched feature is taken at most this often, the strongest pairs first; None: no limit for
            nearest, 1 for one_to_one.
        min_corr: pairs must exceed this association.
        allow_mixed_kinds: permit a store of pre-activations against one of post-activations.
        n_threads: CPU threads, default all; the result does not depend on it.
    Returns:
        FeaturePairs, strongest first. `corr` is in (0, 1]: only positive associations make a pair.
    Raises:
        ValueError: unknown option; different row counts, tokens or tokenizers; NaN or infinite values.
    Notes:
        A dead, constant or too rare feature, and one whose best association is not positive, is unmatched. Two
        non-negative features that never fire together correlate at most 0, so nothing is lost by looking only at
        features that do. Cost: n_tokens x L0_a x L0_b products; memory: a block.
    """
    _check_options(method, direction, top_k, association, min_firings, max_partners, min_corr)
    check_pair(a, b, allow_mixed_kinds=allow_mixed_kinds)
    side_a, side_b = read_side(a, name="a"), read_side(b, name="b")
    if side_a.n_tokens != side_b.n_tokens:
        raise ValueError(
            f"a and b must have the same rows (tokens); got {side_a.n_tokens} and {side_b.n_tokens}; "
            "save both from one token batch"
        )
    engine = _engine(side_a, side_b, association, min_firings, n_threads or len(os.sched_getaffinity(0)))
    request = Request(direction=direction, top_k=top_k, max_partners=max_partners, floor=max(min_corr, ZERO))
    raw = METHODS[method](engine, request)
    settings = {
        "method": method,
        "direction": direction,
        "top_k": top_k,
        "association": association,
        "min_firings": min_firings,
        "max_partners": max_partners,
        "min_corr": min_corr,
        "n_tokens": side_a.n_tokens,
        "d_sae_a": side_a.d_sae,
        "d_sae_b": side_b.d_sae,
    }
    return make_pairs(raw.ids_a, raw.ids_b, raw.corr, settings=settings)


def _engine(a: Side, b: Side, association: str, min_firings: int, n_threads: int) -> Engine:
    usable_a, usable_b = (_usable(side, association, min_firings) for side in (a, b))
    if a.sparse is not None and b.sparse is not None:
        return SparseEngine(a, b, association, usable_a, usable_b, n_threads)
    return DenseEngine(a, b, association, usable_a, usable_b)


def _usable(side: Side, association: str, min_firings: int) -> np.ndarray:
    """Features that may be matched: firing often enough and not constant."""
    counts = side.moments.counts
    fires = (counts >= max(min_firings, 1)) & side.varies
    # All that jaccard sees of a feature is on which tokens it fires; on all of them it is constant.
    return fires & (counts < side.n_tokens) if association == "jaccard" else fires


def _check_options(
    method: str,
    direction: str,
    top_k: int,
    association: str,
    min_firings: int,
    max_partners: int | None,
    min_corr: float,
) -> None:
    for name, value, allowed in (
        ("method", method, tuple(METHODS)),
        ("direction", direction, DIRECTIONS),
        ("association", association, ASSOCIATIONS),
    ):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}")
    for name, number in (("top_k", top_k), ("min_firings", min_firings), ("max_partners", max_partners)):
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1; got {number}")
    if not -1 <= min_corr < 1:
        raise ValueError(f"min_corr must be in [-1, 1); got {min_corr}; only positive associations make a pair")
