"""Best partners on a GPU: blocks of features of a against all of b, by a sparse or a dense product.

Both products give the same sums in float64; which is faster depends on the density and on the device, so a part of each
is timed and the faster one does the work. Associations are rounded to a grid, so ties are ties and the result does not
depend on the product, the blocks or the device. The order of preference (higher association, then lower id) is one
integer, and lists are the largest integers. Where the device's memory is too small after all, the work begins again with
blocks and chunks of half the size.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch

from helpers.activations import CsrRows
from helpers.devices import run_in_halves
from helpers.matching.associations import Terms, association_terms
from helpers.matching.candidates import GRID, BestPartners, BothLists
from helpers.matching.inputs import Side

ID_BITS = 22  # 41 bits of association and 22 of id make a signed 64-bit integer
BLOCK_VALUES = 1 << 25  # float64 values of one block of associations: 0.25 GiB, and a few copies of it
CHUNK_PRODUCTS = 1 << 24  # products expanded at once by the sparse product
CHUNK_VALUES = 1 << 26  # float64 values of the dense chunks of the dense product
PROBE_TOKENS, PROBE_SHARE = 4096, 16  # tokens of the timed dense product; one feature in 16 of the timed sparse one
_EMPTY = torch.iinfo(torch.int64).min

T = TypeVar("T")
logger = logging.getLogger(__name__)


@dataclass
class TorchEngine:
    """Engine for two sparse sides of non-negative activations, on a torch device; sums in float64.

    Args:
        product: "sparse", "dense", or None: whichever is faster here.
        block_values: float64 values of one block of associations on the device; halved when its memory is too small.
    """

    a: Side
    b: Side
    association: str
    usable_a: np.ndarray
    usable_b: np.ndarray
    device: torch.device
    product: str | None = None
    block_values: int = BLOCK_VALUES
    _loaded: dict[str, _DeviceRows] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._planned_values = self.block_values
        if max(self.d_a, self.d_b) >= 1 << ID_BITS:
            raise ValueError(
                f"expected dictionaries of fewer than {1 << ID_BITS:,} features; got {self.d_a} and {self.d_b}"
            )

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
        ids_a = np.flatnonzero(self.usable_a if keep_a is None else self.usable_a & keep_a)
        ids_b = np.flatnonzero(self.usable_b if keep_b is None else self.usable_b & keep_b)
        return self._fitting(lambda: self._lists(ids_a, ids_b, k=k, floor=floor))

    def block(self, ids_a: np.ndarray, ids_b: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        parts = self._fitting(lambda: [values.cpu().numpy() for _, values in self._blocks(ids_a, ids_b)])
        return np.concatenate(parts) if parts else np.zeros((len(ids_a), len(ids_b)))

    def _fitting(self, work: Callable[[], T]) -> T:
        """The result of some work, which begins again with smaller blocks as long as memory is too small."""

        def run(block_values: int) -> T:
            self.block_values = block_values
            return work()

        return run_in_halves(run, self.block_values, unit="values")[0]

    def _lists(self, ids_a: np.ndarray, ids_b: np.ndarray, *, k: int, floor: float) -> BothLists:
        k_a, k_b = min(k, self.d_b), min(k, self.d_a)
        of_a, of_b = BestPartners.empty(self.d_a, k_a), BestPartners.empty(self.d_b, k_b)
        keys_b = torch.full((len(ids_b), k_b), _EMPTY, device=self.device)
        counts_b = torch.zeros(len(ids_b), dtype=torch.int64, device=self.device)
        for part, values in self._blocks(ids_a, ids_b):
            candidate = values > floor
            counts_b += candidate.sum(dim=0)
            found = _largest(_keys(values, candidate, self._ids(ids_b)), k_a)
            _store(of_a, part, found, candidate.sum(dim=1))
            keys = _keys(values, candidate, self._ids(part)[:, None])
            keys_b = _largest(torch.cat([keys_b, keys.T], dim=1), k_b)
        _store(of_b, ids_b, keys_b, counts_b)
        return BothLists(of_a, of_b)

    def _blocks(self, ids_a: np.ndarray, ids_b: np.ndarray) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Associations, (len(part), len(ids_b)) float64 on the grid, for one part of ids_a after another."""
        if len(ids_a) == 0 or len(ids_b) == 0:
            return
        terms_a, terms_b = (
            self._terms(side, usable) for side, usable in ((self.a, self.usable_a), (self.b, self.usable_b))
        )
        step = max(1, self.block_values // len(ids_b))
        for start in range(0, len(ids_a), step):
            part = ids_a[start : start + step]
            sums = self._product(part, ids_b)
            yield part, self._associate(sums, terms_a, terms_b, part, ids_b)

    def _product(self, ids_a: np.ndarray, ids_b: np.ndarray) -> torch.Tensor:
        if self.product is not None:
            return self._run(self.product, ids_a, ids_b)
        n_tokens = min(PROBE_TOKENS, self.a.n_tokens)
        some = ids_a[::PROBE_SHARE]
        seconds = {
            "sparse": self._timed("sparse", some, ids_b) * len(ids_a) / len(some),
            "dense": self._timed("dense", ids_a, ids_b, n_tokens=n_tokens) * self.a.n_tokens / n_tokens,
        }
        self.product = min(seconds, key=lambda name: seconds[name])
        logger.info(
            "matching on %s by the %s product; a block by either, in seconds: %s", self.device, self.product, seconds
        )
        return self._run(self.product, ids_a, ids_b)

    def _timed(self, product: str, ids_a: np.ndarray, ids_b: np.ndarray, *, n_tokens: int | None = None) -> float:
        """Seconds of a product; it runs twice, for the first run loads the data and the kernels."""
        seconds = 0.0
        for _ in range(2):
            self._synchronize()
            start = time.perf_counter()
            self._run(product, ids_a, ids_b, n_tokens=n_tokens)
            self._synchronize()
            seconds = time.perf_counter() - start
        return seconds

    def _run(self, product: str, ids_a: np.ndarray, ids_b: np.ndarray, *, n_tokens: int | None = None) -> torch.Tensor:
        x, y, ids_x, ids_y = self._rows("a"), self._rows("b"), self._ids(ids_a), self._ids(ids_b)
        if product == "sparse":
            return _sparse_product(x, y, ids_x, ids_y, n_at_once=self._share_of(CHUNK_PRODUCTS))
        n_values = self._share_of(CHUNK_VALUES)
        return _dense_product(x, y, ids_x, ids_y, n_tokens=n_tokens or x.n_tokens, n_values=n_values)

    def _share_of(self, n: int) -> int:
        """Smaller as the blocks are."""
        return max(1, n * self.block_values // self._planned_values)

    def _rows(self, name: str) -> _DeviceRows:
        if name not in self._loaded:
            side = self.a if name == "a" else self.b
            if name == "b" and self.b is self.a:
                return self._rows("a")
            assert side.sparse is not None
            self._loaded[name] = _DeviceRows.of(side.sparse, self.device, binary=self.association == "jaccard")
        return self._loaded[name]

    def _terms(self, side: Side, usable: np.ndarray) -> Terms:
        return association_terms(self.association, side.moments, n_tokens=side.n_tokens, usable=usable)

    def _associate(
        self, sums: torch.Tensor, terms_a: Terms, terms_b: Terms, ids_a: np.ndarray, ids_b: np.ndarray
    ) -> torch.Tensor:
        shift_a, scale_a, shift_b, scale_b = (
            torch.from_numpy(values).to(self.device)
            for values in (
                terms_a.shift[ids_a, None],
                terms_a.scale[ids_a, None],
                terms_b.shift[ids_b],
                terms_b.scale[ids_b],
            )
        )
        met = sums != 0  # products are positive, so a sum of 0 means that they never fire together
        if self.association == "jaccard":
            values = sums / (shift_a + shift_b - sums)
        else:
            values = (sums - shift_a * shift_b) * (scale_a * scale_b)
        return torch.where(met, torch.round(values * GRID) / GRID, 0.0)

    def _ids(self, ids: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(ids.astype(np.int64)).to(self.device)

    def _synchronize(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


@dataclass(frozen=True)
class _DeviceRows:
    """A sparse matrix on the device, by token and, for the same entries, by feature.

    Shapes:
        indptr: (n_tokens + 1,); indices, data: (nnz,), by token.
        starts: (d_sae + 1,); rows, values: (nnz,), by feature, rows ascending.
    """

    indptr: torch.Tensor
    indices: torch.Tensor
    data: torch.Tensor
    starts: torch.Tensor
    rows: torch.Tensor
    values: torch.Tensor

    @classmethod
    def of(cls, matrix: CsrRows, device: torch.device, *, binary: bool) -> _DeviceRows:
        indptr = torch.from_numpy(np.array(matrix.indptr)).to(device)
        indices = torch.from_numpy(np.array(matrix.indices)).to(device)
        data = torch.from_numpy(np.array(matrix.data)).to(device)
        if binary:
            data = torch.ones_like(data)
        by_feature = torch.argsort(indices, stable=True)
        n_rows = len(indptr) - 1
        row_of = torch.repeat_interleave(torch.arange(n_rows, device=device, dtype=torch.int32), indptr.diff())
        starts = torch.zeros(matrix.d_sae + 1, dtype=torch.int64, device=device)
        starts[1:] = torch.cumsum(torch.bincount(indices, minlength=matrix.d_sae), dim=0)
        return cls(indptr, indices, data, starts, row_of[by_feature], data[by_feature])

    @property
    def n_tokens(self) -> int:
        return len(self.indptr) - 1

    @property
    def d_sae(self) -> int:
        return len(self.starts) - 1


def _sparse_product(
    x: _DeviceRows, y: _DeviceRows, ids_x: torch.Tensor, ids_y: torch.Tensor, *, n_at_once: int
) -> torch.Tensor:
    """Sums of products by firing pairs: every entry of the columns of x meets the entries of its token in y."""
    device = ids_x.device
    sums = torch.zeros((len(ids_x), len(ids_y)), dtype=torch.float64, device=device)
    place = torch.full((y.d_sae,), -1, dtype=torch.int64, device=device)
    place[ids_y] = torch.arange(len(ids_y), device=device)
    lines, entries = _expand(x.starts[ids_x], x.starts[ids_x + 1])
    rows = x.rows[entries].long()
    begin, end = y.indptr[rows], y.indptr[rows + 1]
    total = torch.cumsum(end - begin, dim=0)
    n_chunks = int(total[-1]) // n_at_once + 1 if len(total) else 0
    limits = torch.arange(1, n_chunks, device=device) * n_at_once
    cuts = [0, *torch.searchsorted(total, limits).tolist(), len(total)]
    for low, high in pairwise(cuts):
        which, far = _expand(begin[low:high], end[low:high])
        column = place[y.indices[far].long()]
        keep = column >= 0
        which, far, column = which[keep] + low, far[keep], column[keep]
        products = x.values[entries[which]].double() * y.data[far].double()
        sums.view(-1).index_add_(0, lines[which] * len(ids_y) + column, products)
    return sums


def _dense_product(
    x: _DeviceRows, y: _DeviceRows, ids_x: torch.Tensor, ids_y: torch.Tensor, *, n_tokens: int, n_values: int
) -> torch.Tensor:
    """Sums of products over the first `n_tokens` tokens, by dense chunks of tokens of about `n_values` values."""
    sums = torch.zeros((len(ids_x), len(ids_y)), dtype=torch.float64, device=ids_x.device)
    step = max(1, n_values // (x.d_sae + y.d_sae))
    for start in range(0, n_tokens, step):
        stop = min(start + step, n_tokens)
        sums.addmm_(_chunk(x, start, stop, ids_x).T, _chunk(y, start, stop, ids_y))
    return sums


def _chunk(matrix: _DeviceRows, start: int, stop: int, ids: torch.Tensor) -> torch.Tensor:
    """Some columns of rows start..stop, dense (stop - start, len(ids)) float64."""
    place = torch.full((matrix.d_sae,), -1, dtype=torch.int64, device=ids.device)
    place[ids] = torch.arange(len(ids), device=ids.device)
    rows, entries = _expand(matrix.indptr[start:stop], matrix.indptr[start + 1 : stop + 1])
    columns = place[matrix.indices[entries].long()]
    keep = columns >= 0
    dense = torch.zeros((stop - start, len(ids)), dtype=torch.float64, device=ids.device)
    dense[rows[keep], columns[keep]] = matrix.data[entries[keep]].double()
    return dense


def _expand(begin: torch.Tensor, end: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """All indices of the ranges begin..end, one range after another: which range, and the index."""
    lengths = end - begin
    which = torch.repeat_interleave(torch.arange(len(begin), device=begin.device), lengths)
    offsets = torch.cumsum(lengths, dim=0) - lengths
    inside = torch.arange(len(which), device=begin.device) - offsets[which]
    return which, begin[which] + inside


def _keys(values: torch.Tensor, candidate: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """One integer for the order of preference; smaller than any other where there is no candidate."""
    steps = torch.round(values * GRID).long()
    return torch.where(candidate, (steps << ID_BITS) + ((1 << ID_BITS) - 1 - ids), _EMPTY)


def device_bytes(*sides: Side) -> int:
    """Memory that an engine for these sides needs on its device, estimated from above."""
    # An entry is stored twice (by token, by feature); sorting it takes two 64-bit integers besides.
    n_values = sum(len(side.sparse.data) for side in sides if side.sparse is not None)
    return 40 * n_values + 8 * 8 * (BLOCK_VALUES + CHUNK_PRODUCTS)


def _largest(keys: torch.Tensor, k: int) -> torch.Tensor:
    """The k largest keys of every row, descending, padded with empty ones."""
    found = torch.topk(keys, min(k, keys.shape[1]), dim=1).values
    return torch.nn.functional.pad(found, (0, k - found.shape[1]), value=_EMPTY)


def _store(best: BestPartners, features: np.ndarray, keys: torch.Tensor, n_candidates: torch.Tensor) -> None:
    found = keys.cpu().numpy()
    there = found != _EMPTY
    ids = (1 << ID_BITS) - 1 - (found & ((1 << ID_BITS) - 1))
    best.ids[features] = np.where(there, ids, -1)
    best.values[features] = np.where(there, (found >> ID_BITS) / GRID, -np.inf)
    best.truncated[features] = n_candidates.cpu().numpy() > found.shape[1]
