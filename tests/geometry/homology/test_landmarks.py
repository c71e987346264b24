"""Landmarks: exactly the greedy ones, wherever the rows stand, with a true coverage radius."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from helpers.geometry.homology import choose_landmarks, landmarks


def greedy(rows: np.ndarray, k: int) -> tuple[list[int], float]:
    """One landmark after another, by the definition."""
    distances = cdist(rows, rows)
    chosen = [int(np.argmax(np.linalg.norm(rows - rows.mean(axis=0), axis=1)))]
    while len(chosen) < k:
        chosen.append(int(np.argmax(distances[:, chosen].min(axis=1))))
    return chosen, float(distances[:, chosen].min(axis=1).max())


@pytest.mark.parametrize(("n", "d", "k"), [(300, 3, 40), (700, 40, 600), (900, 2, 350)])
def test_they_are_the_greedy_ones(n, d, k, monkeypatch):
    """With few candidates at once and small blocks, so that every shortcut is taken many times."""
    monkeypatch.setattr(landmarks, "CANDIDATES", 32)
    monkeypatch.setattr(landmarks, "BLOCK_ROWS", 100)
    rows = np.random.default_rng(n).standard_normal((n, d))
    found = choose_landmarks(rows, n_landmarks=k)
    expected, radius = greedy(rows, k)
    assert found.ids.tolist() == expected and found.n_rows == n
    assert found.radius == pytest.approx(radius, rel=1e-9)


def test_cosine_sees_directions_and_measures_angles():
    angle = np.arange(0, 180, 10) * np.pi / 180  # half a turn: cosine does not identify opposite directions
    rows = np.column_stack([np.cos(angle), np.sin(angle)]) * np.random.default_rng(0).uniform(0.1, 9, 18)[:, None]
    found = choose_landmarks(rows, n_landmarks=2, metric="cosine")
    assert sorted(found.ids.tolist()) == [0, 17]
    assert found.radius == pytest.approx(80 * np.pi / 180, abs=1e-9)  # the middle: 80 from 0 and 90 from 170


def test_neither_rotation_nor_the_order_of_rows_or_columns_matters():
    rng = np.random.default_rng(1)
    rows, order, turn = (
        rng.standard_normal((200, 12)),
        rng.permutation(200),
        np.linalg.qr(rng.standard_normal((12, 12)))[0],
    )
    expected = choose_landmarks(rows, n_landmarks=30)
    shuffled = choose_landmarks(rows[order], n_landmarks=30, seed=7)
    assert order[shuffled.ids].tolist() == expected.ids.tolist()
    for changed in (rows @ turn + 5.0, rows[:, rng.permutation(12)]):
        assert choose_landmarks(changed, n_landmarks=30).ids.tolist() == expected.ids.tolist()


def test_dense_landmarks_leave_outliers_alone_and_say_how_far_they_are():
    rng = np.random.default_rng(2)
    rows = np.concatenate([rng.standard_normal((100, 3)), 50 * np.eye(3)])
    assert {100, 101, 102} <= set(choose_landmarks(rows, n_landmarks=10).ids.tolist())
    found = choose_landmarks(rows, n_landmarks=10, choice="dense")
    assert not {100, 101, 102} & set(found.ids.tolist())
    assert found.radius == pytest.approx(cdist(rows, rows[found.ids]).min(axis=1).max(), rel=1e-9)


def test_random_landmarks_follow_their_seed():
    rows = np.random.default_rng(3).standard_normal((50, 3))
    draw = lambda seed: choose_landmarks(rows, n_landmarks=9, choice="random", seed=seed)
    assert draw(1).ids.tolist() == draw(1).ids.tolist() != draw(2).ids.tolist()
    assert len(set(draw(1).ids.tolist())) == 9
    assert draw(1).radius == pytest.approx(cdist(rows, rows[draw(1).ids]).min(axis=1).max(), rel=1e-9)


def test_with_fewer_rows_than_landmarks_all_are_landmarks_and_it_says_so():
    rows = np.random.default_rng(4).standard_normal((7, 3))
    found = choose_landmarks(rows, n_landmarks=100)
    assert found.ids.tolist() == list(range(7)) and found.radius == 0 and str(found) == "all 7 rows"


def test_copies_are_no_landmarks():
    rows = np.repeat(np.random.default_rng(5).standard_normal((12, 40)), 5, axis=0)
    found = choose_landmarks(rows, n_landmarks=30)
    assert found.n == 12 and len(np.unique(rows[found.ids], axis=0)) == 12 and found.radius == 0


def test_the_number_the_choice_and_the_radius_are_told():
    text = str(choose_landmarks(np.random.default_rng(6).standard_normal((60, 2)), n_landmarks=5))
    assert text.startswith("5 landmarks of 60 rows, each the row furthest from those before it; coverage radius ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_landmarks": 1}, "n_landmarks of at least 2"),
        ({"choice": "best"}, "a choice of furthest, dense, random"),
        ({"metric": "manhattan"}, "metric must be one of"),
    ],
)
def test_settings_are_checked(change, message):
    with pytest.raises(ValueError, match=message):
        choose_landmarks(np.eye(4), **({"n_landmarks": 2} | change))
