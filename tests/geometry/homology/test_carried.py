"""Loops followed into another space: kept ones, broken ones, and balls that only look like loops."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.geometry.homology import carried_loop
from tests.geometry.homology.reference import polygon

N_RING, N_OTHERS = 10, 60


def _space(ring: np.ndarray, *, seed: int = 0, d: int = 12) -> np.ndarray:
    """A ring of ten rows, then sixty others, turned into d dimensions with a little noise."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    rows = rng.standard_normal((N_RING + N_OTHERS, d)) * (1.0 / np.sqrt(d))
    rows[:N_RING] = 0.03 * rows[:N_RING]
    rows[:N_RING, : ring.shape[1]] += ring
    return rows @ turn


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_kept_loop_is_kept_in_both_ways(metric):
    kept = carried_loop(_space(polygon(N_RING)), np.arange(N_RING), metric=metric, n_permutations=199)
    assert kept.n == N_RING and kept.order.p_value == 1 / 200 and kept.loop.p_value == 1 / 200
    # Sides over mean of all distances of the polygon, by hand; noise moves it a little.
    angle = np.abs(np.subtract.outer(np.arange(10), np.arange(10))) * 2 * np.pi / 10
    far = np.minimum(angle, 2 * np.pi - angle) if metric == "cosine" else 2 * np.sin(angle / 2)
    assert kept.order.score == pytest.approx(far[0, 1] / far[np.triu_indices(10, 1)].mean(), rel=0.02)


def test_a_loop_in_another_order_is_a_loop_that_is_not_kept():
    order = np.array([0, 5, 2, 8, 1, 6, 9, 3, 7, 4])
    found = carried_loop(_space(polygon(N_RING)), order, n_permutations=199)
    assert found.loop.p_value == 1 / 200 and found.order.p_value > 0.1


def test_points_on_a_line_keep_their_order_without_a_loop():
    line = np.column_stack([np.linspace(-1, 1, N_RING), np.zeros(N_RING)])
    found = carried_loop(_space(line), np.arange(N_RING), n_permutations=199)
    assert found.order.p_value < 0.02 and found.loop.p_value > 0.5


def test_wrong_partners_keep_nothing_at_the_stated_rate():
    """Rows that have nothing to do with the loop: at most 10 of 80 below 0.05 in either way (more: 0.2 % at 5 %)."""
    rng = np.random.default_rng(0)
    found = [carried_loop(rng.standard_normal((40, 8)), np.arange(7), n_permutations=39, seed=s) for s in range(80)]
    for name in ("order", "loop"):
        assert sum(getattr(one, name).p_value <= 0.05 for one in found) <= 10


@pytest.mark.parametrize(
    ("around", "message"),
    [
        ([0, 1, 2], "a loop of 4 to 69 partners"),
        (np.arange(70), "a loop of 4 to 69 partners"),
        ([0.0, 1.0, 2.0, 3.0], "got float64"),
        ([0, 1, 2, 2], "different rows from 0 to 69"),
        ([0, 1, 2, 70], "different rows from 0 to 69"),
    ],
)
def test_what_cannot_be_followed_is_refused(around, message):
    with pytest.raises(ValueError, match=message):
        carried_loop(_space(polygon(N_RING)), around)


def test_settings_are_checked():
    with pytest.raises(ValueError, match="n_permutations must be at least 1"):
        carried_loop(_space(polygon(N_RING)), np.arange(5), n_permutations=0)
