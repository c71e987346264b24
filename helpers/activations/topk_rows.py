"""TopK feature activations on a CPU without the dense result: the pre-activations of a tile stay in the cache.

`sae.encode` writes n_tokens x d_sae numbers to memory, selects from them, writes as many zeros, and a sparse copy reads
those twice. Here a tile of pre-activations (some tokens x some features) is looked through as soon as it is multiplied,
and of every token only the k largest so far are kept. The cost is that of the product and of one look at every number.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import scipy.sparse

if TYPE_CHECKING:
    from sae_lens import SAE
    from torch import Tensor

# 1 MiB of float32: a tile stays near the core, and the product is as fast as with larger ones.
TILE_TOKENS, TILE_FEATURES = 256, 1024
CHUNK = 64  # numbers that are compared at once; most chunks hold none that is large enough


def takes_tiles(sae: SAE) -> bool:
    """Whether `topk_rows` gives what `sae.encode` gives: TopK, in float32 on a CPU, nothing hooked between."""
    import torch

    config: Any = sae.cfg
    return (
        getattr(config, "architecture", str)() == "topk"
        and not config.rescale_acts_by_decoder_norm
        and sae.W_enc.device.type == "cpu"
        and sae.W_enc.dtype == torch.float32
        and not any(getattr(sae, name).has_hooks() for name in ("hook_sae_acts_pre", "hook_sae_acts_post"))
    )


def topk_rows(sae: SAE, activations: Tensor) -> scipy.sparse.csr_array | None:
    """The feature activations of a TopK SAE, sparse: of every row the k largest pre-activations, where above 0.

    Shapes:
        activations: (n_rows, d_in).
    Returns:
        (n_rows, d_sae) float32, columns ascending; of equal pre-activations the lower feature stays. None if a
        pre-activation is NaN: `sae.encode` then shows which.
    """
    k, d_sae = min(int(sae.cfg.k), sae.cfg.d_sae), sae.cfg.d_sae
    n_rows = activations.shape[0]
    values, ids = np.zeros((n_rows, k), dtype=np.float32), np.full((n_rows, k), -1, dtype=np.int32)

    def search(start: int) -> bool:
        part = slice(start, start + TILE_TOKENS)
        return _search_rows(sae, activations[part], values[part], ids[part])

    if not all(_on_all_threads(search, range(0, n_rows, TILE_TOKENS))):
        return None
    indptr = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum((ids >= 0).sum(axis=1), out=indptr[1:])
    indices, data = _by_feature(values, ids, indptr)
    return scipy.sparse.csr_array((data, indices, indptr), shape=(n_rows, d_sae))


def _on_all_threads(search: Callable[[int], bool], starts: range) -> list[bool]:
    """Tiles of tokens side by side, on as many threads as torch has; each multiplies and looks on its own."""
    import torch

    n_threads = torch.get_num_threads()
    if n_threads == 1:
        return [search(start) for start in starts]
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(n_threads) as pool:
            return list(pool.map(search, starts))
    finally:
        torch.set_num_threads(n_threads)


def _search_rows(sae: SAE, activations: Tensor, values: np.ndarray, ids: np.ndarray) -> bool:
    """The largest pre-activations of one tile of tokens, as heaps; False at a NaN."""
    import torch

    with torch.no_grad():
        rows = sae.process_sae_in(activations.to(sae.W_enc))
        bias = sae.b_enc.detach().numpy()
        tile = torch.empty(len(rows) * TILE_FEATURES)
        for first in range(0, sae.cfg.d_sae, TILE_FEATURES):
            weights = sae.W_enc[:, first : first + TILE_FEATURES]
            product = tile[: len(rows) * weights.shape[1]].view(len(rows), -1)
            torch.mm(rows, weights, out=product)
            if not _keep_largest(product.numpy(), bias[first:], first, values, ids):
                return False
    return True


@numba.njit(cache=True, nogil=True)
def _keep_largest(product, bias, first, values, ids):  # pragma: no cover (compiled)
    """Put what is larger than the least of a row's heap in its place; False at a NaN."""
    biases = bias[: product.shape[1]]
    for row in range(product.shape[0]):
        products, least = product[row], values[row, 0]  # the least is 0 until k are above 0
        for start in range(0, products.size, CHUNK):
            # Slices of equal length, because their numbers are then compared several at once.
            some, shifts = products[start : start + CHUNK], biases[start : start + CHUNK]
            n_found = 0
            for place in range(some.size):
                n_found += not (some[place] + shifts[place] <= least)  # also a NaN
            if n_found == 0:
                continue
            for place in range(some.size):
                value = some[place] + shifts[place]
                if value > least:
                    _replace_least(values[row], ids[row], value, first + start + place)
                    least = values[row, 0]
                elif np.isnan(value):
                    return False
    return True


@numba.njit(cache=True, nogil=True)
def _replace_least(values, ids, value, feature):  # pragma: no cover (compiled)
    """Replace the root of a heap whose root is the least; of equal values the later feature is the lesser."""
    k = values.size
    place = 0
    while True:
        child = 2 * place + 1
        if child >= k:
            break
        right = child + 1
        if right < k and (
            values[right] < values[child] or (values[right] == values[child] and ids[right] > ids[child])
        ):
            child = right
        if values[child] > value or (values[child] == value and ids[child] < feature):
            break
        values[place], ids[place] = values[child], ids[child]
        place = child
    values[place], ids[place] = value, feature


@numba.njit(cache=True, nogil=True)
def _by_feature(values, ids, indptr):  # pragma: no cover (compiled)
    """Kept values, row by row, features ascending."""
    indices = np.empty(indptr[-1], dtype=np.int32)
    data = np.empty(indptr[-1], dtype=np.float32)
    for row in range(values.shape[0]):
        at = indptr[row]
        order = np.argsort(ids[row])
        for place in order[order.size - (indptr[row + 1] - at) :]:
            indices[at] = ids[row, place]
            data[at] = values[row, place]
            at += 1
    return indices, data
