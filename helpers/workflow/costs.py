"""What a study will need before it runs: seconds, memory and disk of every stage, from its parameters alone.

Disk follows from the file formats: a store's bytes are exact for a given L0. Seconds and memory are simple functions
of tokens, width, L0 and model size, whose constants were fitted to the demo study on two quiet CPU cores (the README's
machine, one core a stage; notebook 04: to the matching benchmarks of the README); there they are right within a factor
of two, and tests/workflow/test_costs.py prints the ratios. On a GPU the seconds mean nothing and are left out.

Later notebooks (from 05 on) work on pairs and on samples whose size is a parameter; for them the demo's own numbers are
taken.

Stores are read as mapped files. Their pages count in a process's memory while there is room, and the system takes them back
when there is none: they are told apart from what a stage needs, and are no reason to refuse it.
"""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from safetensors import safe_open

from helpers.activations.manifest import store_bytes
from helpers.params.analyses import GroundTruthParams
from helpers.params.notebooks import (
    LanguageModelParams,
    MatchFeaturesParams,
    NotebookParams,
    SaveActivationsParams,
    TrainSaeParams,
)
from helpers.params.registry import NOTEBOOKS
from helpers.params.study import Study
from helpers.storage import project_path
from helpers.workflow.stages import StageRun, needs

MIB = 2**20
# Libraries loaded, nothing done yet; notebook, page and figures on the disk.
BASE_SECONDS, BASE_MEMORY, BASE_DISK = 5.0, 820 * MIB, 0.5 * MIB
# Training a model: 7.5 us a token and layer, and 18 ns for a thousand multiplications and additions (55 GFLOP/s);
# a forward pass alone takes a third.
LAYER_SECONDS, FLOP_SECONDS = 7.5e-6, 1.8e-11
# An encoded token of one feature (activation function, choice of the k largest), beside the matrix product: in training,
# where the result is dense (and where so many are dense at once that they leave the processor's cache, and every array is
# taken from the system anew), and where a TopK dictionary keeps only what it finds.
FEATURE_SECONDS, UNCACHED_FEATURE_SECONDS, SOUGHT_FEATURE_SECONDS = 1.0e-8, 2.5e-8, 5.0e-10
CACHE_BYTES = 32 * MIB
# Notebook 03, beside encoding: a token is made and tokenised; a stored value is written, and walked over for examples,
# histograms and their null; a feature is labelled twice and written for a labeller with five examples.
TOKEN_SECONDS, VALUE_SECONDS, LABEL_SECONDS = 6.0e-6, 8.0e-8, 1.6e-4
# Training an SAE holds about so many floats for each feature of each token of a batch.
SAE_BATCH_FLOATS = 16
# Matching: seconds for two features that fire on one token in one search (nearest, all others), three times that from a
# cold disk. Notebook 04 searches all tokens for the pairs, shuffled, and half of them for the unseen half; then, on
# `n_further_tokens`, by every method, for limits, one-sided features, twins and five floors, each beside its null.
FIRING_PAIR_SECONDS = {"nearest": 4.0e-9}
OTHER_FIRING_PAIR_SECONDS = 1.2e-8
SEARCHES, FURTHER_SEARCHES = 2.5, 26
# A shuffled copy of one side (or the halves of both), for a moment in two precisions: bytes a stored value.
SHUFFLED_BYTES = 10
# Files of notebook 03 beside the stores: tokens and words of a token, table and texts of a feature with five examples.
TOKEN_BYTES, FEATURE_BYTES = 19, 1250
STORY_WORLD_VOCABULARY = 1_870
# Where a released SAE's width and L0 are not told, these are taken.
RELEASED_D_SAE, UNKNOWN_L0 = 32_768, 64
GPT2_PARAMETERS = {"gpt2": 124e6, "gpt2-medium": 355e6, "gpt2-large": 774e6, "gpt2-xl": 1.558e9}
# Seconds and MiB of memory in the demo.
LATER_NOTEBOOKS = {
    "05_compare_spaces": (17, 870),
    "06_semantic_subspaces": (43, 1100),
    "07_feature_maps": (17, 1000),
    "08_feature_splitting": (13, 1015),
    "09_mapper": (24, 825),
    "10_persistent_homology": (28, 865),
    "11_multidimensional_features": (26, 1250),
    "12_concept_hierarchy": (25, 905),
    "13_steering": (39, 1020),
    "14_steering_transfer": (23, 1100),
    "15_ground_truth": (59, 995),
    "16_layer_pairs": (12, 900),
    "16_layer_grid": (7, 830),
    "17_feature_families": (5, 860),
    "18_feature_effects": (34, 1240),
}
LATER_NOTEBOOK = (25, 1000)  # one that is not listed
LATER_DISK = 3 * MIB


