"""Two features of different models on the same tokens: where both fire, where one does and the other does not.

A correlation says how alike two partners are; the tokens on which one is silent while the other varies say what the one
knows and the other does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from helpers.features.columns import FeatureColumns

if TYPE_CHECKING:
    from helpers.features.words import WordTable


@dataclass(frozen=True)
class JointActivations:
    """Activations of a pair on every token on which at least one of them fires.

    Shapes:
        rows: (n_rows,) int64, ascending; a, b: (n_rows,) float32, 0 where only the partner fires.
    Args:
        n_tokens: of the stores; on all other tokens both are 0.
    """

    rows: np.ndarray
    a: np.ndarray
    b: np.ndarray
    n_tokens: int

    @property
    def n_both(self) -> int:
        return int(np.sum((self.a != 0) & (self.b != 0)))

    @property
    def n_only_a(self) -> int:
        return int(np.sum(self.b == 0))

    @property
    def n_only_b(self) -> int:
        return int(np.sum(self.a == 0))

    @property
    def corr(self) -> float | None:
        """Pearson correlation over all tokens, in [-1, 1]; None where a partner never varies."""
        silent = self.n_tokens - len(self.rows)
        deviations = []
        for values in (self.a, self.b):
            if not len(values) or (silent == 0 and values.min() == values.max()) or not values.any():
                return None
            mean = values.sum(dtype=np.float64) / self.n_tokens
            deviations.append((values - mean, mean))
        (x, mean_x), (y, mean_y) = deviations
        covariance = x @ y + silent * mean_x * mean_y
        return float(covariance / np.sqrt((x @ x + silent * mean_x**2) * (y @ y + silent * mean_y**2)))

    def swapped(self) -> JointActivations:
        """The same pair seen from b."""
        return JointActivations(self.rows, self.b, self.a, self.n_tokens)


@dataclass(frozen=True)
class SilentWord:
    """A word on which one partner fires and the other is silent.

    Args:
        count: tokens of it on which that is so; n_firings: tokens of it on which the one fires, the other or not.
        mean: mean activation of the one over `count` tokens.
    """

    word: str
    count: int
    n_firings: int
    mean: float


def joint_activations(
    columns_a: FeatureColumns, columns_b: FeatureColumns, *, feature_a: int, feature_b: int
) -> JointActivations:
    """Put the activations of two features side by side, token by token.

    Raises:
        ValueError: the stores have other tokens, or a feature was not chosen.
    """
    store_a, store_b = columns_a.store, columns_b.store
    if not np.array_equal(store_a.token_ids, store_b.token_ids):
        raise ValueError(
            f"a has {store_a.n_tokens} tokens, b has {store_b.n_tokens}, and they are not the same ones; a pair is "
            "shown on shared tokens: save both stores from one token batch"
        )
    rows = np.union1d(columns_a.rows_of(feature_a), columns_b.rows_of(feature_b))
    return JointActivations(rows, columns_a.at(feature_a, rows), columns_b.at(feature_b, rows), store_a.n_tokens)


def drawn_places(joint: JointActivations, *, n_points: int = 400, seed: int = 0) -> np.ndarray:
    """Which tokens a scatter shows, as places in `joint.rows`, ascending.

    All of them if there are at most `n_points`. Otherwise a quarter are the strongest (largest sum of both
    activations, each as a share of its feature's largest), an eighth the strongest on which only a fires, an eighth
    the same for b, and the rest are drawn at random from the others.
    """
    n_rows = len(joint.rows)
    if n_rows <= n_points:
        return np.arange(n_rows)
    share_a, share_b = (np.abs(values) / max(float(np.abs(values).max()), 1e-30) for values in (joint.a, joint.b))
    chosen = np.zeros(n_rows, dtype=bool)
    for strength, among, quota in (
        (share_a + share_b, np.ones(n_rows, dtype=bool), n_points // 4),
        (share_a, joint.b == 0, n_points // 8),
        (share_b, joint.a == 0, n_points // 8),
    ):
        places = np.flatnonzero(among & ~chosen)
        chosen[places[np.argsort(-strength[places], kind="stable")[:quota]]] = True
    rest = np.flatnonzero(~chosen)
    rng = np.random.default_rng(seed)
    chosen[rng.choice(rest, size=n_points - int(chosen.sum()), replace=False)] = True
    return np.flatnonzero(chosen)


def silent_words(joint: JointActivations, words: WordTable, *, n_words: int = 6) -> tuple[SilentWord, ...]:
    """Words on which a fires and b is silent, by the activation of a that b misses (count times mean), most first.

    For the reverse, pass `joint.swapped()`. Tokens without a readable word are left out.
    Args:
        words: the word of every row of the stores.
        n_words: at most so many.
    Raises:
        ValueError: the words are of another number of tokens.
    """
    if words.n_tokens != joint.n_tokens:
        raise ValueError(
            f"words are of {words.n_tokens} tokens, the stores have {joint.n_tokens}; build them from the same batch"
        )
    fires = joint.a != 0
    ids, values, missed = words.word_ids[joint.rows[fires]], joint.a[fires].astype(np.float64), joint.b[fires] == 0
    readable = ids >= 0
    ids, values, missed = ids[readable], values[readable], missed[readable]
    found, place = np.unique(ids, return_inverse=True)
    n_firings = np.bincount(place, minlength=len(found))
    counts = np.bincount(place, weights=missed, minlength=len(found)).astype(np.int64)
    sums = np.bincount(place, weights=values * missed, minlength=len(found))
    order = [i for i in np.argsort(-np.abs(sums), kind="stable")[:n_words] if counts[i]]
    return tuple(
        SilentWord(words.words[found[i]], int(counts[i]), int(n_firings[i]), float(sums[i] / counts[i])) for i in order
    )
