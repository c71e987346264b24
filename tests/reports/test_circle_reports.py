"""Figures and tables of circles show what they are given, and refuse what they cannot show."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from helpers.comparison.circles import order_table
from helpers.geometry.circles import FeatureClusters, find_candidates, held_out_places, planted_circle
from helpers.reports.circle_figures import (
    CandidatePanel,
    WordPanel,
    candidate_planes,
    order_by_layer,
    order_frequencies,
    word_planes,
)
from helpers.reports.circle_tables import candidates_table, orders_table, partners_table, place_name

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HOOKS = ("blocks.0.hook_resid_pre", "blocks.0.hook_resid_post")


@pytest.fixture(scope="module")
def table():
    angle = 2 * np.pi * np.arange(7) / 7
    flat = np.column_stack([np.cos(angle), np.sin(angle), 0 * angle])
    rng = np.random.default_rng(0)
    rows = {
        (model, hook, "first", "days"): (flat + 0.1 * rng.standard_normal((7, 3)), DAYS)
        for model in ("a", "b")
        for hook in HOOKS
    }
    rows["a, random weights", HOOKS[0], "first", "days"] = (rng.standard_normal((7, 3)), DAYS)
    return order_table(rows, n_permutations=199)


@pytest.fixture(scope="module")
def candidates():
    world = planted_circle(n_tokens=6000, n_features=20, seed=0)
    clusters = FeatureClusters.of([world.circle, [10, 11, 12]], d_sae=30, name="known")
    return find_candidates(world.acts, world.directions, [clusters], n_runs=19)


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_words_are_named_joined_in_order_and_closed_if_they_close():
    places = held_out_places(np.random.default_rng(0).standard_normal((7, 9)))
    figure = word_planes([WordPanel("closed", DAYS, places, True), WordPanel("open", DAYS, places, False)])
    closed, opened = figure.axes
    assert texts(figure) == [*DAYS, *DAYS]
    assert len(closed.lines[0].get_xdata()) == 8 and len(opened.lines[0].get_xdata()) == 7
    np.testing.assert_allclose(closed.lines[0].get_xydata()[:7], places)
    assert closed.get_title(loc="left") == "closed"


def test_every_layer_is_drawn_and_significant_ones_are_filled(table):
    figure = order_by_layer(table, position="first", questions={"days": "held out"}, controls=["a, random weights"])
    (axes,) = figure.axes
    assert [line.get_linestyle() for line in axes.lines[:3]] == ["-", "-", ":"]
    shares = [table.orders["a", hook, "first", "days"].tests["held out"].score for hook in HOOKS]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), shares)
    faces = [points.get_facecolors() for points in axes.collections]
    assert not np.allclose(faces[0][0][:3], 1) and np.allclose(faces[2][0][:3], 1)  # white: not significant
    assert "held-out" in axes.get_ylabel()


def test_frequencies_are_bars_beside_chance(table):
    order = table.orders["a", HOOKS[0], "first", "days"]
    figure = order_frequencies({"days": order, "again": order, "third": order})
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    np.testing.assert_allclose(heights, order.spectrum)
    assert len(figure.axes) == 4 and not figure.axes[3].axison


def test_points_of_a_candidate_carry_their_words():
    words = ["x"] * 5 + ["y"] * 3 + [""] * 2
    figure = candidate_planes([CandidatePanel("one", np.arange(20.0).reshape(10, 2), words)])
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["others", "x", "y"]
    assert [len(line.get_xdata()) for line in figure.axes[0].lines] == [2, 5, 3]


def test_tables_hold_scores_beside_chance(table, candidates):
    text = orders_table(table, list(table.orders), caption="orders")
    order = table.orders["a", HOOKS[1], "first", "days"]
    assert "days,\u00a0a,\u00a0after\u00a0layer\u00a01" in text and "embedding" in text and "a circle" in text
    assert f"{order.tests['circle'].score:.2f} / ".lstrip("0") in text
    ranked = candidates_table(candidates, lambda candidate: f"{len(candidate.ids)} words", caption="ranked")
    assert ranked.index("8 words") < ranked.index("3 words") and "directions / firing" in ranked
    partner = SimpleNamespace(
        candidate=candidates.candidates[0], ids_b=np.arange(5), score_b=0.5, agreement=0.9, chance=0.1, p_score=0.01,
        p_agreement=0.02,
    )  # fmt: skip
    assert "0.90" in partners_table([partner], lambda _: "circle words")


def test_nothing_is_a_table_and_no_picture(candidates):
    empty = find_candidates(np.eye(3), np.eye(3), [FeatureClusters(np.full(3, -1), "none")], n_runs=1)
    assert "no clusters" in candidates_table(empty, str)
    assert "no candidate has two partners" in partners_table([], str)
    for draw in (word_planes, order_frequencies, candidate_planes):
        with pytest.raises(ValueError, match="at least one panel; got none"):
            draw([])


def test_no_layer_at_a_position_is_refused(table):
    with pytest.raises(ValueError, match="at least one panel; got none"):
        order_by_layer(table, position="before", questions={"days": "circle"})


def test_places_in_words():
    assert [place_name(name) for name in (*HOOKS, "blocks.11.hook_resid_post", "blocks.1.mlp.hook_post")] == [
        "embedding", "after layer 1", "after layer 12", "blocks.1.mlp.hook_post",
    ]  # fmt: skip