@dataclass(frozen=True)
class StageCost:
    """What one stage run is expected to need.

    Args:
        seconds: on the README's machine; None where it is not known (a GPU).
        memory, disk: bytes; memory without mapped files, disk is what stays.
        mapped: bytes of mapped files that are read.
        stores: bytes of activation stores among `disk`.
        notes: what was assumed.
    """

    stage_run: StageRun
    seconds: float | None
    memory: float
    disk: float
    mapped: int = 0
    stores: int = 0
    notes: str = ""


def study_costs(study: Study, *, gpu: bool | None = None) -> dict[StageRun, StageCost]:
    """The expected cost of every stage run, in the order in which data flows.

    Args:
        gpu: whether stages with device "auto" will find a GPU; None looks for one.
    """
    gpu = shutil.which("nvidia-smi") is not None if gpu is None else gpu
    costs: dict[StageRun, StageCost] = {}
    for stage in NOTEBOOKS:
        for run, params in study.notebooks.get(stage, {}).items():
            stage_run = StageRun(stage, run)
            cost = _stage_cost(stage_run, params, study, costs)
            on_gpu = params.device.startswith("cuda") or (params.device == "auto" and gpu)
            costs[stage_run] = _without_seconds(cost) if on_gpu else cost
    return costs


def check_room(
    costs: Iterable[StageCost], *, folder: Path, free_disk: int | None = None, total_memory: int | None = None
) -> None:
    """Refuse what does not fit on this machine.

    Args:
        costs: of the stage runs that are still to be made.
        folder: of the results; need not exist yet.
        free_disk, total_memory: bytes; None asks the machine.
    Raises:
        ValueError: more disk than is free, or a stage that needs more memory than there is.
    """
    costs = list(costs)
    if not costs:
        return
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free_disk = shutil.disk_usage(there).free if free_disk is None else free_disk
    total_memory = psutil.virtual_memory().total if total_memory is None else total_memory
    disk, largest = sum(cost.disk for cost in costs), max(costs, key=lambda cost: cost.disk)
    if disk > free_disk:
        raise ValueError(
            f"the study needs {shown_bytes(disk)} of disk ({largest.stage_run}: {shown_bytes(largest.disk)}), "
            f"{shown_bytes(free_disk)} are free at {there}; lower n_tokens or name a larger disk with --runs-folder"
        )
    heaviest = max(costs, key=lambda cost: cost.memory)
    if heaviest.memory > total_memory:
        raise ValueError(
            f"{heaviest.stage_run} needs {shown_bytes(heaviest.memory)} of memory, this machine has "
            f"{shown_bytes(total_memory)}; lower batch_size, d_sae or n_tokens, or run it on a larger machine"
        )


def shown_bytes(n_bytes: float) -> str:
    """ "3.2 MiB", "17.0 GiB"."""
    return f"{n_bytes / 2**30:,.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / MIB:,.1f} MiB"


def _stage_cost(
    stage_run: StageRun, params: NotebookParams, study: Study, costs: dict[StageRun, StageCost]
) -> StageCost:
    if isinstance(params, LanguageModelParams):
        return _language_model(stage_run, params, study)
    if isinstance(params, TrainSaeParams):
        return _sae(stage_run, params, study)
    if isinstance(params, SaveActivationsParams):
        return _activations(stage_run, params, study)
    read = [costs[needed] for needed in needs(stage_run.stage, params)]
    if isinstance(params, MatchFeaturesParams):
        return _matching(stage_run, params, study, read)
    seconds, mib = LATER_NOTEBOOKS.get(stage_run.stage, LATER_NOTEBOOK)
    stores = 0 if isinstance(params, GroundTruthParams) else max((cost.stores for cost in read), default=0)
    return StageCost(stage_run, seconds, mib * MIB, LATER_DISK, mapped=stores)


