"""Best partners from dense activations (pre-activations), blocked: memory of a block, cost of a matrix product.

Used when a side is dense or holds negative values. Sums are float64 and two-pass (values are centred before they are
multiplied). Both sides' lists come from the same products, so an association is the same to the last bit from both.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import numba
import numpy as np

from helpers.matching.associations import Terms
from helpers.matching.best_lists import beats_last, insert
from helpers.matching.candidates import GRID, BestPartners, BothLists, on_grid
from helpers.matching.inputs import Side
from helpers.progress import shown_when_long

BLOCK_VALUES = 1 << 23  # float64 values of one block of products: 64 MiB
HALF_STEP = 0.5 / GRID  # rounding to the grid raises a value by at most this


@dataclass
class DenseEngine:
    """Engine for sides of which at least one is dense."""

    a: Side
    b: Side
    association: str
    usable_a: np.ndarray
    usable_b: np.ndarray
    n_threads: int = 1
    block_values: int = BLOCK_VALUES
    _terms: dict[str, Terms] = field(default_factory=dict, repr=False)

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
        lists = self.both_lists(k=k, floor=floor, keep_a=keep_a, keep_b=keep_b)
        return lists.of_a if of == "a" else lists.of_b

    def both_lists(
        self, *, k: int, floor: float, keep_a: np.ndarray | None = None, keep_b: np.ndarray | None = None
    ) -> BothLists:
        """See `Engine`."""
        usable_a = self.usable_a if keep_a is None else self.usable_a & keep_a
        usable_b = self.usable_b if keep_b is None else self.usable_b & keep_b
        return self._search(usable_a, usable_b, k=k, floor=floor)

    def block(self, ids_a: np.ndarray, ids_b: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        terms_a, terms_b = self._side_terms("a"), self._side_terms("b")
        step = max(1, self.block_values // max(1, len(ids_b)))
        parts = [np.empty((0, len(ids_b)))]
        for start in range(0, len(ids_a), step):
            products = self._products(ids_a[start : start + step], ids_b, terms_a, terms_b)
            parts.append(on_grid(products))
        return np.concatenate(parts)

    def _search(self, usable_a: np.ndarray, usable_b: np.ndarray, *, k: int, floor: float) -> BothLists:
        terms_a, terms_b = self._side_terms("a"), self._side_terms("b")
        ids_a, ids_b = (
            np.flatnonzero(usable & (terms.scale > 0)) for usable, terms in ((usable_a, terms_a), (usable_b, terms_b))
        )
        of_a, of_b = BestPartners.empty(self.d_a, min(k, self.d_b)), BestPartners.empty(self.d_b, min(k, self.d_a))
        counts_a, counts_b = np.zeros(self.d_a, np.int64), np.zeros(self.d_b, np.int64)
        step = max(1, self.block_values // max(1, len(ids_b)))
        few = self.b.n_tokens * max(self.d_a, self.d_b) <= 4 * self.block_values
        whole_b = self._values(self.b, 0, self.b.n_tokens, ids_b, terms_b) if few else None
        with ThreadPoolExecutor(self.n_threads) as pool:
            starts = range(0, len(ids_a), step)
            for start in shown_when_long(starts, total=len(starts), description="Matching features", unit="blocks"):
                part = ids_a[start : start + step]
                values = self._products(part, ids_b, terms_a, terms_b, whole_b=whole_b)
                # A thread has some rows, then some columns, to itself.
                rows = [(values, part, ids_b, cut, floor, of_a.ids, of_a.values, counts_a) for cut in self._cuts(part)]
                columns = [
                    (values, ids_b, part, cut, floor, of_b.ids, of_b.values, counts_b) for cut in self._cuts(ids_b)
                ]
                list(pool.map(lambda task: _enter_rows(*task), rows))
                list(pool.map(lambda task: _enter_columns(*task), columns))
        of_a.truncated[:] = counts_a > of_a.ids.shape[1]
        of_b.truncated[:] = counts_b > of_b.ids.shape[1]
        return BothLists(of_a, of_b)

    def _cuts(self, ids: np.ndarray) -> list[tuple[int, int]]:
        bounds = np.linspace(0, len(ids), self.n_threads + 1).astype(int)
        return list(pairwise(bounds.tolist()))

    def _products(
        self, ids_a: np.ndarray, ids_b: np.ndarray, terms_a: Terms, terms_b: Terms, *, whole_b: np.ndarray | None = None
    ) -> np.ndarray:
        """Associations of some features of a with some of b, (len(ids_a), len(ids_b)) float64.

        Args:
            whole_b: all values of ids_b, (n_tokens, len(ids_b)), where they are few.
        """
        if whole_b is not None:
            sums = self._values(self.a, 0, self.a.n_tokens, ids_a, terms_a).T @ whole_b
        else:
            sums = np.zeros((len(ids_a), len(ids_b)))
            step = max(1, self.block_values // (self.d_a + self.d_b))
            for start in range(0, self.a.n_tokens, step):
                stop = min(start + step, self.a.n_tokens)
                x = self._values(self.a, start, stop, ids_a, terms_a)
                sums += x.T @ self._values(self.b, start, stop, ids_b, terms_b)
        if self.association == "jaccard":
            return sums / (terms_a.shift[ids_a, None] + terms_b.shift[ids_b] - sums)
        return sums * (terms_a.scale[ids_a, None] * terms_b.scale[ids_b])

    def _values(self, side: Side, start: int, stop: int, ids: np.ndarray, terms: Terms) -> np.ndarray:
        if side.dense is not None:
            block = np.asarray(side.dense[start:stop, ids], dtype=np.float64)
        else:
            block = side.dense_block(start, stop)[:, ids]
        if self.association == "jaccard":
            return (block != 0).astype(np.float64)
        return block - terms.shift[ids] if self.association == "pearson" else block

    def _side_terms(self, name: str) -> Terms:
        """shift: the mean (pearson), 0 (cosine) or the firing count (jaccard); scale: 1 / norm after the shift."""
        if name not in self._terms:
            side, usable = (self.a, self.usable_a) if name == "a" else (self.b, self.usable_b)
            self._terms[name] = self._compute_terms(side, usable)
        return self._terms[name]

    def _compute_terms(self, side: Side, usable: np.ndarray) -> Terms:
        if self.association == "jaccard":
            return Terms(side.moments.counts.astype(np.float64), usable.astype(np.float64))
        shift = side.moments.sums / side.n_tokens if self.association == "pearson" else np.zeros(side.d_sae)
        squares = np.zeros(side.d_sae)
        step = max(1, self.block_values // side.d_sae)
        for start in range(0, side.n_tokens, step):
            block = side.dense_block(start, min(start + step, side.n_tokens)) - shift
            squares += np.einsum("td,td->d", block, block)
        scale = np.zeros(side.d_sae)
        good = usable & (squares > 0)
        scale[good] = 1.0 / np.sqrt(squares[good])
        return Terms(shift, scale)


@numba.njit(cache=True, nogil=True)
def _enter_rows(values, own_ids, other_ids, cut, floor, best, best_values, counts):  # pragma: no cover (compiled)
    """Enter values[row, :] into the lists of the rows cut[0]..cut[1]."""
    k = best.shape[1]
    for row in range(cut[0], cut[1]):
        own = own_ids[row]
        bar = max(best_values[own, k - 1], floor) - HALF_STEP
        n_candidates = 0
        for column in range(other_ids.size):
            raw = values[row, column]
            n_candidates += raw > floor
            if raw >= bar:
                _enter(raw, other_ids[column], floor, best[own], best_values[own])
                bar = max(best_values[own, k - 1], floor) - HALF_STEP
        counts[own] += n_candidates


@numba.njit(cache=True, nogil=True)
def _enter_columns(values, own_ids, other_ids, cut, floor, best, best_values, counts):  # pragma: no cover (compiled)
    """Enter values[:, column] into the lists of the columns cut[0]..cut[1], walking along the memory."""
    k = best.shape[1]
    own_ids = own_ids[cut[0] : cut[1]]
    bars = np.maximum(best_values[own_ids, k - 1], floor) - HALF_STEP
    n_candidates = np.zeros(own_ids.size, dtype=np.int64)
    for row in range(other_ids.size):
        line = values[row, cut[0] : cut[1]]
        for column in range(own_ids.size):
            raw = line[column]
            n_candidates[column] += raw > floor
            if raw >= bars[column]:
                own = own_ids[column]
                _enter(raw, other_ids[row], floor, best[own], best_values[own])
                bars[column] = max(best_values[own, k - 1], floor) - HALF_STEP
    counts[own_ids] += n_candidates


@numba.njit(cache=True, nogil=True)
def _enter(raw, other, floor, ids, values):  # pragma: no cover (compiled)
    value = np.rint(raw * GRID) / GRID
    if value > floor and beats_last(ids, values, other, value):
        insert(ids, values, other, value)
