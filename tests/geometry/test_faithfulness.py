"""What a map keeps: against scikit-learn, and at both ends."""

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from helpers.geometry import map_faithfulness, partner_distance


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(120, 6))


def test_trustworthiness_is_scikit_learns(rows):
    points = rows[:, :2] + np.random.default_rng(1).normal(size=(120, 2))
    ours = map_faithfulness(rows, points, k=7, metric="euclidean")
    assert ours.n_asked == 120
    assert ours.trustworthiness == pytest.approx(trustworthiness(rows, points, n_neighbors=7), abs=1e-12)


def test_a_map_of_the_rows_themselves_keeps_everything(rows):
    flat = rows[:, :2]
    kept = map_faithfulness(flat, 3 * flat + 1, k=10, metric="euclidean")
    assert kept.trustworthiness == 1 and kept.neighbours_kept == 1


def test_random_positions_keep_what_chance_keeps():
    rng = np.random.default_rng(2)
    rows, points = rng.normal(size=(1500, 10)), rng.normal(size=(1500, 2))
    found = map_faithfulness(rows, points, k=15, metric="euclidean")
    # 22,500 answers that are right with probability 0.01: four standard errors of their mean.
    assert found.neighbours_kept == pytest.approx(found.chance, abs=4 * np.sqrt(0.01 / 22_500))
    assert found.trustworthiness == pytest.approx(0.5, abs=0.02)


def test_a_sample_of_rows_estimates_the_whole():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(900, 5))
    points = rows[:, :2]
    whole = map_faithfulness(rows, points, k=10, metric="euclidean", n_asked=900)
    sample = map_faithfulness(rows, points, k=10, metric="euclidean", n_asked=300)
    assert sample.n_asked == 300
    # Each row's share has a spread below 0.5; three standard errors of 300 of them.
    assert sample.neighbours_kept == pytest.approx(whole.neighbours_kept, abs=3 * 0.5 / np.sqrt(300))


def test_mirrored_rows_are_not_kept(rows):
    wrong = rows[::-1, :2]  # the planted trap: points of other rows
    right = map_faithfulness(rows[:, :2], rows[:, :2], k=10, metric="euclidean")
    assert map_faithfulness(rows[:, :2], wrong, k=10, metric="euclidean").neighbours_kept < 0.5 * right.neighbours_kept


def test_partners_at_like_places_are_near_and_wrong_partners_are_not():
    rng = np.random.default_rng(4)
    a = rng.normal(size=(200, 2))
    near = partner_distance(a, a + 0.1 * rng.normal(size=a.shape), n_permutations=200)
    assert near.mean < 0.2 and near.p_value == 1 / 201 and near.null_low < 1 < near.null_high
    unrelated = partner_distance(a, rng.normal(size=a.shape), n_permutations=200)
    assert unrelated.null_low < unrelated.mean < unrelated.null_high


def test_what_cannot_be_compared_is_refused(rows):
    with pytest.raises(ValueError, match="the same features; got 120 and 5"):
        map_faithfulness(rows, np.zeros((5, 2)))
    with pytest.raises(ValueError, match="below half the number of rows"):
        map_faithfulness(rows, rows[:, :2], k=60, metric="euclidean")
    with pytest.raises(ValueError, match="at least two pairs"):
        partner_distance(np.zeros((1, 2)), np.zeros((1, 2)))
