"""Typed parameters of every notebook, and the reading of study files (params/studies/*.yaml)."""

from helpers.params.analyses import (
    CompareSpacesParams,
    FeatureFamiliesParams,
    FeatureMapsParams,
    FeatureSplittingParams,
    GroundTruthParams,
    LayerGridParams,
    LayerPairsParams,
    SemanticSubspacesParams,
)
from helpers.params.corpora import CorpusParams, HubCorpusParams, LocalCorpusParams, StoryWorldParams
from helpers.params.expectation import Expectation
from helpers.params.notebooks import (
    LanguageModelParams,
    MatchFeaturesParams,
    NotebookParams,
    SaveActivationsParams,
    TrainSaeParams,
)
from helpers.params.registry import NOTEBOOKS, NotebookEntry
from helpers.params.shapes import ConceptHierarchyParams, HomologyParams, MapperParams, MultidimensionalParams
from helpers.params.steering import FeatureEffectsParams, SteeringParams, SteeringTransferParams
from helpers.params.study import Study, StudyError, load_study

__all__ = [
    "NOTEBOOKS",
    "CompareSpacesParams",
    "ConceptHierarchyParams",
    "CorpusParams",
    "Expectation",
    "FeatureEffectsParams",
    "FeatureFamiliesParams",
    "FeatureMapsParams",
    "FeatureSplittingParams",
    "GroundTruthParams",
    "HomologyParams",
    "HubCorpusParams",
    "LanguageModelParams",
    "LayerGridParams",
    "LayerPairsParams",
    "LocalCorpusParams",
    "MapperParams",
    "MatchFeaturesParams",
    "MultidimensionalParams",
    "NotebookEntry",
    "NotebookParams",
    "SaveActivationsParams",
    "SemanticSubspacesParams",
    "SteeringParams",
    "SteeringTransferParams",
    "StoryWorldParams",
    "Study",
    "StudyError",
    "TrainSaeParams",
    "load_study",
]
