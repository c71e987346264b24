"""Bars of clouds: what must not change them, bad rows, memory told before, and files."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.geometry import point_cloud
from helpers.geometry.homology import persistence
from helpers.geometry.homology.cost import BYTES_ANNOTATIONS, BYTES_DISTANCE, check_cost, estimate_cost
from helpers.geometry.homology.persistence import Persistence
from helpers.geometry.homology.rips_loops import rips_bars
from tests.geometry.homology.reference import brute_force, in_order, polygon


def bars_of(rows, **settings) -> list[np.ndarray]:
    return [in_order(bars) for bars in persistence(rows, **settings).diagrams]


@pytest.fixture(scope="module")
def cloud() -> np.ndarray:
    return point_cloud("figure_eight", n_points=150, d=10, noise=0.1, seed=0).rows


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_voids_too_are_those_of_the_definition(metric):
    """The octahedron: four loops never, one void from the edges (90 degrees) to the axes (180)."""
    rows = np.concatenate([np.eye(3), -np.eye(3)])
    found = persistence(rows, max_dim=2, metric=metric)
    ends = [np.pi / 2, np.pi] if metric == "cosine" else [np.sqrt(2), 2.0]
    assert len(found.diagrams[1]) == 0
    np.testing.assert_allclose(found.diagrams[2], [ends], rtol=1e-6)  # float32
    for bars, expected in zip(found.diagrams, brute_force(found.distances, max_dim=2), strict=True):
        np.testing.assert_allclose(in_order(bars), expected, rtol=1e-6)


def test_rotation_and_the_order_of_rows_and_columns_change_nothing(cloud):
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.standard_normal((10, 10)))[0]
    settings = {"n_landmarks": 60, "max_dim": 1}
    for metric, move in (("euclidean", 3.0), ("cosine", 0.0)):
        expected = bars_of(cloud, metric=metric, **settings)
        changed = [cloud @ turn + move, cloud[rng.permutation(150)], cloud[:, rng.permutation(10)]]
        for rows in changed:
            for one, other in zip(bars_of(rows, metric=metric, **settings), expected, strict=True):
                np.testing.assert_allclose(one, other, atol=1e-7)  # squares of distances are rounded at 1e-16
    stretched = cloud * rng.uniform(0.1, 10, 150)[:, None]
    np.testing.assert_allclose(
        bars_of(stretched, metric="cosine", **settings)[1], bars_of(cloud, metric="cosine", **settings)[1], atol=1e-7
    )


def test_copies_and_constant_columns_change_nothing(cloud):
    expected = bars_of(cloud, n_landmarks=400)
    doubled = np.concatenate([cloud, cloud[::2]])
    constant = np.column_stack([cloud, np.full(150, 7.0)])
    for rows in (doubled, constant):
        for one, other in zip(bars_of(rows, n_landmarks=400), expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-7)


def test_landmarks_cost_at_most_twice_their_radius():
    """Stability: no bar longer than twice the radius is lost, and none moves by more."""
    rows = polygon(400)
    found = persistence(rows, n_landmarks=40)
    full = persistence(rows, n_landmarks=400)
    assert found.landmarks.n == 40 and 0 < found.landmarks.radius < 0.2
    assert len(full.diagrams[1]) == 1
    assert np.abs(found.diagrams[1][0] - full.diagrams[1][0]).max() <= 2 * found.landmarks.radius


def test_betti_curves_count_what_is_alive():
    found = persistence(polygon(4), n_landmarks=4)  # sides sqrt(2), diagonals 2
    assert found.betti_curve(0, [0, 1, 1.5, 3]).tolist() == [4, 4, 1, 1]
    assert found.betti_curve(1, [1, 1.42, 1.99, 2.0]).tolist() == [0, 1, 1, 0]
    assert found.longest(1) == pytest.approx(2 - np.sqrt(2)) and found.scale == pytest.approx(np.sqrt(2))
    with pytest.raises(ValueError, match="up to dimension 1; got 2; raise max_dim"):
        found.bars(2)


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (np.ones((5, 3)), {}, "all rows are the same point"),
        (np.ones((5, 3)) * [[1], [2], [3], [4], [5]], {"metric": "cosine"}, "all rows are the same point"),
        (np.array([[1.0, 0], [0, 0], [0, 1]]), {"metric": "cosine"}, "row 1 is zero and has no direction"),
        (np.array([[1.0, 0], [np.nan, 0], [0, 1]]), {}, "row 1 has NaN or infinity"),
        (np.zeros((1, 3)), {}, "at least two rows"),
        (np.zeros(3), {}, r"matrix \(n, d\)"),
        (np.eye(4), {"max_dim": 3}, "max_dim must be 0"),
        (np.eye(4), {"n_landmarks": 1}, "n_landmarks of at least 2"),
        (np.eye(4), {"choice": "all"}, "a choice of furthest"),
        (np.eye(401), {"max_dim": 2, "n_landmarks": 401}, "voids .* take at most 400 landmarks"),
        (np.eye(300), {"max_mib": 1.0}, "does not fit into 1 MiB; lower n_landmarks to about"),
        (np.eye(100), {"max_dim": 2, "max_mib": 2.0}, "or max_dim to 1"),
    ],
)
def test_what_has_no_answer_is_refused(rows, settings, message):
    with pytest.raises(ValueError, match=message):
        persistence(rows, **settings)


def test_the_advice_fits():
    room = 20.0
    with pytest.raises(ValueError, match="to about") as error:
        check_cost(estimate_cost(3000), max_mib=room)
    advised = int(str(error.value).rsplit(" ", 1)[1].replace(",", ""))
    assert advised > 100
    check_cost(estimate_cost(advised), max_mib=room)


@pytest.mark.parametrize("d", [3, 64, 512])
def test_annotations_stay_within_the_estimate(d):
    """Noise on a sphere needs the most."""
    rng = np.random.default_rng(d)
    for n in (100, 300, 500):
        rows = rng.standard_normal((n, d))
        found = rips_bars(persistence(rows, metric="cosine", n_landmarks=n).distances)
        assert found.n_bytes <= BYTES_ANNOTATIONS * n**3 + BYTES_DISTANCE * n**2


def test_files_keep_everything(tmp_path, cloud):
    found = persistence(cloud, max_dim=2, n_landmarks=40, metric="cosine", choice="dense")
    found.save(tmp_path / "bars.npz")
    again = Persistence.load(tmp_path / "bars.npz")
    assert again.landmarks.ids.tolist() == found.landmarks.ids.tolist() and str(again.landmarks) == str(found.landmarks)
    assert again.cost == found.cost and again.max_dim == 2
    for one, other in zip(
        (*again.diagrams, again.edges, again.distances), (*found.diagrams, found.edges, found.distances), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_broken_files_are_told(tmp_path, cloud):
    with pytest.raises(ValueError, match="no such file; run 10_persistent_homology again"):
        Persistence.load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no")
    with pytest.raises(ValueError, match="cannot be read as persistent homology"):
        Persistence.load(tmp_path / "text.npz")
    np.savez(tmp_path / "new.npz", format_version=np.int64(2))
    with pytest.raises(ValueError, match="newer than"):
        Persistence.load(tmp_path / "new.npz")
