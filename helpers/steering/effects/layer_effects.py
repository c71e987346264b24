"""LayerEffect and FeatureChanges: what one later layer of a steered run shows beside the plain one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

Kind = Literal["appears", "rises", "falls", "vanishes"]
KINDS: tuple[Kind, ...] = ("appears", "rises", "falls", "vanishes")
RARE, COMMON = 0.05, 0.5  # shares of rows: what fires on fewer counts as absent, on as many as present


@dataclass(frozen=True, eq=False)
class FeatureChanges:
    """Every feature of one dictionary, plain and steered, over the compared tokens.

    Shapes:
        all (d_sae,): mean activations, shares of tokens on which it fires, mean size of the change of activation (whatever
        its sign), and lengths of the decoder rows.
    """

    plain: Float[np.ndarray, " d_sae"]
    steered: Float[np.ndarray, " d_sae"]
    plain_share: Float[np.ndarray, " d_sae"]
    steered_share: Float[np.ndarray, " d_sae"]
    mean_size: Float[np.ndarray, " d_sae"]
    decoder_norms: Float[np.ndarray, " d_sae"]

    @property
    def written(self) -> Float[np.ndarray, " d_sae"]:
        """Mean change of what a feature writes into the stream: signed, in the stream's unit, so that dictionaries compare."""
        return (self.steered - self.plain) * self.decoder_norms

    def top(self, n: int = 10) -> Int[np.ndarray, " n"]:
        """The features that change most; those that do not change are left out."""
        size = np.abs(self.written)
        order = np.argsort(-size, kind="stable")[:n]
        return order[size[order] > 0]

    def of_kind(self, kind: Kind, *, least_written: float = 0.0) -> Int[np.ndarray, " n_found"]:
        """Features that appear (from next to no token to at least half of them), vanish, or otherwise rise or fall.

        Args:
            least_written: smallest mean change that counts, in the stream's unit.
        Returns:
            Ids, the largest change first; no feature is of two kinds.
        Raises:
            ValueError: another kind.
        """
        if kind not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}; got {kind!r}")
        appears = (self.plain_share < RARE) & (self.steered_share >= COMMON)
        vanishes = (self.steered_share < RARE) & (self.plain_share >= COMMON)
        written = self.written
        masks = {
            "appears": appears,
            "vanishes": vanishes,
            "rises": (written > 0) & ~appears & ~vanishes,
            "falls": (written < 0) & ~appears & ~vanishes,
        }
        found = np.flatnonzero(masks[kind] & (np.abs(written) >= least_written))
        return found[np.argsort(-np.abs(written[found]), kind="stable")]


@dataclass(frozen=True, eq=False)
class LayerEffect:
    """One hook of the plain and the steered run.

    Args:
        plain_norm: mean length of the plain rows; moved_norm: mean length of the difference.
        alignment: length of the mean difference over the mean length, in [0, 1]; 1 = all rows are moved the same way.
        cosine_to_first: of the mean difference with that of the stream after the intervention's layer, in [-1, 1]; 0 where one
            of them has no length or another width. 1 = what was added is handed on, and nothing else came of it.
        features: None for a layer without a dictionary.
    """

    hook_name: str
    plain_norm: float
    moved_norm: float
    alignment: float
    cosine_to_first: float
    features: FeatureChanges | None = None

    @property
    def relative_norm(self) -> float:
        """How far the stream has moved, in mean lengths of its plain rows."""
        return self.moved_norm / self.plain_norm if self.plain_norm else 0.0

    def told(self) -> dict[str, Any]:
        """All but the features, in JSON types."""
        return {name: value for name, value in vars(self).items() if name != "features"}
