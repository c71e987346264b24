"""Every notebook of the suite: its parameters and which earlier notebooks' runs they name.

Adding a notebook means adding one entry here (and its rule in notebooks/Snakefile).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
from helpers.params.notebooks import (
    LanguageModelParams,
    MatchFeaturesParams,
    NotebookParams,
    SaveActivationsParams,
    TrainSaeParams,
)
from helpers.params.shapes import ConceptHierarchyParams, HomologyParams, MapperParams, MultidimensionalParams
from helpers.params.steering import FeatureEffectsParams, SteeringParams, SteeringTransferParams


@dataclass(frozen=True)
class NotebookEntry:
    """One notebook.

    Args:
        params: the class of its parameters.
        reads: parameter -> notebook; the parameter's value (a name or a list of names) is a run of that notebook, or
            of this one; an empty text names none.
        members: parameter -> (reading parameters, list parameter): the value (or every text in it) must be an item of
            the list parameter of one of the runs that the reading parameter names; of several reading parameters the
            first that names a run counts.
    """

    params: type[NotebookParams]
    reads: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)


NOTEBOOKS: dict[str, NotebookEntry] = {
    "01_language_models": NotebookEntry(LanguageModelParams, reads={"model": "01_language_models"}),
    "02_train_saes": NotebookEntry(TrainSaeParams, reads={"model": "01_language_models"}),
    "03_save_activations": NotebookEntry(SaveActivationsParams, reads={"dictionaries": "02_train_saes"}),
    "04_match_features": NotebookEntry(
        MatchFeaturesParams,
        reads={"activations": "03_save_activations", "activations_b": "03_save_activations"},
        members={
            "dictionary_a": (("activations",), "dictionaries"),
            "dictionary_b": (("activations_b", "activations"), "dictionaries"),
        },
    ),
    "05_compare_spaces": NotebookEntry(
        CompareSpacesParams, reads={"matching": "04_match_features", "ceiling": "04_match_features"}
    ),
    "06_semantic_subspaces": NotebookEntry(
        SemanticSubspacesParams,
        reads={"activations": "03_save_activations"},
        members={"pairs": (("activations",), "dictionaries")},
    ),
    "07_feature_maps": NotebookEntry(FeatureMapsParams, reads={"matching": "04_match_features"}),
    "08_feature_splitting": NotebookEntry(
        FeatureSplittingParams,
        reads={"activations": "03_save_activations"},
        members={"dictionaries": (("activations",), "dictionaries")},
    ),
    "09_mapper": NotebookEntry(MapperParams, reads={"matching": "04_match_features"}),
    "10_persistent_homology": NotebookEntry(HomologyParams, reads={"matching": "04_match_features"}),
    "11_multidimensional_features": NotebookEntry(MultidimensionalParams, reads={"matching": "04_match_features"}),
    "12_concept_hierarchy": NotebookEntry(ConceptHierarchyParams, reads={"matching": "04_match_features"}),
    "13_steering": NotebookEntry(
        SteeringParams,
        reads={"activations": "03_save_activations"},
        members={"dictionary": (("activations",), "dictionaries")},
    ),
    "14_steering_transfer": NotebookEntry(SteeringTransferParams, reads={"matching": "04_match_features"}),
    "15_ground_truth": NotebookEntry(GroundTruthParams, reads={"dictionaries": "02_train_saes"}),
    "16_layer_pairs": NotebookEntry(
        LayerPairsParams,
        reads={"activations": "03_save_activations"},
        members={"conditions": (("activations",), "dictionaries")},
    ),
    "16_layer_grid": NotebookEntry(LayerGridParams, reads={"pairs": "16_layer_pairs"}),
    "17_feature_families": NotebookEntry(FeatureFamiliesParams, reads={"matching": "04_match_features"}),
    "18_feature_effects": NotebookEntry(
        FeatureEffectsParams,
        reads={
            "matching": "04_match_features",
            "ceiling": "04_match_features",
            "circles": "11_multidimensional_features",
        },
    ),
}


def runs_read(notebook: str, values: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The runs that parameter values name directly, in order; values of another type than text are passed over.

    Returns:
        (parameter, notebook, run) of each.
    """
    found = []
    for key, source in NOTEBOOKS[notebook].reads.items():
        value = values.get(key)
        names = value if isinstance(value, list) else [value]
        found += [(key, source, name) for name in names if isinstance(name, str) and name]
    return found


def members_named(notebook: str, values: Mapping[str, Any]) -> list[str] | None:
    """The members (dictionaries of a sample) that parameter values name, in order; None for a notebook that takes all."""
    members = NOTEBOOKS[notebook].members
    return [text for key in members for text in _texts(values.get(key))] if members else None


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    values = value.values() if isinstance(value, Mapping) else value or []
    return [text for item in values for text in _texts(item)]
