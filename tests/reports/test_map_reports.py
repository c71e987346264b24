"""Pictures and tables of feature maps show what they were given."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from helpers.geometry import Faithfulness, PartnerDistance
from helpers.reports.map_figures import group_panels, strongest_of_groups, value_panels
from helpers.reports.map_tables import alignment_table, faithfulness_table

RNG = np.random.default_rng(0)
POINTS = (RNG.normal(size=(6, 2)), RNG.normal(size=(4, 2)))
GROUPS = (["x", "", "y", "x", "", ""], ["y", "y", "", "x"])


def drawn(axes, label):
    (found,) = [part for part in axes.collections if part.get_label() == label]
    return found


def test_groups_have_one_colour_and_marker_in_both_maps():
    figure = group_panels(POINTS, GROUPS, names=("one", "two"), pairs=[(0, 3, "tied")])
    first, second = figure.axes
    for group in ("x", "y"):
        assert drawn(first, group).get_facecolor().tolist() == drawn(second, group).get_facecolor().tolist()
    np.testing.assert_array_equal(drawn(first, "x").get_offsets(), POINTS[0][[0, 3]])
    np.testing.assert_array_equal(drawn(second, "no group").get_offsets(), POINTS[1][[2]])
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["tied", "tied"]
    assert first.get_title(loc="left") == "one: 6 features"
    assert [text.get_text() for text in figure.legends[0].texts] == ["no group", "x", "y"]


def test_three_dimensions_are_drawn_without_ties():
    solid = [np.column_stack([part, part[:, 0]]) for part in POINTS]
    figure = group_panels(solid, GROUPS, names=("one", "two"), pairs=[(0, 3, "tied")])
    assert all(axes.name == "3d" for axes in figure.axes) and figure.artists == []


def test_values_share_one_scale_and_nothing_is_coloured_without_one():
    values = (np.array([0.5, np.nan, 1.0, np.nan, np.nan, 0.7]), np.array([np.nan, 0.6, np.nan, np.nan]))
    figure = value_panels(POINTS, values, names=("one", "two"), label="r", missing="none")
    coloured = [axes.collections[1] for axes in figure.axes[:2]]
    assert [part.get_clim() for part in coloured] == [(0.5, 1.0)] * 2
    np.testing.assert_array_equal(coloured[0].get_array(), [0.5, 1.0, 0.7])
    np.testing.assert_array_equal(drawn(figure.axes[1], "none").get_offsets(), POINTS[1][[0, 2, 3]])


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="map 'two' has 4 points and 3 values"):
        group_panels(POINTS, (GROUPS[0], GROUPS[1][:3]), names=("one", "two"))
    many = [f"group {i}" for i in range(30)]
    with pytest.raises(ValueError, match="at most 24 groups can be told apart; got 30"):
        group_panels((np.zeros((30, 2)), np.zeros((30, 2))), (many, many), names=("one", "two"))
    with pytest.raises(ValueError, match="no value to colour by"):
        value_panels(POINTS, (np.full(6, np.nan), np.full(4, np.nan)), names=("one", "two"), label="r", missing="none")


def test_the_best_pair_of_each_group_is_tied_if_its_label_is_one_word_on_both_sides():
    pairs = SimpleNamespace(ids_a=np.array([5, 6, 7, 8]), ids_b=np.array([1, 2, 3, 4]))  # strongest first
    maps = SimpleNamespace(
        a=SimpleNamespace(ids=np.array([8, 7, 6, 5])), b=SimpleNamespace(ids=np.array([4, 3, 2, 1])),
        rows=SimpleNamespace(pairs=pairs),
    )  # fmt: skip
    labels = [
        dict(zip((5, 6, 7, 8), ("a/b", "dog", "cat", "May"), strict=True)),
        dict(zip((1, 2, 3, 4), ("a/b", "dog", "cat", "June"), strict=True)),
    ]
    groups = (
        ["month", "animal", "animal", "animal"],
        ["month", "animal", "animal", "animal"],
    )  # in order of the points
    # 5-1 has several words; 6-2 is the best of the animals; 7-3 is not; 8-4 differ.
    assert strongest_of_groups(maps, groups, labels) == [(2, 2, "dog")]


def test_tables_stand_beside_chance():
    faith = Faithfulness(0.9, 0.25, 0.01, 15, 1500, 1500)
    pair = SimpleNamespace(faithful_a=faith, faithful_b=faith)
    text = faithfulness_table({"firing": pair}, names=("a", "b"), random=Faithfulness(0.5, 0.011, 0.01, 15, 1500, 1500))
    assert (
        text.count("25.0%") == 2
        and "1.1%" in text
        and "they fire on the same tokens" in text
        and "15 nearest kept" in text
    )
    steps = alignment_table({"turned": PartnerDistance(0.7, 0.95, 1.05, 0.001, 900)})
    assert "0.700" in steps and "0.950 to 1.050" in steps and "0.001" in steps and "900" in steps
