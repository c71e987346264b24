"""Pictures and tables of steering: what they show is what the sweep holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.reports.steering_figures import layer_maps, success_curves, task_scores
from helpers.reports.steering_tables import (
    answers_table,
    condition_table,
    decomposition_table,
    score_table,
    space_table,
)
from helpers.steering import FeatureSum, given_vector
from helpers.steering.scores import Choice, Interval, Score, Sweep

STRENGTHS = (0.2, 0.4)


@pytest.fixture
def sweep() -> Sweep:
    """Two layers and a random direction, always and where due, at two strengths; hits of 10 prompts and changes of 10
    controls grow; where it is due one control less is changed.
    """
    arms = [(name + end, space, layer, way) for way, end in (("always", ""), ("where due", ", where due"))
            for name, space, layer in (("layer 0", "model", 0), ("layer 1", "model", 1), ("random 0", "random", 0))]  # fmt: skip
    n_hits, n_changed = [3, 6, 5, 10, 0, 1] * 2, [0, 2, 1, 3, 4, 8, 0, 1, 0, 2, 3, 7]
    return Sweep(
        arms=np.repeat([arm[0] for arm in arms], 2),
        spaces=np.repeat([arm[1] for arm in arms], 2),
        ways=np.repeat([arm[3] for arm in arms], 2),
        hook_names=np.repeat([f"blocks.{arm[2]}.hook_resid_post" for arm in arms], 2),
        strengths=np.tile(STRENGTHS, 6),
        hits=np.arange(10) < np.array(n_hits)[:, None],
        probability=np.zeros((12, 10), np.float32),
        exact=np.zeros((12, 0), bool),
        unchanged=np.arange(10) >= np.array(n_changed)[:, None],
        plain_hits=np.zeros(10, bool),
        known=np.ones(10, bool),
        forms=np.zeros(10, np.int64),
    )


@pytest.fixture
def score() -> Score:
    return Score(
        task="day_to_month", arm="layer 1", way="always", layer=1, strength=0.4, success=Interval(0.9, 0.7, 1.0),
        kept=Interval(0.95, 0.9, 1.0), worst_form=0.8, exact=None, known=1.0, plain=0.0,
        null=Interval(0.01, 0.0, 0.05), null_max=0.1, p=0.05,
    )  # fmt: skip


def test_curves_run_from_the_weakest_to_the_strongest(sweep):
    axes, due = success_curves(sweep, min_kept=0.9).axes
    assert np.allclose(
        {line.get_label(): line for line in due.lines}["model space, layer 1"].get_xydata(), [[0, 0.5], [0.2, 1]]
    )
    lines = {line.get_label(): line for line in axes.lines}
    assert np.allclose(lines["model space, layer 1"].get_xydata(), [[0.1, 0.5], [0.3, 1.0]])
    assert np.allclose(lines["random directions, mean"].get_xydata(), [[0.4, 0.0], [0.8, 0.1]])
    assert np.allclose(lines["side effect allowed"].get_xdata(), 0.1)


def test_maps_hold_every_layer_at_every_strength_and_frame_the_choice(sweep):
    choice = Choice("layer 1", "always", 0.4, 1, 1.0, 0.7, is_harmless=True)
    success, kept, due, kept_where_due, _ = layer_maps(sweep, choice=choice).axes
    assert np.allclose(kept_where_due.images[0].get_array(), [[1.0, 0.9], [1.0, 0.8]]) and not due.patches
    assert np.allclose(success.images[0].get_array(), [[0.3, 0.6], [0.5, 1.0]])
    assert np.allclose(kept.images[0].get_array(), [[1.0, 0.8], [0.9, 0.7]])
    (frame,) = success.patches
    assert frame.get_xy() == (0.5, 0.5)  # the second strength of the second layer
    cut = Sweep(
        **{
            name: value if name in ("plain_hits", "known", "forms") else value[1:]
            for name, value in vars(sweep).items()
        }
    )
    with pytest.raises(ValueError, match="every layer at every strength, added always; got 3 trials"):
        layer_maps(cut)


def test_every_task_has_its_interval_and_its_best_baseline(score):
    due = replace(score, way="where due", null_max=0.3)
    ways = {"always": score, "where due": due}
    left, _ = task_scores({"day_to_month": ways}, min_success=0.8, min_kept=0.9).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["day to month"]
    crosses = [each.get_offsets()[0] for each in left.collections if each.get_label() == "best random direction"]
    assert sorted(value for value, _ in crosses) == [0.1, 0.3] and crosses[0][1] != crosses[1][1]
    with pytest.raises(ValueError, match="there are no tasks to draw"):
        task_scores({}, min_success=0.8, min_kept=0.9)


def test_tables_tell_the_scores(score):
    text = score_table({"day_to_month": {"always": score}})
    for part in ("day to month, always", "1, 0.4", "90% (70% to 100%)", "95% (90% to 100%)", "1%, 10%, 0.05"):
        assert part in text
    assert "place kept" not in text  # no task has an order
    ordered = score_table({"day_to_month": {"always": score, "where due": replace(score, exact=0.25)}})
    assert "place kept" in ordered and "25%" in ordered
    spaces = space_table({"day_to_month": {"model": score, "sae": replace(score, way="where due", strength=0.6)}})
    for part in ("90%; 95%", "no feature", "1%, 10%, 0.05"):
        assert part in spaces
    assert "&lt;b&gt;" in answers_table(["Today is"], ["<b>"], ["March"])
    with pytest.raises(ValueError, match="shorter|longer"):
        answers_table(["Today is"], [], ["March"])


def test_where_a_condition_holds_stands_beside_what_comes_of_it(score):
    shares = {"validation": 1.0, "validation_controls": 0.05, "held_out": 0.25, "held_out_controls": 0.1}
    ways = {"always": score, "where due": replace(score, way="where due", success=Interval(0.2, 0.1, 0.3))}
    text = condition_table({"day_to_month": shares}, {"day_to_month": ways})
    for part in ("day to month", ">100%; 5%<", ">25%; 10%<", ">20%<"):
        assert part in text


def test_what_is_not_known_is_told_in_words(score):
    bare = replace(score, exact=0.25, null=None, null_max=None, p=None)
    scored, spaces = score_table({"day_to_month": {"always": bare}}), space_table({"day_to_month": {"model": bare}})
    for text in (scored, spaces):
        assert ">none<" in text and "None" not in text and "nan" not in text
    assert "25%" in scored
    with pytest.raises(ValueError, match="at least one row"):
        score_table({})


def test_decompositions_name_their_largest_features():
    """The vector (3, 4, 0) as 3 along the first axis and 4 along the second: shares 9/25 and 16/25."""
    source = given_vector(np.array([3.0, 4, 0]), hook_name="blocks.0.hook_resid_post", name="m")
    whole = FeatureSum(np.array([7, 2]), np.array([4.0, 3]), np.eye(3)[[1, 0]], source, "pursuit", {7: "<May>"})
    text = decomposition_table({"whole": whole, "half": whole.drop([2]), "empty": whole.keep([])}, n_features=1)
    assert "&lt;May&gt; (7, +64%)" in text and "no label" not in text  # the largest only
    assert [part in text for part in ("1.00", "0.80", "0.00", "0%", "36%", "100%", ">none<")] == [True] * 7
    assert "no label (2, +36%)" in decomposition_table({"whole": whole}, n_features=2)
    with pytest.raises(ValueError, match="at least one row"):
        decomposition_table({}, n_features=1)
