"""What collecting, labelling and matching cost at one number of tokens, width and L0. Runs in a process of its own, so
that its peak memory is its own:

python -m tests.benchmarks.scale_workloads steps n_tokens=250000 d_sae=65536 l0=32    prints one JSON line
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.feature_workloads import random_tokenizer, random_tokens
from tests.benchmarks.matching_workloads import peak_mib, reset_peak, warm_up, write_store

D_IN = 16  # width of the activations that are encoded, as in the study `scale`
ENCODED_SHARE = 1 / 32  # of the tokens: each costs the same, and encoding all would take longest by far


def steps(*, n_tokens: int = 250_000, d_sae: int = 65_536, l0: int = 32) -> dict[str, float]:
    """CPU seconds and added MiB of collecting and labelling one dictionary, and of matching two; megabytes of a store.

    One thread. Labelling: top examples, histograms, labels. Matching: the best partners of both sides.
    """
    from helpers.activations import ActivationStore
    from helpers.features import build_words, describe_features
    from helpers.matching import match_features

    found: dict[str, float] = {}
    tokenizer = random_tokenizer()
    tokens = random_tokens(n_tokens, tokenizer)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _compile(folder, tokens, tokenizer)
        sae = _dictionary(d_sae, l0)
        _timed(found, "collect", lambda: _collect(folder / "encoded", sae, round(n_tokens * ENCODED_SHARE)))
        found["collect"] /= ENCODED_SHARE
        for seed, name in enumerate("ab"):
            write_store(folder / name, n_tokens, d_sae, l0, seed=seed)
        store_a, store_b = (ActivationStore.open(folder / name) for name in "ab")
        words = build_words(tokens, tokenizer)
        _timed(found, "label", lambda: describe_features(store_a, words, n_examples=5))
        _timed(found, "match", lambda: match_features(store_a, store_b, method="mutual", n_threads=1))
        return found | {"megabytes": store_a.n_bytes / 1e6, "l0": store_a.l0}


def _dictionary(d_sae: int, k: int) -> Any:
    """A random TopK dictionary."""
    import torch
    from sae_lens import TopKSAE, TopKSAEConfig

    sae = TopKSAE(TopKSAEConfig(d_in=D_IN, d_sae=d_sae, k=k))
    with torch.no_grad():
        sae.W_enc.copy_(torch.randn(sae.W_enc.shape, generator=torch.Generator().manual_seed(0)))
    return sae


def _collect(path: Path, sae: Any, n_tokens: int) -> None:
    """Encode normal activations into a store."""
    import torch

    from helpers.activations import ActivationStore
    from helpers.activations.topk_rows import topk_rows

    generator = torch.Generator().manual_seed(1)
    with ActivationStore.create(path, d_sae=sae.cfg.d_sae) as writer:
        for start in range(0, n_tokens, 4096):
            rows = np.arange(start, min(start + 4096, n_tokens))
            encoded = topk_rows(sae, torch.randn(len(rows), D_IN, generator=generator))
            writer.append(encoded, token_ids=rows % 1000, documents=rows // 100, positions=rows % 100)


def _compile(folder: Path, tokens: Any, tokenizer: Any) -> None:
    """Every compiled loop once, on little; one thread from here on."""
    import torch

    from helpers.activations import ActivationStore
    from helpers.features import build_words, describe_features

    torch.set_num_threads(1)
    warm_up()
    _collect(folder / "small_encoded", _dictionary(64, 4), 16)
    few = tokens.sequences(0, 10)
    write_store(folder / "small", few.n_tokens, 50, 5, seed=0)
    describe_features(ActivationStore.open(folder / "small"), build_words(few, tokenizer))


def _timed(found: dict[str, float], name: str, work: Callable[[], Any]) -> None:
    before = reset_peak()
    start = time.process_time()
    work()
    found[name] = time.process_time() - start
    found[f"{name}_mib"] = peak_mib() - before


WORKLOADS: dict[str, Callable[..., dict[str, float]]] = {"steps": steps}


def main(arguments: list[str]) -> None:
    options = {key: int(value) for key, value in (argument.split("=") for argument in arguments[1:])}
    sys.stdout.write(json.dumps(WORKLOADS[arguments[0]](**options)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
