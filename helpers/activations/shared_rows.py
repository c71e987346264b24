"""Two stores brought to the same rows: as they are where one token batch made both, else pooled into common units.

What comes out is a pair of ordinary stores with their tokens, so that matching, top examples and contexts need not know how
the rows came about.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import scipy.sparse

from helpers.activations.pooling import DEFAULT_POOL, pooled_blocks
from helpers.activations.store import ActivationStore

if TYPE_CHECKING:
    from helpers.corpus import AlignedRows, RowUnits, TokenBatch


@dataclass(frozen=True, eq=False)
class SharedRows:
    """Two stores whose row i is the same text.

    Args:
        store_a, store_b: the stores; tokens: row i of both is its i-th kept token; tokenizer: decodes its ids.
        alignment: how the rows came about; None if both stores were made with one token batch and are as they were.
    """

    store_a: ActivationStore
    store_b: ActivationStore
    tokens: TokenBatch
    tokenizer: Any
    alignment: AlignedRows | None


def share_rows(
    store_a: ActivationStore,
    store_b: ActivationStore,
    *,
    tokens_a: TokenBatch,
    tokens_b: TokenBatch,
    tokenizer_a: Any,
    tokenizer_b: Any,
    folder: str | Path,
    pool: str = DEFAULT_POOL,
) -> SharedRows:
    """Bring two stores to the same rows, whatever their models' tokenizers.

    Args:
        tokens_a, tokens_b: the batches that the stores were made with; tokenizer_a, tokenizer_b: theirs.
        folder: pooled stores are written to its subfolders a and b; nothing is written if the rows are the same already.
        pool: see `aligned_activations`.
    Returns:
        The stores with one token batch and tokenizer for both. Pooled stores keep the units' texts as tokens.
    Raises:
        ValueError: the batches cannot be aligned (`align_rows`), or a store cannot be pooled.
    """
    if tokens_a.fingerprint() == tokens_b.fingerprint():
        return SharedRows(store_a, store_b, tokens_a, tokenizer_a, None)
    # Imported here, so that reading and matching stores does not load the model libraries.
    from helpers.corpus import align_rows, unit_batch

    aligned = align_rows(tokens_a, tokens_b)
    units = unit_batch(aligned, tokens_a, tokens_b, tokenizer_a=tokenizer_a, tokenizer_b=tokenizer_b)
    pooled = [
        _write(Path(folder) / name, store, rows, units.tokens, pool)
        for name, store, rows in (("a", store_a, aligned.a), ("b", store_b, aligned.b))
    ]
    return SharedRows(pooled[0], pooled[1], units.tokens, units.tokenizer, aligned)


def _write(path: Path, store: ActivationStore, rows: RowUnits, units: TokenBatch, pool: str) -> ActivationStore:
    """A store of pooled activations; strongest and last values stay exact in the precision that they were stored in."""
    row_values = {
        "token_ids": units.token_ids(),
        "documents": units.row_documents(),
        "positions": units.row_positions(),
    }
    with ActivationStore.create(
        path,
        d_sae=store.d_sae,
        dtype=store.manifest.dtype if pool in ("max", "last") else "float32",
        tokens_fingerprint=units.fingerprint(),
        tokenizer_fingerprint=units.tokenizer_fingerprint,
        source=store.manifest.source | {"pool": pool, "pooled_from": store.checksum()},
    ) as writer:
        for first, block in pooled_blocks(store, rows, pool=pool):
            part = slice(first, first + block.shape[0])
            matrix = scipy.sparse.csr_array((block.data, block.indices, block.indptr), shape=block.shape)
            writer.append(matrix, **{name: values[part] for name, values in row_values.items()})
    return ActivationStore.open(path, verify=False)  # just written
