"""What a preset needs, from the sizes of its models, dictionaries and samples: the numbers under `expect`.

- GPU: weights (twice in notebook 01, whose control is a re-initialised copy), dictionaries in float32 (twice in notebook 02,
  whose control has random directions; four times in training, with gradient and Adam's two moments; all of a sample's in
  notebook 03), logits of 32 sequences of 128 tokens three times in float32, 1 GiB for CUDA.
- Disk: downloads, and 6 bytes an active feature and token.
- Time: 2 FLOP a weight and token; 15 TFLOP/s; a minute a run of a notebook.
"""

from __future__ import annotations

from dataclasses import dataclass

from helpers.params import Study
from tests.presets.facts import d_sae, dictionaries, model_of, samples

GIB = 2**30
FLOP_PER_MINUTE = 60 * 15e12
TYPICAL_L0 = 70  # of released dictionaries: 10 to 140
STEERING_TOKENS = 4e6  # prompts of all tasks, layers, strengths and baselines


@dataclass(frozen=True)
class Needs:
    """GiB and minutes."""

    gpu_gib: float
    disk_gib: float
    minutes: float


def needs(study: Study) -> Needs:
    """What a run of the study needs."""
    models = study.notebooks["01_language_models"]
    weights, parameters, logits = {}, {}, {}
    for run, params in models.items():
        facts = model_of(study, run)
        parameters[run] = facts.n_parameters
        weights[run] = facts.n_parameters * (4 if params.dtype == "float32" else 2)
        logits[run] = 3 * 32 * 128 * facts.n_vocab * 4
    gpu = [2 * weights[run] + logits[run] for run in models]
    flop = sum(2 * 2 * parameters[run] * params.n_eval_tokens for run, params in models.items())
    disk = sum(weights.values())
    sizes, l0 = {}, {}
    for name, params in dictionaries(study).items():
        directions = 2 * model_of(study, params.model).d_model * d_sae(params)
        sizes[name], l0[name] = 4 * directions, params.k if params.source == "train" else TYPICAL_L0
        disk += sizes[name]
        trained = params.source == "train"
        gpu.append(weights[params.model] + (4 if trained else 2) * sizes[name] + logits[params.model])
        flop += 8 * 2 * (parameters[params.model] + directions) * params.n_eval_tokens
        flop += (2 * parameters[params.model] + 6 * directions) * params.n_train_tokens * trained
    for sample in samples(study).values():
        for run in models:
            mine = [name for name in sample.dictionaries if dictionaries(study)[name].model == run]
            gpu.append(weights[run] + sum(sizes[name] for name in sample.dictionaries))
            disk += sum(6 * l0[name] * sample.n_tokens for name in mine)
            flop += 2 * (parameters[run] + sum(sizes[name] for name in mine) / 8) * sample.n_tokens
    for params in study.notebooks.get("13_steering", {}).values():
        model = dictionaries(study)[params.dictionary].model
        gpu.append(weights[model] + sizes[params.dictionary] + logits[model])
        flop += 2 * parameters[model] * STEERING_TOKENS
    n_runs = sum(len(runs) for runs in study.notebooks.values())
    return Needs(max(gpu) / GIB + 1, disk / GIB, n_runs + flop / FLOP_PER_MINUTE)
