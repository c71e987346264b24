"""Typed parameters: what all notebooks share, and notebooks 01 to 04 (the others: analyses.py).

One class a notebook; its fields are the names in the notebook's cell tagged `parameters` and the keys of the
notebook's section in a study file. Unknown keys and values out of range are refused. All values are plain JSON types,
because papermill passes nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from helpers.params.corpora import CorpusParams


class NotebookParams(BaseModel):
    """What every notebook takes."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    runs_folder: str = Field("runs", min_length=1, description="folder of all results; relative to the project root")
    study: str = Field("demo", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="name of the study")
    run: str = Field("main", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="name of this run of the notebook")
    seed: int = Field(0, ge=0, description="seed of everything random in this run")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$", description="auto takes CUDA if there is one")
    n_threads: int = Field(
        1, ge=1, description="CPU threads; fixed by a number, because sums depend on it in the last digit"
    )

    @classmethod
    def from_namespace(cls, namespace: Mapping[str, Any]) -> Self:
        """Read the parameters from a notebook's `globals()`; a missing name is an error, so that no default hides."""
        missing = [name for name in cls.model_fields if name not in namespace]
        if missing:
            raise ValueError(
                f"the parameters cell does not set {', '.join(missing)}; add them to the cell tagged 'parameters'"
            )
        return cls(**{name: namespace[name] for name in cls.model_fields})


