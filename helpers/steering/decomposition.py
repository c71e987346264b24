"""What a vector is made of: a weighted sum of a dictionary's decoder rows, and what is left over.

Four ways, because none is right for all vectors:
- "encode": the dictionary's own encoder. It has learnt rows of the stream, and a difference of means is none: it lacks what
  all rows share (the bias), and half of it points away from what fires. What comes out may rebuild little of the vector.
- encoding the prompts on both sides, and subtracting the mean activations (`encode_difference`): every row that is encoded
  is one of the stream, and features of the other side count negatively.
- "pursuit": orthogonal matching pursuit on the decoder rows: the row that explains most of what is left, one after another,
  with all weights fitted again; weights may be negative.
- "lasso": least squares with a penalty on the sum of the weights, none of which is negative, as activations are; the
  penalty is the weakest of the path that leaves the wanted number of features, and the weights are fitted again without it.

Sources: gradient pursuit and encoding of steering vectors, Mayne et al. 2024 (arXiv:2411.08790); inference-time optimisation
of sparse codes, Smith 2024 (alignmentforum.org/posts/C5KAZQib3bzzpeyrg).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import nnls
from sklearn.linear_model import lars_path

from helpers.saes import LoadedSae
from helpers.steering.feature_edits import decoder_rows, require_plain_sae
from helpers.steering.feature_sums import FeatureSum
from helpers.steering.vectors import SteeringVector

_NOTHING_LEFT = 1e-20  # squared length of a rest that is rounding, over that of the vector

Method = Literal["encode", "pursuit", "lasso"]


def decompose(
    source: SteeringVector,
    loaded: LoadedSae,
    *,
    method: Method = "pursuit",
    n_features: int = 16,
    candidates: Int[np.ndarray, " n_candidates"] | None = None,
    labels: Mapping[int, str] | None = None,
) -> FeatureSum:
    """Write a vector as a sum of at most `n_features` of a dictionary's features.

    Args:
        method: see the module; "encode" keeps the strongest of the features that fire.
        n_features: at most so many; fewer where fewer fire, or explain all of it.
        candidates: features that may be taken, e.g. those that fire on texts; all by default. A dead feature's row is
            random, and a pursuit may well take it.
        labels: feature id -> what it stands for.
    Raises:
        ValueError: a dictionary of another hook or width, or one that scales its input; another method; no feature asked for;
            candidates beyond d_sae.
    """
    if method not in ("encode", "pursuit", "lasso"):
        raise ValueError(f"method is 'encode', 'pursuit' or 'lasso'; got {method!r}")
    allowed = _checked(source, loaded, n_features, candidates)
    rows = decoder_rows(loaded, torch.from_numpy(allowed)).detach().cpu().double().numpy()
    if method == "encode":
        weights = _encoded(source.vector[None], loaded)[0][allowed]
    elif method == "pursuit":
        weights = _pursuit(source.vector, rows, n_features)
    else:
        weights = _lasso(source.vector, rows, n_features)
    return _strongest(source, rows, weights, allowed, n_features, method=method, labels=labels)


def encode_difference(
    source: SteeringVector,
    loaded: LoadedSae,
    toward: Float[np.ndarray, "n_toward d"],
    away: Float[np.ndarray, "n_away d"],
    *,
    n_features: int = 16,
    candidates: Int[np.ndarray, " n_candidates"] | None = None,
    labels: Mapping[int, str] | None = None,
) -> FeatureSum:
    """Write a difference of means as the difference of the two sides' mean feature activations.

    Shapes:
        toward, away: (n, d) the rows that the vector was made from (`prompt_states`).
    Raises:
        ValueError: as `decompose`; rows of another width.
    """
    allowed = _checked(source, loaded, n_features, candidates)
    for side in (toward, away):
        if side.ndim != 2 or not len(side) or side.shape[1] != len(source.vector):
            raise ValueError(f"expected rows of shape (n, {len(source.vector)}); got {side.shape}")
    weights = (_encoded(toward, loaded).mean(axis=0) - _encoded(away, loaded).mean(axis=0))[allowed]
    rows = decoder_rows(loaded, torch.from_numpy(allowed)).detach().cpu().double().numpy()
    return _strongest(source, rows, weights, allowed, n_features, method="difference of encodings", labels=labels)


def _checked(
    source: SteeringVector, loaded: LoadedSae, n_features: int, candidates: np.ndarray | None
) -> Int[np.ndarray, " n_candidates"]:
    """The features that may be taken."""
    require_plain_sae(loaded)
    if loaded.hook_name != source.hook_name:
        raise ValueError(
            f"the dictionary reads the vector's hook, {source.hook_name}; got one of {loaded.hook_name}; take the vector "
            "and the dictionary of one hook"
        )
    d_in, d_sae = loaded.sae.cfg.d_in, loaded.sae.cfg.d_sae
    if d_in != len(source.vector):
        raise ValueError(
            f"the dictionary has the vector's width, {len(source.vector)}; got {d_in}: it is of another model"
        )
    if n_features < 1:
        raise ValueError(f"n_features is at least 1; got {n_features}; raise it")
    allowed = np.arange(d_sae) if candidates is None else np.unique(candidates)
    if not len(allowed) or allowed[0] < 0 or allowed[-1] >= d_sae:
        raise ValueError(
            f"candidates are feature ids in [0, {d_sae}), at least one; got {allowed[:1]} to {allowed[-1:]}"
        )
    return allowed


@torch.no_grad()
def _encoded(rows: Float[np.ndarray, "n d"], loaded: LoadedSae) -> Float[np.ndarray, "n d_sae"]:
    return loaded.sae.encode(torch.from_numpy(rows).to(loaded.sae.W_dec)).cpu().double().numpy()


def _pursuit(vector: np.ndarray, rows: np.ndarray, n_features: int) -> np.ndarray:
    """Weights of all rows; the rows are compared by direction, whatever their lengths."""
    weights = np.zeros(len(rows))
    lengths = _lengths(rows)
    left, taken = vector, np.empty(0, np.int64)
    while len(taken) < n_features and left @ left > _NOTHING_LEFT * (vector @ vector):
        along = np.abs(rows @ left) / lengths
        along[taken] = -1
        taken = np.append(taken, along.argmax())
        fitted = np.linalg.lstsq(rows[taken].T, vector, rcond=None)[0]
        left = vector - fitted @ rows[taken]
        weights[taken] = fitted
        if len(taken) == len(rows):
            break
    return weights


def _lasso(vector: np.ndarray, rows: np.ndarray, n_features: int) -> np.ndarray:
    """Weights of all rows: the features of the lasso path just before there are too many, fitted without penalty."""
    lengths = _lengths(rows)
    directions = rows / lengths[:, None]
    _, _, path = lars_path(directions.T, vector, method="lasso", positive=True, max_iter=4 * n_features)
    counts = (path > 0).sum(axis=0)
    taken = np.flatnonzero(path[:, np.flatnonzero(counts <= n_features)[-1]])
    weights = np.zeros(len(rows))
    if len(taken):
        weights[taken] = nnls(directions[taken].T, vector)[0]
    return weights / lengths


def _lengths(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1)
    return np.where(lengths > 0, lengths, 1.0)  # a row of zeros explains nothing and is never taken


def _strongest(
    source: SteeringVector,
    rows: np.ndarray,
    weights: np.ndarray,
    allowed: np.ndarray,
    n_features: int,
    *,
    method: str,
    labels: Mapping[int, str] | None,
) -> FeatureSum:
    """The features that write most, largest first; equals by id."""
    written = np.abs(weights) * np.linalg.norm(rows, axis=1)
    order = np.lexsort((allowed, -written))
    order = order[written[order] > 0][:n_features]
    return FeatureSum(
        feature_ids=allowed[order].astype(np.int64),
        weights=weights[order],
        rows=rows[order],
        source=source,
        method=method,
        labels=dict(labels or {}),
    )
