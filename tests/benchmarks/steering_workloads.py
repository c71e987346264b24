"""A steering sweep. Each workload runs in a process of its own:

python -m tests.benchmarks.steering_workloads sweep kind=add    prints one JSON line
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time

import numpy as np
import torch


def sweep(
    *,
    kind: str = "add",
    n_settings: int = 100,
    n_prompts: int = 50,
    n_words: int = 16,
    n_layers: int = 3,
    layer: int = 1,
    d_model: int = 96,
    d_sae: int = 2048,
    one_by_one: int = 5,
) -> dict[str, float]:
    """Seconds of a sweep together, from the first layer on, and (of a few settings, scaled up) a setting and prompt at a time."""
    from sae_lens import SAE, TopKSAE, TopKSAEConfig
    from transformers import AutoConfig, AutoModelForCausalLM

    from helpers.corpus import StoryWorld, build_tokenizer
    from helpers.models import load_model
    from helpers.saes import LoadedSae
    from helpers.steering import Prompts, add, clamp, reconstruct, steered_logits

    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    tokenizer = build_tokenizer(StoryWorld())
    config = AutoConfig.for_model(
        "gpt_neox", vocab_size=len(tokenizer), hidden_size=d_model, num_hidden_layers=n_layers, num_attention_heads=4,
        intermediate_size=4 * d_model, max_position_embeddings=128,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        model = load_model(folder, device="cpu")
    hook_name = f"blocks.{layer}.hook_resid_post"
    sae: SAE = TopKSAE(TopKSAEConfig(d_in=d_model, d_sae=d_sae, k=4, device="cpu")).requires_grad_(False)
    loaded = LoadedSae(sae, hook_name, True, False)
    ids = rng.integers(3, len(tokenizer), (n_prompts, n_words))
    prompts = Prompts(ids, np.ones(ids.shape, bool), np.ones(ids.shape, bool))
    vectors = rng.normal(size=(n_settings, d_model))
    make = {
        "add": lambda number: add(vectors[number], hook_name=hook_name),
        "clamp": lambda number: clamp(loaded, number, 3.0),
        "reconstruct": lambda number: reconstruct(loaded, strength=number / n_settings),
    }[kind]
    settings = [make(number) for number in range(n_settings)]
    steered_logits(model, prompts, settings[:2])  # warm up
    start = time.perf_counter()
    together = steered_logits(model, prompts, settings)
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    whole = steered_logits(model, prompts, settings, shared_prefix=False)
    seconds_whole = time.perf_counter() - start
    start = time.perf_counter()
    alone = [
        steered_logits(model, prompts.part(row, row + 1), [setting], shared_prefix=False)
        for setting in settings[:one_by_one]
        for row in range(n_prompts)
    ]
    seconds_alone = (time.perf_counter() - start) * n_settings / one_by_one
    return {
        "seconds": seconds,
        "seconds_whole": seconds_whole,
        "seconds_alone": seconds_alone,
        "difference": float(
            max(
                np.abs(together - whole).max(), np.abs(together[0] - np.concatenate(alone[:n_prompts], axis=1)[0]).max()
            )
        ),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    name, *pairs = sys.argv[1:]
    options = {key: value if key == "kind" else int(value) for key, value in (pair.split("=") for pair in pairs)}
    print(json.dumps({"sweep": sweep}[name](**options)))  # noqa: T201 (read by the benchmark)


if __name__ == "__main__":
    main()
