"""Carry a vector through matched features: its features in one model, their partners in the other, what those write.

Nulls keep the features and their weights and exchange the partners.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, Int64

from helpers.matching import FeaturePairs
from helpers.nulls import frequency_matched_draw, random_draw
from helpers.saes import LoadedSae
from helpers.steering.feature_edits import decoder_rows, require_plain_sae
from helpers.steering.feature_sums import FeatureSum
from helpers.steering.vectors import SteeringVector

PartnerNull = Literal["random partners", "partners of like frequency", "partners exchanged"]
PARTNER_NULLS: tuple[PartnerNull, ...] = ("random partners", "partners of like frequency", "partners exchanged")


def partners_of(feature_ids: Int64[np.ndarray, " n_features"], pairs: FeaturePairs) -> Int64[np.ndarray, " n_features"]:
    """The partner in b of every feature of a, the strongest where there are several; -1 where there is none.

    Raises:
        ValueError: an id beyond a's dictionary.
    """
    feature_ids = np.asarray(feature_ids, dtype=np.int64)
    if len(feature_ids) and not 0 <= feature_ids.min() <= feature_ids.max() < pairs.d_sae_a:
        raise ValueError(f"feature ids are in [0, {pairs.d_sae_a}); got {feature_ids.min()} to {feature_ids.max()}")
    partner = np.full(pairs.d_sae_a, -1, np.int64)
    partner[pairs.ids_a[::-1]] = pairs.ids_b[::-1]  # pairs come strongest first: the last to write is the strongest
    return partner[feature_ids]


def carry_features(
    parts: FeatureSum,
    pairs: FeaturePairs,
    loaded_b: LoadedSae,
    *,
    name: str,
    residual_norm: float | None = None,
) -> SteeringVector:
    """What the partners of a vector's features write in the second model, with the same weights.

    Args:
        parts: the vector as features of the first model (`decompose`, `encode_difference`); those without a partner are left
            out: name the matched ones as candidates, and the others' share goes to them.
        pairs: of the first model's dictionary (a) and the second's (b).
        name: what the study calls the second model; residual_norm: mean length of its hook's rows.
    Raises:
        ValueError: pairs of other dictionaries, no feature with a partner, a dictionary that scales its input, or partners
            whose rows cancel out.
    """
    require_plain_sae(loaded_b)
    d_sae_b = loaded_b.sae.cfg.d_sae
    if pairs.d_sae_b != d_sae_b:
        raise ValueError(f"expected pairs with a dictionary of {d_sae_b} features; got {pairs.d_sae_b}: of another SAE")
    partners = partners_of(parts.feature_ids, pairs)
    kept = partners >= 0
    if not kept.any():
        raise ValueError(
            "no feature of the vector has a partner; lower min_corr, or decompose it into matched features (candidates)"
        )
    distinct, places = np.unique(partners[kept], return_inverse=True)  # features may share a partner
    summed = np.bincount(places, weights=parts.weights[kept])
    weights = {str(b): float(w) for b, w in zip(distinct, summed, strict=True)}
    return SteeringVector(
        vector=parts.weights[kept] @ _rows(loaded_b, partners[kept]),
        hook_name=loaded_b.hook_name,
        model=name,
        method="carried by matched features",
        details={
            "decomposition": parts.method,
            "n_features": int(kept.sum()),
            "n_without_partner": int((~kept).sum()),
            "partners": weights,
            "from": {"model": parts.source.model, "method": parts.source.method, **parts.source.details},
        },
        residual_norm=residual_norm,
    )


def exchanged_partners(
    parts: FeatureSum,
    pairs: FeaturePairs,
    loaded_b: LoadedSae,
    *,
    counts_b: Int64[np.ndarray, " d_sae_b"],
    null: PartnerNull,
    n_runs: int,
    seed: int,
) -> Float[np.ndarray, "n_runs d_b"]:
    """The vector of `carry_features` under wrong matchings.

    Args:
        counts_b: tokens on which each feature of b fires; candidates fire as often as a matched one must.
        null: "random partners", any candidates; "partners of like frequency", candidates that fire about as often as the
            right ones; "partners exchanged", the right partners with each other's weights.
    Returns:
        (n_runs, d_b) float64.
    Raises:
        ValueError: another null, no run, counts of another dictionary, or no feature with a partner.
    """
    if null not in PARTNER_NULLS:
        raise ValueError(f"null is one of {', '.join(PARTNER_NULLS)}; got {null!r}")
    if n_runs < 1 or len(counts_b) != loaded_b.sae.cfg.d_sae:
        raise ValueError(
            f"expected a run or more and {loaded_b.sae.cfg.d_sae} counts; got {n_runs} runs and {len(counts_b)} counts"
        )
    partners = partners_of(parts.feature_ids, pairs)
    weights, partners = parts.weights[partners >= 0], partners[partners >= 0]
    if not len(partners):
        raise ValueError("no feature of the vector has a partner; lower min_corr")
    candidates = np.union1d(np.flatnonzero(counts_b >= int(pairs.settings.get("min_firings", 1))), pairs.ids_b)
    rng = np.random.default_rng(seed)
    if null == "random partners":
        draw = random_draw(partners, candidates=candidates)
    elif null == "partners of like frequency":
        draw = frequency_matched_draw(partners, counts=counts_b, candidates=candidates)
    else:
        draw = lambda generator: generator.permutation(partners)
    return np.stack([weights @ _rows(loaded_b, draw(rng)) for _ in range(n_runs)])


def _rows(loaded: LoadedSae, feature_ids: np.ndarray) -> Float[np.ndarray, "n_features d"]:
    return decoder_rows(loaded, feature_ids.tolist()).detach().cpu().double().numpy()
