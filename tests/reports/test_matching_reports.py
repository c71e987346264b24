"""Tables and figures of notebooks 04 and 05 show the numbers they are given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.features import TopExamples
from helpers.matching import OneSided, agreement, correlation_bands
from helpers.matching.meanings import Meanings
from helpers.nulls import compare_at_equal_rows, correct_tests, permutation_test
from helpers.reports import matching_tables, table
from helpers.reports.comparison_tables import ceiling_place, ceiling_rows, step_rows, variance_rows, verdict_rows
from helpers.reports.matching_figures import agreement_heatmap, shares_by_band
from helpers.reports.style import BLUE
from helpers.reports.survival_figure import survival_chart
from tests.matching.test_quality import pairs_of


@pytest.fixture(scope="module")
def pairs():
    return pairs_of([0, 0, 1, 3], [0, 1, 2, 3], 5, 4)  # correlations 1, 0.7, 0.4, 0.1


@pytest.fixture(scope="module")
def meanings():
    tokens_a = np.array([[1, 1], [2, 2], [3, 3], [4, 9], [0, 0]])
    return Meanings(tokens_a, np.array([[1, 1], [7, 7], [7, 7], [4, 8]]), np.array([*"xyzxz"]), np.array([*"xyzx"]))


def test_the_alignment_table_shows_both_sides():
    report = {
        "n_units": 12_875, "share_one_to_one": 0.727, "tokens_per_unit_a": 1.005, "tokens_per_unit_b": 1.549,
        "lost_share_a": 0.001, "lost_share_b": 0.25, "n_documents": 105, "n_documents_only_a": 58, "n_documents_only_b": 0,
    }  # fmt: skip
    html = matching_tables.alignment_table(report, ("wide", "narrow"))
    first, second = html.split("dictionary wide")[1].split("dictionary narrow")
    assert [text in first for text in ("1.00", "0.1%", "58", "1.55")] == [True, True, True, False]
    assert all(text in second for text in ("1.55", "25.0%", ">0<"))
    assert "12,875 units in the 105 documents that both have; 73% of them are one token in both" in html


def rows_in_space(rng, n, noise):
    x = rng.standard_normal((n, 4))
    return x, x + noise * rng.standard_normal((n, 4))


@pytest.fixture(scope="module")
def results():
    rng = np.random.default_rng(0)
    alike, unlike = rows_in_space(rng, 60, 1.0), (rng.standard_normal((60, 4)), rng.standard_normal((60, 4)))
    found = {
        ("rsa", "wrong pairings"): permutation_test(*alike, measure="rsa", n_permutations=199),
        ("rsa", "random features"): permutation_test(*unlike, measure="rsa", n_permutations=199),
        ("cca", "wrong pairings"): permutation_test(alike[0][:5], alike[1][:5], measure="cca"),
        ("orthogonal_procrustes", "wrong pairings"): permutation_test(
            *alike, measure="orthogonal_procrustes", n_permutations=199
        ),
    }
    return found, correct_tests({f"{measure}, {null}": result for (measure, null), result in found.items()})


def test_matchings_are_counted(pairs):
    row = matching_tables.matching_rows({"m": pairs}, min_corr=0.5)["m"]
    assert list(row.values()) == ["4", "0.55", "2", "3", "4", "75%"]
    nothing = matching_tables.matching_rows({"m": pairs.above(2)}, min_corr=0.5)["m"]
    assert list(nothing.values()) == ["0", "", "0", "0", "0", "0%"]


def test_scores_stand_beside_their_shuffles(pairs, meanings):
    checks = meanings.check(pairs, n_permutations=9)
    row = matching_tables.scored_rows({"a b": checks})["a\u00a0b"]  # a short name is not broken
    assert row["pairs"] == "4" and row["same top tokens"] == "37.5%"  # (1 + 0 + 0 + 1/2) / 4
    assert row["same concept"] == "50.0%"  # of x-x, x-y, y-z and x-x
    null = checks["same concept"]
    assert row["same concept, shuffled partners"] == f"{null.null_mean:.1%} (p {null.p_value:.2g})"
    swept = matching_tables.sweep_rows({"no limit": pairs}, meanings, n_permutations=9)["no\u00a0limit"]
    assert swept == {"unique partners": "75%"} | row


def test_one_sided_features_are_shares_of_the_eligible():
    best_a = np.array([0.05, 0.2, 0.9, np.nan, 0.45], np.float32)
    nobody = np.empty(0, np.int64)
    observed = OneSided(nobody, nobody, best_a, best_a[[2, 3]], 0.0).at(0.1)
    chance = replace(observed, best_a=np.full(5, 0.08, np.float32), best_b=np.full(2, 0.08, np.float32))
    counts = {name: TopExamples(None, None, np.array(c)) for name, c in (("a", [20, 150, 500, 1, 700]), ("b", [5, 5]))}
    rows = matching_tables.one_sided_rows(observed, chance, counts)
    assert rows["features of a"] == {
        "eligible": "4", "best at most 0.10": "25.0%", "the same after shuffling": "100.0%",
        "the same, of features on 100 tokens or more": "0.0%", "best at most 0.3": "50.0%", "best at most 0.5": "75.0%",
        "median firings of these": "20", "of all others": "500",
    }  # fmt: skip
    assert rows["features of b"]["median firings of these"] == ""
    assert rows["features of b"]["the same, of features on 100 tokens or more"] == ""
    labels = matching_tables.one_sided_labels(np.array([0, 4, 1]), best_a, counts["a"], n=2)
    assert labels == {4: "700 tokens, best correlation 0.45", 1: "150 tokens, best correlation 0.20"}


def test_twins_are_counted_once_and_beside_chance():
    twins = pairs_of([0, 1, 2, 3], [1, 0, 3, 0], 4, 4)  # correlations 1, 0.7, 0.4, 0.1
    once = matching_tables.each_twin_once(twins)
    assert list(zip(once.ids_a.tolist(), once.ids_b.tolist(), strict=True)) == [(0, 1), (2, 3), (3, 0)]
    row = matching_tables.twin_rows({"a": twins}, {"a": twins.above(2)}, min_corr=0.5)["features of a"]
    assert list(row.values()) == ["4", "0.55", "", "50.0%", "0.0%", "25.0%"]


def test_band_figure_draws_each_score_over_its_null(pairs, meanings):
    banded = {band: meanings.check(found, n_permutations=9) for band, found in correlation_bands(pairs).items()}
    figure = shares_by_band(banded)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    centres = [0.15, 0.45, 0.75, 0.95]
    np.testing.assert_allclose(lines["same top tokens"].get_xdata(), centres)
    np.testing.assert_allclose(lines["same top tokens"].get_ydata(), [0.5, 0, 0, 1])
    shuffled = lines["same top tokens, shuffled partners"]
    assert shuffled.get_color() == lines["same top tokens"].get_color() and shuffled.get_linestyle() == "--"
    with pytest.raises(ValueError, match="no band with a pair"):
        shares_by_band({})


def test_agreement_heatmap_holds_the_shares(pairs):
    report = agreement({"nearest (b asks)": pairs, "one_to_one": pairs.above(0.5)})
    axes = agreement_heatmap(report).axes[0]
    assert [text.get_text() for text in axes.texts] == ["1.00", "0.50", "0.50", "1.00"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["nearest\n(b asks)", "one to one"]


def test_verdicts_come_first_and_undefined_ones_say_why(results):
    rows = {name.replace("\u00a0", " "): row for name, row in verdict_rows(results[1]).items()}
    assert list(rows) == [
        "rsa, wrong pairings", "rsa, random features", "cca, wrong pairings", "orthogonal procrustes, wrong pairings",
    ]  # fmt: skip
    assert all(next(iter(row)) == "verdict" for row in rows.values())
    verdicts = [row["verdict"].replace("\u00a0", " ") for row in rows.values()]
    assert verdicts[0] == verdicts[3] == "survives" and verdicts[1] == "does not"
    assert verdicts[2].startswith("undefined: cca") and rows["cca, wrong pairings"]["p (95 % interval)"] == ""
    interval = rows["rsa, wrong pairings"]["p (95 % interval)"].replace("\u00a0", " ")
    assert interval.startswith("0.005 (0\u20130.018")
    assert "nan" not in table(rows).lower()
    doubtful = verdict_rows([replace(results[1][0], settled=False)])
    assert next(iter(doubtful.values()))["verdict"] == "survives, unsettled: more shuffles"


@pytest.fixture(scope="module")
def ceiling():
    rng = np.random.default_rng(1)
    conditions = {"models": rows_in_space(rng, 60, 1.0), "ceiling": rows_in_space(rng, 80, 0.3)}
    noise = {"models": conditions["models"], "ceiling": tuple(rng.standard_normal((2, 60, 4)))}
    few = {"models": rows_in_space(rng, 6, 1.0), "ceiling": conditions["ceiling"]}
    scored = {
        name: compare_at_equal_rows(pairs, measure=name, n_repeats=15)
        for name, pairs in {"rsa": conditions, "linear_cka_debiased": noise, "cca": few}.items()
    }
    return {name: (found["models"], found["ceiling"]) for name, found in scored.items()}


def test_a_place_lies_between_chance_and_the_ceiling(ceiling):
    models, top = ceiling["rsa"]
    assert 0 < ceiling_place(models, top) < 1
    assert ceiling_place(models, top) == pytest.approx(models.calibrated / top.calibrated)
    assert ceiling_place(top, top) == pytest.approx(1.0) and ceiling_place(*ceiling["cca"]) is None
    assert ceiling_place(models, replace(top, calibrated=-0.01)) is None  # trap: a ceiling below chance turns the sign
    rows = ceiling_rows(ceiling)
    assert rows["rsa"]["place"] == f"{ceiling_place(models, top):.2f}"
    assert rows["cca"]["two models"].startswith("undefined: cca") and rows["cca"]["place"] == "none"
    assert "nan" not in table(rows).lower()


def test_kept_variance_is_shown_with_its_components():
    rng = np.random.default_rng(2)
    x, y = rows_in_space(rng, 40, 1.0)
    found = {"one": permutation_test(x, y, measure="svcca", n_permutations=9, n_components=1)}
    found["few rows"] = permutation_test(x[:5], y[:5], measure="svcca", n_permutations=9)
    rows = variance_rows(found)
    assert rows["one"]["components of a"] == rows["one"]["components of b"] == "1"
    assert rows["one"]["score"] == f"{found['one'].score:.3f}"
    assert rows["few rows"]["score"] == "undefined" and rows["few rows"]["components of a"] == ""


def marks(axes):
    return [line for line in axes.lines if line.get_marker() in ("o", "s", "D")]


def test_a_comparison_after_every_step():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 4))
    tests = [permutation_test(x[:n], x[:n], measure="rsa", n_permutations=39) for n in (40, 12, 2)]
    rows = step_rows(["1. all", "2. some", "3. two"], {"rsa": tests})
    assert [row["pairs"] for row in rows.values()] == ["40", "12", "2"]
    assert rows["1. all"]["rsa"].replace("\u00a0", " ") == "1.000 (1.000*)"
    assert rows["3. two"]["rsa"] == "too few pairs"


def test_the_survival_chart_fills_the_marks_that_survive(results):
    found, tests = results
    figure = survival_chart(found, tests)
    left, right = figure.axes
    drawn = marks(left)
    defined = [(result, test) for result, test in zip(found.values(), tests, strict=True) if result.score is not None]
    assert [line.get_xdata()[0] for line in drawn] == pytest.approx([result.calibrated for result, _ in defined])
    hollow = [line.get_markerfacecolor() == "white" for line in drawn]
    assert hollow == [not test.significant for _, test in defined] == [False, True, False]
    assert any("undefined" in text.get_text() for text in left.texts)
    # Bars hold 95 % of the null; of a distance as well, whose axis is turned.
    for patch, (result, _) in zip(left.patches, defined, strict=True):
        low, high = patch.get_x(), patch.get_x() + patch.get_width()
        ideal = 1.0 if result.direction == "similarity" else 0.0
        null = (result.null - result.null_mean) / (ideal - result.null_mean)
        assert low < 0 < high and np.mean((null >= low) & (null <= high)) == pytest.approx(0.95, abs=0.03)
    assert "identical spaces" in right.get_xlabel()
    assert [line.get_xdata()[0] for line in marks(right)] == pytest.approx(
        [found["rsa", "wrong pairings"].calibrated, found["orthogonal_procrustes", "wrong pairings"].calibrated]
    )
    assert [label.get_text() for label in left.get_yticklabels()] == ["rsa", "cca", "orthogonal procrustes"]
    with pytest.raises(ValueError, match="as many corrected tests; got 4 and 1"):
        survival_chart(found, tests[:1])


def test_with_a_ceiling_the_right_panel_shows_places(results, ceiling):
    found, tests = results
    right = survival_chart(found, tests, ceiling=ceiling).axes[1]
    (mark,) = marks(right)  # rsa: cca is undefined, procrustes has no ceiling
    models, top = ceiling["rsa"]
    assert mark.get_xdata()[0] == pytest.approx(ceiling_place(models, top)) and mark.get_color() == BLUE
    assert "one model, two seeds" in right.get_xlabel()
    assert sum("no place" in text.get_text() for text in right.texts) == 2
