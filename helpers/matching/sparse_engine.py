"""Best partners from two sparse matrices: cost of the firing pairs, memory of a block.

One side is read by feature (CSC, a block of features at a time), the other by token (CSR, memory-mapped as it is on
disk). For one feature the products with everything that fires on its tokens are summed into one row of float64, and
only the best k survive; a dense d_sae_a x d_sae_b matrix never exists. Sums run over tokens in ascending order for
either side, so an association is the same to the last bit from both sides.

Threads take small groups of features of about equal cost from a queue, so a few very dense features do not leave the
other threads idle. The compiled loops release the interpreter lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from helpers.activations import CsrRows
from helpers.matching import kernels
from helpers.matching.associations import Terms, association_terms
from helpers.matching.best_lists import FarLists, merged_lists
from helpers.matching.candidates import BestPartners, BothLists
from helpers.matching.inputs import Side
from helpers.matching.layouts import Columns, Rows, column_costs, without_features
from helpers.progress import shown_when_long

BLOCK_VALUES = 1 << 26  # stored values of the by-feature side held at once: 0.5 GiB
GROUPS_PER_THREAD = 16
COMPACT_BELOW = 0.7  # share of the far side's values under which a copy without the others pays

Work = Callable[[int, np.ndarray, np.ndarray, Columns, Rows], None]


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
        terms_a, terms_b = self._terms(keep_a, keep_b)
        if of == "a":
            return self._search(self.a, self.b, terms_a, terms_b, k=k, floor=floor, both=False)[0]
        return self._search(self.b, self.a, terms_b, terms_a, k=k, floor=floor, both=False)[0]

    def both_lists(
        self, *, k: int, floor: float, keep_a: np.ndarray | None = None, keep_b: np.ndarray | None = None
    ) -> BothLists:
        """See `Engine`."""
        return BothLists(*self._search(self.a, self.b, *self._terms(keep_a, keep_b), k=k, floor=floor, both=True))

    def block(self, ids_a: np.ndarray, ids_b: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        lines, places = _places(ids_a, self.d_a), _places(ids_b, self.d_b)
        terms, far_terms = self._terms(lines >= 0, places >= 0)
        values = np.zeros((len(ids_a), len(ids_b)))
        jaccard = self.association == "jaccard"

        def work(_: int, group: np.ndarray, features: np.ndarray, columns: Columns, rows: Rows) -> None:
            kernels.fill(group, features, columns, rows, terms.packed, far_terms.packed, lines, places, jaccard, values)

        self._walk(self.a, self.b, terms, far_terms, work)
        return values

    def _terms(self, keep_a: np.ndarray | None, keep_b: np.ndarray | None) -> tuple[Terms, Terms]:
        usable_a = self.usable_a if keep_a is None else self.usable_a & keep_a
        usable_b = self.usable_b if keep_b is None else self.usable_b & keep_b
        n_tokens = self.a.n_tokens
        return (
            association_terms(self.association, self.a.moments, n_tokens=n_tokens, usable=usable_a),
            association_terms(self.association, self.b.moments, n_tokens=n_tokens, usable=usable_b),
        )

    def _search(
        self, near: Side, far: Side, terms: Terms, far_terms: Terms, *, k: int, floor: float, both: bool
    ) -> tuple[BestPartners, BestPartners]:
        best = BestPartners.empty(near.d_sae, min(k, far.d_sae))
        k_far = min(k, near.d_sae) if both else 0
        parts = [FarLists.empty(far_terms, k_far) for _ in range(self.n_threads)]
        jaccard = self.association == "jaccard"

        def work(thread: int, group: np.ndarray, features: np.ndarray, columns: Columns, rows: Rows) -> None:
            lists = parts[thread]
            kernels.search(
                group,
                features,
                columns,
                rows,
                terms.packed,
                lists.state,
                lists.ids,
                lists.values,
                floor,
                jaccard,
                both,
                best.ids,
                best.values,
                best.truncated,
            )

        self._walk(near, far, terms, far_terms, work)
        return best, merged_lists(parts)

    def _walk(self, near: Side, far: Side, terms: Terms, far_terms: Terms, work: Work) -> None:
        """Hand every usable feature of the near side to `work`, in groups of about equal cost."""
        assert near.sparse is not None
        counts = near.moments.counts
        rows = Rows.of(self._searched_rows(far, far_terms.scale > 0), most_copied=self.block_values)
        firing_far = np.diff(rows.indptr)
        blocks = list(_feature_blocks(terms.scale > 0, counts, self.block_values))
        for features in shown_when_long(blocks, total=len(blocks), description="Matching features", unit="blocks"):
            columns = Columns.of(near.sparse, features, counts[features])
            costs = column_costs(columns.indptr, columns.rows, firing_far)
            queue = deque(_groups(costs, self.n_threads * GROUPS_PER_THREAD))

            def run(
                thread: int,
                queue: deque[np.ndarray] = queue,
                features: np.ndarray = features,
                columns: Columns = columns,
            ) -> None:
                while queue:
                    try:
                        group = queue.popleft()
                    except IndexError:  # another thread took the last group
                        return
                    work(thread, group, features, columns, rows)

            if self.n_threads == 1:
                run(0)
            else:
                with ThreadPoolExecutor(self.n_threads) as pool:
                    list(pool.map(run, range(self.n_threads)))

    def _searched_rows(self, far: Side, searched: np.ndarray) -> CsrRows:
        """The far side by token; without the features that are not searched, where that is small and saves much."""
        assert far.sparse is not None
        n_values = int(far.moments.counts[searched].sum())
        if n_values > min(self.block_values, COMPACT_BELOW * len(far.sparse.data)):
            return far.sparse
        return without_features(far.sparse, searched, n_values)


def _places(ids: np.ndarray, d_sae: int) -> np.ndarray:
    """Where every feature is in `ids`, or -1."""
    places = np.full(d_sae, -1, dtype=np.int64)
    places[ids] = np.arange(len(ids))
    return places


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
    share = max(float(cost.sum(dtype=np.float64)) / n_groups, 1.0)
    n_alone = int((cost >= share).sum())
    total = np.cumsum(cost[order[n_alone:]], dtype=np.float64)
    cuts = np.flatnonzero(np.diff(np.floor(total / share))) + 1
    groups = [*order[:n_alone, None], *np.split(order[n_alone:], cuts)]
    return [group for group in groups if len(group)]
