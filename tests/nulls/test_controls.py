"""The controls of a permutation test: a sound test passes them, luck does not stop it, and a broken one does not pass."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm

from helpers.nulls import RejectionRate, known_answers, permutation_test
from helpers.similarity import MEASURES

N = 40


@pytest.fixture
def rows():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((N, 6))
    return x, x @ rng.standard_normal((6, 5)) + rng.standard_normal((N, 5))


@pytest.mark.parametrize("measure", MEASURES)
def test_a_sound_test_passes(rows, measure):
    """By measures that compare coordinate with coordinate, too: a rotation is another thing to them."""
    rows = rows[0][:, :5], rows[1]  # some measures ask for as many dimensions
    found = known_answers(*rows, measure=measure, n_permutations=19, seed=1)
    assert found.failure == ""
    assert found.copied.p_value == 1 / 20
    assert found.wrong.n_tests == (19 if MEASURES[measure].null == "pairing" else 0)
    assert found.again is None  # nothing to ask again
    assert found.rotated == ("mmcs" not in measure)
    copy = "a rotated copy" if found.rotated else "an exact copy"
    assert found.sentence.startswith(f"{measure}: ") and found.sentence.endswith(f"{copy} is found, p = 0.05")


def test_luck_stops_it_as_rarely_as_it_says(rows):
    """One wrong pairing inside of n shuffles is asked too much: it fails 2 / (n + 1) of the time."""
    n_runs = 60
    results = [known_answers(*rows, measure="rsa", n_permutations=9, seed=seed).wrong for seed in range(n_runs)]
    assert not any(not each.within_bound for each in results)  # 60 x 0.0002 by luck
    assert results[0].bound == 5 / 19 and binom.sf(5, 19, 0.05) < norm.sf(3) < binom.sf(4, 19, 0.05)
    alarms, tests = sum(each.n_rejected for each in results), sum(each.n_tests for each in results)
    low, high = binom.interval(0.9973, tests, 0.05)  # the level is exact, neither more nor less
    assert low <= alarms <= high


def test_a_measure_without_a_value_for_the_wider_side_is_asked_about_the_narrower(rows):
    """The trap: svcca keeps 30 and 4 dimensions of 40 rows, which is well; of a copy it would keep 30 and 30."""
    rng = np.random.default_rng(5)
    wide, narrow = rng.standard_normal((N, 30)), rows[1][:, :4]
    assert permutation_test(wide, narrow, measure="cca", n_permutations=9).undefined is None
    assert permutation_test(wide, wide, measure="cca", n_permutations=9).undefined is not None
    for sides in ((wide, narrow), (narrow, wide)):
        found = known_answers(*sides, measure="cca", n_permutations=19)
        assert found.failure == "" and found.copied.settings["n_components_x"] == 4


def test_a_null_that_is_too_low_is_noticed(rows, monkeypatch):
    """A planted fault: null scores come out lower than they are, so that every pairing stands out."""

    def lower(x, y, **settings):
        result = permutation_test(x, y, **settings)
        return _with_p(result, 1 / (1 + settings["n_permutations"]))

    monkeypatch.setattr("helpers.nulls.controls.permutation_test", lower)
    found = known_answers(*rows, measure="rsa", n_permutations=9)
    told = (
        "rsa: wrong pairings stand out, 19 of 19 (100.0%) and again 95 of 95 (100.0%); a valid test has at most 12.6%"
    )
    assert found.failure == told
    assert found.again.bound == binom.isf(norm.sf(3), 95, 0.05) / 95


def test_one_unlucky_draw_stops_nothing_and_is_told(rows, monkeypatch):
    """Planted bad luck: 19 alarms in the first draw, and the second as it comes."""
    calls = []

    def unlucky(x, y, **settings):
        calls.append(settings)
        result = permutation_test(x, y, **settings)
        return _with_p(result, 0.05) if 1 < len(calls) <= 20 else result  # the first call is that of the copy

    monkeypatch.setattr("helpers.nulls.controls.permutation_test", unlucky)
    found = known_answers(*rows, measure="rsa", n_permutations=19)
    assert found.wrong == RejectionRate(19, 19, 0.05) and found.again.n_tests == 95
    assert found.again.within_bound and found.failure == ""
    told = (
        f"wrong pairings called alike: 19 of 19 (100.0%); drawn again: {found.again.as_text()}; a rotated copy is found"
    )
    assert told in found.sentence
    seeds = [settings["seed"] for settings in calls[1:]]
    assert len(seeds) == len(set(seeds)) == 19 + 95  # the second draw repeats nothing of the first


def test_a_measure_that_misses_a_copy_is_noticed(rows, monkeypatch):
    def blind(x, y, **settings):
        return _with_p(permutation_test(x, y, **settings), 0.4)

    monkeypatch.setattr("helpers.nulls.controls.permutation_test", blind)
    assert (
        known_answers(*rows, measure="rsa", n_permutations=9).failure
        == "rsa does not recognise a rotated copy: p = 0.4"
    )


def _with_p(result, p_value: float):
    return type(result)(**{**vars(result), "p_value": p_value})


def test_input_that_is_refused(rows):
    with pytest.raises(ValueError, match="n_pairings must be at least 1; got 0"):
        known_answers(*rows, measure="rsa", n_pairings=0)
    with pytest.raises(ValueError, match="cca has no value for a copy of either side"):
        known_answers(rows[0][:8], rows[1][:8], measure="cca")
    with pytest.raises(ValueError, match="unknown measure"):
        known_answers(*rows, measure="likeness")
