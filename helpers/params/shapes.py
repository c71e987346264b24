"""Typed parameters of the notebooks that ask for the shape of the feature space (09 to 12)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from helpers.params.notebooks import NotebookParams

Space = Literal["decoder", "encoder", "firing"]


class MapperParams(NotebookParams):
    """09_mapper: features as a graph of overlapping clusters, beside random rows, and is it the same in two models?"""

    matching: str = Field(min_length=1, description="run of 04_match_features: its two dictionaries and their pairs")
    spaces: list[Space] = Field(
        ["firing", "decoder"], min_length=1, description="what makes features near; the first one is drawn"
    )
    min_corr: float = Field(0.5, ge=-1, le=1, description="pairs below this correlation do not count as partners")
    firing_components: int = Field(128, ge=2, description="dimensions into which firing patterns are packed")
    lens: Literal["pca", "l2_norm", "umap", "isomap", "density"] = Field(
        "isomap", description="the number, or two, along which features are cut into pieces"
    )
    lens_components: int = Field(
        1, ge=1, le=2, description="components of the lens; l2_norm and density have 1, umap 2"
    )
    n_neighbors: int = Field(15, ge=2, description="neighbours of the lens (umap, isomap, density)")
    max_landmarks: int = Field(300, ge=10, description="features that isomap measures exactly; others by the nearest")
    n_cubes: int = Field(
        0, ge=0, description="pieces along each component of the lens; 0 takes 8 to 24 by the features"
    )
    gain: float = Field(0.4, gt=0, lt=1, description="share of a piece that it has in common with its neighbour")
    min_samples: int = Field(5, ge=2, description="features within reach, itself counted, that make a core of a node")
    reach_k: int = Field(
        4, ge=0, description="neighbour whose distance sets the reach; 0 takes 3 ln m in a piece of m features"
    )
    core_share: float = Field(
        0.5, ge=0, le=1, description="share of features whose neighbour is within reach; 0 takes the knee of the curve"
    )
    n_runs: int = Field(39, ge=1, description="random copies of the drawn space, of each null and dictionary")
    n_other_runs: int = Field(19, ge=1, description="random copies of every other space")
    sweep_cubes: list[int] = Field([10, 14, 19, 26], min_length=1, description="resolutions of the grid of covers")
    sweep_gains: list[float] = Field([0.2, 0.3, 0.4, 0.5], min_length=1, description="gains of the grid of covers")
    concepts: str = Field(
        "params/data/concepts.yaml", min_length=1, description="file of word groups that colour the nodes"
    )
    min_hits: int = Field(
        3, ge=1, le=5, description="of a feature's 5 strongest examples, so many must fire on words of a group"
    )
    n_permutations: int = Field(1000, ge=19, description="shuffles of the partners and of the concepts, a test")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.spaces)) != len(self.spaces):
            raise ValueError(f"spaces must differ; got {self.spaces}")
        expected = {"umap": (2,), "l2_norm": (1,), "density": (1,)}.get(self.lens, (1, 2))
        if self.lens_components not in expected:
            raise ValueError(f"lens '{self.lens}' has lens_components={expected[0]}; got {self.lens_components}")
        if min(self.sweep_cubes) < 1 or not all(0 < gain < 1 for gain in self.sweep_gains):
            raise ValueError(
                f"sweep_cubes must be at least 1 and sweep_gains between 0 and 1; got {self.sweep_cubes}, {self.sweep_gains}"
            )
        return self


class HomologyParams(NotebookParams):
    """10_persistent_homology: are there loops and voids in the features and activations, and has the other model them?"""

    matching: str = Field(min_length=1, description="run of 04_match_features: its two dictionaries and their pairs")
    space: Literal["decoder", "encoder"] = Field("decoder", description="which SAE weights are the features' rows")
    concepts: str = Field(
        "params/data/concepts.yaml", min_length=1, description="file of word groups, relative to the project"
    )
    groups: list[str] = Field(
        ["weekdays", "month_names", "numbers"],
        min_length=1,
        description="groups of the file that are looked at closely",
    )
    min_corr: float = Field(0.5, ge=-1, le=1, description="pairs below this correlation do not count as partners")
    min_hits: int = Field(
        3, ge=1, le=5, description="of a feature's 5 strongest examples, so many must fire on words of a group"
    )
    n_tokens: int = Field(500, ge=20, description="tokens of a group, at most; about equally many of each word")
    metric: Literal["cosine", "euclidean"] = Field("cosine", description="cosine: the angle between rows, in radians")
    n_landmarks: int = Field(150, ge=10, description="rows that stand for a cloud")
    choice: Literal["furthest", "dense", "random"] = Field("furthest", description="how landmarks are chosen")
    n_void_landmarks: int = Field(60, ge=10, le=400, description="rows that stand for a cloud where voids are computed")
    n_distance_landmarks: int = Field(100, ge=10, description="rows of each model whose diagrams are compared")
    n_parts: int = Field(6, ge=3, description="parts of each model whose diagrams are shuffled")
    n_runs: int = Field(149, ge=19, description="random clouds that every cloud is held against")
    n_permutations: int = Field(999, ge=19, description="shuffles of the other tests")
    alpha: float = Field(
        0.05, gt=0, lt=1, description="p below which a bar counts; the false discovery rate of the table"
    )

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if (1 + self.n_runs) * self.alpha < 1:
            raise ValueError(
                f"alpha {self.alpha} cannot be reached with n_runs={self.n_runs}; p is at least 1 / (1 + n_runs)"
            )
        if len(set(self.groups)) != len(self.groups):
            raise ValueError(f"groups must differ; got {self.groups}")
        return self


class MultidimensionalParams(NotebookParams):
    """11_multidimensional_features: which clusters of features draw one shape, and do days and months lie on circles?"""

    matching: str = Field(min_length=1, description="run of 04_match_features: its two dictionaries and their pairs")
    word_orders: str = Field(
        "params/data/word_orders.yaml",
        min_length=1,
        description="file of words in their order, relative to the project",
    )
    linear: list[str] = Field(["numbers"], description="groups of the file whose order does not close")
    n_tokens: int = Field(100_000, ge=1000, description="tokens that the models read again, for all of their layers")
    min_count: int = Field(10, ge=1, description="a word that stands less often is left out")
    min_firings: int = Field(10, ge=1, description="features that fire on fewer tokens are in no cluster")
    min_corr: float = Field(0.5, ge=-1, le=1, description="pairs below this correlation do not count as partners")
    n_neighbors: int = Field(2, ge=1, description="nearest directions that a feature is tied to")
    quantile: float = Field(
        0.99, gt=0, lt=1, description="of the nearest cosines of random directions; ties must be above"
    )
    min_jaccard: float = Field(0.15, gt=0, le=1, description="least overlap of two features that are tied by firing")
    max_members: int = Field(20, ge=3, description="features of a cluster, at most")
    max_points: int = Field(300, ge=50, description="tokens of a cluster that are scored, at most")
    n_runs: int = Field(499, ge=19, description="null scores of each kind, a cluster")
    n_shown: int = Field(4, ge=1, le=6, description="candidates that are drawn")
    n_permutations: int = Field(1999, ge=19, description="shuffles of the words, a place")
    alpha: float = Field(0.05, gt=0, lt=1, description="false discovery rate that is accepted over each table")


class ConceptHierarchyParams(NotebookParams):
    """12_concept_hierarchy: are concepts directions that predict unseen words and kinds, and analogies maps?"""

    matching: str = Field(min_length=1, description="run of 04_match_features: its two dictionaries and their pairs")
    taxonomy: str = Field("", description="file of concepts, relative to the project; '' = the story world's own")
    analogies: str = Field("params/data/analogies.yaml", min_length=1, description="file of paired roles")
    min_words: int = Field(4, ge=3, description="words that a concept needs inside and outside")
    min_count: int = Field(10, ge=1, description="tokens on which a word must stand for a mean in the residual stream")
    min_hits: int = Field(3, ge=1, le=5, description="of a feature's 5 strongest examples, so many fire on the words")
    min_firings: int = Field(10, ge=1, description="features that fire on fewer tokens are left out")
    min_corr: float = Field(0.5, ge=-1, le=1, description="pairs with a lower correlation do not count as partners")
    shown: list[str] = Field(
        ["animal", "plant", "person", "food", "emotion"], description="concepts of the heatmaps, with all below them"
    )
    views: dict[str, str] = Field(
        {"animal": "mammal", "emotion": "joy", "person": "royalty"},
        description="parent -> child that are drawn as planes",
    )
    direction: Literal["lda", "mean"] = Field("lda", description="how directions of the pictures are estimated")
    map_methods: list[Literal["offset", "procrustes", "ridge", "cca"]] = Field(
        ["offset", "procrustes", "ridge", "cca"], min_length=1, description="maps between domains"
    )
    n_permutations: int = Field(299, ge=19, description="shuffles inside the taxonomy, a test")
    n_estimates: int = Field(19, ge=19, description="shuffles for which all directions are estimated anew")
    n_map_permutations: int = Field(199, ge=19, description="shuffles of the partners, a map")
    alpha: float = Field(0.05, gt=0, lt=1, description="false discovery rate that is accepted over a table")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.map_methods)) != len(self.map_methods):
            raise ValueError(f"map_methods must differ; got {self.map_methods}")
        return self
