"""One side of a linked map: everything stands with its own feature, whatever the order of the points."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from helpers.activations import ActivationStore
from helpers.comparison.feature_maps import describe_sides
from helpers.features import build_words, describe_features
from helpers.geometry import Embedding
from helpers.reports.linked_map import map_side
from tests.activations.conftest import random_activations

D_SAE = 12


@pytest.fixture(scope="module")
def described(tokens, tokenizer, tmp_path_factory):
    """A store, the table of its features, and its activations."""
    path = tmp_path_factory.mktemp("store") / "a"
    dense = random_activations(tokens.n_tokens, D_SAE, density=0.2, seed=0).toarray()
    with ActivationStore.create(path, d_sae=D_SAE, tokens_fingerprint=tokens.fingerprint()) as writer:
        writer.append(
            dense, token_ids=tokens.token_ids(), documents=tokens.row_documents(), positions=tokens.row_positions()
        )
    store = ActivationStore.open(path)
    return store, describe_features(store, build_words(tokens, tokenizer)), dense


def test_points_labels_groups_and_cards_are_of_the_same_feature(described, tokens, tokenizer):
    store, table, dense = described
    ids = np.array([9, 2, 11])  # the trap: features are neither sorted nor their own places
    points = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], dtype=np.float32)
    groups = [f"group {feature}" for feature in range(D_SAE)]
    side = map_side(
        "a", Embedding(points, ids, {}), store, table, tokens, tokenizer, groups=groups, clusters=np.array([1, 0, 2])
    )
    np.testing.assert_array_equal(side.ids, ids)
    np.testing.assert_array_equal(side.points, points)
    assert list(side.groups) == ["group 9", "group 2", "group 11"]
    np.testing.assert_allclose(side.density, (dense[:, ids] > 0).mean(axis=0), atol=1e-7)
    assert list(side.labels) == [table.labels[feature] for feature in ids]
    assert [list(words) for words in side.words] == [table.example_words(feature) for feature in ids]
    for feature, card in side.cards.items():
        assert card.feature == feature and card.n_firings == (dense[:, feature] > 0).sum()
        assert len(card.contexts) == 3 and card.max_activation == dense[:, feature].max()


def test_features_are_described_by_notebook_03_or_anew_where_rows_are_units(described, tokens, tokenizer, tmp_path):
    store, table, _ = described
    renamed = table.with_labels({3: "a name that was given"}, source="somebody")
    for run, name in (("first", "x"), ("second", "y")):
        renamed.save(tmp_path / run / name)

    def read(stage, run):
        params = {"activations": "first", "activations_b": "second"}
        return SimpleNamespace(params=params, artifact=lambda name: tmp_path / run / name.removeprefix("features_"))

    sides = SimpleNamespace(
        names=("x", "y"), store_a=store, store_b=store, tokens=tokens, tokenizer=tokenizer, alignment=None
    )
    first, second = describe_sides(read, "main", sides)
    assert first.labels[3] == second.labels[3] == "a name that was given"
    anew = describe_sides(read, "main", SimpleNamespace(**vars(sides) | {"alignment": {"units": 1}}))
    assert [found.labels for found in anew] == [table.labels] * 2
