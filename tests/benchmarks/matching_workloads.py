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


def two_models(
    n_tokens: int, d_sae: int, l0: int, *, shared: float, n_dense: int = 4
) -> tuple[scipy.sparse.csr_array, scipy.sparse.csr_array]:
    """Two dictionaries of which a share of the features is the same in both (b's in another order), the rest unrelated."""
    a, b = (synthetic(n_tokens, d_sae, l0, seed=seed, n_dense=n_dense) for seed in (1, 2))
    if shared == 0:
        return a, b
    rng = np.random.default_rng(3)
    order, same = rng.permutation(d_sae), rng.random(d_sae) < shared
    # A shared feature of b fires where its partner does, 70 % of the time, with another strength.
    copy = scipy.sparse.coo_array(a)
    copy.sum_duplicates()
    keep = same[copy.coords[1]] & (rng.random(copy.nnz) < 0.7)
    rows, columns = copy.coords[0][keep], order[copy.coords[1][keep]]
    values = copy.data[keep] * rng.uniform(0.5, 1.5, size=keep.sum()).astype(np.float32)
    own = scipy.sparse.coo_array(b)
    alone = ~same[np.argsort(order)][own.coords[1]]
    rows, columns = np.concatenate([rows, own.coords[0][alone]]), np.concatenate([columns, own.coords[1][alone]])
    values = np.concatenate([values, own.data[alone]])
    return a, scipy.sparse.csr_array((values, (rows, columns)), shape=a.shape)


def in_memory(
    *,
    n_tokens: int = 64_000,
    d_sae: int = 32_768,
    l0: int = 48,
    shared: int = 0,
    n_dense: int = 4,
    repeats: int = 1,
    **options: Any,
) -> dict[str, float]:
    """Match two synthetic dictionaries held in memory, the fastest of some repeats.

    `shared`: percentage of the features that both have.
    """
    from helpers.matching import match_features

    warm_up()
    a, b = two_models(n_tokens, d_sae, l0, shared=shared / 100, n_dense=n_dense)
    before = reset_peak()
    seconds, cpu_seconds = [], []
    for _ in range(repeats):
        start, cpu = time.perf_counter(), time.process_time()
        pairs = match_features(a, b, **{"method": "nearest"} | options)
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu)
    return {
        "seconds": min(seconds),
        "cpu_seconds": min(cpu_seconds),
        "added_mib": peak_mib() - before,
        "n_pairs": pairs.n_pairs,
        "total_corr": float(pairs.corr.sum(dtype=np.float64)),
        "gap": pairs.settings.get("optimality_gap", 0.0),
    }


def sweep(*, n_tokens: int = 64_000, d_sae: int = 32_768, l0: int = 48, shared: int = 50) -> dict[str, float]:
    """Sweep max_partners 1, 10, 100, none."""
    from helpers.matching import sweep_max_partners

    warm_up()
    a, b = two_models(n_tokens, d_sae, l0, shared=shared / 100)
    start = time.perf_counter()
    results = sweep_max_partners(a, b)
    return {
        "seconds": time.perf_counter() - start,
        **{f"unique_{pairs.settings['max_partners']}": pairs.share_unique_partners for pairs in results},
    }


def dense_assignment(*, n_tokens: int = 32_000, d_sae: int = 4096, l0: int = 24, shared: int = 0) -> dict[str, float]:
    """The optimum over the dense matrix of all correlations, by SciPy, beside hungarian from candidates."""
    from scipy.optimize import linear_sum_assignment

    from helpers.matching import match_features
    from helpers.matching.engines import open_engine

    warm_up()
    a, b = two_models(n_tokens, d_sae, l0, shared=shared / 100)
    start = time.perf_counter()
    pairs = match_features(a, b, method="hungarian")
    seconds = time.perf_counter() - start
    everyone = np.arange(d_sae)
    start = time.perf_counter()
    values = np.maximum(open_engine(a, b).block(everyone, everyone), 0.0)
    best = float(values[linear_sum_assignment(values, maximize=True)].sum())
    return {
        "seconds": seconds,
        "dense_seconds": time.perf_counter() - start,
        "total": float(pairs.corr.sum(dtype=np.float64)),
        "dense_total": best,
        "gap": pairs.settings["optimality_gap"],
    }


