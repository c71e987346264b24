"""Do matched features mean the same? Scores of pairs beside the same scores of shuffled pairs.

The null shuffles who is whose partner and keeps both lists of ids as they are, so a partner that is taken many times
is taken as many times in the null.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from helpers.matching.pairs import FeaturePairs


@dataclass(frozen=True)
class PairAgreement:
    """A mean score of pairs, with its null.

    Args:
        score: mean over the pairs, in [0, 1].
        per_pair: (n_pairs,) float64, in the order of the pairs.
        null: (n_permutations,) float64, the score of every shuffle; null_mean, null_std: of it.
        p_value: (1 + shuffles that score at least as high) / (1 + n_permutations).
    """

    score: float
    per_pair: np.ndarray
    null: np.ndarray
    null_mean: float
    null_std: float
    p_value: float
    n_permutations: int
    seed: int

    @property
    def n_pairs(self) -> int:
        return len(self.per_pair)


def same_token_score(
    pairs: FeaturePairs, tokens_a: np.ndarray, tokens_b: np.ndarray, *, n_permutations: int = 1000, seed: int = 0
) -> PairAgreement:
    """How many of their top tokens the partners share: |multiset intersection| / n_examples, mean over the pairs.

    Example: (dog, dog, cat, cat, cow) and (dog, cat, cat, cat, pig) share dog, cat, cat: 3 / 5.
    Shapes:
        tokens_a: (d_sae_a, n_examples); tokens_b: (d_sae_b, n_examples); token ids (or any codes) of the top examples,
        negative where there is none. A missing example is never shared and still counts in the denominator.
    Raises:
        ValueError: shapes do not fit the pairs or each other; no pair; n_permutations below 1.
    """
    tokens_a, tokens_b = (_codes(tokens) for tokens in (tokens_a, tokens_b))
    if tokens_a.ndim != 2 or tokens_b.ndim != 2 or tokens_a.shape[1] != tokens_b.shape[1]:
        raise ValueError(
            f"tokens must be (d_sae, n_examples) with equal n_examples; got {tokens_a.shape} and {tokens_b.shape}"
        )
    _check_pairs(pairs, len(tokens_a), len(tokens_b), n_permutations)
    left, right = _occurrences(tokens_a)[pairs.ids_a], _occurrences(tokens_b)[pairs.ids_b]
    return _agreement(lambda order: _shared(left, right, order), pairs.n_pairs, n_permutations, seed)


def same_concept_share(
    pairs: FeaturePairs, concepts_a: Any, concepts_b: Any, *, n_permutations: int = 1000, seed: int = 0
) -> PairAgreement:
    """Share of pairs whose features carry the same known concept.

    Shapes:
        concepts_a: (d_sae_a,); concepts_b: (d_sae_b,); a label each, None where it is unknown. A pair with an unknown
        concept counts as different.
    Raises:
        ValueError: lengths do not fit the pairs; no pair; n_permutations below 1.
    """
    labels = {label: code for code, label in enumerate(dict.fromkeys([*concepts_a, *concepts_b])) if label is not None}
    codes_a = np.array([labels.get(label, -1) for label in concepts_a], dtype=np.int64)
    codes_b = np.array([labels.get(label, -2) for label in concepts_b], dtype=np.int64)
    _check_pairs(pairs, len(codes_a), len(codes_b), n_permutations)
    left, right = codes_a[pairs.ids_a], codes_b[pairs.ids_b]
    return _agreement(lambda order: (left == right[order]).astype(np.float64), pairs.n_pairs, n_permutations, seed)


def _agreement(scores: Any, n_pairs: int, n_permutations: int, seed: int) -> PairAgreement:
    rng = np.random.default_rng(seed)
    per_pair = scores(np.arange(n_pairs))
    score = float(per_pair.mean())
    null = np.array([scores(rng.permutation(n_pairs)).mean() for _ in range(n_permutations)])
    # A shuffle that changes nothing must count as a hit, also where its sum is rounded otherwise.
    hits = int((null >= score - 1e-12).sum())
    return PairAgreement(
        score=score,
        per_pair=per_pair,
        null=null,
        null_mean=float(null.mean()),
        null_std=float(null.std()),
        p_value=(1 + hits) / (1 + n_permutations),
        n_permutations=n_permutations,
        seed=seed,
    )


def _codes(tokens: np.ndarray) -> np.ndarray:
    tokens = np.asarray(tokens)
    if not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(f"tokens must be integer ids; got {tokens.dtype}")
    return tokens.astype(np.int64)


def _check_pairs(pairs: FeaturePairs, d_sae_a: int, d_sae_b: int, n_permutations: int) -> None:
    if (d_sae_a, d_sae_b) != (pairs.d_sae_a, pairs.d_sae_b):
        raise ValueError(
            f"expected one row a feature, {pairs.d_sae_a} and {pairs.d_sae_b}; got {d_sae_a} and {d_sae_b}; "
            "are a and b swapped?"
        )
    if pairs.n_pairs == 0:
        raise ValueError("there are no pairs to score; lower min_corr or min_firings")
    if n_permutations < 1:
        raise ValueError(f"n_permutations must be at least 1; got {n_permutations}")


def _occurrences(tokens: np.ndarray) -> np.ndarray:
    """Number equal tokens of a row (first dog, second dog), so that a multiset becomes a set; missing stays negative."""
    n_examples = tokens.shape[1]
    earlier = np.tril(np.ones((n_examples, n_examples), dtype=bool), k=-1)
    number = ((tokens[:, :, None] == tokens[:, None, :]) & earlier).sum(axis=2)
    return np.where(tokens >= 0, tokens * n_examples + number, -1)


@numba.njit(cache=True, nogil=True)
def _shared(left, right, order):  # pragma: no cover (compiled)
    """Shared codes of each left row and its shuffled right row, over the row length."""
    n_pairs, n_examples = left.shape
    shares = np.empty(n_pairs)
    for pair in range(n_pairs):
        partner = order[pair]
        n_shared = 0
        for i in range(n_examples):
            if left[pair, i] < 0:
                continue
            for j in range(n_examples):
                n_shared += left[pair, i] == right[partner, j]
        shares[pair] = n_shared / n_examples
    return shares
