"""Figures of subspaces: stars, hatches and names are where the arrays say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from helpers.comparison.subspace_scores import SubspaceTest, score_groups
from helpers.comparison.subspace_truth import MismatchCells
from helpers.nulls import RejectionRate
from helpers.reports.subspace_figures import mismatch_matrix, rejection_bars, word_drops
from tests.comparison.subspace_worlds import world

LABELS = ("days", "month_names", "animals")


def test_stars_and_hatches_are_those_of_the_arrays():
    z = np.array([[5.0, 1.0, np.nan], [0.0, 4.0, -1.0], [2.0, 0.3, 3.0]])
    significant, related = np.eye(3, dtype=bool), np.zeros((3, 3), dtype=bool)
    related[0, 1] = significant[0, 1] = True  # a cell that is no control has no star either
    figure = mismatch_matrix(MismatchCells(LABELS, z, significant, related), models=("a", "b"))
    axes = figure.axes[0]
    assert [(text.get_position()[0], text.get_text()) for text in axes.texts] == [(0, "*"), (1, "*"), (2, "*")]
    assert [patch.get_xy() for patch in axes.patches if patch.get_hatch()] == [(0.5, -0.5)]
    shown = np.ma.filled(axes.images[0].get_array().astype(float), np.nan)
    assert np.isnan(shown[0, 1]) and np.isnan(shown[0, 2]) and shown[2, 2] == 3.0
    assert [label.get_text() for label in axes.get_yticklabels()] == ["days", "month names", "animals"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("group of a", "group of b")


def test_rates_stand_beside_their_bounds():
    rates = {
        "true groups": {"rsa": RejectionRate(10, 8, 0.05), "cka": RejectionRate(10, 9, 0.05)},
        "no test": {"rsa": RejectionRate(0, 0, 0.05), "cka": RejectionRate(0, 0, 0.05)},
    }
    axes = rejection_bars(rates).axes[0]
    dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    bounds = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "|"]
    assert dots == [0.8, 0.9]
    assert bounds == [rates["true groups"]["rsa"].bound] * 2 == [0.3, 0.3]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["true groups", "no test"]


@pytest.fixture(scope="module")
def scores():
    test = SubspaceTest(measures=("rsa",), n_permutations=49, n_draws=9, n_word_permutations=19)
    made = [world(seed, n_words=n_words) for seed, n_words in ((0, 6), (1, 3))]
    return [score_groups([w.group], w.space_a, w.space_b, test=test)[0] for w in made]


def test_the_word_that_takes_most_is_named_and_groups_without_a_score_are_left_out(scores):
    axes = word_drops(scores).axes[0]
    word, left = scores[0].largest_drop
    assert [(text.get_text(), text.xy[0]) for text in axes.texts] == [(word, left.calibrated)]
    marks = {line.get_marker(): line.get_xdata() for line in axes.lines if line.get_marker() != "None"}
    assert marks["o"] == [scores[0].shuffled.calibrated]
    assert sorted(marks["|"]) == sorted(result.calibrated for result in scores[0].without_word.values())
    assert len(axes.get_yticklabels()) == 1


def test_a_long_word_before_the_lowest_tick_stays_inside_the_axes(scores):
    """The trap: it was written over the names of the groups."""
    word, left = scores[0].largest_drop
    others = {name: result for name, result in scores[0].without_word.items() if name != word}
    lowest = dataclasses.replace(scores[0], without_word=others | {"heartbroken one": left})
    figure = word_drops([lowest])
    figure.canvas.draw()
    axes = figure.axes[0]
    assert axes.texts[0].get_text() == "heartbroken one"
    assert axes.texts[0].get_window_extent().x0 > axes.get_window_extent().x0


def test_what_cannot_be_drawn_is_refused(scores):
    with pytest.raises(ValueError, match="there are no rates to draw"):
        rejection_bars({})
    undefined = dataclasses.replace(scores[1], group="few")
    with pytest.raises(ValueError, match="no group has a score"):
        word_drops([undefined])
