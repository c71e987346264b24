"""Tables of tests: correction, undefined rows, and verdicts that more shuffles could overturn."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from helpers.nulls import correct_tests, permutation_test, permutations_needed
from helpers.nulls.permutation import summarise
from helpers.similarity import MEASURES


def result(hits, n_null, *, score=0.5):
    """A result with exactly so many null scores at or above the score."""
    null = np.where(np.arange(n_null) < hits, score + 0.1, np.linspace(0, 0.1, n_null))
    return summarise(MEASURES["rsa"], score, null, 30, {}, null_kind="pairing")


def undefined():
    return permutation_test(np.ones((3, 2)), np.ones((3, 2)), measure="rsa", n_permutations=9)


def test_the_correction_is_that_of_statsmodels():
    results = {f"test {hits}": result(hits, 999) for hits in (0, 5, 20, 60, 400)}
    table = correct_tests(results)
    expected = multipletests([r.p_value for r in results.values()], alpha=0.05, method="fdr_bh")
    assert [test.p_corrected for test in table] == pytest.approx(expected[1])
    assert [test.significant for test in table] == list(expected[0]) == [True, True, True, False, False]
    assert [test.name for test in table] == list(results)


def test_many_tests_make_each_of_them_harder():
    """The trap: 5 % of 100 true nulls look significant one by one."""
    one = {"planted": result(30, 999)}
    many = one | {f"null {i}": result(10 * i + 5, 999) for i in range(100)}
    assert correct_tests(one)[0].significant
    assert not correct_tests(many)[0].significant
    assert sum(r.p_value <= 0.05 for r in many.values()) >= 5
    assert not any(test.significant for test in correct_tests(many))


def test_undefined_tests_stay_in_the_table_and_do_not_count():
    alone = correct_tests({"a": result(5, 999)})
    beside = correct_tests({"u": undefined(), "a": result(5, 999)})
    assert beside[1].p_corrected == alone[0].p_corrected
    assert beside[0].significant is None and beside[0].settled is None
    assert beside[0].as_text()["verdict"].startswith("undefined: ")
    assert set(beside[0].as_text()) == set(beside[1].as_text())


def test_a_verdict_near_the_border_is_unsettled():
    clear_yes, clear_no, border = correct_tests({"a": result(0, 999), "b": result(500, 999), "c": result(30, 999)})
    assert (clear_yes.significant, clear_yes.settled) == (True, True)
    assert (clear_no.significant, clear_no.settled) == (False, True)
    assert border.significant and not border.settled  # 0.031 x 3 / 2 = 0.047; at 0.044, its upper end, it is 0.066
    assert "run more shuffles" in border.as_text()["verdict"]


def test_too_few_shuffles_are_unsettled_or_not_significant():
    assert not correct_tests({"a": result(0, 9)})[0].significant  # p = 0.1 at the least
    nineteen = correct_tests({"a": result(0, 19)})[0]
    assert nineteen.significant and not nineteen.settled  # the hit rate may well be 0.17


def test_the_text_holds_the_interval():
    text = correct_tests({"a": result(5, 999)})[0].as_text()
    assert text["p"] == "0.006"
    low, high = (float(part) for part in text["p, 95 % interval"].split(" to "))
    assert low < 0.005  # five of 999
    assert high > 0.006
    assert text["pairs"] == "30" and text["score"] == "0.500"
    assert text["verdict"] == "above chance"


@pytest.mark.parametrize(
    ("n_tests", "alpha", "needed"), [(1, 0.05, 19), (500, 0.05, 9999), (3, 0.01, 299), (7, 0.3, 23)]
)
def test_permutations_needed(n_tests, alpha, needed):
    assert permutations_needed(n_tests, alpha=alpha) == needed
    assert 1 / (1 + needed) <= alpha / n_tests * (1 + 1e-9) < 1 / needed


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1])
def test_bad_levels_are_refused(alpha):
    with pytest.raises(ValueError, match="alpha must be between 0 and 1"):
        correct_tests({"a": result(0, 9)}, alpha=alpha)
    with pytest.raises(ValueError, match="expected n_tests >= 1 and alpha between 0 and 1"):
        permutations_needed(5, alpha=alpha)
    with pytest.raises(ValueError, match="expected n_tests >= 1"):
        permutations_needed(0)
