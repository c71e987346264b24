"""Pictures and tables of what features do show what they are given, and refuse what they cannot show."""

from types import SimpleNamespace

import numpy as np
import pytest

from helpers.nulls.permutation import summarise
from helpers.reports.feature_effect_figures import circle_turns, partner_bands, ranking_figure, word_sum_figure
from helpers.reports.feature_effect_tables import apart_table, ranking_table, turn_table, word_sum_table
from helpers.similarity import MEASURES
from helpers.steering.effects import FeatureEffects, RestoredEffect, RestoredParts

HOOK = "blocks.0.hook_resid_post"


def result_of(score):
    return summarise(MEASURES["linear_cka"], score, np.linspace(-0.1, 0.1, 21), 4, {}, null_kind="pairing")


@pytest.fixture
def tests():
    return {"days, model a": {"attribution": result_of(0.9), "activation": result_of(0.3)},
            "days, model b": {"attribution": result_of(0.8), "activation": None}}  # fmt: skip


@pytest.fixture
def turns():
    movement = SimpleNamespace(
        as_expected=np.array([0.2, 0.4]), random_as_expected=np.full((3, 2), 0.05), in_circle=np.array([1.0, 0.8])
    )
    told = {"model": "a", "group": "months", "swapped_as_expected": 0.9}
    return [SimpleNamespace(hook_name=HOOK, movement=movement, **told),
            SimpleNamespace(hook_name="blocks.1.hook_resid_post", movement=None, **told | {"swapped_as_expected": 0.0})]  # fmt: skip


@pytest.fixture
def sums():
    cell = SimpleNamespace(hits=3, tested=np.arange(4), null_hits=np.array([1, 0]))
    table = SimpleNamespace(tests={("a", HOOK): cell}, adjusted={("a", HOOK): 0.04})
    steps = SimpleNamespace(success=0.75, null_hits=np.array([0.0, 0.1]), p=0.05, in_domain=np.array([1, 1, 0, 1]))
    return {"forms": table}, {"forms": {"a": steps}}


def test_rankings_stand_in_rows(tests):
    (axes,) = ranking_figure(tests).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == list(tests)
    attribution, activation = axes.lines[:2]
    assert attribution.get_xdata().tolist() == [0.9, 0.8] and activation.get_xydata().tolist() == [[0.3, 0]]
    with pytest.raises(ValueError, match="at least one row of rankings"):
        ranking_figure({})


def test_a_ranking_without_a_score_says_so(tests):
    found = FeatureEffects(np.array([[2.0], [1.0]]), np.array([0.0, 1]), np.arange(2), np.array([[-3.0], [-1.0]]))
    html = ranking_table(dict.fromkeys(tests, found), tests, dict.fromkeys(tests, (0.5, 0.1, 0.9)))
    assert html.count("not defined") == 1 and "0.50 (0.10 to 0.90)" in html and "100%" in html


def test_bands_are_drawn_at_the_middle_of_their_range():
    band = SimpleNamespace(low=0.2, high=0.4, mean=0.3, mean_low=0.1, mean_high=0.6, strangers=0.01)
    left, right = partner_bands({"two models": ([band], [band, band])}).axes
    assert left.containers[0].lines[0].get_xydata().tolist() == [[pytest.approx(0.3), 0.3]]
    assert len(right.containers[0].lines[0].get_xdata()) == 2
    with pytest.raises(ValueError, match="at least one comparison"):
        partner_bands({})


def test_only_layers_that_are_read_are_drawn(turns):
    (axes,) = circle_turns(turns, place_names={HOOK: "after block 0"}).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["months, model a, after block 0"]
    points = {line.get_marker(): line.get_xdata()[0] for line in axes.lines if len(line.get_xdata())}
    assert points["D"] == 0.9 and points["o"] == pytest.approx(0.3)
    html = turn_table(turns, [0.04, None], place_names={})
    assert "not read here" in html and "0.04" in html and "30%" in html
    with pytest.raises(ValueError, match="expected a circle"):
        circle_turns(turns[1:], place_names={})


def test_sums_of_words_beside_shuffled_ones(sums):
    left, right = word_sum_figure(*sums).axes
    assert left.lines[0].get_ydata().tolist() == [0.75] and left.lines[1].get_ydata().tolist() == [0.125]
    assert [bar.get_height() for bar in right.patches] == [0.75]
    html = word_sum_table(*sums)
    assert "3 of 4" in html and "75%" in html and "5%" in html
    with pytest.raises(ValueError, match="the same tables on both sides"):
        word_sum_figure(sums[0], {})


def test_a_push_taken_apart_in_a_row():
    parts = [RestoredParts(np.arange(2), np.array([0.1, 0.2]), np.ones(2), np.zeros((2, 3))) for _ in range(2)]
    restored = RestoredEffect(HOOK, 0.0, 1.0, *parts, 0.3, 0.6, 1.0)
    row = SimpleNamespace(restored=restored, strength=0.8, turned=0.9, n_beyond=lambda _: 1)
    html = apart_table({"a": row})
    assert "1 of 2" in html and "60%" in html and "20%" in html
