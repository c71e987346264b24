"""Which bars are shape: clouds of known Betti numbers in 64 and 512 dimensions, and noise that must give none."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.geometry import BETTI, point_cloud
from helpers.geometry.homology import bar_test, persistence, random_copies
from tests.geometry.homology.reference import polygon

ALPHA = 0.05


@pytest.mark.parametrize("d", [64, 512])
@pytest.mark.parametrize("shape", ["circle", "figure_eight", "torus", "sphere", "two_clusters", "tree", "noise"])
def test_components_and_loops_of_known_shapes_are_found(shape, d):
    """A torus needs landmarks that are close beside its thin side (radius 0.4); the others do with half of them."""
    rows = point_cloud(shape, n_points=1000, d=d, noise=0.1, seed=0).rows
    test = bar_test(rows, n_runs=39, n_landmarks=220 if shape == "torus" else 110)
    assert test.betti(alpha=ALPHA) == BETTI[shape][:2]


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["torus", "sphere", "tree"])
def test_voids_of_known_shapes_are_found(shape):
    rows = point_cloud(shape, n_points=3000, d=64, noise=0.05, seed=0).rows
    test = bar_test(rows, n_runs=19, n_landmarks=200 if shape == "torus" else 100, max_dim=2)
    assert test.betti(alpha=ALPHA) == BETTI[shape]


def test_voids_of_a_circle_are_shorter_than_the_coverage_radius():
    """The trap: where the Rips complex of a circle fills in, it has short voids that a Gaussian sheet has not."""
    rows = point_cloud("circle", n_points=1000, d=64, noise=0.05, seed=0).rows
    test = bar_test(rows, n_runs=19, n_landmarks=80, max_dim=2)
    assert test.n_significant(1) == 1 and test.found.lengths(1)[0] > 10 * test.found.landmarks.radius
    assert test.found.longest(2) < test.found.landmarks.radius


@pytest.mark.parametrize(
    ("metric", "n", "d"), [("euclidean", 60, 8), ("euclidean", 80, 64), ("cosine", 60, 8), ("cosine", 80, 64)]
)
def test_noise_is_rarely_called_a_shape(metric, n, d):
    """Gaussian rows of unequal variances, 100 clouds: at most 11 have a loop (or a component) below 0.05.

    More would have a chance of 1 % if the rate were 5 %.
    """
    rng = np.random.default_rng(d)
    widths = 1 / np.sqrt(np.arange(1, d + 1))
    tests = [
        bar_test(rng.standard_normal((n, d)) * widths, n_runs=19, n_landmarks=40, metric=metric, seed=seed)
        for seed in range(100)
    ]
    for dim in (0, 1):
        assert sum(test.n_significant(dim, alpha=ALPHA) > 0 for test in tests) <= 11


def test_a_stretched_cloud_is_no_shape():
    """The trap: a few strong directions give long bars, in the copies as in the cloud."""
    n_found = 0
    for seed in range(40):
        rows = np.random.default_rng(seed).standard_normal((120, 20)) * np.array([30.0, 20.0, *np.ones(18)])
        n_found += bar_test(rows, n_runs=19, n_landmarks=60, seed=seed).betti() != (1, 0)
    assert n_found <= 8  # two tests at 5 % each: 4 expected, 9 or more in 2 % of such samples


def test_lengths_of_rows_make_no_shape_where_directions_count():
    """The trap: rows of very unequal length; with cosine the copies are made of directions, so nothing is found."""
    n_found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rows = rng.standard_normal((60, 10)) * np.exp(2 * rng.standard_normal(60))[:, None]
        n_found += bar_test(rows, n_runs=19, metric="cosine", seed=seed).betti() != (1, 0)
    assert n_found <= 8  # two tests at 5 % each: 4 expected, 9 or more in 2 % of such samples


def test_p_counts_copies_whose_longest_bar_is_as_long():
    rows = point_cloud("figure_eight", n_points=120, d=8, noise=0.3, seed=0).rows
    test = bar_test(rows, n_runs=9, n_landmarks=60, seed=4, n_copies=2)
    copies = list(random_copies(rows, n_runs=9, seed=4, n_landmarks=60))
    longest = np.array([max(copy.lengths(1)) for copy in copies])
    np.testing.assert_array_equal(test.null[1], longest)
    by_hand = [(1 + sum(longest >= length)) / 10 for length in test.found.lengths(1)]
    np.testing.assert_allclose(test.p_values(1), by_hand)
    gaps = [max(copy.lengths(0)) / np.median(copy.lengths(0)) for copy in copies]
    np.testing.assert_allclose(test.null[0], gaps)
    assert test.p_longest(1) == min(by_hand) == test.result(1).p_value and test.n_runs == 9
    np.testing.assert_array_equal(test.copies[1].diagrams[1], copies[1].diagrams[1])
    # With 9 copies, alpha = 0.2 allows one copy to be as long.
    assert test.threshold(1, alpha=0.2) == np.sort(longest)[-2] and test.threshold(1, alpha=0.05) == np.inf
    for alpha in (0.1, 0.2):
        assert test.n_significant(1, alpha=alpha) == sum(test.found.lengths(1) > test.threshold(1, alpha=alpha))


def test_landmarks_of_copies_are_chosen_anew():
    rows = point_cloud("noise", n_points=200, d=5, noise=0.0, seed=0).rows
    found = persistence(rows, n_landmarks=20)
    copies = list(random_copies(rows, n_runs=2, seed=0, n_landmarks=20))
    assert found.landmarks.ids.tolist() != copies[0].landmarks.ids.tolist() != copies[1].landmarks.ids.tolist()


def test_a_cloud_without_loops_has_p_one():
    test = bar_test(np.diag([1.0, 2.0, 3.0]), n_runs=3)
    assert test.p_longest(1) == 1.0 and test.result(1).p_value == 1.0 and test.betti() == (1, 0)


def test_more_copies_are_asked_for_where_alpha_cannot_be_reached():
    assert bar_test(polygon(20), n_runs=5).n_significant(1, alpha=0.05) == 0
    assert bar_test(polygon(20), n_runs=19).n_significant(1, alpha=0.05) == 1


@pytest.mark.parametrize("change", [{"n_runs": 0}, {"n_copies": -1}])
def test_settings_are_checked(change):
    with pytest.raises(ValueError, match="n_runs must be at least 1 and n_copies at least 0"):
        bar_test(polygon(5), **change)
