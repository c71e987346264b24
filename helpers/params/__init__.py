"""Typed parameters of every notebook, and the reading of study files (params/studies/*.yaml)."""

from helpers.params.corpora import CorpusParams, HubCorpusParams, LocalCorpusParams, StoryWorldParams
from helpers.params.notebooks import (
    CompareSpacesParams,
    LanguageModelParams,
    MatchFeaturesParams,
    NotebookParams,
    SaveActivationsParams,
    TrainSaeParams,
)

__all__ = [
    "CompareSpacesParams",
    "CorpusParams",
    "HubCorpusParams",
    "LanguageModelParams",
    "LocalCorpusParams",
    "MatchFeaturesParams",
    "NotebookParams",
    "SaveActivationsParams",
    "StoryWorldParams",
    "TrainSaeParams",
]
