"""Best partners from two sparse matrices: cost of the firing pairs, memory of a block.

One side is read by feature (CSC, a block of features at a time), the other by token (CSR, memory-mapped as it is on
disk). For one feature the products with everything that fires on its tokens are summed into one row of float64, and
only the best k survive; a dense d_sae_a x d_sae_b matrix never exists. Sums run over tokens in ascending order for
either side, so an association is the same to the last bit from both sides.

Threads take small groups of features of about equal cost from a queue, so a few very dense features do not leave the
other threads idle. The compiled loops release the interpreter lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from helpers.activations import CsrRows
from helpers.matching import kernels
from helpers.matching.associations import association_terms
from helpers.matching.candidates import BestPartners
from helpers.matching.inputs import Side

BLOCK_VALUES = 1 << 26  # stored values of the by-feature side held at once: 0.5 GiB
GROUPS_PER_THREAD = 16
COMPACT_BELOW = 0.7  # share of the far side's values under which a copy without the others pays


@dataclass(frozen=True)
class SparseEngine:
    """Engine for two sparse sides of non-negative activations.

    Args:
        block_values: most stored values of the by-feature side in memory (one feature may exceed it).
        n_threads: threads; the result does not depend on it.
    """

    a: Side
    b: Side
    association: str
    usable_a: np.ndarray
    usable_b: np.ndarray
    n_threads: int
    block_values: int = BLOCK_VALUES

    @property
    def d_a(self) -> int:
        return self.a.d_sae

    @property
    def d_b(self) -> int:
        return self.b.d_sae

    def best_partners(
        self, *, of: str, k: int, floor: float, keep_a: np.ndarray | None = None, keep_b: np.ndarray | None = None
    ) -> BestPartners:
        """See `Engine`."""
        usable_a = self.usable_a if keep_a is None else self.usable_a & keep_a
        usable_b = self.usable_b if keep_b is None else self.usable_b & keep_b
        if of == "a":
            return self._search(self.a, self.b, usable_a, usable_b, k=k, floor=floor)
        return self._search(self.b, self.a, usable_b, usable_a, k=k, floor=floor)

    def _search(
        self, near: Side, far: Side, usable_near: np.ndarray, usable_far: np.ndarray, *, k: int, floor: float
    ) -> BestPartners:
        n_tokens = near.n_tokens
        terms = association_terms(self.association, near.moments, n_tokens=n_tokens, usable=usable_near)
        far_terms = association_terms(self.association, far.moments, n_tokens=n_tokens, usable=usable_far)
        assert near.sparse is not None and far.sparse is not None
        d_near, d_far = near.d_sae, far.d_sae
        k = min(k, d_far)
        best = BestPartners(
            np.full((d_near, k), -1, np.int32), np.full((d_near, k), -np.inf), np.zeros(d_near, dtype=bool)
        )
        rows = self._searched_rows(far, far_terms.scale > 0)
        data = kernels.as_kernel_data(rows.data)
        counts = near.moments.counts
        firing_far = np.diff(rows.indptr)
        for features in _feature_blocks(terms.scale > 0, counts, self.block_values):
            columns = kernels.Columns.of(near.sparse, features, counts[features])
            cost = kernels.column_costs(columns.indptr, columns.rows, firing_far)

            def work(group: np.ndarray, columns: kernels.Columns = columns, features: np.ndarray = features) -> None:
                kernels.search_group(
                    group,
                    features,
                    columns,
                    rows,
                    data,
                    terms,
                    far_terms,
                    best,
                    floor=floor,
                    jaccard=self.association == "jaccard",
                )

            groups = _groups(cost, self.n_threads * GROUPS_PER_THREAD)
            if self.n_threads == 1:
                for group in groups:
                    work(group)
            else:
                with ThreadPoolExecutor(self.n_threads) as pool:
                    list(pool.map(work, groups))
        return best

    def _searched_rows(self, far: Side, searched: np.ndarray) -> CsrRows:
        """The far side by token; without the features that are not searched, where that is small and saves much."""
        assert far.sparse is not None
        n_values = int(far.moments.counts[searched].sum())
        if n_values > min(self.block_values, COMPACT_BELOW * len(far.sparse.data)):
            return far.sparse
        return kernels.without_features(far.sparse, searched, n_values)


def _feature_blocks(usable: np.ndarray, counts: np.ndarray, block_values: int) -> Iterator[np.ndarray]:
    """Ids of the usable features, cut where a block would exceed `block_values` stored values."""
    ids = np.flatnonzero(usable)
    if len(ids) == 0:
        return
    block = (np.cumsum(counts[ids]) - 1) // block_values
    yield from np.split(ids, np.flatnonzero(np.diff(block)) + 1)


def _groups(cost: np.ndarray, n_groups: int) -> list[np.ndarray]:
    """Positions grouped so that costs are about equal, the dearest first (a long last task would idle the rest)."""
    order = np.argsort(-cost, kind="stable")
    total = np.cumsum(cost[order], dtype=np.float64)
    share = max(total[-1] / n_groups, 1.0)
    cuts = np.flatnonzero(np.diff(np.floor(total / share))) + 1
    return [group for group in np.split(order, cuts) if len(group)]
