"""Domain + index: planted tables with a known answer, and tables in which there is none."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.steering import Word, fit_word_sums, held_out_cells, word_sum_vector

DOMAINS = {"weekday": 7, "month": 12, "number": 10}
WORDS = [Word(f"{name} {place}", name, place) for name, size in DOMAINS.items() for place in range(size)]


def planted(*, noise: float = 0.1, shared: bool = True, seed: int = 0, d: int = 24) -> np.ndarray:
    """mean + domain + index; not `shared`: every domain has an order of its own."""
    rng = np.random.default_rng(seed)
    mean, domains = rng.normal(size=d), {name: rng.normal(size=d) for name in DOMAINS}
    orders = {name: rng.normal(size=(12, d)) for name in DOMAINS}
    common = rng.normal(size=(12, d))
    rows = [mean + domains[w.domain] + (common if shared else orders[w.domain])[w.index] for w in WORDS]
    return np.array(rows) + noise * rng.normal(size=(len(WORDS), d))


def test_the_fit_is_the_planted_sum():
    rows = planted(noise=0.0)
    fit = fit_word_sums(rows, WORDS)
    assert fit.explained == pytest.approx(1.0)
    for row, word in zip(rows, WORDS, strict=True):
        assert np.allclose(fit.at(word.domain, word.index), row)
    step = fit.step(("weekday", 3), ("month", 3))
    assert np.allclose(step, fit.domains["month"] - fit.domains["weekday"])
    assert np.allclose(step, rows[7] - rows[0])  # the same for every place


def test_a_step_is_a_steering_vector():
    rows = planted(noise=0.0)
    where = {"hook_name": "blocks.1.hook_resid_post", "name": "a"}
    fit = fit_word_sums(rows, WORDS)
    made = word_sum_vector(fit, start=("weekday", 2), stop=("month", 3), **where, residual_norm=2.0)
    assert np.allclose(made.vector, rows[10] - rows[2])
    assert made.details["start"] == ["weekday", 2] and made.method == "domain + index" and made.residual_norm == 2.0
    with pytest.raises(ValueError, match="not zero"):
        word_sum_vector(fit, start=("month", 3), stop=("month", 3), **where)


def test_a_word_that_was_left_out_is_predicted():
    """April from the other months and the other fourths: the fit has never seen it."""
    rows = planted(noise=0.05)
    april = next(number for number, word in enumerate(WORDS) if (word.domain, word.index) == ("month", 3))
    others = [number for number in range(len(WORDS)) if number != april]
    fit = fit_word_sums(rows[others], [WORDS[number] for number in others])
    distances = np.linalg.norm(rows - fit.at("month", 3), axis=1)
    assert distances.argmin() == april and distances[april] < 0.5


def test_held_out_cells_are_those_of_a_fit_without_each():
    rows = planted(noise=0.8)
    test = held_out_cells(rows, WORDS, n_shuffles=19)
    for place, number in enumerate(test.tested):
        others = [other for other in range(len(WORDS)) if other != number]
        fit = fit_word_sums(rows[others], [WORDS[other] for other in others])
        distances = np.linalg.norm(rows - fit.at(WORDS[number].domain, WORDS[number].index), axis=1)
        assert test.ranks[place] == (distances < distances[number]).sum()
        assert test.nearest[place] == distances.argmin()
    # places 10 and 11 are the months' alone: nothing tells where they lie
    alone = [number for number, word in enumerate(WORDS) if word.index >= 10]
    assert set(range(len(WORDS))) - set(test.tested.tolist()) == set(alone) and len(alone) == 2


def test_a_shared_order_is_found_and_nothing_else():
    found = held_out_cells(planted(noise=0.3), WORDS, n_shuffles=99)
    assert found.hits == len(found.tested) and found.p == 0.01
    # every domain has an order of its own: the domain is right, the place is a guess
    none = [held_out_cells(planted(shared=False, seed=seed), WORDS, n_shuffles=19) for seed in range(30)]
    assert np.mean([test.hits / len(test.tested) for test in none]) < 0.2
    # 5 % false alarms: more than 6 of 30 has a chance of 0.1 %
    assert sum(test.p <= 0.05 for test in none) <= 6
    assert (
        held_out_cells(planted(), WORDS, n_shuffles=9, seed=3).null_hits.tolist()
        == held_out_cells(planted(), WORDS, n_shuffles=9, seed=3).null_hits.tolist()
    )


def test_bad_tables():
    rows = planted()
    for bad_rows, words, message in (
        (rows[1:], WORDS, "one row for each of 29 words"),
        (rows, [WORDS[1], *WORDS[1:]], "got one with two"),
        (rows[:7], WORDS[:7], "two domains and two indices; got 1 and 7"),
        (rows * np.nan, WORDS, "finite and differ"),
        (rows * 0, WORDS, "finite and differ"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_word_sums(bad_rows, words)
    with pytest.raises(ValueError, match="an index of"):
        fit_word_sums(rows, WORDS).at("month", 12)
    with pytest.raises(ValueError, match="n_shuffles"):
        held_out_cells(rows, WORDS, n_shuffles=0)
    apart = [Word("a", "x", 0), Word("b", "x", 1), Word("c", "y", 2), Word("d", "y", 3)]
    with pytest.raises(ValueError, match="that others have too"):
        held_out_cells(rows[:4], apart)
