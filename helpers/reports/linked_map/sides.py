"""One side of a linked map from what the notebooks left: points, store, described features, texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from helpers.activations import ActivationStore
from helpers.corpus import TokenBatch
from helpers.features import FeatureTable, LogitEffects, feature_cards, feature_columns
from helpers.geometry import Embedding
from helpers.reports.linked_map.content import MapSide


def map_side(
    name: str,
    embedding: Embedding,
    store: ActivationStore,
    table: FeatureTable,
    tokens: TokenBatch,
    tokenizer: Any,
    *,
    groups: Sequence[str] = (),
    clusters: np.ndarray | None = None,
    effects: LogitEffects | None = None,
    n_contexts: int = 3,
    before: int = 9,
    after: int = 6,
) -> MapSide:
    """Points with all that is known of their features.

    Shapes:
        clusters: (n_points,), of every point.
    Args:
        table: of the store's dictionary; groups: one name a feature of the dictionary (not a point), "" for none.
        effects: of all features of the map; None shows none.
        n_contexts, before, after: contexts of a card, and tokens around the example.
    """
    ids = embedding.ids
    cards = feature_cards(
        feature_columns(store, ids), table, tokens, tokenizer, dictionary=name, effects=effects, n_contexts=n_contexts,
        before=before, after=after,
    )  # fmt: skip
    return MapSide(
        name,
        embedding.points,
        ids,
        table.density[ids],
        [table.labels[i] for i in ids],
        [groups[i] for i in ids] if len(groups) else (),
        clusters,
        [table.example_words(i) for i in ids],
        cards,
    )
