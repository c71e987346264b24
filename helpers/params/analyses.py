"""Typed parameters of the notebooks that ask questions of stores, pairs and directions (05 and later)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from helpers.params.notebooks import NotebookParams
from helpers.params.validation import check_file_name


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
        ["rsa", "linear_cka_debiased", "svcca", "linear_cka", "knn_jaccard"],
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
            check_file_name(name, what="pairs: the name")
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