class LanguageModelParams(NotebookParams):
    """01_language_models: train one small model on a corpus, or take a pretrained or a re-initialised one; measure it."""

    source: Literal["train", "pretrained", "reinitialised"] = "train"
    model: str = Field(
        "", description="reinitialised only: run of this notebook whose architecture gets fresh random weights"
    )
    name_or_path: str = Field("", description="pretrained only: Hub name or folder")
    revision: str | None = Field(None, description="pretrained only: branch, tag or commit")
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    device_map: Literal["", "auto", "balanced", "sequential"] = Field(
        "", description="pretrained only: spread the layers over all GPUs; empty puts the model on `device`"
    )
    trust_remote_code: bool = Field(
        False, description="pretrained only: run code that the repository brings; read it first, and pin the revision"
    )
    corpus: CorpusParams = Field(description="texts to train on (or, for a pretrained model, to measure on)")
    tokenizer: str = Field(
        "",
        description="train: bpe (trained on this corpus), a Hub name or a folder; empty takes the story world's own. "
        "pretrained: Hub name or folder, where the model has none beside its weights",
    )
    n_vocab: int = Field(
        800, ge=260, description="tokenizer bpe only: its tokens, 256 bytes and the special ones included"
    )
    architecture: Literal["gpt_neox", "gpt2"] = "gpt_neox"
    n_layers: int = Field(3, ge=1)
    d_model: int = Field(96, ge=8, description="residual width")
    n_heads: int = Field(4, ge=1)
    context_size: int = Field(128, ge=8, description="tokens in a sequence, BOS included")
    n_train_tokens: int = Field(2_000_000, ge=1_000, description="training stops by tokens, never by the clock")
    batch_size: int = Field(8, ge=1, description="sequences in a training step")
    learning_rate: float = Field(4e-3, gt=0, description="peak rate; linear warm-up and linear decay")
    n_eval_tokens: int = Field(100_000, ge=256, description="held-out tokens for the loss")
    min_accuracy: float = Field(
        0.95,
        ge=0,
        le=1,
        description="story world only: least accuracy on the order of days, months, numbers and on agreement",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.source == "pretrained" and not self.name_or_path:
            raise ValueError("source 'pretrained' needs name_or_path: a Hub name or a model folder")
        if (self.source == "reinitialised") != bool(self.model):
            raise ValueError("model is for source 'reinitialised', which needs it: the run whose architecture is taken")
        for name, nothing in (("revision", None), ("device_map", ""), ("trust_remote_code", False)):
            if self.source != "pretrained" and getattr(self, name) != nothing:
                raise ValueError(f"{name} is for source 'pretrained'; got {getattr(self, name)!r} with '{self.source}'")
        if self.source == "train" and self.d_model % self.n_heads:
            raise ValueError(f"d_model must be a multiple of n_heads; got {self.d_model} and {self.n_heads}")
        return self


class TrainSaeParams(NotebookParams):
    """02_train_saes: train one SAE on one hook of one model, or take a finished one, or its neurons; measure it."""

    model: str = Field(min_length=1, description="run of 01_language_models whose model is read")
    hook_name: str = Field(min_length=1, description="TransformerLens hook, e.g. blocks.1.hook_resid_post")
    corpus: CorpusParams
    context_size: int = Field(128, ge=8, description="tokens in a sequence, BOS included")
    source: Literal["train", "release", "sparsify", "folder", "neurons"] = Field(
        "train",
        description="sparsify: a dictionary of Eleuther's library, on the Hub; neurons: the MLP's own neurons as the "
        "dictionary (hook_name blocks.N.mlp.hook_post)",
    )
    release: str = Field(
        "", description="release: name in SAELens's table, or Hub repository in SAELens's layout; sparsify: repository"
    )
    sae_id: str = Field("", description="release: id inside the release; sparsify: folder inside, such as layers.3.mlp")
    folder: str = Field(
        "",
        description="folder only: SAELens (cfg.json, sae_weights.safetensors) or sparsify (cfg.json, sae.safetensors)",
    )
    architecture: Literal["topk", "standard"] = Field("topk", description="topk, or standard = ReLU + L1")
    d_sae: int = Field(4096, ge=2, description="dictionary width")
    k: int = Field(16, ge=1, description="topk only: active features per token")
    l1_coefficient: float = Field(1.0, ge=0, description="standard only")
    n_train_tokens: int = Field(1_000_000, ge=1_000)
    batch_size: int = Field(2048, ge=1, description="tokens in a training step")
    learning_rate: float = Field(2e-3, gt=0)
    dead_after_tokens: int = Field(
        200_000,
        ge=1,
        description="a feature silent for so many tokens is dead; TopK training revives it by its auxiliary loss",
    )
    n_checkpoints: int = Field(
        4, ge=0, description="checkpoints written on the way; an interrupted run goes on from the last"
    )
    n_eval_tokens: int = Field(
        100_000, ge=256, description="held-out tokens for L0, FVU, dead share and loss recovered"
    )
    allow_poor: bool = Field(
        False,
        description="a dictionary that rebuilds no better than the mean or random directions: go on, with a warning "
        "wherever it is used, if the model can use it all the same; false: stop",
    )
    log_to_wandb: bool = Field(False, description="log the training to Weights & Biases")
    wandb_project: str = "feature-geometry"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        hub = ["release", "sae_id"]
        needed = {"release": hub, "sparsify": hub, "folder": ["folder"]}.get(self.source, [])
        empty = [name for name in needed if not getattr(self, name)]
        if empty:
            raise ValueError(f"source '{self.source}' needs {' and '.join(empty)}")
        if self.source == "train" and self.architecture == "topk" and self.k > self.d_sae:
            raise ValueError(f"k must not exceed d_sae; got k={self.k}, d_sae={self.d_sae}")
        return self


class SaveActivationsParams(NotebookParams):
    """03_save_activations: tokenise once, encode the same tokens with every listed dictionary, keep them sparse."""

    dictionaries: list[str] = Field(min_length=1, description="runs of 02_train_saes")
    corpus: CorpusParams
    context_size: int = Field(128, ge=8, description="tokens in a sequence, BOS included")
    n_tokens: int = Field(
        300_000, ge=16, description="kept tokens (padding, BOS and other special tokens do not count)"
    )
    only_words: list[str] = Field(
        [],
        description="keep only sentences with these whole words, equally many of each; none named: n_tokens of all texts",
    )
    max_samples: int = Field(200, ge=1, description="only_words: sentences of a word, at most")
    kind: Literal["feature_acts", "hidden_pre"] = Field(
        "feature_acts", description="post-activations, or pre-activations"
    )
    dtype: Literal["float16", "float32"] = Field("float16", description="stored precision")
    batch_size: int = Field(32, ge=1, description="sequences in a forward pass")
    n_examples: int = Field(5, ge=1, le=100, description="top examples kept of every feature")
    explanations: dict[str, str] = Field(
        {}, description="dictionary -> JSON file of labels: an answer to the export, or Neuronpedia's explanations"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.dictionaries)) != len(self.dictionaries):
            raise ValueError(f"dictionaries must differ; got {self.dictionaries}")
        unknown = sorted(set(self.explanations) - set(self.dictionaries))
        if unknown:
            raise ValueError(f"explanations are for dictionaries of this run, {self.dictionaries}; got {unknown}")
        return self


