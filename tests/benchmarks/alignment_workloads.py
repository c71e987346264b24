"""Aligning two tokenizers' rows and pooling a store. Each workload runs in a process of its own:

python -m tests.benchmarks.alignment_workloads align n_tokens=1000000    prints one JSON line
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.benchmarks.matching_workloads import peak_mib, reset_peak, synthetic


def align(*, n_tokens: int = 1_000_000) -> dict[str, float]:
    """Words of the story world against pieces of words, over `n_tokens` words."""
    from helpers.corpus import StoryWorld, align_rows, build_tokenizer, tokenize_corpus, train_bpe_tokenizer, unit_batch

    world = StoryWorld()
    words, pieces = build_tokenizer(world), train_bpe_tokenizer(world, n_vocab=800)
    warm = [tokenize_corpus(world, tokenizer, context_size=256, n_tokens=1000) for tokenizer in (words, pieces)]
    align_rows(*warm)
    batches, seconds = [], {}
    for name, tokenizer, share in (("words", words, 1.0), ("pieces", pieces, 1.55)):
        start = time.perf_counter()
        batches.append(tokenize_corpus(world, tokenizer, context_size=256, n_tokens=int(n_tokens * share)))
        seconds[f"tokenise_{name}"] = time.perf_counter() - start
    before, start = reset_peak(), time.perf_counter()
    aligned = align_rows(*batches)
    seconds["align"] = time.perf_counter() - start
    start = time.perf_counter()
    unit_batch(aligned, *batches, tokenizer_a=words, tokenizer_b=pieces)
    return {**seconds, "texts": time.perf_counter() - start, "added_mib": peak_mib() - before, **aligned.report()}


def pool(*, n_tokens: int = 1_000_000, d_sae: int = 32_768, l0: int = 48, pool: str = "max") -> dict[str, float]:
    """Pool a store on disk into units of one to three tokens."""
    from helpers.activations import ActivationStore, aligned_activations
    from helpers.corpus import RowUnits

    step = 50_000
    batch = synthetic(step, d_sae, l0, seed=0)
    sizes = np.random.default_rng(0).integers(1, 4, size=n_tokens)
    of_rows = np.repeat(np.arange(n_tokens), sizes)
    with tempfile.TemporaryDirectory() as folder:
        for name, n_rows in (("warm", step), ("store", n_tokens)):
            with ActivationStore.create(Path(folder) / name, d_sae=d_sae) as writer:
                for first in range(0, n_rows, step):
                    rows = np.arange(first, first + step)
                    writer.append(batch, token_ids=rows, documents=rows, positions=rows)
            store = ActivationStore.open(Path(folder) / name)
            units = RowUnits(of_rows[:n_rows], int(of_rows[n_rows - 1]) + 1, "")
            before, start = reset_peak(), time.perf_counter()
            result = aligned_activations(store, units, pool=pool)
            seconds, added_mib = time.perf_counter() - start, peak_mib() - before
            result_mib = (result.data.nbytes + result.indices.nbytes + result.indptr.nbytes) / 2**20
    return {"seconds": seconds, "added_mib": added_mib, "result_mib": result_mib, "store_mib": 6 * store.nnz / 2**20}


def main(arguments: list[str]) -> None:
    options = dict(argument.split("=") for argument in arguments[1:])
    numbers = {key: int(value) if value.isdigit() else value for key, value in options.items()}
    sys.stdout.write(json.dumps({"align": align, "pool": pool}[arguments[0]](**numbers)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
