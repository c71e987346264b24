"""Which features of one dictionary fire on the same tokens: the pairs, with how much one covers the other.

Rows are tokens, columns are features. Of two features one is *rarer* and one is *wider*. Their cover is the share of the
rarer one's tokens on which the wider one fires too, with chance taken out:

    cover = (n_together / n_rarer - d) / (1 - d),   d = share of all tokens on which the wider one fires

1 = the wider one always fires with the rarer one, 0 = as often as at any token. Without the correction a feature that
fires on half of all tokens would cover half of everything. This is Loevinger's coefficient of homogeneity H (Loevinger
1948, doi:10.1037/h0055737), which measures how far two yes-or-no items are one inside the other.

Counts are exact; they come from the engine that matches features. Memory is that of a block and of the pairs found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse

from helpers.activations import ActivationStore
from helpers.matching.engines import open_engine

BLOCK_VALUES = 1 << 23  # pairs looked at together: 64 MiB


@dataclass(frozen=True)
class CofiringPairs:
    """Pairs of features of one dictionary that fire together more than chance gives, in no particular order.

    Shapes:
        rarer, wider: (n_pairs,) int32, ids; of two equally frequent features the one with the lower id is the wider.
        together: (n_pairs,) int64, tokens on which both fire; cover: (n_pairs,) float64, in [min_cover, 1].
        counts: (d_sae,) int64, tokens on which each feature fires.
    Args:
        n_tokens: tokens in all.
        min_cover, min_firings: pairs below, and features that fire less, are left out.
    """

    rarer: np.ndarray
    wider: np.ndarray
    together: np.ndarray
    cover: np.ndarray
    counts: np.ndarray
    n_tokens: int
    min_cover: float
    min_firings: int

    @property
    def n_pairs(self) -> int:
        return len(self.rarer)

    @property
    def d_sae(self) -> int:
        return len(self.counts)

    @property
    def edges(self) -> np.ndarray:
        """(n_pairs, 2) int64: rarer, wider."""
        return np.column_stack([self.rarer, self.wider]).astype(np.int64)

    @property
    def degrees(self) -> np.ndarray:
        """(d_sae,) int64: pairs that every feature is in."""
        return np.bincount(self.edges.ravel(), minlength=self.d_sae)

    @property
    def jaccard(self) -> np.ndarray:
        """(n_pairs,) float64: tokens on which both fire over tokens on which one does."""
        return self.together / (self.counts[self.rarer] + self.counts[self.wider] - self.together)

    def select(self, keep_mask: np.ndarray) -> CofiringPairs:
        """The pairs under a mask, (n_pairs,) bool, True = kept."""
        kept = {name: getattr(self, name)[keep_mask] for name in ("rarer", "wider", "together", "cover")}
        return replace(self, **kept)

    def above(self, min_cover: float) -> CofiringPairs:
        """The pairs with at least this cover."""
        return self.select(self.cover >= min_cover)

    def among(self, ids: Any) -> CofiringPairs:
        """The pairs of which both features are among `ids`."""
        member = np.zeros(self.d_sae, dtype=bool)
        member[np.asarray(ids, dtype=np.int64)] = True
        return self.select(member[self.rarer] & member[self.wider])


def cofiring_pairs(
    acts: Any,
    *,
    min_cover: float = 0.1,
    min_firings: int = 10,
    n_threads: int | None = None,
    block_values: int = BLOCK_VALUES,
) -> CofiringPairs:
    """Every pair of features whose cover is at least `min_cover`.

    Shapes:
        acts: (n_tokens, d_sae): a store of feature activations, a SciPy sparse matrix or an array; what is not 0 fires.
    Args:
        min_cover: in (0, 1].
        min_firings: tokens; a feature that fires on three is easily covered by accident.
        block_values: pairs looked at together; bounds the memory at 8 bytes each.
    Returns:
        The pairs; none if nothing fires together. Dead features, and features that fire on every token (they cover
        everything and say nothing), are in no pair.
    Raises:
        ValueError: pre-activations or negative values; no feature fires often enough; a parameter out of range.
    """
    if not 0 < min_cover <= 1:
        raise ValueError(f"min_cover must be in (0, 1]; got {min_cover}")
    acts = checked_firings(acts)
    engine = open_engine(acts, acts, association="jaccard", min_firings=min_firings, n_threads=n_threads)
    counts, n_tokens = firing_counts(acts), acts.shape[0]
    usable = np.flatnonzero(engine.usable_a)
    if len(usable) == 0:
        raise ValueError(
            f"none of {len(counts)} features fires on at least {min_firings} of {n_tokens} tokens (and not on all); "
            "lower min_firings or save more tokens"
        )
    order = usable[np.lexsort((-usable, counts[usable]))]
    found, start = [], 0
    while start < len(order):
        wider = order[start:]
        rarer = wider[: max(1, block_values // len(wider))]
        found.append(_pairs_of_block(engine.block(rarer, wider), rarer, wider, counts, n_tokens, min_cover))
        start += len(rarer)
    rarer, wider, together, cover = (np.concatenate(part) for part in zip(*found, strict=True))
    return CofiringPairs(rarer, wider, together, cover, counts, n_tokens, min_cover, min_firings)


def checked_firings(acts: Any) -> Any:
    """A store of feature activations as it is; anything else as a CSR array without stored zeros.

    Raises:
        ValueError: pre-activations, negative values, or not two dimensions.
    """
    if isinstance(acts, ActivationStore):
        if not acts.is_sparse or acts.manifest.signed:
            raise ValueError(
                f"{acts.path} holds {'signed ' if acts.is_sparse else ''}{acts.kind}, which are nowhere silent, so they "
                "do not say what fires; save feature activations (kind: feature_acts)"
            )
        return acts
    if not scipy.sparse.issparse(acts):
        acts = np.asarray(acts)
    if acts.ndim != 2 or 0 in acts.shape:
        raise ValueError(f"acts must have shape (n_tokens, d_sae), both at least 1; got {acts.shape}")
    matrix = scipy.sparse.csr_array(acts)
    if matrix.nnz and not matrix.data.min() >= 0:
        raise ValueError("acts has negative or NaN values; pass activations after the non-linearity, not before it")
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def firing_counts(acts: Any) -> np.ndarray:
    """Tokens on which each feature of checked activations fires, (d_sae,) int64."""
    if isinstance(acts, ActivationStore):
        return np.asarray(acts.feature_counts, dtype=np.int64)
    return np.bincount(acts.indices, minlength=acts.shape[1]).astype(np.int64)


def joint_firings(jaccard: np.ndarray, n_first: np.ndarray, n_second: np.ndarray) -> np.ndarray:
    """Tokens on which both features of a pair fire, int64, from their Jaccard index and how often each fires."""
    # jaccard = t / (n_first + n_second - t), solved for t, which is a whole number.
    return np.rint(jaccard * (n_first + n_second) / (1 + jaccard)).astype(np.int64)


def cover_beyond_chance(
    together: np.ndarray, n_covered: np.ndarray, n_covering: np.ndarray, *, n_tokens: int
) -> np.ndarray:
    """Share of one feature's tokens on which another fires, chance taken out: 1 = on all, 0 = as often as anywhere.

    Shapes:
        broadcast against each other; n_covered at least 1, n_covering below n_tokens.
    """
    density = n_covering / n_tokens
    return (together / n_covered - density) / (1 - density)


def _pairs_of_block(
    jaccard: np.ndarray, rarer: np.ndarray, wider: np.ndarray, counts: np.ndarray, n_tokens: int, min_cover: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of a block in which the second feature comes later in the order: rarer, wider, together, cover."""
    rows, columns = np.nonzero(jaccard)
    later = columns > rows  # `rarer` are the first of `wider`
    rows, columns = rows[later], columns[later]
    n_rarer, n_wider = counts[rarer[rows]], counts[wider[columns]]
    together = joint_firings(jaccard[rows, columns], n_rarer, n_wider)
    cover = cover_beyond_chance(together, n_rarer, n_wider, n_tokens=n_tokens)
    keep = cover >= min_cover
    return rarer[rows[keep]].astype(np.int32), wider[columns[keep]].astype(np.int32), together[keep], cover[keep]
