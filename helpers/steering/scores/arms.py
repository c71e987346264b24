"""What is compared in a sweep: one direction in several spaces, and directions that should do nothing.

A vector may be steered with as it was found (model space); as the difference of the dictionary's mean activations on
both sides, decoded (SAE space); or cleaned: taken apart into features, of which only those are kept that tell the two sides
apart, and put together again. Against them stand random directions, and the features' weights on other features of the
dictionary. All are added at the same length, so that only their directions differ.

Each is added in two ways: always, or only where the row is like those that the vector leads away from (`Condition`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64

from helpers.saes import LoadedSae
from helpers.steering.conditions import Condition
from helpers.steering.decomposition import encode_difference
from helpers.steering.feature_edits import decoder_rows
from helpers.steering.feature_sums import FeatureSum
from helpers.steering.interventions import Intervention
from helpers.steering.prompts import At
from helpers.steering.vectors import SteeringVector

Space = Literal["model", "sae", "cleaned", "random", "shuffled"]
Way = Literal["always", "where due"]
SPACES: tuple[Space, ...] = ("model", "sae", "cleaned")
WAYS: tuple[Way, ...] = ("always", "where due")


@dataclass(frozen=True, eq=False)
class Arm:
    """A direction that takes part.

    Args:
        name: differs from that of every other arm; space: what kind of direction it is.
        condition: it is added only to rows for which this holds; None: always.
    """

    name: str
    space: Space
    vector: SteeringVector
    condition: Condition | None = None

    @property
    def layer(self) -> int:
        return self.vector.layer

    @property
    def way(self) -> Way:
        return "always" if self.condition is None else "where due"

    def where(self, condition: Condition) -> Arm:
        """The same direction, added only where a condition holds."""
        return replace(self, name=f"{self.name}, where due", condition=condition)


@dataclass(frozen=True)
class Trial:
    """An arm at a strength, in mean lengths of the layer's rows."""

    arm: Arm
    strength: float
    at: At = "last"

    @property
    def intervention(self) -> Intervention:
        arm = self.arm
        return arm.vector.add(strength=self.strength, unit="residual_norm", at=self.at, condition=arm.condition)


def trials(arms: Sequence[Arm], strengths: Sequence[float], *, at: At = "last") -> list[Trial]:
    """Every arm at every strength, arm by arm."""
    return [Trial(arm, float(strength), at) for arm in arms for strength in strengths]


def dictionary_sum(
    vector: SteeringVector,
    loaded: LoadedSae,
    toward: Float[np.ndarray, "n_toward d"],
    away: Float[np.ndarray, "n_away d"],
    *,
    labels: Mapping[int, str] | None = None,
) -> FeatureSum:
    """The vector in SAE space: all differences of mean activations between the two sides (see `encode_difference`)."""
    return encode_difference(vector, loaded, toward, away, n_features=int(loaded.sae.cfg.d_sae), labels=labels)


def cleaned_sum(
    found: FeatureSum,
    loaded: LoadedSae,
    toward: Float[np.ndarray, "n_toward d"],
    away: Float[np.ndarray, "n_away d"],
    *,
    min_difference: float = 0.2,
) -> FeatureSum:
    """Of a sum's features only those that tell the two sides apart.

    Args:
        min_difference: a feature is kept if the shares of prompts of the two sides on which it fires differ by so much, and
            its weight has the sign of that difference; in (0, 1].
    Returns:
        The kept features; none of them where no feature does.
    """
    difference = (_firing(toward, loaded) - _firing(away, loaded))[found.feature_ids]
    kept = (np.abs(difference) >= min_difference) & (np.sign(difference) == np.sign(found.weights))
    return found.keep(found.feature_ids[kept])


def random_arms(vector: SteeringVector, *, n: int, seed: int) -> list[Arm]:
    """Directions drawn evenly from all directions of the layer, as long as the vector."""
    rng = np.random.default_rng([seed, 0])
    drawn = rng.standard_normal((n, len(vector.vector)))
    drawn *= vector.norm / np.linalg.norm(drawn, axis=1, keepdims=True)
    return [Arm(f"random {i}", "random", replace(vector, vector=row, method="random")) for i, row in enumerate(drawn)]


def shuffled_arms(
    found: FeatureSum, loaded: LoadedSae, *, n: int, seed: int, candidates: Int64[np.ndarray, " n_candidates"]
) -> list[Arm]:
    """The sum's weights on other features of the dictionary.

    Args:
        candidates: features that may be drawn: those that fire on texts, as a dead feature's row is a random direction. The
            sum's own are left out.
    Raises:
        ValueError: fewer other candidates than the sum has features.
    """
    others = np.setdiff1d(candidates, found.feature_ids)
    if len(others) < len(found.feature_ids):
        raise ValueError(
            f"expected as many other features as the sum has, {len(found.feature_ids)}; got {len(others)}; keep fewer"
        )
    rng = np.random.default_rng([seed, 1])
    arms = []
    for number in range(n):
        ids = rng.choice(others, size=len(found.feature_ids), replace=False)
        rows = decoder_rows(loaded, torch.from_numpy(ids)).detach().cpu().double().numpy()
        vector = replace(found.source, vector=found.weights @ rows, method="shuffled features")
        arms.append(Arm(f"shuffled {number}", "shuffled", vector))
    return arms


@torch.no_grad()
def _firing(rows: Float[np.ndarray, "n d"], loaded: LoadedSae) -> Float[np.ndarray, " d_sae"]:
    """Share of rows on which each feature fires."""
    feature_acts = loaded.sae.encode(torch.from_numpy(rows).to(loaded.sae.W_dec))
    return (feature_acts > 0).double().mean(dim=0).cpu().numpy()