def transport(*, n_tokens: int = 32_000, d_sae: int = 4096, l0: int = 24, shared: int = 50) -> dict[str, float]:
    """Exact, entropic and unbalanced optimal transport, beside hungarian."""
    from helpers.matching import match_features

    warm_up()
    a, b = two_models(n_tokens, d_sae, l0, shared=shared / 100)
    found = {}
    for name, options in (
        ("hungarian", {"method": "hungarian"}),
        ("exact", {"method": "ot"}),
        ("entropic", {"method": "ot", "regularization": 0.05}),
        ("entropic_unbalanced", {"method": "ot", "regularization": 0.05, "marginal_penalty": 0.5}),
    ):
        start = time.perf_counter()
        pairs = match_features(a, b, **options)
        found |= {f"{name}_seconds": time.perf_counter() - start, f"{name}_total": float(pairs.corr.sum())}
        found[f"{name}_n_pairs"] = pairs.n_pairs
    return found


def directions(*, d_sae: int = 32_768, d_in: int = 512, method: str = "nearest") -> dict[str, float]:
    """Match decoder rows by cosine."""
    from helpers.matching import match_directions

    rng = np.random.default_rng(0)
    W_a = rng.normal(size=(d_sae, d_in)).astype(np.float32)
    W_b = W_a[rng.permutation(d_sae)] + 0.5 * rng.normal(size=(d_sae, d_in)).astype(np.float32)
    match_directions(W_a[:50], W_b[:50], method=method)
    before = reset_peak()
    start = time.perf_counter()
    pairs = match_directions(W_a, W_b, method=method)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "added_mib": peak_mib() - before, "n_pairs": pairs.n_pairs}


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
                write_store(Path(temporary) / name, n_tokens, d_sae, l0, seed=seed)
        warm_up()
        before = reset_peak()
        start = time.perf_counter()
        stores = [ActivationStore.open(Path(temporary) / name) for name in "ab"]
        pairs = match_features(*stores, method=method)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "peak_mib": peak_mib(), "peak_before_mib": before, "n_pairs": pairs.n_pairs}


def dense_on_disk(*, n_tokens: int = 32_000, d_sae: int = 8192) -> dict[str, float]:
    """Match two stores of dense pre-activations, nearest."""
    from helpers.activations import ActivationStore
    from helpers.matching import match_features

    with tempfile.TemporaryDirectory() as temporary:
        _write_dense(Path(temporary), n_tokens, d_sae)
        warm_up()
        small = np.random.default_rng(0).normal(size=(100, 20))
        match_features(small, small, method="nearest")
        before = reset_peak()
        start = time.perf_counter()
        stores = [ActivationStore.open(Path(temporary) / name) for name in "ab"]
        pairs = match_features(*stores, method="nearest")
        return {
            "seconds": time.perf_counter() - start,
            "added_mib": peak_mib() - before,
            "n_pairs": pairs.n_pairs,
        }


def dense_plain(*, n_tokens: int = 32_000, d_sae: int = 8192) -> dict[str, float]:
    """The same with the plain method: read both sides, z-score, multiply, take the best of every column."""
    import torch

    from helpers.activations import ActivationStore

    with tempfile.TemporaryDirectory() as temporary:
        _write_dense(Path(temporary), n_tokens, d_sae)
        before = reset_peak()
        start = time.perf_counter()
        sides = []
        for name in "ab":
            side = torch.from_numpy(np.asarray(ActivationStore.open(Path(temporary) / name).dense(), dtype=np.float32))
            sides.append((side - side.mean(dim=0)) / side.std(dim=0, correction=0))
        best = (sides[0].T @ sides[1] / n_tokens).max(dim=0)
        return {
            "seconds": time.perf_counter() - start,
            "added_mib": peak_mib() - before,
            "n_pairs": int((best.values > 0).sum()),
        }


