"""Tables of subspaces: the right numbers in the right columns, and a sentence where there are none."""

from __future__ import annotations

import re

import pytest

from helpers.comparison.subspace_scores import SubspaceTest, score_groups
from helpers.comparison.subspace_table import SubspaceTable
from helpers.nulls import RejectionRate
from helpers.reports.subspace_tables import failure_table, rate_table, subspace_table
from tests.comparison.subspace_worlds import world


def cells(html: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", html, flags=re.DOTALL)
    return [
        [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)]
        for row in rows
    ]


@pytest.fixture(scope="module")
def scored():
    test = SubspaceTest(measures=("rsa", "mutual_knn"), options={"mutual_knn": {"k": 3}}, n_permutations=99, n_draws=39)
    alike, unlike = world(0, n_words=12, copies=2), world(1, n_words=24, alike=False)
    return SubspaceTable.collect(
        {"features": score_groups([alike.group], alike.space_a, alike.space_b, test=test),
         "neurons": score_groups([unlike.group], unlike.space_a, unlike.space_b, test=test)}
    )  # fmt: skip


def test_a_row_a_group_with_its_score_and_what_it_rests_on(scored):
    header, row = cells(subspace_table(scored, "features", measure="rsa", caption="c"))
    shown = dict(zip(header, row, strict=True))
    (score,) = [row.score for row in scored.of("group", "features") if row.score.measure == "rsa"]
    assert shown["pairs (features)"] == "24 (24, 24)" and shown["same word"] == "100%"
    assert shown["score"] == f"{score.shuffled.score:.2f}"
    assert shown["one pair a word"] == f"{score.one_a_word.score:.2f}, p {score.one_a_word.p_value:.2g}"
    assert shown["without a word"].endswith(f"({score.largest_drop[0]})")
    assert shown["other matched pairs"] == "–"  # not asked for
    assert "rsa" in shown["found by"]


def test_a_group_that_is_not_found_has_a_reason_and_others_none(scored):
    assert "all were found" in failure_table(scored, "features", reference="neurons")
    _, row = cells(failure_table(scored, "neurons", reference="features"))
    assert row[0] == "group" and row[1] == scored.explain("group", "neurons", reference="features") != ""
    assert "The features are arranged alike" in row[1]


def test_an_unknown_pair_or_measure_is_refused(scored):
    for pair, measure in (("words", "rsa"), ("features", "svcca")):
        with pytest.raises(ValueError, match=f"no tests of '{pair}' by '{measure}'; it has features, neurons"):
            subspace_table(scored, pair, measure=measure)


def test_rates_with_their_bound():
    rates = {"true groups": {"rsa": RejectionRate(10, 8, 0.05)}, "none": {"rsa": RejectionRate(0, 0, 0.05)}}
    header, first, second = cells(rate_table(rates))
    assert header[1:] == ["rsa", "a valid test has at most"]
    assert first == ["true groups", "8 of 10 (80.0%)", "30.0%"] and second == ["none", "no test", "–"]
