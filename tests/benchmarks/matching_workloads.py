"""Workloads of the matching benchmarks. Each runs in a process of its own, so that its peak memory is its own:

python -m tests.benchmarks.matching_workloads NAME [key=value ...]    prints one JSON line
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
import scipy.sparse


def synthetic(n_tokens: int, d_sae: int, l0: int, *, seed: int, n_dense: int = 4) -> scipy.sparse.csr_array:
    """Activations as of a real dictionary: frequencies fall by a power law, a few features fire on half the tokens."""
    rng = np.random.default_rng(seed)
    ids = np.random.default_rng(d_sae).permutation(d_sae)  # who is frequent does not depend on the seed
    frequency = 1 / np.arange(10, d_sae + 10) ** 0.7
    ladder = np.cumsum(frequency / frequency.sum())
    features = ids[np.minimum(np.searchsorted(ladder, rng.random((n_tokens, l0))), d_sae - 1)]
    # A draw from a feature that the token has already is dropped later; dense features replace a few draws.
    for column in range(n_dense):
        features[:, column] = np.where(rng.random(n_tokens) < 0.5, column, features[:, column])
    values = rng.integers(1, 512, size=features.size).astype(np.float32) / 64
    indptr = np.arange(n_tokens + 1) * l0
    matrix = scipy.sparse.csr_array((values, features.ravel().astype(np.int32), indptr), shape=(n_tokens, d_sae))
    matrix.sum_duplicates()
    return matrix


def in_memory(*, n_tokens: int = 64_000, d_sae: int = 32_768, l0: int = 48, **options: Any) -> dict[str, float]:
    """Match two synthetic dictionaries held in memory."""
    from helpers.matching import match_features

    warm_up()
    a, b = (synthetic(n_tokens, d_sae, l0, seed=seed) for seed in (1, 2))
    before = reset_peak()
    start, cpu = time.perf_counter(), time.process_time()
    pairs = match_features(a, b, **{"method": "nearest"} | options)
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "added_mib": peak_mib() - before,
        "n_pairs": pairs.n_pairs,
    }


def plain_dense(*, n_tokens: int = 64_000, d_sae: int = 32_768, l0: int = 48, block: int = 1024) -> dict[str, float]:
    """The plain method: z-scored float32, blocked torch matmul, argmax; one block is timed and scaled to all.

    Neither the dense copies nor the z-scoring are timed; its memory is that of the two dense matrices.
    """
    import torch

    a, b = (synthetic(n_tokens, d_sae, l0, seed=seed)[:, :block].toarray() for seed in (1, 2))
    x, y = (torch.from_numpy((m - m.mean(axis=0)) / (m.std(axis=0) + 1e-8)) for m in (a, b))
    (x[:, :64].T @ y).argmax(dim=0)
    start = time.perf_counter()
    (x.T @ y / n_tokens).max(dim=0)
    seconds = (time.perf_counter() - start) * (d_sae / block) ** 2
    return {"seconds": seconds, "added_mib": 2 * n_tokens * d_sae * 4 / 2**20}


def on_disk(
    *, n_tokens: int = 1_000_000, d_sae: int = 32_768, l0: int = 48, folder: str = "", method: str = "nearest"
) -> dict[str, float]:
    """Write two stores block by block, then match them; only the matching is timed, peak memory is of everything."""
    from helpers.activations import ActivationStore
    from helpers.matching import match_features

    with tempfile.TemporaryDirectory(dir=folder or None) as temporary:
        for seed, name in enumerate("ab"):
            if not (Path(temporary) / name).exists():
                _write(Path(temporary) / name, n_tokens, d_sae, l0, seed=seed)
        warm_up()
        before = reset_peak()
        start = time.perf_counter()
        stores = [ActivationStore.open(Path(temporary) / name) for name in "ab"]
        pairs = match_features(*stores, method=method)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "peak_mib": peak_mib(), "peak_before_mib": before, "n_pairs": pairs.n_pairs}


def collect(*, n_tokens: int = 200_000, d_sae: int = 16_384, k: int = 32) -> dict[str, float]:
    """Collect two dictionaries of a small random model on the story world and match them, in one process."""
    import torch
    from sae_lens import TopKSAE, TopKSAEConfig
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    from helpers.activations import collect_activations
    from helpers.corpus import StoryWorld, build_tokenizer, tokenize_corpus
    from helpers.matching import match_features
    from helpers.models import load_model

    torch.manual_seed(0)
    world = StoryWorld()
    tokenizer = build_tokenizer(world)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        config = GPTNeoXConfig(
            vocab_size=len(tokenizer),
            hidden_size=96,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=384,
            max_position_embeddings=128,
            initializer_range=0.2,
        )
        GPTNeoXForCausalLM(config).save_pretrained(folder / "model")
        tokenizer.save_pretrained(folder / "model")
        model = load_model(str(folder / "model"), device="cpu", dtype="float32")
        dictionaries = {}
        for seed, hook_name in enumerate(("blocks.1.hook_resid_post", "blocks.2.hook_resid_post")):
            sae = TopKSAE(TopKSAEConfig(d_in=96, d_sae=d_sae, k=k))
            with torch.no_grad():
                generator = torch.Generator().manual_seed(seed)
                sae.W_enc.copy_(torch.randn(sae.W_enc.shape, generator=generator) / 10)
            dictionaries[hook_name] = (sae, hook_name)
        tokens = tokenize_corpus(world, tokenizer, context_size=128, n_tokens=n_tokens)
        before = reset_peak()
        start = time.perf_counter()
        stores = collect_activations(model, dictionaries, tokens, folder / "stores")
        collected = time.perf_counter()
        pairs = match_features(*stores.values(), method="one_to_one", min_firings=10)
        return {
            "collect_seconds": collected - start,
            "match_seconds": time.perf_counter() - collected,
            "peak_mib": peak_mib(),
            "peak_before_mib": before,
            "n_pairs": pairs.n_pairs,
        }


WORKLOADS: dict[str, Callable[..., dict[str, float]]] = {
    function.__name__: function for function in (in_memory, plain_dense, on_disk, collect)
}


def warm_up() -> None:
    """Compile the loops on a small case, for arrays in memory and for stores."""
    from helpers.activations import ActivationStore
    from helpers.matching import match_features

    small = synthetic(200, 50, 5, seed=0)
    match_features(small, small, method="one_to_one")
    with tempfile.TemporaryDirectory() as temporary:
        _write(Path(temporary) / "a", 200, 50, 5, seed=0)
        store = ActivationStore.open(Path(temporary) / "a")
        match_features(store, store, method="one_to_one")


def peak_mib() -> float:
    """Peak resident memory of this process since the last `reset_peak`, memory-mapped pages included."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def reset_peak() -> float:
    """Let the peak start from what is resident now, and tell that."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_mib()


def _write(path: Path, n_tokens: int, d_sae: int, l0: int, *, seed: int) -> None:
    from helpers.activations import ActivationStore

    step = 50_000
    with ActivationStore.create(path, d_sae=d_sae) as writer:
        for start in range(0, n_tokens, step):
            rows = np.arange(start, min(start + step, n_tokens))
            block = synthetic(len(rows), d_sae, l0, seed=seed * 100_003 + start // step)
            writer.append(block, token_ids=rows % 1000, documents=rows // 100, positions=rows % 100)


def main(arguments: list[str]) -> None:
    options = {}
    for argument in arguments[1:]:
        key, value = argument.split("=")
        options[key] = int(value) if value.lstrip("-").isdigit() else value
    sys.stdout.write(json.dumps(WORKLOADS[arguments[0]](**options)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
