"""Pictures and tables of steering across models show the shares, costs and nulls that the scores hold."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.reports.transfer_figures import layer_figure, removal_figure, share_figure
from helpers.reports.transfer_tables import (
    answers_table,
    measures_table,
    removal_table,
    share_table,
    share_text,
)
from helpers.steering.transfer import RANDOM_VECTORS, Share, TransferScores

N = 4  # prompts, all alike: intervals over prompts have no width


def effects(success: float, moved: float, added: float = 0.0) -> dict[str, np.ndarray]:
    values = {"success": success, "logit_difference": moved, "added": added}
    return {measure: np.full(N, value) for measure, value in values.items()}


def runs(*each: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {measure: np.stack([run[measure] for run in each]) for measure in each[0]}


@pytest.fixture
def scores() -> TransferScores:
    """Of an own vector that turns half: "ridge map" keeps 80 %, "old, encoded" keeps none; it moves logits by 2."""
    nulls = {
        ("ridge map", "tokens shuffled"): runs(effects(0.1, -1.0), effects(0.1, -1.0)),
        ("old, encoded", "partners exchanged"): runs(effects(0.2, 1.0), effects(0.2, 1.0)),
        ("", RANDOM_VECTORS): runs(effects(0.0, 0.0), effects(0.0, 0.0), effects(0.0, 0.0)),
    }
    carried = {"ridge map": effects(0.4, 1.0), "old, encoded": effects(0.0, 3.0)}
    return TransferScores(effects(0.5, 2.0), carried, nulls, 0.4)


def points(axes, label: str) -> list[float]:
    return [line.get_xdata()[0] for line in axes.lines if line.get_label() == label]


def test_shares_stand_above_their_nulls(scores):
    success, moved = share_figure(scores).axes
    assert [axes.get_title(loc="left") for axes in (success, moved)] == ["answers turned", "logit difference moved"]
    assert [label.get_text() for label in success.get_yticklabels()] == ["ridge map", "old,\nencoded"]
    assert points(success, "carried vector") == pytest.approx([0.8, 0.0])
    assert points(moved, "carried vector") == pytest.approx([0.5, 1.5])
    assert points(success, "wrong partners, pairs or tokens") == pytest.approx([0.2])
    assert points(success, "partners exchanged") == pytest.approx([0.4])
    assert points(moved, RANDOM_VECTORS) == pytest.approx([0.0, 0.0])  # of both methods
    carried, null = (
        next(line.get_ydata()[0] for line in success.lines if line.get_label() == label)
        for label in ("carried vector", "wrong partners, pairs or tokens")
    )
    assert success.yaxis_inverted() and carried < null  # above, on an axis that runs downwards
    (legend,) = success.figure.legends
    assert len(legend.get_texts()) == 4


def test_measures_without_an_effect_are_left_out(scores):
    (axes,) = share_figure(scores, ("added", "success")).axes
    assert axes.get_title(loc="left") == "answers turned"
    with pytest.raises(ValueError, match="the own vector has no effect"):
        share_figure(scores, ("added",))


def layers_of() -> dict[str, TransferScores]:
    """Two layers of a to two of b; what is kept differs from cell to cell."""
    kept = {"blocks.0.hook_resid_post": (0.1, 0.2), "blocks.3.hook_resid_post": (0.3, 0.4)}
    return {
        hook_b: TransferScores(
            effects(0.9 - column / 10, 5.0),
            {
                f"{hook_a}, {method}": effects(values[column] * sign, values[column] * 10 - 3)
                for hook_a, values in kept.items()
                for method, sign in (("ridge map", 1), ("Procrustes map", 0))
            },
            {},
            0.4,
        )
        for column, hook_b in enumerate(("blocks.1.hook_resid_post", "blocks.2.hook_resid_post"))
    }


def test_layers_are_rows_and_columns_with_the_own_vectors_below():
    success, moved = layer_figure(layers_of(), "ridge map").axes
    assert np.allclose(success.images[0].get_array(), [[0.1, 0.2], [0.3, 0.4], [0.9, 0.8]])
    assert np.allclose(moved.images[0].get_array(), [[-2, -1], [0, 1], [5, 5]])
    assert [label.get_text() for label in success.get_yticklabels()] == ["a, layer 0", "a, layer 3", "b's own"]
    assert [label.get_text() for label in success.get_xticklabels()] == ["1", "2"]
    assert [text.get_text() for text in success.texts] == ["10%", "20%", "30%", "40%", "90%", "80%"]
    assert [text.get_text() for text in moved.texts] == ["-2.0", "-1.0", "0.0", "1.0", "5.0", "5.0"]
    turned, _ = layer_figure(layers_of(), "Procrustes map").axes
    assert np.allclose(turned.images[0].get_array()[:2], 0)
    with pytest.raises(ValueError, match="expected methods '<hook>, decoder rows'; got blocks.0"):
        layer_figure(layers_of(), "decoder rows")
    with pytest.raises(ValueError, match="at least one layer; got none"):
        layer_figure({}, "ridge map")


def removals_of() -> dict[tuple[str, str], TransferScores]:
    """(removed, asked) -> partners cost half of what b's own features cost; days cost days most."""
    own = {("days", "days"): 2.0, ("days", "months"): 0.5, ("months", "days"): -0.04, ("months", "months"): 0.0}
    return {
        (removed, asked): TransferScores(
            {"answer_lead": np.full(N, cost)},
            {"partners": {"answer_lead": np.full(N, cost / 2)}},
            {("partners", "random features"): {"answer_lead": np.full((3, N), 0.4)}} if removed == asked else {},
            1.0,
            {"n_shared": 3, "n_own": 5, "n_partners": 4},
        )
        for (removed, asked), cost in own.items()
    }