def _write_dense(folder: Path, n_tokens: int, d_sae: int) -> None:
    """Two stores of normal values: b's columns are a's in another order, each with its own amount of noise."""
    from helpers.activations import ActivationStore

    rng = np.random.default_rng(0)
    order, noise = rng.permutation(d_sae), rng.uniform(0, 4, size=d_sae).astype(np.float32)
    settings = {"d_sae": d_sae, "kind": "hidden_pre"}
    with ActivationStore.create(folder / "a", **settings) as a, ActivationStore.create(folder / "b", **settings) as b:
        for start in range(0, n_tokens, 4000):
            rows = np.arange(start, min(start + 4000, n_tokens))
            own, other = (rng.standard_normal((len(rows), d_sae), dtype=np.float32) for _ in range(2))
            for writer, values in ((a, own), (b, own[:, order] + noise * other)):
                writer.append(values, token_ids=rows % 1000, documents=rows // 100, positions=rows % 100)


def collect(*, n_tokens: int = 200_000, d_sae: int = 16_384, k: int = 32) -> dict[str, float]:
    """Collect two dictionaries of a small random model on the story world and match them, in one process."""
    from helpers.activations import collect_activations
    from helpers.matching import match_features

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model, dictionaries, tokens = collecting_task(folder, n_tokens=n_tokens, d_sae=d_sae, k=k)
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


def collecting_task(folder: Path, *, n_tokens: int, d_sae: int, k: int) -> tuple[Any, dict[str, Any], Any]:
    """A small random model, two dictionaries of it and tokens of the story world, for `collect_activations`."""
    import torch
    from sae_lens import TopKSAE, TopKSAEConfig
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    from helpers.corpus import StoryWorld, build_tokenizer, tokenize_corpus
    from helpers.models import load_model

    torch.manual_seed(0)
    world = StoryWorld()
    tokenizer = build_tokenizer(world)
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
    return model, dictionaries, tokenize_corpus(world, tokenizer, context_size=128, n_tokens=n_tokens)


WORKLOADS: dict[str, Callable[..., dict[str, float]]] = {
    function.__name__: function
    for function in (
        in_memory,
        plain_dense,
        on_disk,
        dense_on_disk,
        dense_plain,
        collect,
        sweep,
        dense_assignment,
        transport,
        directions,
    )
}


def warm_up() -> None:
    """Compile the loops on a small case, for arrays in memory and for stores."""
    from helpers.activations import ActivationStore
    from helpers.matching import match_features

    small = synthetic(200, 50, 5, seed=0)
    match_features(small, small, method="one_to_one")
    with tempfile.TemporaryDirectory() as temporary:
        write_store(Path(temporary) / "a", 200, 50, 5, seed=0)
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


def write_store(path: Path, n_tokens: int, d_sae: int, l0: int, *, seed: int) -> None:
    """A store of synthetic activations; 20 different blocks of 50,000 tokens, over and over (making them takes longest)."""
    from helpers.activations import ActivationStore

    step = 50_000
    blocks: dict[int, scipy.sparse.csr_array] = {}
    with ActivationStore.create(path, d_sae=d_sae) as writer:
        for start in range(0, n_tokens, step):
            rows = np.arange(start, min(start + step, n_tokens))
            number = start // step % 20
            if number not in blocks:
                blocks[number] = synthetic(len(rows), d_sae, l0, seed=seed * 100_003 + number)
            writer.append(blocks[number], token_ids=rows % 1000, documents=rows // 100, positions=rows % 100)


def main(arguments: list[str]) -> None:
    options = {}
    for argument in arguments[1:]:
        key, value = argument.split("=")
        options[key] = int(value) if value.lstrip("-").isdigit() else value
    sys.stdout.write(json.dumps(WORKLOADS[arguments[0]](**options)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
