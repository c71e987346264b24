"""Typed parameters of every notebook.

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
    revision: str | None = Field(None, description="pretrained only: commit or tag")
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    corpus: CorpusParams = Field(description="texts to train on (or, for a pretrained model, to measure on)")
    tokenizer: str = Field(
        "",
        description="train only: bpe (trained on this corpus), a Hub name or a folder; empty takes the story world's own",
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
        if self.source == "train" and self.d_model % self.n_heads:
            raise ValueError(f"d_model must be a multiple of n_heads; got {self.d_model} and {self.n_heads}")
        return self


class TrainSaeParams(NotebookParams):
    """02_train_saes: train one SAE on one hook of one model, or take a finished one, or its neurons; measure it."""

    model: str = Field(min_length=1, description="run of 01_language_models whose model is read")
    hook_name: str = Field(min_length=1, description="TransformerLens hook, e.g. blocks.1.hook_resid_post")
    corpus: CorpusParams
    context_size: int = Field(128, ge=8, description="tokens in a sequence, BOS included")
    source: Literal["train", "release", "folder", "neurons"] = Field(
        "train", description="neurons: the MLP's own neurons as the dictionary (hook_name blocks.N.mlp.hook_post)"
    )
    release: str = Field("", description="release only: SAELens release name")
    sae_id: str = Field("", description="release only: id inside the release")
    folder: str = Field("", description="folder only: a SAELens folder (cfg.json, sae_weights.safetensors)")
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
    log_to_wandb: bool = Field(False, description="log the training to Weights & Biases")
    wandb_project: str = "feature-geometry"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        needed = {"train": [], "release": ["release", "sae_id"], "folder": ["folder"], "neurons": []}[self.source]
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


class CompareSpacesParams(NotebookParams):
    """05_compare_spaces: are the paired features arranged alike? Every measure beside its null."""

    matching: str = Field(min_length=1, description="run of 04_match_features")
    ceiling: str = Field(
        "", description="run of 04_match_features on two dictionaries of one model that differ in seed only; '' = none"
    )
    space: Literal["decoder", "encoder"] = Field("decoder", description="which SAE weights are the rows")
    min_corr: float = Field(0.5, ge=-1, le=1, description="pairs below this correlation are left out")
    marks: list[str] = Field(
        [], description="words that stand for no concept, beside the usual marks and special tokens"
    )
    min_density: float = Field(
        1e-4, ge=0, le=1, description="the rarity filter: share of tokens on which both partners fire, at least"
    )
    max_density: float = Field(0.1, ge=0, le=1, description="the density filter: at most")
    measures: list[str] = Field(
        ["svcca", "rsa", "linear_cka", "linear_cka_debiased", "knn_jaccard"],
        min_length=1,
        description="names in helpers.similarity.MEASURES",
    )
    n_permutations: int = Field(1000, ge=1, description="shuffles of the pairing a measure")
    n_draws: int = Field(99, ge=1, description="draws of random features a measure and kind of draw")
    max_draw_pairs: int = Field(300, ge=4, description="pairs of a draw or cut, at most; each is computed from nothing")
    n_sweep_permutations: int = Field(100, ge=1, description="shuffles at every point of a curve")
    n_repeats: int = Field(30, ge=1, description="random cuts to equal numbers of pairs beside the ceiling")
    token_steps: list[int] = Field(
        [10_000, 30_000, 100_000], description="tokens on which the features are matched again, beside all of them"
    )
    alpha: float = Field(0.05, gt=0, lt=1, description="false discovery rate that is accepted over the table")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.ceiling == self.matching:
            raise ValueError(
                f"ceiling must be another run of 04_match_features than matching; both are '{self.ceiling}'"
            )
        if len(set(self.measures)) != len(self.measures):
            raise ValueError(f"measures must differ; got {self.measures}")
        if any(step < 1 for step in self.token_steps):
            raise ValueError(f"token_steps must be at least 1; got {self.token_steps}")
        return self


class SemanticSubspacesParams(NotebookParams):
    """06_semantic_subspaces: are the features of one group of words, such as emotions, arranged alike in two models?"""

    activations: list[str] = Field(
        min_length=1, description="runs of 03_save_activations that hold the dictionaries; a pair's two are in one run"
    )
    pairs: dict[str, list[str]] = Field(
        min_length=1,
        description="layer pair -> its two dictionaries (SAEs or neurons); the first is the one that is looked at closely",
    )
    concepts: str = Field(
        "params/data/concepts.yaml", min_length=1, description="file of word groups, relative to the project"
    )
    groups: list[str] = Field([], description="groups of the file that take part; none named: all")
    min_hits: int = Field(
        3, ge=1, le=5, description="of a feature's 5 strongest examples, so many must fire on words of the group"
    )
    min_firings: int = Field(10, ge=1, description="features that fire on fewer tokens stay unmatched")
    min_corr: float = Field(0.1, ge=0, lt=1, description="pairs below this correlation are left out")
    measures: list[str] = Field(
        ["rsa", "linear_cka_debiased", "mutual_knn"],
        min_length=1,
        description="names in helpers.similarity.MEASURES that depend on the pairing; the first is drawn in most figures",
    )
    n_neighbours: int = Field(5, ge=1, description="neighbours of a row, for the measures that count neighbours")
    n_permutations: int = Field(10_000, ge=19, description="shuffles of the pairing, a group and measure")
    n_draws: int = Field(1000, ge=19, description="draws of other features, and of other pairs, a group and measure")
    n_control_permutations: int = Field(199, ge=19, description="shuffles of every test of the controls")
    alpha: float = Field(0.05, gt=0, lt=1, description="false discovery rate that is accepted over the whole table")

    @model_validator(mode="after")
    def _two_dictionaries_each(self) -> Self:
        for name, dictionaries in self.pairs.items():
            if len(dictionaries) != 2 or dictionaries[0] == dictionaries[1]:
                raise ValueError(f"pairs.{name}: expected two different dictionaries, got {dictionaries}")
        if "words" in self.pairs:
            raise ValueError("pairs.words: the words themselves have this name in all tables; choose another")
        if len(set(self.measures)) != len(self.measures):
            raise ValueError(f"measures must differ; got {self.measures}")
        return self


class GroundTruthParams(NotebookParams):
    """15_ground_truth: every tool of the suite on synthetic worlds whose features are known."""

    dictionaries: list[str] = Field(
        [], description="runs of 02_train_saes whose spectra are compared; none: synthetic dictionaries only"
    )
    n_features: int = Field(260, ge=20, description="true features of each world")
    d_model: int = Field(64, ge=4, description="dimensions of the activations; fewer than features: superposition")
    shared: float = Field(0.5, gt=0, lt=1, description="share of the features that both worlds have")
    mean_l0: float = Field(3.0, gt=0, description="true features that fire on a token, on average")
    cluster_firing: float = Field(0.4, ge=0, lt=1, description="how much features of one topic fire together")
    noise: list[float] = Field(
        [0.0, 0.3, 0.6, 0.8, 0.9], min_length=1, description="how far the firing of shared features differs, 0 to 1"
    )
    n_tokens: list[int] = Field([300, 1000, 3000, 10_000], min_length=1, description="tokens that are matched on")
    d_sae: list[int] = Field([130, 260, 520], min_length=1, description="dictionary widths")
    k: int = Field(4, ge=1, description="active features a token of the TopK dictionaries")
    n_train_tokens: int = Field(400_000, ge=10_000, description="tokens each dictionary is trained on")
    min_firings: int = Field(5, ge=1, description="features that fire on fewer tokens stay unmatched")
    min_corr: float = Field(0.3, ge=0, lt=1, description="association above which a pair counts as found")
    n_repeats: int = Field(5, ge=1, description="samples of tokens averaged at each point")
    n_permutations: int = Field(999, ge=19, description="null scores of each measure")
    n_draws: int = Field(100, ge=10, description="pairs of unrelated worlds on which the tests are tested")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not all(0 <= value <= 1 for value in self.noise):
            raise ValueError(f"noise must be in [0, 1]; got {self.noise}")
        if min(self.n_tokens) < 1:
            raise ValueError(f"n_tokens must be at least 1; got {self.n_tokens}")
        if self.k > min(self.d_sae):
            raise ValueError(f"k must not exceed d_sae; got k={self.k}, d_sae={self.d_sae}")
        if len(set(self.dictionaries)) != len(self.dictionaries):
            raise ValueError(f"dictionaries must differ; got {self.dictionaries}")
        return self


class LayerPairsParams(NotebookParams):
    """16_layer_pairs: one layer of one model against one layer of another, beside the controls of the comparison."""

    layer_a: int = Field(ge=0, description="layer of the first model, for the grid")
    layer_b: int = Field(ge=0, description="layer of the second model, for the grid")
    activations: list[str] = Field(
        min_length=1, description="runs of 03_save_activations, on the same tokens, that hold the dictionaries"
    )
    conditions: dict[Literal["features", "neurons", "reinitialised", "ceiling_a", "ceiling_b"], list[str]] = Field(
        description="condition -> its two dictionaries; 'features' is the comparison, the others are its controls"
    )
    min_firings: int = Field(10, ge=1, description="features that fire on fewer tokens stay unmatched")
    min_corr: float = Field(0.3, ge=0, lt=1, description="pairs below this correlation are left out")
    min_pairs: int = Field(20, ge=4, description="a condition with fewer pairs is reported and not scored")
    measures: list[str] = Field(
        ["rsa", "linear_cka_debiased", "svcca"], min_length=1, description="names in helpers.similarity.MEASURES"
    )
    n_permutations: int = Field(999, ge=1, description="shuffles of the pairing a measure and condition")
    n_repeats: int = Field(100, ge=1, description="random cuts to equal numbers of pairs, a condition")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if "features" not in self.conditions:
            raise ValueError("conditions needs 'features': the two dictionaries that are compared")
        for name, dictionaries in self.conditions.items():
            if len(dictionaries) != 2 or dictionaries[0] == dictionaries[1]:
                raise ValueError(f"conditions.{name}: expected two different dictionaries, got {dictionaries}")
        return self


class LayerGridParams(NotebookParams):
    """16_layer_grid: every layer pair of two models in one picture."""

    pairs: list[str] = Field(min_length=1, description="runs of 16_layer_pairs")
    alpha: float = Field(0.05, gt=0, lt=1, description="false discovery rate that is accepted over the whole table")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.pairs)) != len(self.pairs):
            raise ValueError(f"pairs must differ; got {self.pairs}")
        return self


class FeatureFamiliesParams(NotebookParams):
    """17_feature_families: which features fire together inside a model, and do matched features keep their families?"""

    matching: str = Field(min_length=1, description="run of 04_match_features: its two dictionaries and their pairs")
    min_firings: int = Field(10, ge=1, description="features that fire on fewer tokens are in no family")
    min_corr: float = Field(0.5, ge=-1, le=1, description="pairs below this correlation do not count as matched")
    min_cover: float = Field(0.7, gt=0.1, le=1, description="least cover of a child by its parent; 1 = always there")
    min_ratio: float = Field(2.0, gt=1, description="a parent fires on at least so many times as many tokens")
    min_jaccard: float = Field(0.2, ge=0, le=1, description="least overlap of two features tied in a group")
    alpha: float = Field(0.01, gt=0, lt=1, description="false discovery rate accepted for co-firing pairs")
    n_shuffles: int = Field(3, ge=1, description="shuffled copies of each store for the co-firing null")
    n_permutations: int = Field(1000, ge=1, description="shuffles of partners, of concepts and of words")


class FeatureMapsParams(NotebookParams):
    """07_feature_maps: two dictionaries side by side, partners linked, and how much such maps can be trusted."""

    matching: str = Field(min_length=1, description="run of 04_match_features: its two dictionaries and their pairs")
    spaces: list[Literal["decoder", "encoder", "firing"]] = Field(
        ["decoder", "encoder", "firing"],
        min_length=1,
        description="what makes features near; one map of each is judged",
    )
    shown: Literal["decoder", "encoder", "firing"] = Field("firing", description="the space whose maps are drawn")
    min_corr: float = Field(0.5, ge=-1, le=1, description="pairs below this correlation do not count as partners")
    n_components: int = Field(128, ge=2, description="dimensions into which firing patterns are packed")
    n_neighbors: int = Field(15, ge=2, description="neighbours that hold a feature in its place (UMAP)")
    min_dist: float = Field(0.2, ge=0, le=1, description="how closely points may lie (UMAP)")
    n_epochs: int = Field(200, ge=1, description="rounds of the layout (UMAP)")
    k: int = Field(15, ge=1, description="neighbours that are asked when maps are judged")
    concepts: str = Field(
        "params/data/concepts.yaml", min_length=1, description="file of word groups that colour the map"
    )
    min_hits: int = Field(
        3, ge=1, le=5, description="of a feature's 5 strongest examples, so many must fire on words of a group"
    )
    n_contexts: int = Field(3, ge=0, description="contexts of each feature in the linked map")
    n_permutations: int = Field(1000, ge=19, description="shuffles of the partners, a test")

    @model_validator(mode="after")
    def _shown_is_made(self) -> Self:
        if self.shown not in self.spaces:
            raise ValueError(f"shown must be one of spaces {self.spaces}; got '{self.shown}'")
        if len(set(self.spaces)) != len(self.spaces):
            raise ValueError(f"spaces must differ; got {self.spaces}")
        return self


class FeatureSplittingParams(NotebookParams):
    """08_feature_splitting: what becomes of the features of a narrow dictionary in wider ones of the same hook?"""

    activations: str = Field(min_length=1, description="run of 03_save_activations that holds all the dictionaries")
    dictionaries: list[str] = Field(
        min_length=2, max_length=3, description="dictionaries of one hook of one model, the narrowest first"
    )
    min_firings: int = Field(20, ge=1, description="features that fire on fewer tokens are not judged")
    quantile: float = Field(
        0.99, gt=0, lt=1, description="of the best links by chance; a link must be stronger than this"
    )
    alpha: float = Field(0.01, gt=0, lt=1, description="false discovery rate accepted for absorbing children")
    n_shuffles: int = Field(19, ge=1, description="shuffled dictionaries that are searched, a step and kind of shuffle")
    n_permutations: int = Field(1000, ge=1, description="shuffles of children among parents")
    n_families: int = Field(8, ge=1, description="families in each table")
    n_neighbors: int = Field(15, ge=2, description="neighbours that hold a feature in its place on the map")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.dictionaries)) != len(self.dictionaries):
            raise ValueError(f"dictionaries must differ; got {self.dictionaries}")
        return self
