"""FeatureSum: a vector as a weighted sum of features, with what it misses; edited, rebuilt, compared with another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int

from helpers.steering.vectors import SteeringVector


@dataclass(frozen=True, eq=False)
class FeatureSum:
    """Features whose weighted decoder rows stand for a vector.

    Shapes:
        feature_ids: (n_features,) int64, the largest part first; weights: (n_features,) float64, not 0; rows:
            (n_features, d) what each feature writes at a weight of 1.
    Args:
        source: the vector.
        method: how the weights were found.
        labels: feature id -> what it stands for; unlabelled features have "".
    """

    feature_ids: Int[np.ndarray, " n_features"]
    weights: Float[np.ndarray, " n_features"]
    rows: Float[np.ndarray, "n_features d"]
    source: SteeringVector
    method: str
    labels: Mapping[int, str] = field(default_factory=dict)

    @property
    def vector(self) -> Float[np.ndarray, " d"]:
        """The sum of the weighted rows, zeros if there is no feature."""
        return self.weights @ self.rows

    @property
    def cosine(self) -> float:
        """Between the sum and the vector, in [-1, 1]; 0 where there is no feature."""
        length = float(np.linalg.norm(self.vector))
        return float(self.vector @ self.source.vector) / (length * self.source.norm) if length else 0.0

    @property
    def unexplained(self) -> float:
        """Squared length of what the sum misses over that of the vector: 0 = all is there, 1 = as good as nothing."""
        return float(((self.source.vector - self.vector) ** 2).sum()) / self.source.norm**2

    @property
    def shares(self) -> Float[np.ndarray, " n_features"]:
        """Share of the vector's squared length that lies along each weighted row; they add up to 1 less what is missing."""
        return (self.weights * (self.rows @ self.source.vector)) / self.source.norm**2

    def label(self, feature_id: int) -> str:
        return self.labels.get(int(feature_id), "")

    def keep(self, feature_ids: Iterable[int]) -> FeatureSum:
        """Only these features, e.g. those whose label says what the vector is to do."""
        return self._only(np.isin(self.feature_ids, self._known(feature_ids)))

    def drop(self, feature_ids: Iterable[int]) -> FeatureSum:
        """Without these features."""
        return self._only(~np.isin(self.feature_ids, self._known(feature_ids)))

    def scale(self, factors: Mapping[int, float]) -> FeatureSum:
        """Some features' weights multiplied; by 0 they are dropped.

        Raises:
            ValueError: a factor that is not finite.
        """
        self._known(factors)
        by = np.array([factors.get(int(feature_id), 1.0) for feature_id in self.feature_ids], dtype=np.float64)
        if not np.isfinite(by).all():
            raise ValueError("factors are finite numbers; got one that is not")
        return replace(self, weights=self.weights * by)._only(by != 0)

    def rebuilt(self) -> SteeringVector:
        """The sum as a steering vector of the same layer, with its weights told.

        Raises:
            ValueError: nothing is left.
        """
        weights = {str(i): float(weight) for i, weight in zip(self.feature_ids, self.weights, strict=True)}
        return self.source.changed(
            self.vector, method=f"rebuilt from features ({self.method})", details={"weights": weights}
        )

    def _known(self, feature_ids: Iterable[int]) -> list[int]:
        wanted = [int(feature_id) for feature_id in feature_ids]
        strangers = sorted(set(wanted) - set(self.feature_ids.tolist()))
        if strangers:
            raise ValueError(f"feature ids are among those of the sum; got {strangers[0]}; see feature_ids")
        return wanted

    def _only(self, kept: np.ndarray) -> FeatureSum:
        return replace(self, feature_ids=self.feature_ids[kept], weights=self.weights[kept], rows=self.rows[kept])


@dataclass(frozen=True)
class Disagreement:
    """Where two decompositions of one vector differ.

    Args:
        only_a, only_b: features of one of them, by their part; shared: features of both; jaccard: shared over all, in
            [0, 1]; opposite: shared features with weights of opposite signs; cosine: between the two sums, 0 if one is empty.
    """

    only_a: tuple[int, ...]
    only_b: tuple[int, ...]
    shared: tuple[int, ...]
    opposite: tuple[int, ...]
    jaccard: float
    cosine: float


def disagreement(a: FeatureSum, b: FeatureSum) -> Disagreement:
    """Compare two decompositions of one vector.

    Raises:
        ValueError: they are of different vectors.
    """
    if not np.array_equal(a.source.vector, b.source.vector):
        raise ValueError("expected two decompositions of one vector; got different vectors")
    ids_a, ids_b = a.feature_ids.tolist(), b.feature_ids.tolist()
    shared = tuple(feature_id for feature_id in ids_a if feature_id in ids_b)
    signs = [dict(zip(ids, np.sign(each.weights), strict=True)) for ids, each in ((ids_a, a), (ids_b, b))]
    lengths = np.linalg.norm(a.vector) * np.linalg.norm(b.vector)
    together = len(set(ids_a) | set(ids_b))
    return Disagreement(
        only_a=tuple(feature_id for feature_id in ids_a if feature_id not in ids_b),
        only_b=tuple(feature_id for feature_id in ids_b if feature_id not in ids_a),
        shared=shared,
        opposite=tuple(feature_id for feature_id in shared if signs[0][feature_id] != signs[1][feature_id]),
        jaccard=len(shared) / together if together else 0.0,
        cosine=float(a.vector @ b.vector / lengths) if lengths else 0.0,
    )