# Settings of 04_match_features that only some of its methods take.
_METHODS_OF_SETTINGS = {
    "top_k": ("nearest",),
    "max_partners": ("nearest", "one_to_one"),
    "regularization": ("ot",),
    "marginal_penalty": ("ot",),
}


class MatchFeaturesParams(NotebookParams):
    """04_match_features: pair the features of two dictionaries by how they fire on the same tokens."""

    activations: str = Field(min_length=1, description="run of 03_save_activations")
    dictionary_a: str = Field(description="one of its dictionaries")
    activations_b: str = Field(
        "", description="run of 03_save_activations that holds dictionary_b, if it is another; '' = the same run"
    )
    dictionary_b: str = Field(description="another dictionary of that run, or one of activations_b")
    method: Literal["nearest", "mutual", "one_to_one", "hungarian", "ot"] = "one_to_one"
    direction: Literal["a_to_b", "b_to_a"] = Field(
        "b_to_a", description="nearest only: for each feature of the first, its best of the second"
    )
    top_k: int = Field(1, ge=1, description="nearest only: partners that each asking feature takes")
    max_partners: int = Field(
        0, ge=0, description="nearest and one_to_one: a feature is taken at most this often; 0 = the method's own limit"
    )
    regularization: float = Field(0.0, ge=0, description="ot only: entropic smoothing; 0 = exact")
    marginal_penalty: float = Field(
        0.0, ge=0, description="ot only: price of leaving weight unmoved; 0 = all weight is moved"
    )
    association: Literal["pearson", "cosine", "jaccard"] = "pearson"
    min_firings: int = Field(10, ge=1, description="features that fire on fewer tokens stay unmatched")
    min_corr: float = Field(
        0.5, ge=-1, le=1, description="correlation above which a pair counts as matched in the headline"
    )
    n_permutations: int = Field(
        1000, ge=1, description="shuffles of the partners for the same-token and same-concept nulls"
    )
    n_further_tokens: int = Field(
        0, ge=0, description="tokens, in whole documents, for the questions after pairing, null and bands; 0 = all"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.dictionary_a == self.dictionary_b:
            raise ValueError(f"dictionary_a and dictionary_b must differ; both are '{self.dictionary_a}'")
        for name, methods in _METHODS_OF_SETTINGS.items():
            if getattr(self, name) != type(self).model_fields[name].default and self.method not in methods:
                raise ValueError(
                    f"{name} is a setting of method {' and '.join(methods)}; got {name}={getattr(self, name)} with "
                    f"method '{self.method}'"
                )
        if self.top_k > 1 and self.max_partners:
            raise ValueError(f"max_partners needs top_k=1; got top_k={self.top_k}; leave one of them out")
        return self

    def matcher_settings(self) -> dict[str, Any]:
        """What `match_features` takes; settings that do not apply to the method, or are left at nothing, are left out."""
        always = ("method", "direction", "association", "min_firings", "n_threads")
        chosen = [name for name in _METHODS_OF_SETTINGS if getattr(self, name) != type(self).model_fields[name].default]
        return {name: getattr(self, name) for name in (*always, *chosen)}