@dataclass(frozen=True)
class _Model:
    """Size of a language model: layers, width, parameters, and those that a token is multiplied with."""

    n_layers: float
    d_model: float
    n_parameters: float
    n_multiplied: float
    note: str = ""

    @property
    def forward_seconds(self) -> float:
        """Of one token."""
        return (self.n_layers * LAYER_SECONDS + 6 * self.n_multiplied * FLOP_SECONDS) / 3


def _model(run: str, study: Study) -> _Model:
    params = study.notebooks["01_language_models"][run]
    assert isinstance(params, LanguageModelParams)
    if params.source == "reinitialised":
        return _model(params.model, study)
    if params.source == "pretrained":
        return _known_model(params.name_or_path)
    vocabulary = params.n_vocab if params.tokenizer == "bpe" else STORY_WORLD_VOCABULARY
    inside, embedding = 12 * params.n_layers * params.d_model**2, vocabulary * params.d_model
    return _Model(params.n_layers, params.d_model, inside + 2 * embedding, inside + embedding)


def _known_model(name: str) -> _Model:
    """Of a pretrained model: the parameters in its folder, or those that its name tells; width and depth as such models
    have them.
    """
    short = name.rstrip("/").rsplit("/", 1)[-1].lower()
    told = re.search(r"(\d+(?:\.\d+)?)([mb])(?![a-z0-9])", short)
    if stored := _stored_parameters(project_path(name)):
        n_parameters = stored
    elif told:
        n_parameters = float(told[1]) * {"m": 1e6, "b": 1e9}[told[2]]
    else:
        n_parameters = GPT2_PARAMETERS.get(short, 0.0)
    note = "" if n_parameters else f"the size of {name} is not known; 1,000,000,000 parameters are taken"
    n_parameters = n_parameters or 1e9
    d_model = 768 * (n_parameters / 124e6) ** 0.4
    return _Model(n_parameters / (12 * d_model**2), d_model, n_parameters, n_parameters, note)


def _stored_parameters(folder: Path) -> float:
    """Numbers in the safetensors files of a folder, by their headers; 0 where there is none."""
    total = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="numpy") as file:
            total += sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
    return float(total)


def _language_model(stage_run: StageRun, params: LanguageModelParams, study: Study) -> StageCost:
    model = _model(stage_run.run, study)
    trains = params.source == "train"
    seconds = BASE_SECONDS + params.n_eval_tokens * model.forward_seconds
    seconds += 3 * params.n_train_tokens * model.forward_seconds if trains else 0.0
    weights = 4 * model.n_parameters
    # weights, gradients and AdamW's two moments; or the weights as they are loaded and as they are used
    memory = BASE_MEMORY + (4 if trains else 2) * weights + 4 * 12 * model.n_layers * model.d_model * _step(params)
    return StageCost(
        stage_run, seconds, memory, BASE_DISK + (0 if params.source == "pretrained" else weights), notes=model.note
    )


def _step(params: LanguageModelParams) -> int:
    return params.context_size * params.batch_size


def _sae(stage_run: StageRun, params: TrainSaeParams, study: Study) -> StageCost:
    model = _model(params.model, study)
    d_in, d_sae, note = _shape(params, study)
    trains = params.source == "train"
    cached = 4 * params.batch_size * d_sae <= CACHE_BYTES
    token = 12 * d_in * d_sae * FLOP_SECONDS + d_sae * (FEATURE_SECONDS if cached else UNCACHED_FEATURE_SECONDS)
    seconds = BASE_SECONDS + params.n_eval_tokens * (3 * model.forward_seconds + token / 3)
    seconds += params.n_train_tokens * (model.forward_seconds + token) if trains else 0.0
    weights = 0 if params.source == "neurons" else 8 * d_in * d_sae
    memory = BASE_MEMORY + 6 * model.n_parameters + weights
    if trains:
        memory += 150 * MIB + 3 * weights + 4 * SAE_BATCH_FLOATS * params.batch_size * d_sae
    return StageCost(stage_run, seconds, memory, BASE_DISK + (weights if trains else 0), notes=note)


def _shape(params: TrainSaeParams, study: Study) -> tuple[float, int, str]:
    """(d_in, d_sae, what was assumed) of a dictionary."""
    d_model = _model(params.model, study).d_model
    d_in = 4 * d_model if params.hook_name.endswith("mlp.hook_post") else d_model
    if params.source == "neurons":
        return d_in, round(d_in), ""
    if params.source == "train":
        return d_in, params.d_sae, ""
    return d_in, RELEASED_D_SAE, f"width {RELEASED_D_SAE:,} and L0 {UNKNOWN_L0} are taken for a finished SAE"


