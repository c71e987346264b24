"""What one cluster of features writes, token by token: its points, and their principal components.

Rows = tokens on which at least one feature of the cluster fires; a point is the sum of the activations times the decoder
rows of the cluster's features alone. Points lie in the span of the cluster's decoder rows, so everything is computed in
as many coordinates as there are members, however wide the model is, and no tokens x features matrix is ever dense.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from helpers.activations import ActivationStore
from helpers.geometry.cofiring import checked_firings

N_COMPONENTS = 5  # four planes: 1-2, 2-3, 3-4, 4-5
_LEAST_VARIANCE = 1e-10  # of a component, as a share of the first


@dataclass(frozen=True)
class ClusterPoints:
    """A cluster's features on the tokens on which they fire.

    Shapes:
        ids: (n_members,); rows: (n_points,) tokens, ascending; acts: (n_points, n_members) float64; directions:
        (n_members, d).
    Args:
        n_tokens: tokens on which the cluster fires, of which `rows` may be a sample.
    """

    ids: Int[np.ndarray, " n_members"]
    rows: Int[np.ndarray, " n_points"]
    acts: Float[np.ndarray, "n_points n_members"]
    directions: Float[np.ndarray, "n_members d"]
    n_tokens: int

    @property
    def points(self) -> Float[np.ndarray, "n_points d"]:
        """The reconstruction from this cluster alone."""
        return self.acts @ self.directions

    def principal(self, n_components: int = N_COMPONENTS) -> PrincipalPlanes:
        """The points along their principal components; fewer than asked where the cluster has fewer dimensions."""
        basis, upper = np.linalg.qr(self.directions.T)
        values, vectors = _principal(self.acts, upper.T, n_components)
        axes = (basis @ vectors).T
        mean = self.acts.mean(axis=0) @ self.directions
        return PrincipalPlanes((self.points - mean) @ axes.T, axes, mean, values)


@dataclass(frozen=True)
class PrincipalPlanes:
    """Points along principal components.

    Shapes:
        coordinates: (n_points, k); axes: (k, d), orthonormal; mean: (d,); variances: (k,), descending.
    """

    coordinates: Float[np.ndarray, "n_points k"]
    axes: Float[np.ndarray, "k d"]
    mean: Float[np.ndarray, " d"]
    variances: Float[np.ndarray, " k"]


@dataclass(frozen=True)
class FiringColumns:
    """All activations by feature, sparse: where clusters take their points from.

    Shapes:
        matrix: (n_tokens, d_sae) CSC.
    """

    matrix: scipy.sparse.csc_array

    @classmethod
    def of(cls, acts: Any) -> FiringColumns:
        """From a store of feature activations, a SciPy sparse matrix or an array.

        Raises:
            ValueError: pre-activations or negative values.
        """
        acts = checked_firings(acts)
        matrix = acts.rows(0, acts.n_tokens) if isinstance(acts, ActivationStore) else acts
        return cls(scipy.sparse.csc_array(matrix))

    def points_of(self, ids: Any, directions: Any, *, max_points: int | None = None, seed: int = 0) -> ClusterPoints:
        """The points of one cluster.

        Shapes:
            ids: (n_members,); directions: (d_sae, d).
        Args:
            max_points: a random sample of so many tokens; None takes all.
        Raises:
            ValueError: no feature, an id twice or out of range, or features none of which ever fires.
        """
        ids, directions = np.asarray(ids, dtype=np.int64), np.asarray(directions)
        d_sae = self.matrix.shape[1]
        if not len(ids) or len(np.unique(ids)) != len(ids) or ids.min() < 0 or ids.max() >= d_sae:
            raise ValueError(f"expected distinct feature ids from 0 to {d_sae - 1}; got {ids[:8].tolist()}")
        if len(directions) != d_sae:
            raise ValueError(f"expected a direction of each of {d_sae} features; got {len(directions)}")
        columns = self.matrix[:, ids]
        rows = np.unique(columns.indices)
        if not len(rows):
            raise ValueError(f"none of the features {ids[:8].tolist()} ever fires; leave them out")
        kept = rows
        if max_points is not None and len(rows) > max_points:
            kept = np.sort(np.random.default_rng(seed).choice(rows, max_points, replace=False))
        acts = columns.tocsr()[kept].toarray().astype(np.float64)
        return ClusterPoints(ids, kept.astype(np.int64), acts, directions[ids].astype(np.float64), len(rows))


def principal_coordinates(acts: np.ndarray, factor: np.ndarray, n_components: int = N_COMPONENTS) -> np.ndarray:
    """Coordinates of `acts @ directions` along its principal components, (n_points, k).

    Shapes:
        acts: (n_points, n_members); factor: (n_members, r) with factor @ factor.T = directions @ directions.T.
    """
    _, vectors = _principal(acts, factor, n_components)
    return (acts - acts.mean(axis=0)) @ (factor @ vectors)


def direction_factor(directions: np.ndarray) -> np.ndarray:
    """(n_members, r) factor of directions (n_members, d): them in an orthonormal basis of their span."""
    _, upper = np.linalg.qr(directions.T)
    return upper.T


def _principal(acts: np.ndarray, factor: np.ndarray, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Variances and axes (r, k) in the factor's coordinates, the widest first; without those that have no variance."""
    centred = acts - acts.mean(axis=0)
    values, vectors = np.linalg.eigh(factor.T @ (centred.T @ centred / len(acts)) @ factor)
    values, vectors = values[::-1][:n_components], vectors[:, ::-1][:, :n_components]
    wide = values > _LEAST_VARIANCE * max(float(values[0]), 0.0)
    return values[wide], vectors[:, wide]
