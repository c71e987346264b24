"""Points around a loop: all of a ring, in their order, whatever else there is."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.geometry import point_cloud
from helpers.geometry.homology import loop_around, persistence
from tests.geometry.homology.reference import polygon


@pytest.mark.parametrize("n", [4, 5, 12, 31])
def test_a_polygon_is_walked_corner_by_corner(n):
    order = np.random.default_rng(n).permutation(n)
    rows = polygon(n, d=9)[order]
    loop = loop_around(persistence(rows, n_landmarks=n))
    corners = order[loop.ids]
    steps = np.diff(np.append(corners, corners[0])) % n
    assert loop.n == n and set(steps.tolist()) in ({1}, {n - 1})
    assert loop.ids[0] == 0 and loop.ids[1] < loop.ids[-1]
    assert loop.length == pytest.approx(n * 2 * np.sin(np.pi / n))
    assert (loop.birth, loop.death) == pytest.approx((2 * np.sin(np.pi / n), 2 * np.sin(np.pi * -(-n // 3) / n)))


def test_a_noisy_circle_is_walked_around_once():
    cloud = point_cloud("circle", n_points=500, d=64, noise=0.2, seed=0)
    loop = loop_around(persistence(cloud.rows, n_landmarks=80))
    steps = np.diff(np.append(cloud.place[loop.ids], cloud.place[loop.ids[0]]))
    steps = (steps + np.pi) % (2 * np.pi) - np.pi
    # Every step goes the same way by less than the third that would fill the circle in, and they add up to one turn.
    assert abs(steps.sum()) == pytest.approx(2 * np.pi) and np.abs(steps).max() < 2 * np.pi / 3
    assert loop.n > 8 and (np.sign(steps) == np.sign(steps.sum())).mean() > 0.9


def test_each_of_two_loops_has_its_own_points():
    cloud = point_cloud("figure_eight", n_points=400, d=16, noise=0.05, seed=0)
    found = persistence(cloud.rows, n_landmarks=80)
    second = cloud.place > 2 * np.pi
    shares = [second[loop_around(found, bar=bar).ids].mean() for bar in (0, 1)]
    assert min(shares) < 0.2 and max(shares) > 0.8


def test_every_step_is_there_when_the_loop_is_born():
    found = persistence(point_cloud("noise", n_points=120, d=6, noise=0, seed=1).rows, n_landmarks=120)
    for bar in range(len(found.edges)):
        loop = loop_around(found, bar=bar)
        steps = found.distances[loop.ids, np.roll(loop.ids, -1)]  # all rows are landmarks, in their order
        assert loop.n >= 4 and steps.max() == loop.birth and len(set(loop.ids.tolist())) == loop.n


def test_ids_are_rows_and_not_landmarks():
    rows = np.concatenate([np.zeros((50, 2)), polygon(12)])  # 50 copies of the centre would fill the ring in
    rows[:50, 0] = 100.0
    loop = loop_around(persistence(rows, n_landmarks=13))
    assert loop.ids.tolist() == list(range(50, 62))


def test_the_loop_is_not_filled_in_before_its_bar_ends():
    """A cocycle cuts it: on the circle of a figure eight the shortest way home around the other circle is another loop."""
    found = persistence(point_cloud("torus", n_points=800, d=5, noise=0.02, seed=0).rows, n_landmarks=150)
    first, second = (loop_around(found, bar=bar) for bar in (0, 1))
    assert set(first.ids.tolist()) != set(second.ids.tolist())
    assert first.length > second.length  # around the hole (radius at least 0.6), and around the tube (radius 0.4)


def test_a_loop_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="no loop to walk around"):
        loop_around(persistence(np.eye(3)))
    with pytest.raises(ValueError, match="from 0 to 0; got 1"):
        loop_around(persistence(polygon(6)), bar=1)
