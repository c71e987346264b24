"""Distances of diagrams by hand, and two tests of them that are valid and see what they should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.geometry import point_cloud
from helpers.geometry.homology import diagram_distance, nearer_than_random, parts_test, persistence
from helpers.geometry.homology.persistence import Persistence
from tests.geometry.homology.reference import polygon


def with_loops(*loops: tuple[float, float]) -> Persistence:
    """A square's bars with other loops; its median distance is 1."""
    square = persistence(polygon(4) / np.sqrt(2))
    assert square.scale == pytest.approx(1)
    return replace(square, diagrams=(square.diagrams[0], np.array(loops).reshape(-1, 2)))


def test_distances_by_hand():
    one, none = with_loops((1.0, 2.0)), with_loops()
    assert diagram_distance(one, none, dim=1) == pytest.approx(0.5)  # half its length, to the diagonal
    assert diagram_distance(one, none, dim=1, kind="wasserstein") == pytest.approx(1 / np.sqrt(2))
    longer = with_loops((1.0, 2.2))
    assert diagram_distance(one, longer, dim=1) == pytest.approx(0.2)
    two = with_loops((1.0, 2.2), (3.0, 3.1))
    assert diagram_distance(one, two, dim=1) == pytest.approx(0.2)  # the worst move counts
    assert diagram_distance(one, two, dim=1, kind="wasserstein") == pytest.approx(0.2 + 0.1 / np.sqrt(2))  # all count
    assert diagram_distance(none, none, dim=1) == 0 == diagram_distance(two, two, dim=1, kind="wasserstein")


def test_scale_and_space_do_not_matter():
    rows = point_cloud("circle", n_points=60, d=8, noise=0.2, seed=0).rows
    wide = np.column_stack([7 * rows, np.zeros((60, 20))])
    assert diagram_distance(persistence(rows), persistence(wide), dim=1) == pytest.approx(0, abs=1e-6)


def _draws(shape: str, seed: int, d: int = 6) -> np.ndarray:
    return point_cloud(shape, n_points=180, d=d, noise=0.1, seed=seed).rows


def test_parts_of_unlike_clouds_differ():
    result = parts_test(_draws("circle", 1), _draws("noise", 2), n_permutations=199, n_parts=5)
    assert result.p_value < 0.03 and result.score > max(0, result.null_mean)


def test_parts_of_one_cloud_rarely_differ():
    """The same shape, another size and space: at most 6 of 60 below 0.05 (7 or more: 3 % if the rate is 5 %)."""
    p_values = [
        parts_test(
            _draws("tree", 2 * s), 5 * _draws("tree", 2 * s + 1, d=9), n_permutations=99, n_parts=4, seed=s
        ).p_value
        for s in range(60)
    ]
    assert sum(p <= 0.05 for p in p_values) <= 6
    assert 0.3 < np.mean(p_values) < 0.7


def test_the_excess_is_that_of_its_definition():
    rows_a, rows_b = _draws("circle", 3), _draws("two_clusters", 4)
    result = parts_test(rows_a, rows_b, n_parts=3, max_rows=20, n_permutations=9, seed=5)
    rng = np.random.default_rng(np.random.SeedSequence(5, spawn_key=(1,)))
    parts = [persistence(rows[part]) for rows in (rows_a, rows_b) for part in np.split(rng.permutation(180)[:60], 3)]
    between = [[diagram_distance(x, y, dim=1, kind="wasserstein") for y in parts] for x in parts]
    across = np.mean([between[i][j] for i in range(3) for j in range(3, 6)])
    inside = np.mean([between[i][j] for i in range(6) for j in range(6) if i != j and (i < 3) == (j < 3)])
    assert result.score == pytest.approx(across - inside) and result.settings["rows_of_a_part"] == 20


def test_a_shared_circle_is_nearer_than_chance_and_a_blob_is_not():
    a = persistence(_draws("circle", 0), n_landmarks=60)
    near = nearer_than_random(a, _draws("circle", 1, d=12), n_runs=39, n_landmarks=60)
    far = nearer_than_random(a, _draws("noise", 1, d=12), n_runs=39, n_landmarks=60)
    assert near.p_value == 1 / 40 and near.score < 0.5 * near.null.min()
    assert far.p_value > 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_parts": 2}, "at least 3 parts"),
        ({"n_parts": 30}, "lower n_parts"),
        ({"n_permutations": 0}, "n_permutations of"),
    ],
)
def test_parts_are_checked(change, message):
    with pytest.raises(ValueError, match=message):
        parts_test(_draws("circle", 0), _draws("circle", 1), **change)


def test_what_cannot_be_compared_is_refused():
    a, rows = persistence(_draws("circle", 0), n_landmarks=60), _draws("circle", 1)
    with pytest.raises(ValueError, match="got 60 and 50; set n_landmarks"):
        nearer_than_random(a, rows, n_landmarks=50)
    with pytest.raises(ValueError, match="n_runs must be at least 1"):
        nearer_than_random(a, rows, n_runs=0)
    with pytest.raises(ValueError, match="kind must be one of bottleneck, wasserstein"):
        diagram_distance(a, a, dim=1, kind="euclidean")
    with pytest.raises(ValueError, match="up to dimension 1; got 2"):
        diagram_distance(a, a, dim=2)
