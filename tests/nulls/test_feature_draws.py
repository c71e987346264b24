"""Nulls of other features: who is drawn, how often copies come, and when matched features stand out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from helpers.nulls import PermutationResult, frequency_matched_draw, random_draw, random_features_test
from helpers.similarity import MEASURES

IDS = np.array([3, 3, 7, 1])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_random_features_are_candidates_and_keep_the_copies(rng):
    draw = random_draw(IDS, candidates=np.arange(5, 20))
    drawn = np.stack([draw(rng) for _ in range(200)])
    assert set(drawn.ravel()) == set(range(5, 20))
    assert (drawn[:, 0] == drawn[:, 1]).all()  # a feature in two pairs is replaced by one in two pairs
    assert all(len(set(row)) == 3 for row in drawn)


def test_every_candidate_is_equally_likely(rng):
    draw = random_draw([0, 1], candidates=np.arange(4))
    counts = np.bincount(np.concatenate([draw(rng) for _ in range(2000)]), minlength=4)
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(2000 * 0.5 * 0.5)


def test_frequency_matched_features_fire_about_as_often(rng):
    counts = rng.permutation(np.geomspace(1, 100_000, 400).astype(int))
    chosen = np.argsort(counts)[-40:]  # the most frequent ones
    matched = frequency_matched_draw(chosen, counts=counts, candidates=np.arange(400), n_bins=10)(rng)
    unmatched = random_draw(chosen, candidates=np.arange(400))(rng)
    assert np.median(counts[matched]) == pytest.approx(np.median(counts[chosen]), rel=0.5)
    assert np.median(counts[unmatched]) < 0.05 * np.median(counts[chosen])
    assert len(set(matched)) == 40


def test_every_bin_is_filled_with_its_own(rng):
    counts = np.repeat([1, 10, 100], 20)
    chosen = np.array([0, 1, 25, 59, 58, 57])
    draw = frequency_matched_draw(chosen, counts=counts, candidates=np.arange(60), n_bins=3)
    drawn = np.stack([draw(rng) for _ in range(100)])
    assert (counts[drawn] == counts[chosen]).all()
    assert set(drawn[:, 2]) == set(range(20, 40))


def test_matching_keeps_copies_and_leaves_non_candidates_out(rng):
    counts = np.array([5, 5, 5, 5, 5, 5, 5, 5])
    draw = frequency_matched_draw(IDS, counts=counts, candidates=[1, 3, 5, 7])
    drawn = np.stack([draw(rng) for _ in range(100)])
    assert set(drawn.ravel()) == {1, 3, 5, 7}
    assert (drawn[:, 0] == drawn[:, 1]).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: random_draw(IDS, candidates=[1, 3]), "3 features cannot be drawn from 2 candidates"),
        (lambda: random_draw([], candidates=[1]), "ids must be a list of feature ids"),
        (lambda: random_draw([0.5], candidates=[1]), "ids must be a list of feature ids"),
        (lambda: random_draw([-1], candidates=[1]), "ids must be a list of feature ids"),
        (lambda: random_draw([1], candidates=[1, 1]), "candidates must be distinct"),
        (lambda: frequency_matched_draw(IDS, counts=np.ones(9), candidates=[1, 3]), "1 chosen features .first: 7. are no"),
        (lambda: frequency_matched_draw([0], counts=np.ones(3), candidates=[0, 5]), r"one number a feature; got shape \(3,\)"),
        (lambda: frequency_matched_draw([0], counts=np.ones(3), candidates=[0], n_bins=0), "n_bins must be at least 1"),
    ],
)  # fmt: skip
def test_bad_draws_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def spaces(seed, *, n_features=200, n_matched=40, noise=0.3):
    """Two spaces in which the first features of each are the same up to a rotation."""
    rng = np.random.default_rng(seed)
    rows_a, rows_b = rng.standard_normal((2, n_features, 6))
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    rows_b[:n_matched] = rows_a[:n_matched] @ rotation + noise * rng.standard_normal((n_matched, 6))
    return rows_a, rows_b


def check(rows_a, rows_b, ids_a, ids_b, *, n_draws=99, seed=0, measure="rsa", **options):
    everyone = np.arange(len(rows_a))
    return random_features_test(
        rows_a, rows_b, ids_a, ids_b,
        draw_a=random_draw(ids_a, candidates=everyone), draw_b=random_draw(ids_b, candidates=everyone),
        measure=measure, n_draws=n_draws, seed=seed, **options,
    )  # fmt: skip


PAIRED = [name for name, entry in MEASURES.items() if entry.null == "pairing" and "orthogonal" in entry.invariances]


@pytest.mark.parametrize("measure", PAIRED)
def test_matched_features_stand_out_from_random_ones(measure):
    matched = np.arange(40)
    result = check(*spaces(0), matched, matched, measure=measure)
    assert result.p_value == 1 / 100
    assert result.calibrated > 0.2
    assert (result.null_kind, result.n_rows) == ("features", 40)


def test_random_pairs_do_not_stand_out_and_p_is_uniform():
    rows_a, rows_b = spaces(1)
    p_values = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        ids_a, ids_b = (rng.choice(np.arange(40, 200), 12, replace=False) for _ in range(2))
        everyone = np.arange(40, 200)
        result = random_features_test(
            rows_a, rows_b, ids_a, ids_b,
            draw_a=random_draw(ids_a, candidates=everyone), draw_b=random_draw(ids_b, candidates=everyone),
            measure="rsa", n_draws=39, seed=seed,
        )  # fmt: skip
        p_values.append(result.p_value)
    p_values = np.array(p_values)
    for alpha in (0.05, 0.1):
        assert (p_values <= alpha).mean() <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / 200)
    # One of the 40 possible values minus a uniform share of a step is continuous under the null; fixed seeds.
    assert kstest(p_values - np.random.default_rng(0).random(200) / 40, "uniform").pvalue > 1e-3


def test_the_null_is_that_of_the_draws():
    rows_a, rows_b = spaces(2)
    ids = np.arange(10)
    result = check(rows_a, rows_b, ids, ids, n_draws=5, seed=4)
    rng = np.random.default_rng(np.random.SeedSequence(4, spawn_key=(1,)))
    draw = random_draw(ids, candidates=np.arange(200))
    expected = []
    for _ in range(5):
        a, b = draw(rng), draw(rng)
        expected.append(MEASURES["rsa"].score(rows_a[a], rows_b[b]))
    assert result.null == pytest.approx(expected)
    assert result.score == pytest.approx(MEASURES["rsa"].score(rows_a[ids], rows_b[ids]))


def test_shuffled_pairs_of_the_right_features_are_no_better_than_random():
    """The trap: the right features wrongly paired must not look matched."""
    matched = np.arange(40)
    result = check(*spaces(3), matched, np.random.default_rng(0).permutation(matched))
    assert result.p_value > 0.01 and result.calibrated < 0.2


def test_an_undefined_score_and_an_undefined_draw_are_reported_and_not_numbers():
    rows_a, rows_b = spaces(4)
    result = check(rows_a, rows_b, np.arange(8), np.arange(8), measure="cca")
    assert result.score is None and result.p_value is None and "cca" in result.undefined
    rows_a[100:] = 0.0  # features without a direction may be drawn
    result = check(rows_a, rows_b, np.arange(20), np.arange(20), measure="rsa_cosine")
    assert result.p_value is None and "zero" in result.undefined


def test_it_can_be_saved_and_names_its_null():
    result = check(*spaces(5), np.arange(10), np.arange(10), n_draws=3, null_name="random features of equal number")
    again = PermutationResult.from_dict(result.to_dict())
    assert again.to_dict() == result.to_dict()
    assert again.settings["null"] == "random features of equal number"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measure": "svca"}, "unknown measure 'svca'; choose one of"),
        ({"n_draws": 0}, "n_draws must be at least 1; got 0"),
    ],
)
def test_bad_options_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        check(*spaces(0), np.arange(5), np.arange(5), **changes)


def test_ids_that_do_not_fit_are_refused():
    rows_a, rows_b = spaces(0)
    with pytest.raises(ValueError, match="must pair up; got 5 and 4"):
        check(rows_a, rows_b, np.arange(5), np.arange(4))
    draw = random_draw([0], candidates=[0])
    with pytest.raises(ValueError, match="ids_b names feature 300, but there are 200 rows; are a and b swapped"):
        random_features_test(rows_a, rows_b, [0], [300], draw_a=draw, draw_b=draw)
