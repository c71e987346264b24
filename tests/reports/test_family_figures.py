"""Figures and tables of families show what they are given, and refuse what they cannot show."""

import numpy as np
import pytest

from helpers.geometry import FeatureForest, families_kept, words_gathered
from helpers.matching.pairs import make_pairs
from helpers.reports.family_figures import (
    beside_shuffled,
    families_table,
    family_trees,
    gathered_table,
    scores_beside_chance,
)


@pytest.fixture
def forest():
    """0 has 12 children, the first of them (1) has 13, which has 14, which has 15, which has 16."""
    parents = np.array([-1, *([0] * 12), 1, 13, 14, 15])
    counts = np.array([900, *range(120, 108, -1), 50, 40, 30, 20])
    return FeatureForest(parents, np.zeros(17), np.zeros(17, int), counts)


@pytest.fixture
def result():
    pairs = make_pairs(
        np.arange(12), np.arange(12), np.ones(12), settings={"d_sae_a": 12, "d_sae_b": 12, "direction": "a_to_b"}
    )
    families = np.repeat(np.arange(4), 3)
    return families_kept(families, families, pairs, n_permutations=50)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_trees_name_every_feature_and_count_what_they_leave_out(forest):
    names = [f"w{i}" for i in range(17)]
    names[2] = "a very long name that does not fit"
    figure = family_trees(forest, [0, 13], names, max_children=5, max_depth=3)
    left, right = ([text.get_text() for text in axes.texts] for axes in figure.axes)
    assert left[:2] == ["w0  900", "w1  120"]
    assert "and 7 more" in left and "1 below" in left and "w15  30" not in left
    assert "a very long …  119" in left
    assert right == ["w13  50", "w14  40", "w15  30", "w16  20"]
    heights = [text.get_position()[1] for text in figure.axes[0].texts]
    assert heights == sorted(set(heights))  # a line each, none upon another


def test_trees_stay_inside_their_panels(forest):
    figure = family_trees(forest, [0, 13, 1], ["wwwwwww long name"] * 17)
    figure.canvas.draw()
    for axes in figure.axes:
        frame = axes.get_window_extent()
        for text in axes.texts:
            assert text.get_window_extent().x1 <= frame.x1 + frame.width * 0.1, text.get_text()


def test_scores_stand_beside_their_nulls_and_marks(result):
    figure = scores_beside_chance(
        {"groups": {"one": result, "two": result}, "trees": {"one": result}}, marks={"best": {"groups": 0.9}}
    )
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["groups", "trees"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["null: one", "null: two", "best", "observed"]
    observed = [line for line in axes.lines if line.get_marker() == "o"]
    assert [float(line.get_xdata()[0]) for line in observed] == [result.score] * 2
    bar = axes.lines[0].get_xdata()
    np.testing.assert_allclose(bar, np.quantile(result.null, [0.025, 0.975]))


def test_shuffled_lines_are_broken_and_zeros_are_not_drawn():
    steps = np.array([1, 2, 3])
    figure = beside_shuffled(
        {"t": {"m": (steps, [9, 4, 1])}}, {"t": {"m": (steps, [2, 0, 0])}}, x_labels=["x"], y_label="n"
    )
    real, shuffled = figure.axes[0].lines
    assert real.get_color() == shuffled.get_color() and shuffled.get_linestyle() == "--"
    assert np.isnan(shuffled.get_ydata()).tolist() == [False, True, True]
    assert figure.axes[0].get_yscale() == "log"


def test_tables_hold_the_words_and_escape_them(forest):
    names = [f"<w{i}>" for i in range(17)]
    html = families_table(forest, names, n_tokens=1000, n=1, caption="largest")
    assert "&lt;w0&gt; (0)" in html and "90.0%" in html and "<w1>" not in html and "&lt;w1&gt;, &lt;w2&gt;" in html
    empty = FeatureForest(np.full(3, -1), np.zeros(3), np.zeros(3, int), np.ones(3, int))
    assert "no families" in families_table(empty, ["a"] * 3, n_tokens=10)


def test_gathered_words_are_told_from_the_others(forest):
    names = ["p", "Mon", "Tue", *(f"w{i}" for i in range(3, 17))]
    found = words_gathered(forest, names, ("Mon", "Tue", "Wed"), n_permutations=19)
    html = gathered_table({"days": found}, {"days": ("Mon", "Tue", "Wed")}, {"days": forest}, {"days": names})
    assert "67%" in html and "w3, w4" in html and "Mon, " not in html


def test_nothing_to_draw_is_refused(forest, result):
    with pytest.raises(ValueError, match="expected at least one parent and 17 names; got 0 and 17"):
        family_trees(forest, [], ["w"] * 17)
    with pytest.raises(ValueError, match="got 1 and 3"):
        family_trees(forest, [0], ["w"] * 3)
    with pytest.raises(ValueError, match="expected results with 1 to 2 nulls and at most 2 marks; got 0 and 0"):
        scores_beside_chance({})
    with pytest.raises(ValueError, match="got 3 and 0"):
        scores_beside_chance({"q": dict.fromkeys("xyz", result)})
    with pytest.raises(ValueError, match="expected the same panels twice and a label each"):
        beside_shuffled({"t": {}}, {}, x_labels=["x"], y_label="n")
