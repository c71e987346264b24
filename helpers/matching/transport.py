"""Matching by optimal transport: every feature has the same weight, moving weight costs 1 - association.

exact        the cheapest plan that moves all weight
entropic     the plan is smoothed by `regularization`: partners are shared out softly, and it is found faster
unbalanced   weight need not be moved: not moving it costs `marginal_penalty` (Kullback-Leibler) instead

A feature's partner is the one that gets most of its weight; a feature of which less than half goes to features that it
associates with stays unmatched. Up to MAX_VALUES pairs of usable features (8,192 x 8,192; about 2 GiB with the solver's
copies) all pairs are seen. Beyond, only exact transport is offered, over the CANDIDATES best partners of every feature
of both sides; all other associations are then taken for 0.

Source: POT, https://pythonot.github.io; Chizat et al. 2018, arXiv:1607.05816 (unbalanced).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse

from helpers.matching.candidates import Engine, on_grid
from helpers.matching.greedy import listed_edges
from helpers.matching.hungarian import values_of

MAX_VALUES = 1 << 26
CANDIDATES = 32
LEAST_REGULARIZATION = 0.002  # exp(-1 / 0.002) is 1e-217: below it the kernel of a cost of 1 vanishes in float64
MASS_KEPT = 0.5
MARGINS = 1e-4  # relative error of an entropic plan's margins at which it counts as converged
MAX_PIVOTS, MAX_STEPS = 50_000_000, 20_000
_REMEDY = "use a larger regularization, or method='hungarian'"


def transport_plan(
    associations: np.ndarray, *, regularization: float = 0.0, marginal_penalty: float | None = None
) -> np.ndarray:
    """Optimal transport between two sets of features of equal total weight 1.

    Shapes:
        associations: (n_a, n_b), at most 1.
    Args:
        regularization: entropic smoothing, 0 = exact; in units of the cost, of which 1 is the most that helps.
        marginal_penalty: of weight that is not moved; None: all weight is moved.
    Returns:
        (n_a, n_b) float64 plan; rows sum to 1 / n_a and columns to 1 / n_b unless unbalanced.
    Raises:
        ValueError: too large; a setting out of range; the solver did not converge.
    """
    _check(associations.shape, regularization, marginal_penalty)
    import ot  # a second to import, and only this method needs it

    weights_a, weights_b = (np.full(size, 1.0 / size) for size in associations.shape)
    cost = 1.0 - associations
    if marginal_penalty is not None:
        return _unbalanced(weights_a, weights_b, cost, regularization, marginal_penalty)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # how POT tells that it did not converge
        try:
            if regularization > 0:
                stop = MARGINS / np.sqrt(len(weights_b))  # a margin of equal weights has norm 1 / sqrt(n)
                return ot.sinkhorn(weights_a, weights_b, cost, regularization, numItermax=MAX_STEPS, stopThr=stop)
            return ot.emd(weights_a, weights_b, cost, numItermax=MAX_PIVOTS)
        except UserWarning as warning:
            raise ValueError(f"optimal transport did not converge ({warning}); {_REMEDY}") from warning


def _unbalanced(
    weights_a: np.ndarray, weights_b: np.ndarray, cost: np.ndarray, regularization: float, marginal_penalty: float
) -> np.ndarray:
    import ot

    solve = ot.unbalanced.mm_unbalanced
    # Change of the plan in a step; a plan that is a permutation has norm 1 / sqrt(n).
    options: dict[str, Any] = {"stopThr": 1e-5 / np.sqrt(min(cost.shape))}
    if regularization > 0:
        solve = ot.unbalanced.sinkhorn_unbalanced
        options = {"reg": regularization, "method": "sinkhorn_stabilized", "stopThr": 1e-6}
    plan, log = solve(weights_a, weights_b, cost, reg_m=marginal_penalty, numItermax=MAX_STEPS, log=True, **options)
    if not (np.isfinite(plan).all() and log["err"][-1] <= options["stopThr"]):
        raise ValueError(f"optimal transport did not converge (last change {log['err'][-1]:.1e}); {_REMEDY}")
    return plan


def transported_pairs(
    engine: Engine, *, asking: str, floor: float, regularization: float, marginal_penalty: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every feature of side `asking` the partner that gets most of its weight: ids_a, ids_b, values."""
    ids_a, ids_b = np.flatnonzero(engine.usable_a), np.flatnonzero(engine.usable_b)
    if len(ids_a) == 0 or len(ids_b) == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    if len(ids_a) * len(ids_b) > MAX_VALUES and regularization == 0 and marginal_penalty is None:
        values, plan = _candidate_plan(engine, ids_a, ids_b, floor)
    else:
        _check((len(ids_a), len(ids_b)), regularization, marginal_penalty)
        dense = on_grid(np.maximum(engine.block(ids_a, ids_b), 0.0))
        dense[dense <= floor] = 0.0
        dense_plan = transport_plan(dense, regularization=regularization, marginal_penalty=marginal_penalty)
        values, plan = scipy.sparse.csr_array(dense), scipy.sparse.csr_array(dense_plan * (dense > 0))
    if asking == "b":
        values, plan = values.T.tocsr(), plan.T.tocsr()
    partner = plan.argmax(axis=1)
    matched = np.flatnonzero(plan.sum(axis=1) >= MASS_KEPT / plan.shape[0])
    values.sort_indices()
    found = values_of(values, matched, partner[matched])
    asking_ids, partner_ids = (ids_a, ids_b) if asking == "a" else (ids_b, ids_a)
    pairs = asking_ids[matched], partner_ids[partner[matched]]
    return (*pairs, found) if asking == "a" else (pairs[1], pairs[0], found)


