"""Run a model over a token batch once and keep what every dictionary makes of it.

The forward pass stops at the deepest hook that is needed. Masked positions (padding, BOS, special tokens) are dropped
before encoding. While the next batch is computed, a thread waits for the encoded rows of the last ones to arrive on the
host, checks and writes them. Memory is bounded by a few batches of sequences, whatever the number of tokens; an
interrupted collection goes on from its last complete batch, and a store that is there already, of the same tokens, weights,
settings and code, is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.activations.background import background_writer
from helpers.activations.store import ActivationStore
from helpers.activations.writer import StoreWriter
from helpers.code_fingerprint import code_fingerprint
from helpers.progress import progress_bar

if TYPE_CHECKING:
    from sae_lens import SAE

    from helpers.activations.encoding import Arriving
    from helpers.corpus import TokenBatch

log = logging.getLogger(__name__)

#: What decides the values of a store, beside weights, tokens and settings.
_CODE = ("activations/*.py", "models/*.py", "saes/*.py", "devices.py", "transfers.py")
SUSPICIOUS_DENSITY = 0.10  # real dictionaries: 0.1 to 0.3 %; 35 % once revealed the wrong SAE


def collect_activations(
    model: Any,
    dictionaries: Mapping[str, tuple[SAE, str]],
    tokens: TokenBatch,
    folder: str | Path,
    *,
    kind: str = "feature_acts",
    dtype: str = "float16",
    batch_size: int = 32,
) -> dict[str, ActivationStore]:
    """Encode the kept tokens with every dictionary, in one pass through the model, into stores at folder/<name>.

    Args:
        model: a TransformerBridge.
        dictionaries: name -> (SAE, hook name); all read this model.
        tokens: row r of every store is the r-th kept position of this batch.
        kind: "feature_acts" (post-activations) or "hidden_pre" (pre-activations).
        dtype: stored precision; encoding itself is done in the SAE's, whatever the model's.
        batch_size: sequences in a forward pass; fewer where an accelerator's memory is too small for so many.
    Returns:
        name -> the finished store.
    Raises:
        ValueError: unknown hook; an SAE of another width than its hook; NaN, infinite, negative or too large
            activations; no kept token. OSError: the disk is full or read-only.
    """
    # Imported here, so that reading and matching stores does not load the model libraries (0.5 GiB).
    from helpers.activations.encoding import RowEncoder
    from helpers.models import hook_width, kept_rows, require_hook, split_batch, stream_activations

    if not dictionaries:
        raise ValueError("dictionaries is empty; pass at least one name -> (SAE, hook name)")
    if tokens.n_tokens == 0:
        raise ValueError("the token batch keeps no token; check the corpus and the keep mask")
    for name, (sae, hook_name) in dictionaries.items():
        require_hook(model, hook_name)
        _check_width(name, sae, hook_name, hook_width(model, hook_name))

    row_ends = np.concatenate([[0], np.cumsum(tokens.keep_mask.sum(axis=1))])
    batches = [range(s, min(s + batch_size, tokens.n_sequences)) for s in range(0, tokens.n_sequences, batch_size)]
    folder = Path(folder)
    with contextlib.ExitStack() as stack:
        writers = {
            name: stack.enter_context(
                ActivationStore.create(
                    folder / name,
                    d_sae=sae.cfg.d_sae,
                    dtype=dtype,
                    kind=kind,
                    tokens_fingerprint=tokens.fingerprint(),
                    tokenizer_fingerprint=tokens.tokenizer_fingerprint,
                    source=_source(model, name, sae, hook_name, batch_size),
                    resume=True,
                )
            )
            for name, (sae, hook_name) in dictionaries.items()
        }
        stored = {name: writer.n_tokens for name, writer in writers.items()}
        done = min(stored.values())
        todo = [batch for batch in batches if row_ends[batch.stop] > done]
        bar = stack.enter_context(
            progress_bar(total=tokens.n_tokens, description="Saving activations", unit="tokens", initial=done)
        )
        encoders = {name: RowEncoder(sae, kind=kind) for name, (sae, _) in dictionaries.items()}
        background = stack.enter_context(background_writer())
        skipped = len(batches) - len(todo)
        parts = itertools.islice(split_batch(tokens, batch_size=batch_size), skipped, None)
        stream = stream_activations(model, parts, _hooks(dictionaries))
        for batch, (part, activations) in zip(todo, stream, strict=True):
            first, last = int(row_ends[batch.start]), int(row_ends[batch.stop])
            for name in (name for name in dictionaries if first < last and stored[name] < last):
                rows = encoders[name].encode(kept_rows(activations[dictionaries[name][1]], part))
                background.submit(partial(_append, writers[name], rows, part, first=first))
            bar.update(last - first)
    stores = {name: ActivationStore.open(folder / name, verify=False) for name in dictionaries}  # just written
    for name, store in stores.items():
        _report(name, store)
    return stores


def _append(writer: StoreWriter, rows: Arriving, part: TokenBatch, *, first: int) -> None:
    """Write one batch of sequences into one store, once its rows are here."""
    # A batch is journalled whole or not at all, so a store is always at the border of a batch.
    assert writer.n_tokens == first
    writer.append(rows(), token_ids=part.token_ids(), documents=part.row_documents(), positions=part.row_positions())


def _hooks(dictionaries: Mapping[str, tuple[SAE, str]]) -> list[str]:
    return list(dict.fromkeys(hook_name for _, hook_name in dictionaries.values()))


def _check_width(name: str, sae: SAE, hook_name: str, width: int) -> None:
    if sae.cfg.d_in != width:
        raise ValueError(
            f"dictionary {name!r} expects activations of width {sae.cfg.d_in}, {hook_name} has {width}; "
            "it was trained on another model or hook: pass the SAE of this hook"
        )


def _source(model: Any, name: str, sae: SAE, hook_name: str, batch_size: int) -> dict[str, Any]:
    """All that decides the values beside the tokens; a resumption, and keeping what is there, need it to agree."""
    import torch

    return {
        "dictionary": name,
        "hook_name": hook_name,
        "model": str(getattr(getattr(model, "cfg", None), "model_name", "")),
        "model_fingerprint": weights_fingerprint(model),
        "sae_architecture": str(sae.cfg.architecture()) if hasattr(sae.cfg, "architecture") else type(sae).__name__,
        "sae_fingerprint": weights_fingerprint(sae),
        # float sums depend on these in the last digit
        "batch_size": batch_size,
        "device": sae.W_dec.device.type,
        "n_threads": torch.get_num_threads(),
        "code": code_fingerprint(*_CODE),
    }


def weights_fingerprint(module: Any) -> str:
    """SHA-256 over names, shapes and all values of every parameter; a gigabyte takes about a second."""
    import torch

    digest = hashlib.sha256()
    for name, parameter in sorted(module.named_parameters()):
        digest.update(f"{name} {tuple(parameter.shape)} {parameter.dtype}".encode())
        digest.update(parameter.detach().reshape(-1).view(torch.uint8).cpu().numpy())
    return digest.hexdigest()


def _report(name: str, store: ActivationStore) -> None:
    if store.is_sparse and store.density > SUSPICIOUS_DENSITY:
        log.warning(
            "%s: %.0f %% of the activations are non-zero (L0 %.1f of %d); the wrong dictionary may have encoded them",
            name,
            100 * store.density,
            store.l0,
            store.d_sae,
        )
    else:
        log.info("%s: %d tokens, L0 %.1f of %d features", name, store.n_tokens, store.l0, store.d_sae)
