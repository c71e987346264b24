"""Panels of matrices: numbers, stars and empty cells are those of the arrays, on one colour scale."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.reports.grid_figures import heatmap_panels

LABELS = {
    "row_labels": ["0", "1"],
    "column_labels": ["0", "1", "2"],
    "x_label": "layer of b",
    "y_label": "layer of a",
    "colour_label": "score",
}


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_numbers_stars_and_gaps_are_those_of_the_arrays():
    values = np.array([[0.1, 0.2, np.nan], [-0.4, 0.5, 0.6]])
    stars = np.array([[True, False, True], [False, False, True]])
    figure = heatmap_panels({"rsa": values, "linear_cka": values + 1}, **LABELS, marked={"rsa": stars})
    panels = [axes for axes in figure.axes if axes.images]
    assert texts(panels[0]) == ["0.10*", "0.20", "-0.40", "0.50", "0.60*"]
    assert texts(panels[1]) == ["1.10", "1.20", "0.60", "1.50", "1.60"]
    assert [axes.get_title() or axes.get_title(loc="left") for axes in panels] == ["rsa", "linear cka"]
    assert {axes.images[0].get_clim() for axes in panels} == {(-0.4, 1.6)}


def test_a_given_range_is_kept_and_whole_numbers_are_written_whole():
    figure = heatmap_panels({"n": [[1, 2, 1500]] * 2}, **LABELS, value_range=(0, 1), number_format=",.0f")
    assert figure.axes[0].images[0].get_clim() == (0, 1)
    assert texts(figure.axes[0])[:3] == ["1", "2", "1,500"]


def test_five_panels_take_two_rows_and_the_sixth_place_is_empty():
    figure = heatmap_panels({str(i): np.full((2, 3), i) for i in range(5)}, **LABELS)
    assert sum(bool(axes.images) for axes in figure.axes) == 5


@pytest.mark.parametrize(
    ("matrices", "marked", "message"),
    [
        ({}, None, r"expected matrices of \(2, 3\), as the labels say; got none"),
        ({"x": np.ones((3, 2))}, None, r"got 'x' is \(3, 2\)"),
        ({"x": np.ones((2, 3))}, {"x": np.ones((2, 2))}, r"got 'x' is \(2, 2\)"),
        ({"x": np.full((2, 3), np.nan)}, None, "there is no finite value to draw"),
    ],
)
def test_what_cannot_be_drawn_is_refused(matrices, marked, message):
    with pytest.raises(ValueError, match=message):
        heatmap_panels(matrices, **LABELS, marked=marked)
