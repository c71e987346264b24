"""Circles, lines and nothing, told apart; every trap that makes words look round is planted and not fallen into."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from helpers.geometry.circles import frequency_shares, held_out_places, same_order, word_order
from helpers.nulls import correct_tests

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def lying_in(flat: np.ndarray, *, d: int, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """A flat arrangement in a random plane of d dimensions; noise by its length."""
    rng = np.random.default_rng(seed)
    frame = np.linalg.qr(rng.standard_normal((d, flat.shape[1])))[0]
    return flat @ frame.T + rng.standard_normal((len(flat), d)) * noise / np.sqrt(d)


def arc(n: int, degrees: float) -> np.ndarray:
    angle = np.radians(degrees) * np.arange(n) / n
    return np.column_stack([np.cos(angle), np.sin(angle)])


def line(n: int) -> np.ndarray:
    return np.column_stack([np.linspace(-1, 1, n), np.zeros(n)])


def verdict(order) -> str:
    return order.verdict({test.name: test for test in correct_tests(order.tests)})


@pytest.mark.parametrize("d", [64, 512])
@pytest.mark.parametrize("words", [DAYS, MONTHS])
def test_a_circle_is_a_circle(words, d):
    found = word_order(lying_in(arc(len(words), 360), d=d, noise=0.4), words, n_permutations=999)
    assert verdict(found) == "a circle" and found.shape == "circle"
    assert found.tests["held out"].score > 0.8 and found.tests["angle"].p_value < 0.02
    assert found.tests["circle"].score == pytest.approx(1 / (1 + 0.4**2), abs=0.08)  # signal over signal and noise


@pytest.mark.parametrize("d", [64, 512])
def test_a_line_is_a_line(d):
    words = [str(number) for number in range(21)]
    found = word_order(lying_in(line(21), d=d, noise=0.2), words, n_permutations=999)
    assert verdict(found) == "a line" and found.opening > 3


def test_shares_by_hand():
    """A regular polygon lies in the first Fourier pair alone; a straight line has 1 along itself."""
    circle = word_order(arc(7, 360), DAYS, n_permutations=9)
    assert circle.tests["circle"].score == pytest.approx(1) and circle.tests["held out"].score == pytest.approx(1)
    assert circle.tests["angle"].score == pytest.approx(1) and circle.opening == pytest.approx(1)
    np.testing.assert_allclose(circle.spectrum, [1, 0, 0], atol=1e-12)
    straight = word_order(line(7), DAYS, n_permutations=9)
    assert straight.tests["line"].score == pytest.approx(1) and straight.tests["angle"].score == 0.0  # no plane


def test_what_chance_gives_is_known():
    """All different words: 2 / (n - 1) on the circle, 1 / (n - 1) along the line, 0 for words held out."""
    found = word_order(np.eye(12), MONTHS, n_permutations=99)
    assert found.tests["circle"].score == pytest.approx(2 / 11) and found.tests["line"].score == pytest.approx(1 / 11)
    assert found.tests["held out"].score == pytest.approx(0, abs=1e-9)
    assert all(test.p_value == 1.0 for test in found.tests.values() if test.measure in ("circle", "line"))
    np.testing.assert_allclose(found.spectrum, [2 / 11] * 5 + [1 / 11])


def test_frequency_shares_are_those_of_a_plain_fourier_transform():
    x = np.random.default_rng(0).standard_normal((12, 30))
    turns = np.exp(-2j * np.pi * np.outer(np.arange(1, 7), np.arange(12)) / 12)
    power = (np.abs(turns @ x) ** 2).sum(axis=1) * [1, 1, 1, 1, 1, 0.5]
    np.testing.assert_allclose(frequency_shares(x), power / power.sum())
    assert frequency_shares(np.ones((6, 3))).tolist() == [0, 0, 0]


def test_the_circle_and_every_p_value_by_brute_force():
    """All 5,040 orders of seven days: the sampled p-values estimate the exact ones."""
    x = lying_in(arc(7, 360), d=20, noise=1.6, seed=2)
    sampled = word_order(x, DAYS, n_permutations=3000)
    orders = np.array(list(permutations(range(7))))
    centred = x - x.mean(axis=0)
    turns = np.exp(2j * np.pi * np.arange(7) / 7)
    shares = 2 * (np.abs(np.einsum("k,rkd->rd", turns, centred[orders])) ** 2).sum(1) / 7 / (centred**2).sum()
    assert sampled.tests["circle"].score == pytest.approx(shares[0])
    exact = (shares >= shares[0] - 1e-9).mean()
    assert sampled.tests["circle"].p_value == pytest.approx(exact, abs=4 * np.sqrt(exact / 3000) + 1 / 3000)


def held_out_plainly(x: np.ndarray) -> tuple[np.ndarray, float]:
    """One word at a time, by least squares of the others' places on nothing but their own mean: written out."""
    n = len(x)
    place = 2 * np.pi * np.arange(n) / n
    found = np.empty((n, 2))
    for k in range(n):
        others = np.arange(n) != k
        mean = x[others].mean(axis=0)
        axes = [(np.cos(place[others]) @ (x[others] - mean)), (np.sin(place[others]) @ (x[others] - mean))]
        found[k] = [(x[k] - mean) @ axis for axis in axes]
    right = np.cos(np.arctan2(found[:, 1], found[:, 0]) - place).mean()
    return found, float(right)


def test_words_held_out_are_placed_by_the_others_alone():
    x = lying_in(arc(12, 360), d=40, noise=1.0, seed=3)
    places, right = held_out_plainly(x)
    np.testing.assert_allclose(held_out_places(x), places / np.linalg.norm(places, axis=1).max())
    assert word_order(x, MONTHS, n_permutations=9).tests["held out"].score == pytest.approx(right)
    assert held_out_places(np.ones((6, 3))).tolist() == [[0, 0]] * 6


