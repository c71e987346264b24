"""A Hub on this machine with a tiny stand-in for everything that a preset downloads, under the real names.

Architectures, numbers of layers, hooks, repositories, revisions, file layouts and kinds of tokenizer are the real ones;
dimensions and texts are small. Gemma Scope's dictionaries have their real size, which SAELens takes from their names: they
and their model are narrow ones with zeros around them.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import torch
import yaml
from sae_lens.loading.pretrained_saes_directory import get_pretrained_saes_directory
from torch import Tensor
from torch.nn.functional import pad
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from helpers.corpus import StoryWorld, TokenBatch, tokenize_corpus
from helpers.models import load_model, split_batch, stream_activations
from helpers.params import Study, TrainSaeParams
from tests.conftest import ROOT
from tests.presets.facts import MODELS, dictionaries
from tests.presets.small_studies import CONTEXT
from tests.stand_ins.models import family_tokenizer, padded_gemma, save, tiny_model
from tests.stand_ins.saes import save_gemma_scope, save_saelens, save_sparsify
from tests.stand_ins.training import as_relu, fit_dictionary, fit_model, quieten

D_MODEL = 48
GEMMA_SCOPE_D_MODEL, GEMMA_SCOPE_D_SAE = 2304, 16_384
D_SAE, K = 256, 6
N_VOCAB, N_TOKENS = 1200, 60_000
N_BATCHES = 10  # of 32 sequences, which a dictionary is fitted to
DATASETS = {"roneneldan/TinyStories": ("train", "validation"), "NeelNanda/pile-10k": ("train",)}


def build_hub(root: Path, study: Study) -> None:
    """Put everything that `study` downloads under `root`, as `tests.stand_ins.server` serves it."""
    for number, (name, splits) in enumerate(DATASETS.items()):
        for split in splits:
            path = root / "datasets" / name / "main" / "data" / f"{split}-00000-of-00001.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pyarrow.parquet.write_table(pa.table({"text": stories(f"{split}{number}", 1500)}), path)
    for run, params in study.notebooks["01_language_models"].items():
        group = MODELS[params.name_or_path].tokenizer
        tokenizer, model = tokenizer_of(group), trained_model(params.name_or_path)
        folder = root / "models" / params.name_or_path / (params.revision or "main")
        mine = {name: each for name, each in dictionaries(study).items() if each.model == run}
        save(model, tokenizer, folder)
        _dictionaries(root, folder, mine, texts_of(group))
        if any("gemma-scope" in each.release for each in mine.values()):
            save(padded_gemma(model, _untrained(params.name_or_path, d_model=GEMMA_SCOPE_D_MODEL)), tokenizer, folder)
        if params.tokenizer:
            tokenizer.save_pretrained(root / "models" / params.tokenizer / "main")
            if params.tokenizer != params.name_or_path:
                for file in folder.glob("tokenizer*"):
                    file.unlink()


@cache  # presets share models
def trained_model(hub_name: str) -> PreTrainedModel:
    """A stand-in of the model, trained on the story world."""
    facts = MODELS[hub_name]
    model = _untrained(hub_name, d_model=D_MODEL)
    deep = facts.family in ("gemma", "gemma2", "llama")
    if deep:
        quieten(model)
    n_steps, rate = (20 + 2000 // facts.n_layers, 1e-2) if deep else (120 + 300 // facts.n_layers, 6e-3)
    ids = torch.from_numpy(texts_of(facts.tokenizer).input_ids).long()
    fit_model(model, ids, n_steps=n_steps, rate=rate)
    return model


def _untrained(hub_name: str, *, d_model: int) -> PreTrainedModel:
    facts = MODELS[hub_name]
    return tiny_model(
        facts.family,
        tokenizer_of(facts.tokenizer),
        n_layers=facts.n_layers,
        d_model=d_model,
        d_mlp=D_MODEL // 2 if facts.family == "gemma2" else 4 * D_MODEL,  # read at its real width, where it costs time
        seed=list(MODELS).index(hub_name),
        initializer_range=0.5 / D_MODEL**0.5,  # as large, for the width, as in the real ones
    )


@cache
def texts_of(group: str) -> TokenBatch:
    """What the models of a group are trained on."""
    return tokenize_corpus(StoryWorld(split="stand-in"), tokenizer_of(group), context_size=CONTEXT, n_tokens=N_TOKENS)


def stories(split: str, n: int) -> list[str]:
    """The first documents of a sample of the story world."""
    return [document.text for document in islice(StoryWorld(split=split).documents(), n)]


@cache
def tokenizer_of(group: str) -> PreTrainedTokenizerFast:
    """The tokenizer of a group of models; the words of the steering tasks are tokens of it."""
    family = next(facts.family for facts in MODELS.values() if facts.tokenizer == group)
    tasks = yaml.safe_load((ROOT / "params" / "data" / "steering_tasks_english.yaml").read_text(encoding="utf-8"))
    words = [word for entry in tasks["words"].values() for word in entry["words"].split()]
    texts = [*stories("tokenizer", 300), *[f"It is {word} and {word} again." for word in words] * 40]
    return family_tokenizer(family, texts, n_vocab=N_VOCAB)


def _dictionaries(root: Path, folder: Path, runs: dict[str, TrainSaeParams], batch: TokenBatch) -> None:
    wanted = {name: params for name, params in runs.items() if params.source != "train"}
    for params in wanted.values():
        registered = get_pretrained_saes_directory().get(params.release)
        centred = "center_writing_weights" in str(registered and registered.config_overrides)
        model = load_model(folder, device="cpu", center_writing_weights=centred)
        rows = _rows(model, params.hook_name, batch)
        place = root / "models" / (registered.repo_id if registered else params.release) / "main"
        place /= registered.saes_map[params.sae_id] if registered else params.sae_id
        width = re.search(r"_(768|1536|3072)$", params.sae_id)
        weights, threshold = fit_dictionary(rows, d_sae=int(width[1]) // 8 if width else D_SAE, k=K)
        if params.source == "sparsify":
            save_sparsify(place, weights, k=K)
        elif "gemma-scope" in params.release:
            save_gemma_scope(place, *_padded(as_relu(weights, threshold, rows), threshold / 20))
        elif params.allow_poor:
            poor = _poor(as_relu(weights, threshold, rows), rows)
            save_saelens(place, poor, hook_name=params.hook_name, apply_b_dec_to_input=False)
        else:
            save_saelens(place, as_relu(weights, threshold, rows), hook_name=params.hook_name)


def _rows(model: TransformerBridge, hook_name: str, batch: TokenBatch) -> Tensor:
    kept = []
    parts = islice(split_batch(batch, batch_size=32), N_BATCHES)
    for part, activations in stream_activations(model, parts, [hook_name]):
        kept.append(activations[hook_name][torch.from_numpy(part.keep_mask)].float())
    return torch.cat(kept)


def _padded(weights: dict[str, Tensor], threshold: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Zeros up to Gemma Scope's size. Its encoder does not subtract b_dec, so the bias does."""
    more = GEMMA_SCOPE_D_SAE - len(threshold)
    wider = GEMMA_SCOPE_D_MODEL - D_MODEL
    b_enc = weights["b_enc"] - weights["b_dec"] @ weights["W_enc"]
    return {
        "W_enc": pad(weights["W_enc"], (0, more, 0, wider)),
        "b_enc": pad(b_enc, (0, more)),
        "W_dec": pad(weights["W_dec"], (0, wider, 0, more)),
        "b_dec": pad(weights["b_dec"], (0, wider)),
    }, pad(threshold, (0, more), value=1.0)


def _poor(weights: dict[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    """What it rebuilds is too long, for an FVU of 1.6 beside its own; norms take this away again, so the model can use it."""
    variance = (rows - rows.mean(dim=0)).square().sum()
    factor = 1 + (1.6 * variance / rows.square().sum()).sqrt()
    return weights | {
        "b_enc": weights["b_enc"] - weights["b_dec"] @ weights["W_enc"],
        "W_dec": factor * weights["W_dec"],
        "b_dec": factor * weights["b_dec"],
    }
