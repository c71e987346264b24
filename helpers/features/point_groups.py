"""One concept group for every feature, where it has one: what a map is coloured by."""

from __future__ import annotations

import numpy as np

from helpers.features.concept_groups import ConceptGroups
from helpers.features.concepts import concept_features
from helpers.features.feature_table import FeatureTable
from helpers.features.search import FeatureIndex

NO_GROUP = ""


def feature_groups(table: FeatureTable, groups: ConceptGroups, *, min_hits: int = 3) -> list[str]:
    """Name of the group that most of a feature's 5 strongest examples fire on; "" for none.

    Args:
        min_hits: examples among the top 5 that must fire on words of the group.
    Returns:
        One name a feature. Of groups with equally many hits (their words overlap) the one with fewer words is taken, so
        that "weekdays" wins over "calendar".
    """
    index = FeatureIndex(table)
    most = np.zeros(table.d_sae, dtype=np.int64)
    found = [NO_GROUP] * table.d_sae
    for group in sorted(groups.groups, key=lambda group: len(group.words)):
        features = concept_features(index, group, min_hits=min_hits)
        for feature, hits in zip(features.ids.tolist(), features.hits.tolist(), strict=True):
            if hits > most[feature]:
                most[feature], found[feature] = hits, group.name
    return found
