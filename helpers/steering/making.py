"""Find steering vectors: from what a layer holds at prompts, from a dictionary's features, or from a given direction.

Sources: difference of means, e.g. Marks and Tegmark 2023 (arXiv:2310.06824); contrastive pairs, Rimsky et al. 2023
(arXiv:2312.06681); their main direction, Zou et al. 2023 (arXiv:2310.01405).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float

from helpers.saes import LoadedSae
from helpers.steering.feature_edits import decoder_rows, require_plain_sae
from helpers.steering.measuring import Token, mean_residual_norm, prompt_states
from helpers.steering.prompts import Prompts
from helpers.steering.vectors import SteeringVector

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Summary = Literal["mean", "main_direction"]


def difference_of_means(
    model: TransformerBridge,
    toward: Prompts,
    away: Prompts,
    *,
    hook_name: str,
    name: str,
    token: Token = "last",
    details: Mapping[str, Any] | None = None,
) -> SteeringVector:
    """Mean of one set of prompts minus the mean of another.

    Args:
        toward: prompts that have what the vector is to bring; away: prompts that have not. The sets may differ in size.
        name: what the study calls the model.
        token: the last token, where the next word is decided, or the mean over all tokens of text.
        details: what the prompts are; JSON types only.
    Raises:
        ValueError: an unknown hook, prompts that do not fit the model, or sets with the same mean.
    """
    sides = [prompt_states(model, side, hook_name=hook_name, token=token).mean(axis=0) for side in (toward, away)]
    return SteeringVector(
        vector=sides[0] - sides[1],
        hook_name=hook_name,
        model=name,
        method="difference of means",
        details={"token": token, "n_toward": toward.n_prompts, "n_away": away.n_prompts, **(details or {})},
        residual_norm=_shared_norm(model, [toward, away], hook_name),
    )


def contrastive_pairs(
    model: TransformerBridge,
    toward: Prompts,
    away: Prompts,
    *,
    hook_name: str,
    name: str,
    token: Token = "last",
    summary: Summary = "mean",
    details: Mapping[str, Any] | None = None,
) -> SteeringVector:
    """What pairs of prompts that differ in one thing differ by; prompt i of one side belongs to prompt i of the other.

    Args:
        summary: the mean difference, or the direction along which most of the differences lies, as long as the mean
            difference reaches along it and pointing its way; it outweighs pairs that differ little.
        others as in `difference_of_means`; one pair is enough for the mean.
    Raises:
        ValueError: as there; sides of different sizes, or another summary.
    """
    if toward.n_prompts != away.n_prompts:
        raise ValueError(f"pairs need as many prompts on both sides; got {toward.n_prompts} and {away.n_prompts}")
    if summary not in ("mean", "main_direction"):
        raise ValueError(f"summary is 'mean' or 'main_direction'; got {summary!r}")
    states = [prompt_states(model, side, hook_name=hook_name, token=token) for side in (toward, away)]
    differences = states[0] - states[1]
    return SteeringVector(
        vector=differences.mean(axis=0) if summary == "mean" else _main_direction(differences),
        hook_name=hook_name,
        model=name,
        method="contrastive pairs",
        details={"token": token, "summary": summary, "n_pairs": toward.n_prompts, **(details or {})},
        residual_norm=_shared_norm(model, [toward, away], hook_name),
    )


def mean_activation(
    model: TransformerBridge,
    prompts: Prompts,
    *,
    hook_name: str,
    name: str,
    token: Token = "last",
    details: Mapping[str, Any] | None = None,
) -> SteeringVector:
    """Mean of one set of prompts: also what all rows of the layer have in common, unlike a difference."""
    return SteeringVector(
        vector=prompt_states(model, prompts, hook_name=hook_name, token=token).mean(axis=0),
        hook_name=hook_name,
        model=name,
        method="mean activation",
        details={"token": token, "n_prompts": prompts.n_prompts, **(details or {})},
        residual_norm=_shared_norm(model, [prompts], hook_name),
    )


def feature_vector(
    loaded: LoadedSae,
    weights: Mapping[int, float],
    *,
    name: str,
    residual_norm: float | None = None,
    details: Mapping[str, Any] | None = None,
) -> SteeringVector:
    """What some features write at given activations: one feature, or a weighted set.

    Args:
        weights: feature id -> its activation. A unit weight adds the decoder row as long as it is.
        residual_norm: mean length of the hook's rows (`mean_residual_norm`).
    Raises:
        ValueError: no feature, an id beyond d_sae, weights that cancel out, or a dictionary that scales its input.
    """
    require_plain_sae(loaded)
    d_sae = loaded.sae.cfg.d_sae
    if not weights or not all(0 <= feature_id < d_sae for feature_id in weights):
        raise ValueError(f"expected features with ids in [0, {d_sae}); got {sorted(weights) or 'none'}")
    rows = decoder_rows(loaded, list(weights)).detach().cpu().double().numpy()
    return SteeringVector(
        vector=np.array(list(weights.values()), dtype=np.float64) @ rows,
        hook_name=loaded.hook_name,
        model=name,
        method="features",
        details={
            "weights": {str(feature_id): float(weight) for feature_id, weight in weights.items()},
            **(details or {}),
        },
        residual_norm=residual_norm,
    )


def given_vector(
    vector: Float[np.ndarray, " d"],
    *,
    hook_name: str,
    name: str,
    method: str = "given",
    residual_norm: float | None = None,
    details: Mapping[str, Any] | None = None,
) -> SteeringVector:
    """A direction from elsewhere: of a concept, of two places of a circle, of a fit."""
    return SteeringVector(
        vector=vector,
        hook_name=hook_name,
        model=name,
        method=method,
        details=details or {},
        residual_norm=residual_norm,
    )


def plane_step(
    basis: Float[np.ndarray, "2 d"], *, start: float, stop: float, radius: float = 1.0
) -> Float[np.ndarray, " d"]:
    """The step from one angle of a circle to another.

    Shapes:
        basis: (2, d), two directions that span the circle's plane, orthonormal.
    Args:
        start, stop: angles in radians, from the first direction to the second.
        radius: of the circle.
    Raises:
        ValueError: directions that are not orthonormal, or the same angle twice (a step of zero).
    """
    basis = np.asarray(basis, dtype=np.float64)
    if basis.ndim != 2 or len(basis) != 2 or not np.allclose(basis @ basis.T, np.eye(2), atol=1e-6):
        raise ValueError("a circle's plane is given by two orthonormal directions, (2, d); orthonormalise them")
    if np.isclose(np.cos(start - stop), 1.0, rtol=0, atol=1e-12):
        raise ValueError(f"a step leads from one angle to another; got {start} and {stop}; take different ones")
    angles = np.array([start, stop])
    places = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1) @ basis
    return places[1] - places[0]


def _main_direction(differences: Float[np.ndarray, "n_pairs d"]) -> Float[np.ndarray, " d"]:
    mean = differences.mean(axis=0)
    direction = np.linalg.svd(differences, full_matrices=False)[2][0]
    return (mean @ direction) * direction


def _shared_norm(model: TransformerBridge, sides: Sequence[Prompts], hook_name: str) -> float:
    """Mean length over the tokens of text of all sides."""
    counts = [int(side.keep_mask.sum()) for side in sides]
    norms = [mean_residual_norm(model, side, hook_name=hook_name) for side in sides]
    return float(np.average(norms, weights=counts))
