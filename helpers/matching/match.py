"""match_features and match_directions: pair the features of two dictionaries; several limits or all methods at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from helpers.matching.candidates import Engine, RememberingEngine
from helpers.matching.engines import open_direction_engine, open_engine
from helpers.matching.methods import METHODS, Request
from helpers.matching.pairs import FeaturePairs, make_pairs

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
    regularization: float = 0.0,
    marginal_penalty: float | None = None,
    allow_mixed_kinds: bool = False,
    n_threads: int | None = None,
) -> FeaturePairs:
    """Pair features of `a` with features of `b` by how they fire on the same tokens.

    Shapes:
        a: (n_tokens, d_sae_a); b: (n_tokens, d_sae_b); an ActivationStore, a SciPy sparse matrix, or a dense array or
        tensor; row i is the same token in both.
    Args:
        method: "nearest" (each feature of the asking side takes its best), "mutual" (each other's best), "one_to_one"
            (greedy on sorted association, over all pairs), "hungarian" (one to one, greatest total association) or
            "ot" (optimal transport; see `helpers.matching.transport` for its kinds and their sizes).
        direction: who asks. "b_to_a": for each feature of b the best of a; "a_to_b": the reverse.
        top_k: nearest only: partners taken by each asking feature.
        association: "pearson", "cosine" (of activations) or "jaccard" (of firing).
        min_firings: features that are non-zero on fewer tokens stay unmatched.
        max_partners: a searched feature is taken at most this often, the strongest pairs first; None: no limit for
            nearest, 1 for one_to_one.
        min_corr: pairs must exceed this association.
        regularization, marginal_penalty: ot only, see `helpers.matching.transport`: 0 is exact, None moves all weight.
        allow_mixed_kinds: permit a store of pre-activations against one of post-activations.
        n_threads: CPU threads, default all; the result does not depend on it.
    Returns:
        FeaturePairs, strongest first. `corr` is in (0, 1]: only positive associations make a pair. For hungarian
        settings["optimality_gap"] bounds by what share the best matching over all pairs could be better.
    Raises:
        ValueError: unknown option; different row counts, tokens or tokenizers; NaN or infinite values.
    Notes:
        A dead, constant or too rare feature, and one whose best association is not positive, is unmatched. Two
        non-negative features that never fire together correlate at most 0, so nothing is lost by looking only at
        features that do. Cost: n_tokens x L0_a x L0_b products; memory: a block.
    """
    request = Request(direction, top_k, max_partners, max(min_corr, ZERO), regularization, marginal_penalty)
    _check_options(method, request, min_corr)
    engine = open_engine(
        a,
        b,
        association=association,
        min_firings=min_firings,
        allow_mixed_kinds=allow_mixed_kinds,
        n_threads=n_threads,
    )
    about = {"association": association, "min_firings": min_firings, "min_corr": min_corr, "n_tokens": np.shape(a)[0]}
    return _match(engine, method, request, about)


def match_directions(
    W_a: Any,
    W_b: Any,
    *,
    method: str = "one_to_one",
    direction: str = "b_to_a",
    top_k: int = 1,
    max_partners: int | None = None,
    min_corr: float = 0.0,
    regularization: float = 0.0,
    marginal_penalty: float | None = None,
) -> FeaturePairs:
    """Pair features by the cosine of their directions: two dictionaries of one model, or a dictionary and the truth.

    Shapes:
        W_a: (d_sae_a, d_in); W_b: (d_sae_b, d_in); decoder (or encoder) rows in the same space.
    Args:
        as for `match_features`; `min_corr` is the cosine that pairs must exceed.
    Returns:
        FeaturePairs; `corr` is the cosine, in (0, 1]. A zero direction is unmatched.
    Raises:
        ValueError: unknown option; different d_in; NaN or infinite values.
    """
    request = Request(direction, top_k, max_partners, max(min_corr, ZERO), regularization, marginal_penalty)
    _check_options(method, request, min_corr)
    engine = open_direction_engine(W_a, W_b)
    about = {"association": "direction_cosine", "min_corr": min_corr, "d_in": np.shape(W_a)[-1]}
    return _match(engine, method, request, about)


def sweep_max_partners(
    a: Any,
    b: Any,
    *,
    max_partners: Sequence[int | None] = (1, 10, 100, None),
    direction: str = "b_to_a",
    association: str = "pearson",
    min_firings: int = 1,
    min_corr: float = 0.0,
    allow_mixed_kinds: bool = False,
    n_threads: int | None = None,
) -> list[FeaturePairs]:
    """Matchings from one-to-one (1) to many-to-one (None: no limit), a result for each limit, in the given order.

    Every asking feature has at most one partner; a searched feature is taken at most `max_partners` times, the
    strongest pairs first. The inputs are read once and the search that all limits start from is made once.
    Raises:
        ValueError: as `match_features`.
    """
    request = Request(direction, 1, None, max(min_corr, ZERO))
    requests = [replace(request, max_partners=limit) for limit in max_partners]
    for each in requests:
        _check_options("nearest", each, min_corr)
    engine = RememberingEngine(
        open_engine(
            a,
            b,
            association=association,
            min_firings=min_firings,
            allow_mixed_kinds=allow_mixed_kinds,
            n_threads=n_threads,
        )
    )
    about = {"association": association, "min_firings": min_firings, "min_corr": min_corr, "n_tokens": np.shape(a)[0]}
    return [_match(engine, "nearest", each, about) for each in requests]


def match_again(pairs: FeaturePairs, a: Any, b: Any, *, n_threads: int | None = None) -> FeaturePairs:
    """Match other tokens with the settings that made `pairs`.

    Shapes:
        a: (n_tokens, d_sae_a); b: (n_tokens, d_sae_b); as for `match_features`.
    Raises:
        ValueError: `pairs` come from directions and not from activations, or as `match_features`.
    """
    names = ("method", "direction", "top_k", "max_partners", "association", "min_firings")
    return match_features(
        a,
        b,
        **{
            name: pairs.settings[name]
            for name in (*names, "regularization", "marginal_penalty")
            if name in pairs.settings
        },
        n_threads=n_threads,
    )


def match_by_every_method(
    a: Any,
    b: Any,
    *,
    association: str = "pearson",
    min_firings: int = 1,
    min_corr: float = 0.0,
    largest_transport: int = 1 << 24,
    allow_mixed_kinds: bool = False,
    n_threads: int | None = None,
) -> dict[str, FeaturePairs]:
    """One matching by each method, for a table of methods; nearest in both directions. The inputs are read once.

    Args:
        largest_transport: optimal transport holds all pairs of usable features; with more than this it is left out.
        others: as for `match_features`.
    Returns:
        "nearest (b asks)", "nearest (a asks)", "mutual", "one_to_one", "hungarian" and, unless too large, "ot".
    Raises:
        ValueError: as `match_features`.
    """
    engine = RememberingEngine(
        open_engine(
            a,
            b,
            association=association,
            min_firings=min_firings,
            allow_mixed_kinds=allow_mixed_kinds,
            n_threads=n_threads,
        )
    )
    about = {"association": association, "min_firings": min_firings, "min_corr": min_corr, "n_tokens": np.shape(a)[0]}
    found = {}
    for method in METHODS:
        if method == "ot" and int(engine.usable_a.sum()) * int(engine.usable_b.sum()) > largest_transport:
            continue
        for direction in ("b_to_a", "a_to_b") if method == "nearest" else ("b_to_a",):
            request = Request(direction, 1, None, max(min_corr, ZERO))
            _check_options(method, request, min_corr)
            name = f"nearest ({direction[0]} asks)" if method == "nearest" else method
            found[name] = _match(engine, method, request, about)
    return found


def _match(engine: Engine, method: str, request: Request, about: dict[str, Any]) -> FeaturePairs:
    raw = METHODS[method](engine, request)
    settings = {
        "method": method,
        "direction": request.direction,
        "top_k": request.top_k,
        "max_partners": request.max_partners,
        **about,
        **raw.notes,
        "d_sae_a": engine.d_a,
        "d_sae_b": engine.d_b,
    }
    return make_pairs(raw.ids_a, raw.ids_b, raw.corr, settings=settings)


def _check_options(method: str, request: Request, min_corr: float) -> None:
    for name, value, allowed in (
        ("method", method, tuple(METHODS)),
        ("direction", request.direction, DIRECTIONS),
    ):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}")
    for name, number in (("top_k", request.top_k), ("max_partners", request.max_partners)):
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1; got {number}")
    if not -1 <= min_corr < 1:
        raise ValueError(f"min_corr must be in [-1, 1); got {min_corr}; only positive associations make a pair")
    if method != "ot" and (request.regularization != 0 or request.marginal_penalty is not None):
        raise ValueError(f"regularization and marginal_penalty are settings of method='ot'; got method={method!r}")
