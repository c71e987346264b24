"""One table for all tests: corrected together, with the reason why a group is not found."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from helpers.comparison.subspace_scores import SubspaceTest, score_groups
from helpers.comparison.subspace_table import SubspaceTable
from helpers.nulls import benjamini_hochberg
from tests.comparison.subspace_worlds import world

TEST = SubspaceTest(measures=("rsa", "cca"), n_permutations=199, n_draws=99, n_word_permutations=20)


def scores(seed: int, name: str, **options):
    made = world(seed, **options)
    group = dataclasses.replace(made.group, name_a=name, name_b=name)
    return score_groups([group], made.space_a, made.space_b, test=TEST)


@pytest.fixture(scope="module")
def by_pair():
    features = [*scores(0, "days", noise=0.1), *scores(1, "noise", alike=False), *scores(2, "few", n_words=3)]
    neurons = [*scores(3, "days", alike=False), *scores(4, "tiny", n_words=4, noise=0.0, spread=0.0)]
    return {"features": features, "neurons": neurons}


@pytest.fixture(scope="module")
def table(by_pair):
    return SubspaceTable.collect(by_pair)


def test_all_tests_are_corrected_together(table, by_pair):
    p_values = [score.p_value for found in by_pair.values() for score in found]
    assert [row.p_corrected for row in table.rows] == list(benjamini_hochberg(p_values))
    assert p_values.count(None) == 6  # cca everywhere, and rsa of three pairs
    assert (table.groups, table.pairs, table.measures) == (
        ("days", "noise", "few", "tiny"), ("features", "neurons"), ("rsa", "cca"),
    )  # fmt: skip


def test_matrices_have_a_row_a_group_and_a_column_a_layer_pair(table, by_pair):
    calibrated = table.matrix("rsa", "calibrated")
    assert calibrated[0, 0] == by_pair["features"][0].shuffled.calibrated
    assert calibrated[0, 1] == by_pair["neurons"][0].shuffled.calibrated
    assert np.isnan(calibrated[1, 1]) and np.isnan(calibrated[2]).all() and np.isnan(table.matrix("cca", "score")).all()
    assert table.matrix("rsa", "n_pairs")[:, 0].tolist()[:3] == [10, 10, 3]
    assert table.significant("rsa").tolist() == [[True, False], [False, False], [False, False], [False, False]]


def test_what_is_found_and_by_what(table):
    assert table.found("features") == ("days",) and table.found("neurons") == ()
    assert table.scored("features") == ("days", "noise") and table.scored("neurons") == ("days", "tiny")
    assert table.found_by("days", "features") == ("rsa",)
    assert table.reason("days", "features") == ""


def test_every_failure_has_its_reason(table):
    assert table.reason("few", "features").startswith("too few: 3 and 3 features, 3 pairs; rsa needs at least 4 rows")
    assert "10 and 10 features, 10 pairs; rsa " in table.reason("noise", "features")
    assert "in one of 20 (p = " in table.reason("noise", "features")
    # Four pairs have 24 pairings, and a perfect alignment is reached by one of them in 24.
    assert "4 pairs have too few pairings for any p below 0.042" in table.reason("tiny", "neurons")


def test_what_the_correction_takes_is_said(by_pair):
    single = scores(0, "days", noise=0.1)[:1]
    p = single[0].p_value
    lonely = SubspaceTable.collect({"features": [*single, *scores(1, "noise", alike=False)]}, alpha=1.5 * p)
    assert lonely.found("features") == ()
    assert f"p = {p:.2g} against" in lonely.reason("days", "features")
    assert f"does not survive the correction ({2 * p:.2g})" in lonely.reason("days", "features")


def test_it_is_saved_without_the_single_null_scores(table, tmp_path):
    table.save(tmp_path / "table.json")
    saved = json.loads((tmp_path / "table.json").read_text())
    first = saved["rows"][0]
    assert len(saved["rows"]) == len(table.rows) and saved["alpha"] == 0.05
    assert set(first["nulls"]) == {"shuffled pairing", "random features", "features as frequent", "one pair a word"}
    assert "null" not in first["nulls"]["shuffled pairing"] and first["significant"] is True
    assert first["largest_drop"] in first["without_word"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _, __: SubspaceTable.collect({}), "expected every test once; there is none"),
        (lambda _, s: SubspaceTable.collect({"x": s["features"] * 2}), r"\('x', 'days', 'rsa'\) is there twice"),
        (lambda _, s: SubspaceTable.collect(s, alpha=0.0), "alpha must be between 0 and 1; got 0.0"),
        (lambda t, _: t.matrix("rsa", "z"), "quantity must be one of score, .*; got 'z'"),
        (lambda t, _: t.matrix("rsb", "score"), "the table has no measure 'rsb'; it has rsa, cca"),
        (lambda t, _: t.reason("noise", "neurons"), "group 'noise' was not tested in 'neurons'"),
    ],
)
def test_what_is_not_there_is_refused(table, by_pair, make, message):
    with pytest.raises(ValueError, match=message):
        make(table, by_pair)