def test_removals_are_domains_by_domains():
    own, partners = removal_figure(removals_of()).axes
    assert np.allclose(own.images[0].get_array(), [[2.0, 0.5], [-0.04, 0.0]])
    assert np.allclose(partners.images[0].get_array(), [[1.0, 0.25], [-0.02, 0.0]])
    assert own.images[0].get_clim() == partners.images[0].get_clim() == pytest.approx((-0.04, 2.0))  # they compare
    assert [text.get_text() for text in own.texts] == ["2.0", "0.5", "0.0", "0.0"]  # and no minus zero
    assert own.get_ylabel() == "features removed of" and own.get_xlabel() == "answers asked for"
    with pytest.raises(ValueError, match="expected removals; got none"):
        removal_figure({})


def test_removals_are_told_beside_other_features():
    text = removal_table(removals_of(), ["days", "months"])
    assert "3 of 5" in text and "2.00" in text
    assert "50% (50% to 50%)" in text and "20% (p 0.25)" in text  # 1 / (1 + 3 runs)
    assert "not defined" in text and "not defined (p 1)" in text  # months: b's own features cost nothing


def test_shares_are_told_with_their_intervals(scores):
    assert share_text(Share(0.514, 0.4, 0.6)) == "51% (40% to 60%)" and share_text(None) == "not defined"
    text = share_table(scores, "success")
    assert text.count("80% (80% to 80%)") == 1  # in the first of the method's two rows
    assert text.count("ridge map") == 1 and text.count(RANDOM_VECTORS) == 2
    assert "20% (20% to 20%)" in text and "0.33" in text and "0.25" in text  # p of 2 and of 3 runs, none as good
    undefined = share_table(scores, "added")
    assert "not defined" in undefined and "nan" not in undefined and "None" not in undefined


def test_every_measure_stands_beside_its_highest_null(scores):
    text = measures_table(scores)
    for part in ("answers turned", "nulls, at most", "150% (150% to 150%)", "40%", "not defined"):
        assert part in text
    assert "None" not in text


def test_answers_are_drawn_from_all_prompts():
    """The trap: the first 8 of 15 are not evenly spaced through all of them."""
    answers = {f"prompt {number:02}.": {"plain": "a", "steered": "<b>"} for number in range(15)}
    text = answers_table(answers, n=8)
    shown = [number for number in range(15) if f"prompt {number:02}." in text]
    assert shown == list(range(0, 15, 2)) and "&lt;b&gt;" in text
    assert answers_table(answers, n=100).count("prompt") == 15
    assert answers_table(answers, n=1).count("prompt") == 1
    with pytest.raises(ValueError, match="at least one row"):
        answers_table({}, n=3)
