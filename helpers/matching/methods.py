"""The matching methods: each turns best-partner lists into pairs. `METHODS` is the registry.

nearest     every feature of the asking side takes its best partners; partners may be shared
mutual      pairs that are each other's best
one_to_one  greedy on sorted association, exact over *all* pairs; `max_partners` lets a partner be taken more often
hungarian   one to one with the greatest total association over the whole dictionaries, with a bound on what it misses
ot          optimal transport (exact, entropic or unbalanced): the partner that gets most of a feature's weight
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from helpers.matching.candidates import Engine
from helpers.matching.greedy import greedy_pairs
from helpers.matching.hungarian import optimal_pairs
from helpers.matching.transport import transported_pairs


@dataclass(frozen=True)
class Request:
    """What a method needs to know; see `match_features`."""

    direction: str
    top_k: int
    max_partners: int | None
    floor: float
    regularization: float = 0.0
    marginal_penalty: float | None = None


@dataclass(frozen=True)
class RawPairs:
    """Pairs in no particular order: ids_a, ids_b, corr of equal length; `notes` join the settings of the result."""

    ids_a: np.ndarray
    ids_b: np.ndarray
    corr: np.ndarray
    notes: dict[str, Any] = field(default_factory=dict)


Method = Callable[[Engine, Request], RawPairs]


def nearest(engine: Engine, request: Request) -> RawPairs:
    """The best `top_k` partners of every feature of the asking side (b for "b_to_a")."""
    if request.max_partners is not None:
        if request.top_k != 1:
            raise ValueError(f"max_partners needs top_k=1; got top_k={request.top_k}; leave one of them out")
        return _greedy(engine, request, capacity=request.max_partners)
    asking = "b" if request.direction == "b_to_a" else "a"
    best = engine.best_partners(of=asking, k=request.top_k, floor=request.floor)
    asking_ids, slots = np.nonzero(best.ids >= 0)
    partners, corr = best.ids[asking_ids, slots], best.values[asking_ids, slots]
    return RawPairs(partners, asking_ids, corr) if asking == "b" else RawPairs(asking_ids, partners, corr)


def mutual(engine: Engine, request: Request) -> RawPairs:
    """Pairs that are each other's best partner."""
    _only_single(request, "mutual")
    lists = engine.both_lists(k=1, floor=request.floor)
    of_a, of_b = lists.of_a, lists.of_b
    ids_a = np.flatnonzero(of_a.ids[:, 0] >= 0)
    ids_b = of_a.ids[ids_a, 0]
    agree = of_b.ids[ids_b, 0] == ids_a
    return RawPairs(ids_a[agree], ids_b[agree], of_a.values[ids_a[agree], 0])


def one_to_one(engine: Engine, request: Request) -> RawPairs:
    """Take pairs by falling association while both features are free.

    With max_partners = m a feature of the searched side (a for "b_to_a") may be taken m times.
    """
    if request.top_k != 1:
        raise ValueError(f"one_to_one needs top_k=1; got {request.top_k}; use max_partners for more partners")
    return _greedy(engine, request, capacity=request.max_partners or 1)


def hungarian(engine: Engine, request: Request) -> RawPairs:
    """The one-to-one pairs of greatest total association; `optimality_gap` bounds what the dense optimum has more."""
    _only_single(request, "hungarian")
    result = optimal_pairs(engine, floor=request.floor)
    return RawPairs(result.ids_a, result.ids_b, result.values, {"optimality_gap": result.gap})


def ot(engine: Engine, request: Request) -> RawPairs:
    """Every feature of the asking side and the partner that gets most of its weight."""
    _only_single(request, "ot")
    ids_a, ids_b, corr = transported_pairs(
        engine,
        asking="b" if request.direction == "b_to_a" else "a",
        floor=request.floor,
        regularization=request.regularization,
        marginal_penalty=request.marginal_penalty,
    )
    notes = {"regularization": request.regularization, "marginal_penalty": request.marginal_penalty}
    return RawPairs(ids_a, ids_b, corr, notes)


METHODS: dict[str, Method] = {
    "nearest": nearest,
    "mutual": mutual,
    "one_to_one": one_to_one,
    "hungarian": hungarian,
    "ot": ot,
}


def _greedy(engine: Engine, request: Request, *, capacity: int) -> RawPairs:
    capacities = (capacity, 1) if request.direction == "b_to_a" else (1, capacity)
    ids_a, ids_b, corr = greedy_pairs(engine, floor=request.floor, capacity_a=capacities[0], capacity_b=capacities[1])
    return RawPairs(ids_a, ids_b, corr)


def _only_single(request: Request, name: str) -> None:
    if request.top_k != 1 or request.max_partners is not None:
        raise ValueError(f"{name} takes neither top_k nor max_partners; got {request.top_k} and {request.max_partners}")