def test_a_word_does_not_move_the_axes_it_is_placed_by():
    """Moved twice as far, it is found twice as far away; had it a part in its axes, the way would grow as a square."""
    x = lying_in(arc(12, 360), d=40, noise=1.0, seed=3)
    move = np.zeros_like(x)
    move[4] = np.random.default_rng(0).standard_normal(40)
    once, twice = (held_out_plainly(x + factor * move)[0][4] - held_out_plainly(x)[0][4] for factor in (1, 2))
    np.testing.assert_allclose(twice, 2 * once)


def test_noise_is_nothing_at_the_stated_rate():
    """200 clouds without order: 5 % of the p-values are at most 0.05 (10 expected, 20 is the 99.8 % point)."""
    p_values = {"circle": [], "held out": [], "angle": [], "line": []}
    for seed in range(200):
        found = word_order(np.random.default_rng(1000 + seed).standard_normal((7, 32)), DAYS, n_permutations=99)
        for name, test in found.tests.items():
            p_values[name].append(test.p_value)
    for name, values in p_values.items():
        assert (np.array(values) <= 0.05).sum() <= 20, name
        assert 0.4 < np.mean(values) < 0.62, name  # above a half by 1 / 200 and by ties of ranks


def test_a_plane_fitted_to_the_order_is_a_trap():
    """Seven random points, projected onto the plane that suits their order, are a perfect circle; held out they are not."""
    x = np.random.default_rng(0).standard_normal((7, 64))
    turns = arc(7, 360)
    fitted = (x - x.mean(axis=0)) @ np.linalg.pinv(x - x.mean(axis=0)) @ turns
    np.testing.assert_allclose(fitted, turns, atol=1e-9)
    assert verdict(word_order(x, DAYS, n_permutations=999)) == "none found"
    assert word_order(fitted, DAYS, n_permutations=999).tests["circle"].p_value < 0.01  # what the trap would have shown


def test_the_best_of_four_planes_is_a_trap():
    """A null that keeps the plane of the data's choice would find order in noise four times as often."""
    hits = 0
    for seed in range(100):
        found = word_order(np.random.default_rng(seed).standard_normal((12, 30)), MONTHS, n_permutations=99)
        one_plane = np.random.default_rng(seed).standard_normal((99, 12)).argsort(axis=1)
        turns = np.exp(2j * np.pi * np.arange(12) / 12)
        kept = np.maximum(*(np.abs((turns[one_plane] * t).mean(axis=1)) for t in (turns, turns.conj())))
        hits += (1 + (kept >= found.tests["angle"].score).sum()) / 100 <= 0.05
        assert found.tests["angle"].null_mean > kept.mean() + 0.03
    assert hits > 9  # the naive null: twice the nominal 5 % and more


@pytest.mark.parametrize(("degrees", "shape"), [(90, "line"), (180, "line"), (270, "line"), (360, "circle")])
def test_the_horseshoe_is_no_circle(degrees, shape):
    """In a plane the angle of an arc recovers the order as well as that of a circle; the opening tells them apart."""
    x = lying_in(arc(21, degrees), d=64, noise=0.2)
    found = word_order(x, [str(number) for number in range(21)], n_permutations=199)
    assert found.tests["circle"].p_value <= 0.01 and found.tests["held out"].p_value <= 0.01
    assert found.shape == shape


def test_words_on_one_point_are_in_no_order():
    """Equal angles must not be counted as sorted."""
    found = word_order(np.ones((7, 5)), DAYS, n_permutations=49)
    assert all(test.score == 0.0 and test.p_value == 1.0 for test in found.tests.values())
    assert verdict(found) == "none found"
    lumps = np.zeros((8, 3))
    lumps[0], lumps[1] = [1, 0, 0], [0, 1, 0]  # two words apart, six on one point
    assert word_order(lumps, list("abcdefgh"), n_permutations=199).tests["angle"].p_value > 0.05


def test_turning_and_the_size_change_nothing():
    x = lying_in(arc(7, 360), d=16, noise=0.8)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((16, 16)))[0]
    plain, moved = (word_order(rows, DAYS, n_permutations=49) for rows in (x, 9 * x @ turn + 4))
    for name, test in plain.tests.items():
        assert moved.tests[name].score == pytest.approx(test.score, abs=1e-9)
        assert moved.tests[name].p_value == test.p_value


def test_same_order_of_two_circles():
    rng = np.random.default_rng(0)
    angles = 2 * np.pi * np.arange(12) / 12
    mirrored = -angles + 1.0 + 0.2 * rng.standard_normal(12)
    found = same_order(angles, mirrored, n_permutations=999)
    assert found.score > 0.9 and found.p_value == 0.001
    assert same_order(angles, rng.permutation(angles), n_permutations=999).p_value > 0.05
    assert same_order(angles, np.zeros(12), n_permutations=9).score == 0.0


def test_what_has_no_order_is_refused():
    with pytest.raises(ValueError, match="at least 5 different words; got 4: Mon, Tue, Wed, Thu; fewer always"):
        word_order(np.eye(4), DAYS[:4])
    with pytest.raises(ValueError, match="at least 5 different words; got 7"):
        word_order(np.eye(7), ("Mon",) * 7)
    for rows in (np.eye(6), np.full((7, 2), np.nan)):
        with pytest.raises(ValueError, match="one finite row of each of 7 words"):
            word_order(rows, DAYS)
    with pytest.raises(ValueError, match="n_permutations must be at least 1; got 0"):
        word_order(np.eye(7), DAYS, n_permutations=0)
    with pytest.raises(ValueError, match="angles of the same words, at least 5"):
        same_order(np.arange(4), np.arange(4))
