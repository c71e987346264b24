"""Pictures of steering effects show what they are given, and refuse what they cannot show."""

import numpy as np
import pytest

from helpers.nulls.permutation import summarise
from helpers.reports.steering_effect_figures import (
    circle_moves,
    downstream_spread,
    effects_by_ranking,
    functional_beside_match,
    restored_shares,
)
from helpers.similarity import MEASURES
from helpers.steering.effects import (
    CircleMovement,
    DownstreamEffect,
    FeatureChanges,
    FeatureEffects,
    FunctionalSimilarity,
    LayerEffect,
    RestoredEffect,
    RestoredParts,
)


def texts(axes):
    return [text.get_text() for text in axes.texts]


@pytest.fixture
def effect():
    features = FeatureChanges(
        plain=np.array([0, 2.0, 1, 1]), steered=np.array([3.0, 0, 1.5, 1]), plain_share=np.array([0, 1.0, 1, 1]),
        steered_share=np.array([1.0, 0, 1, 1]), mean_size=np.array([3.0, 2, 0.5, 0]), decoder_norms=np.ones(4),
    )  # fmt: skip
    still = FeatureChanges(*[np.ones(4)] * 6)
    hooks = ("blocks.0.hook_resid_post", "blocks.1.hook_mlp_out", "blocks.1.hook_resid_post")
    norms, contents = (1.0, 2.0, 5.0), (features, still, None)
    layers = tuple(LayerEffect(h, 10.0, n, 1, 1, f) for h, n, f in zip(hooks, norms, contents, strict=True))
    return DownstreamEffect(layers, np.zeros(3), 0.0, 0.0, 2, 2)


def test_the_spread_names_what_changes_layer_by_layer(effect):
    figure = downstream_spread(effect, n_features=3, name=lambda hook, i: f"{hook.split('.')[1]}:feature number {i}")
    left, right = figure.axes[:2]
    assert [label.get_text() for label in left.get_yticklabels()] == ["layer 1", "layer 1, mlp_out", "layer 0"]
    assert [bar.get_width() for bar in left.patches] == [0.5, 0.2, 0.1]
    assert texts(right) == ["no dictionary", "nothing changes", "+ 0:feature …", "− 0:feature …", "0:feature …"]
    image = right.images[0].get_array()
    assert image[2].tolist() == [3, -2, 0.5] and np.ma.getmaskarray(np.ma.masked_invalid(image))[:2].all()
    assert left.get_ylim() == right.get_ylim()
    assert "7" not in texts(downstream_spread(effect).axes[1]) and "2" in texts(downstream_spread(effect).axes[1])
    with pytest.raises(ValueError, match="n_features is at least 1"):
        downstream_spread(effect, n_features=0)


def test_restored_parts_stand_beside_random_directions():
    rng = np.random.default_rng(0)
    features = RestoredParts(np.array([7, 2]), np.array([0.6, 0.1]), np.array([0.5, 0.2]), rng.normal(0, 0.02, (2, 40)))
    directions = RestoredParts(np.arange(1), np.array([0.8]), np.array([0.9]), rng.normal(0, 0.02, (1, 40)))
    restored = RestoredEffect("blocks.1.hook_resid_post", 0.0, 2.0, features, directions, 0.7, 0.9, 1.0)
    (axes,) = restored_shares(restored, names=["Monday", "the"]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Monday", "the", "direction 1"]
    assert [bar.get_width() for bar in axes.patches] == [0.6, 0.1, 0.8]
    with pytest.raises(ValueError, match="a name for each of 2 features; got 1"):
        restored_shares(restored, names=["Monday"])


def test_effects_are_drawn_over_both_rankings():
    effects = FeatureEffects(
        attributions=np.array([[2.0], [1.0], [0.0]]), activations=np.array([0.0, 1, 2]), candidates=np.array([0, 1, 2]),
        effects=np.array([[-3.0], [-2.0], [-1.0]]),
    )  # fmt: skip
    left, right = effects_by_ranking(effects).axes
    assert left.get_title(loc="left") == "rank correlation 1.00"
    assert right.get_title(loc="left") == "rank correlation -1.00"
    assert left.lines[0].get_xydata().tolist() == [[2, 3], [1, 2], [0, 1]]


def test_functional_similarity_stands_beside_its_nulls():
    n = 4
    counts = np.ones(n, int)
    result = FunctionalSimilarity(
        np.arange(n), np.arange(n), np.linspace(0.2, 0.8, n), np.diag([0.1, 0.2, 0.3, 0.4]), np.eye(n), counts, counts,
        np.ones(n), np.ones(n), 50, 0, "probability",
    )  # fmt: skip
    null = np.linspace(-0.05, 0.05, 21)
    test = summarise(MEASURES["linear_cka"], 0.25, null, n, {}, null_kind="pairing")
    left, right = functional_beside_match(result, {"shuffled": test, "cofiring": test}).axes
    assert left.lines[0].get_ydata().tolist() == [0.1, 0.2, 0.3, 0.4]
    assert [label.get_text() for label in right.get_xticklabels()] == ["partners", "shuffled", "cofiring"]
    assert right.lines[-1].get_ydata().tolist() == [0.25]
    with pytest.raises(ValueError, match="at least one null"):
        functional_beside_match(result, {})


def test_circle_moves_are_drawn_shift_by_shift():
    movement = CircleMovement(
        7, np.array([1, 3]), np.array([[1, 1], [3, 0]]), np.zeros((5, 2, 2), int), np.ones(2), plain_in_circle=1.0
    )
    (axes,) = circle_moves(movement).axes
    assert [bar.get_height() for bar in axes.patches] == [1, 0.5]
    assert axes.get_ylim() == (0, 1.02)