def _l0(params: TrainSaeParams) -> int:
    return params.k if params.source == "train" and params.architecture == "topk" else UNKNOWN_L0


def _store_bytes(params: SaveActivationsParams, name: str, study: Study) -> int:
    dictionary = study.notebooks["02_train_saes"][name]
    assert isinstance(dictionary, TrainSaeParams)
    _, d_sae, _ = _shape(dictionary, study)
    nnz = params.n_tokens * min(_l0(dictionary), d_sae)
    return store_bytes(params.n_tokens, d_sae=d_sae, nnz=nnz, kind=params.kind, dtype=params.dtype)


def _activations(stage_run: StageRun, params: SaveActivationsParams, study: Study) -> StageCost:
    seconds, memory, notes = BASE_SECONDS, float(BASE_MEMORY), []
    disk = BASE_DISK + TOKEN_BYTES * params.n_tokens
    models: dict[str, _Model] = {}
    for name in params.dictionaries:
        dictionary = study.notebooks["02_train_saes"][name]
        assert isinstance(dictionary, TrainSaeParams)
        d_in, d_sae, note = _shape(dictionary, study)
        models[dictionary.model] = _model(dictionary.model, study)
        neurons, dense = dictionary.source == "neurons", params.kind == "hidden_pre"
        sought = dictionary.source == "train" and dictionary.architecture == "topk" and not dense
        feature = SOUGHT_FEATURE_SECONDS if sought else FEATURE_SECONDS / 2
        seconds += params.n_tokens * (0 if neurons else 2 * d_in * d_sae * FLOP_SECONDS + d_sae * feature)
        seconds += params.n_tokens * d_sae * FEATURE_SECONDS if dense else 0.0
        seconds += 0 if dense else params.n_tokens * min(_l0(dictionary), d_sae) * VALUE_SECONDS
        seconds += d_sae * LABEL_SECONDS * params.n_examples / 5
        disk += FEATURE_BYTES * d_sae * params.n_examples / 5
        memory += 0 if neurons else 8 * d_in * d_sae
        notes.append(note)
    seconds += params.n_tokens * (TOKEN_SECONDS + sum(model.forward_seconds for model in models.values()))
    memory += max(6 * model.n_parameters for model in models.values()) + 100 * params.n_tokens
    stores = sum(_store_bytes(params, name, study) for name in params.dictionaries)
    told = "; ".join(dict.fromkeys(filter(None, notes)))
    return StageCost(stage_run, seconds, memory, disk + stores, mapped=stores, stores=stores, notes=told)


def _matching(stage_run: StageRun, params: MatchFeaturesParams, study: Study, read: list[StageCost]) -> StageCost:
    l0, stores, n_tokens, n_values, units = 1.0, 0, 0, 0, bool(params.activations_b)
    for activations, name in (
        (params.activations, params.dictionary_a),
        (params.activations_b or params.activations, params.dictionary_b),
    ):
        sample = study.notebooks["03_save_activations"][activations]
        dictionary = study.notebooks["02_train_saes"][name]
        assert isinstance(sample, SaveActivationsParams) and isinstance(dictionary, TrainSaeParams)
        l0 *= _l0(dictionary)
        stores += _store_bytes(sample, name, study)
        n_tokens = max(n_tokens, sample.n_tokens)
        n_values = max(n_values, sample.n_tokens * _l0(dictionary))
    searched = n_tokens * SEARCHES + min(params.n_further_tokens or n_tokens, n_tokens) * FURTHER_SEARCHES
    seconds = BASE_SECONDS + searched * l0 * FIRING_PAIR_SECONDS.get(params.method, OTHER_FIRING_PAIR_SECONDS)
    # Rows of two tokenizers are pooled into stores of their own, in float32.
    disk = BASE_DISK + MIB + (0.5 * stores + TOKEN_BYTES * n_tokens if units else 0)
    memory = BASE_MEMORY + SHUFFLED_BYTES * n_values
    return StageCost(stage_run, seconds, memory, disk, mapped=stores, notes=read[0].notes)


def _without_seconds(cost: StageCost) -> StageCost:
    return replace(cost, seconds=None)
