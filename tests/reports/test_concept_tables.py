"""Tables and figures of groups and filters show the numbers of their inputs."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.features import ConceptFeatures, ConceptGroup, TruthScore
from helpers.matching import FilterReport, FilterStep, RemovedPair
from helpers.matching.pairs import make_pairs
from helpers.reports.concept_tables import group_table, truth_table
from helpers.reports.filter_tables import filter_table, removed_table

PAIRS = make_pairs(
    np.array([0]), np.array([0]), np.array([0.5]), settings={"d_sae_a": 1, "d_sae_b": 1, "direction": "b_to_a"}
)
REMOVED = RemovedPair(12, 30, 0.91234, ("<b>", "."), (",",))
REPORT = FilterReport(
    PAIRS,
    (FilterStep("marks", 1200, 200, (REMOVED,)), FilterStep("one to one", 1000, 0, ()), FilterStep("marks", 1000, 1000, (REMOVED,)),
     FilterStep("rare", 0, 0, ())),
    (PAIRS,) * 4,
)  # fmt: skip


def features(n: int, *found: str) -> ConceptFeatures:
    group = ConceptGroup("royal_family", ("king", "queen", "prince", "duke"))
    return ConceptFeatures(group, np.arange(n), np.full(n, 3), found, {})


def test_the_filter_table_tells_what_every_filter_did():
    html = filter_table(REPORT, caption="Filters")
    for text in ("1. marks", "3. marks", "1,200", ">200<", "removed nothing", "no pair left", "Filters"):
        assert text in html


def test_removed_pairs_are_shown_and_escaped():
    html = removed_table(REPORT.steps[0], names=("a", "b"))
    for text in ("12 \u2013 30", "0.912", "&lt;b&gt; .", "top words in b", "1 of the 200 removed pairs"):
        assert text in html
    assert "<b>" not in html
    assert "0, nothing to show" in removed_table(REPORT.steps[1], names=("a", "b"))


def test_groups_are_shown_for_every_model():
    by_model = {
        "a": {"royal_family": features(5, "king", "king", "queen", "prince", "duke")},
        "b": {"royal_family": features(0)},
    }
    html = group_table(by_model)
    for text in ("features in a", ">5<", "king 2, queen 1, prince 1 and 1 more", "no word", ">4<"):
        assert text in html


def test_the_truth_table_never_shows_nan():
    html = truth_table({"a": {"x": TruthScore(4, 3, 2, 0.125), "y": TruthScore(0, 0, 0, 0.0)}})
    for text in ("4 / 3", "50.0%", "12.5%", "66.7%", "\u2013"):
        assert text in html
    assert "nan" not in html.lower()


def test_bad_input():
    empty = FilterReport(PAIRS, (), ())
    with pytest.raises(ValueError, match="no filter was applied"):
        filter_table(empty)
    for show in (group_table, truth_table):
        with pytest.raises(ValueError, match="at least one model with at least one group"):
            show({})
        with pytest.raises(ValueError, match="every model needs the same groups; 'b' has"):
            show({"a": {"x": features(0)}, "b": {"y": features(0)}})
