"""Figures and tables of persistent homology: what is drawn are the bars, and nothing found is told plainly."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.comparison.homology import NamedLoop
from helpers.geometry import point_cloud
from helpers.geometry.homology import (
    bar_test,
    carried_loop,
    loop_around,
    nearer_than_random,
    parts_test,
    persistence_images,
)
from helpers.nulls import correct_tests
from helpers.reports.homology_figures import barcode, betti_curves, diagram_panels, image_panels
from helpers.reports.homology_tables import bars_table, carried_table, distances_table, loops_table
from helpers.reports.style import VERMILION


@pytest.fixture(scope="module")
def ring():
    return bar_test(point_cloud("circle", n_points=80, d=6, noise=0.1, seed=0).rows, n_runs=19)


@pytest.fixture(scope="module")
def noise():
    return bar_test(point_cloud("noise", n_points=60, d=6, noise=0, seed=0).rows, n_runs=19)


@pytest.fixture(scope="module")
def straight():
    """Points on a line: no loop at all."""
    return bar_test(np.column_stack([np.arange(9.0) ** 1.5, np.zeros(9)]), n_runs=19)


def points(axes) -> np.ndarray:
    drawn = [line.get_xydata() for line in axes.lines if line.get_marker() == "o"]
    return np.concatenate(drawn) if drawn else np.empty((0, 2))


def test_diagrams_show_every_bar_and_mark_those_above_chance(ring, noise, straight):
    figure = diagram_panels({"ring": ring, "noise": noise, "a line": straight, "again": ring})
    for axes, test in zip(figure.axes, (ring, noise, straight, ring), strict=False):
        drawn, bars = points(axes), test.found.bars(1)
        assert sorted(map(tuple, drawn)) == sorted(map(tuple, bars))
        marked = [line for line in axes.lines if line.get_color() == VERMILION]
        assert sum(len(line.get_xdata()) for line in marked) == test.n_significant(1)
    assert figure.axes[0].get_xlabel() == "birth (distance)" and figure.axes[0].get_ylabel() == "death"
    assert not figure.axes[4].axison
    with pytest.raises(ValueError, match="no clouds to draw"):
        diagram_panels({})


def test_the_barcode_names_its_loops(ring, straight):
    figure = barcode(ring, ["Monday → Tuesday " * 9], n_bars=3)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts[0].startswith("p = 0.05  Monday → Tuesday") and texts[0].endswith("…")
    with pytest.raises(ValueError, match="no loops to draw; take more landmarks"):
        barcode(straight, [])


def test_curves_are_counts_of_living_bars(ring, noise):
    figure = betti_curves({"a": ring.found, "b": noise.found}, {"a": ring.copies[0], "b": noise.copies[0]})
    line = figure.axes[1].lines[0]
    scales, counts = line.get_xdata(), line.get_ydata()
    birth, death = ring.found.relative(1)[0]
    inside = (scales > birth) & (scales < death)
    assert inside.any() and counts[inside].min() >= 1 and counts[scales > death].max() == 0
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["components", "loops"]
    with pytest.raises(ValueError, match="a random cloud of each"):
        betti_curves({"a": ring.found}, {"b": noise.found})


def test_images_stand_side_by_side(ring, noise):
    images = persistence_images([ring.found, noise.found])
    figure = image_panels(images, ["ring", "noise"])
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), images.images[0].T)
    with pytest.raises(ValueError, match="a title for each of 2 images; got 1"):
        image_panels(images, ["ring"])


def test_tables_hold_the_numbers(ring, noise, straight):
    tests = {"ring": ring, "noise": noise, "a line": straight}
    corrected = correct_tests({name: test.result(1) for name, test in tests.items()})
    text = bars_table(tests, corrected, alpha=0.05, caption="bars")
    assert f"{ring.found.longest(1):.3f}" in text and "0.000" in text and "nan" not in text.lower()
    loop = loop_around(ring.found)
    named = NamedLoop("ring", 1, loop, 0.05, tuple(f"p{i}" for i in range(20)))
    text = loops_table([named], sides=["a", "b"])
    assert "1. ring, b" in text and "p0 → p1" in text and "(and 4 more)" in text
    assert "no loop above chance" in loops_table([], sides=["a", "b"])


def test_tables_of_both_models(ring):
    rows = point_cloud("circle", n_points=80, d=6, noise=0.1, seed=0).rows
    near = nearer_than_random(ring.found, rows, n_runs=19, n_landmarks=300)
    parts = parts_test(rows, rows, n_parts=4, n_permutations=19)
    text = distances_table({"ring": (near, parts)})
    assert "bottleneck distance" in text and f"{near.null_mean:.3f}" in text
    kept = carried_loop(rows, np.arange(6), n_permutations=19)
    text = carried_table({"1. ring": kept, "2. lost": None})
    assert f"{kept.order.score:.2f}" in text and "too few" in text
    assert "no loop to follow" in carried_table({})