def _candidate_plan(
    engine: Engine, ids_a: np.ndarray, ids_b: np.ndarray, floor: float
) -> tuple[scipy.sparse.csr_array, scipy.sparse.csr_array]:
    """Associations of the candidate pairs and the exact plan over them, both (len(ids_a), len(ids_b)).

    Pairs that are no candidates cost 1. They are not listed: one dummy on each side takes weight at cost 1/2 and hands
    it on at cost 1/2, whoever it came from.
    """
    import ot

    edges = listed_edges(engine.both_lists(k=CANDIDATES, floor=floor))
    rows, columns = np.searchsorted(ids_a, edges.ids[:, 0]), np.searchsorted(ids_b, edges.ids[:, 1])
    values = on_grid(edges.values)
    n_a, n_b = len(ids_a), len(ids_b)
    tiny = 1e-12  # a stored cost of 0 would be a missing edge
    costs = scipy.sparse.coo_array(
        (
            np.concatenate([1.0 - values + tiny, np.full(n_a + n_b, 0.5), [tiny]]),
            (
                np.concatenate([rows, np.arange(n_a), np.full(n_b + 1, n_a)]),
                np.concatenate([columns, np.full(n_a, n_b), np.arange(n_b + 1)]),
            ),
        ),
        shape=(n_a + 1, n_b + 1),
    )
    weights_a, weights_b = np.append(np.full(n_a, 1.0 / n_a), 1.0), np.append(np.full(n_b, 1.0 / n_b), 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            plan = ot.emd(weights_a, weights_b, costs, numItermax=MAX_PIVOTS)
        except UserWarning as warning:
            raise ValueError(f"optimal transport did not converge ({warning}); use method='hungarian'") from warning
    associations = scipy.sparse.csr_array((values, (rows, columns)), shape=(n_a, n_b))
    return associations, scipy.sparse.csr_array(plan)[:n_a, :n_b]


def _check(shape: tuple[int, ...], regularization: float, marginal_penalty: float | None) -> None:
    if shape[0] * shape[1] > MAX_VALUES:
        raise ValueError(
            f"this optimal transport holds all {shape[0]:,} x {shape[1]:,} pairs and takes at most {MAX_VALUES:,}; "
            "use regularization=0 and marginal_penalty=None, or method='hungarian' (both any size), or raise min_firings"
        )
    if regularization != 0 and regularization < LEAST_REGULARIZATION:
        raise ValueError(
            f"regularization must be 0 (exact) or at least {LEAST_REGULARIZATION}; got {regularization}; "
            "smaller values vanish in float64"
        )
    if marginal_penalty is not None and marginal_penalty <= 0:
        raise ValueError(f"marginal_penalty must be above 0, or None to move all weight; got {marginal_penalty}")
