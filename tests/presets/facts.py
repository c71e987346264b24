"""What is known of the real models and dictionaries that presets name, written down once, because tests have no network.

Sources: the models' published configurations; SAELens's table; the cfg.json files of Eleuther's repositories.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from helpers.params import SaveActivationsParams, Study, TrainSaeParams, load_study
from tests.conftest import ROOT

PRESETS = (
    "gemma1_gemma2",
    "gemma2_steering",
    "gpt2_feature_splitting",
    "llama2_7b_steering",
    "pythia_160m_410m",
    "pythia_70m_160m",
    "pythia_70m_410m",
    "tinystories_1l_2l",
    "tinystories_gpt2_mlp",
    "tinystories_gpt2_residual",
)


@dataclass(frozen=True)
class Model:
    """A real model: its architecture, and which models tokenise like it."""

    family: str
    n_layers: int
    d_model: int
    n_vocab: int
    n_parameters: float
    tokenizer: str
    in_table: str = ""  # SAELens's name of it


MODELS = {
    "roneneldan/TinyStories-1Layer-21M": Model("gpt_neo", 1, 1024, 50_257, 66e6, "gpt2"),
    "roneneldan/TinyStories-2Layers-33M": Model("gpt_neo", 2, 1024, 50_257, 79e6, "gpt2"),
    "openai-community/gpt2": Model("gpt2", 12, 768, 50_257, 124e6, "gpt2", "gpt2-small"),
    "EleutherAI/pythia-70m": Model("gpt_neox", 6, 512, 50_304, 70e6, "pythia"),
    "EleutherAI/pythia-160m": Model("gpt_neox", 12, 768, 50_304, 162e6, "pythia"),
    "EleutherAI/pythia-410m": Model("gpt_neox", 24, 1024, 50_304, 405e6, "pythia"),
    "google/gemma-2b": Model("gemma", 18, 2048, 256_000, 2.51e9, "gemma", "gemma-2b"),
    "google/gemma-2-2b": Model("gemma2", 26, 2304, 256_000, 2.61e9, "gemma", "gemma-2-2b"),
    "meta-llama/Llama-2-7b-chat-hf": Model("llama", 32, 4096, 32_000, 6.74e9, "llama"),
}


#: Words of params/data/steering_tasks_english.yaml that a tokenizer cuts into pieces, so that they are no answers; tried out
#: with every word of the file and the vocabularies of GPT-2's, Gemma's and Llama-2's tokenizers.
CUT_WORDS = {"gpt2": set(), "gemma": set(), "llama": {"Tuesday", "Wednesday", "Thursday"}}


@dataclass(frozen=True)
class SparsifyRepository:
    """A repository of Eleuther's dictionaries: of which model, of which sites of every layer, and their size."""

    model: str
    sites: tuple[str, ...]
    d_sae: int
    k: int


SPARSIFY = {
    "EleutherAI/sae-pythia-70m-32k": SparsifyRepository(
        "EleutherAI/pythia-70m", ("", ".mlp", ".attention"), 32_768, 16
    ),
    "EleutherAI/sae-pythia-160m-32k": SparsifyRepository("EleutherAI/pythia-160m", ("", ".mlp"), 32_768, 32),
    "EleutherAI/sae-pythia-410m-65k": SparsifyRepository("EleutherAI/pythia-410m", (".mlp",), 65_536, 32),
}
#: Release -> features of its dictionaries; None: the number at the end of the id.
WIDTHS = {
    "gpt2-small-mlp-out-v5-32k": 32_768,
    "gpt2-small-res-jb": 24_576,
    "gpt2-small-res-jb-feature-splitting": None,
    "gemma-2b-res-jb": 16_384,
    "gemma-scope-2b-pt-res-canonical": 16_384,
}


def preset(name: str) -> Study:
    """The study file of this name."""
    return load_study(Path(ROOT) / "params" / "studies" / f"{name}.yaml")


def model_of(study: Study, run: str) -> Model:
    """Facts of the model that a run of 01_language_models takes."""
    return MODELS[study.params("01_language_models", run).name_or_path]


def dictionaries(study: Study) -> dict[str, TrainSaeParams]:
    """Runs of 02_train_saes."""
    return dict(study.notebooks["02_train_saes"])


def samples(study: Study) -> dict[str, SaveActivationsParams]:
    """Runs of 03_save_activations."""
    return dict(study.notebooks["03_save_activations"])


def d_sae(params: TrainSaeParams) -> int:
    """Features of a dictionary."""
    if params.source == "train":
        return params.d_sae
    if params.source == "sparsify":
        return SPARSIFY[params.release].d_sae
    return WIDTHS[params.release] or int(params.sae_id.rsplit("_", 1)[1])
