"""Names beside points that are close together."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from helpers.reports.point_labels import label_points
from helpers.reports.style import new_figure, styled

NAMES = [f"point {number}" for number in range(12)]
CROWD = np.random.default_rng(0).normal(size=(12, 2)) * 0.2  # a few letters apart
CROWD[1] = CROWD[0]


def written(places: np.ndarray, names: list[str] = NAMES):
    with styled():
        figure, (axes,) = new_figure(width=4.2, height=3.9)
        axes.scatter(*places.T)
        axes.set(xlim=(-1, 1), ylim=(-1, 1))
        figure.canvas.draw()
        label_points(axes, names, places)
        figure.canvas.draw()
    return axes, [text for text in axes.texts if text.get_text()]


def test_crowded_names_can_be_read_and_stay_inside():
    axes, found = written(CROWD)
    assert [text.get_text() for text in found] == NAMES
    boxes = [text.get_window_extent() for text in found]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    frame = axes.get_window_extent()
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1 for box in boxes)


def test_the_names_of_this_crowd_overlap_where_they_stand():
    """What would be seen without moving them."""
    with styled():
        figure, (axes,) = new_figure(width=4.2, height=3.9)
        axes.set(xlim=(-1, 1), ylim=(-1, 1))
        boxes = [
            axes.text(*place, name, fontsize=8.5).get_window_extent() for name, place in zip(NAMES, CROWD, strict=True)
        ]
        assert figure and any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_names_stand_where_they_stood_before():
    places = [[text.get_position() for text in written(CROWD)[1]] for _ in range(2)]
    assert places[0] == places[1]


def test_a_lone_name_stays_beside_its_point():
    axes, (text,) = written(np.zeros((1, 2)), ["alone"])
    box = text.get_window_extent()
    x, y = axes.transData.transform((0, 0))
    letters = 2 * box.height
    assert box.x0 - letters < x < box.x1 + letters and box.y0 - letters < y < box.y1 + letters


def test_no_name_is_no_work_and_a_name_too_many_is_an_error():
    assert written(np.zeros((0, 2)), [])[1] == []
    with pytest.raises(ValueError, match="shorter|longer"):
        written(CROWD, NAMES[:-1])
