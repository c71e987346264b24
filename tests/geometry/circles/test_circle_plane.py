"""The plane of a circle: exact coordinates, a round trip through a file, and clear refusals."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.geometry.circles import CirclePlane, circle_plane

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@pytest.fixture
def clock():
    """Days on a circle of radius 2 about a centre, beside a wider direction that has nothing to do with it."""
    rng = np.random.default_rng(0)
    frame = np.linalg.qr(rng.standard_normal((10, 3)))[0].T
    angle = 2 * np.pi * np.arange(7) / 7
    wide = 9 * np.cos(3 * angle)  # three times round: no part of it goes round once
    centre = rng.standard_normal(10)
    return (
        centre + 2 * (np.cos(angle)[:, None] * frame[0] + np.sin(angle)[:, None] * frame[1]) + np.outer(wide, frame[2])
    )


def test_the_fitted_plane_holds_the_circle(clock):
    found = circle_plane(clock, DAYS, kind="order", hook_name="blocks.1.hook_resid_post")
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(found.coordinates(clock), found.places)
    np.testing.assert_allclose(found.centre, clock.mean(axis=0))
    steps = np.diff(np.append(found.angles, found.angles[0])) % (2 * np.pi)
    np.testing.assert_allclose(np.minimum(steps, 2 * np.pi - steps), 2 * np.pi / 7)
    assert found.kind == "order" and found.hook_name.endswith("resid_post")


def test_principal_planes_are_counted_from_the_widest(clock):
    second = circle_plane(clock, DAYS, plane=1)
    assert second.radius == pytest.approx(2)
    first = circle_plane(clock, DAYS, plane=0)
    assert first.radius > 5 and second.kind == "principal"


def test_points_of_the_circle_come_back(clock):
    found = circle_plane(clock, DAYS, plane=1)
    angle = found.angle_of("Wed")
    assert angle == found.angles[2]
    point = found.point(angle)
    np.testing.assert_allclose(np.linalg.norm(found.coordinates(point[None])), found.radius)
    np.testing.assert_allclose(np.arctan2(*found.coordinates(point[None])[0][::-1]) % (2 * np.pi), angle)
    np.testing.assert_allclose(np.linalg.norm(found.point(0.3, radius=5) - found.centre), 5)


def test_it_survives_a_file(clock, tmp_path):
    plane = circle_plane(clock, DAYS, plane=1, hook_name="blocks.0.hook_resid_pre")
    plane.save(tmp_path / "planes" / "days.npz")
    again = CirclePlane.load(tmp_path / "planes" / "days.npz")
    for name in ("directions", "centre", "places"):
        np.testing.assert_array_equal(getattr(again, name), getattr(plane, name))
    assert (again.words, again.hook_name, again.kind) == (plane.words, plane.hook_name, plane.kind)


def test_files_that_are_none_are_refused(clock, tmp_path):
    with pytest.raises(ValueError, match="found no such file; run 11_multidimensional_features again"):
        CirclePlane.load(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("no plane")
    with pytest.raises(ValueError, match="cannot be read as the plane of a circle"):
        CirclePlane.load(tmp_path / "text.npz")
    np.savez(tmp_path / "new.npz", format_version=np.int64(9))
    with pytest.raises(ValueError, match="format 9 is newer than 1"):
        CirclePlane.load(tmp_path / "new.npz")


def test_what_spans_no_plane_is_refused(clock):
    line = np.outer(np.arange(7.0), np.ones(3))
    with pytest.raises(ValueError, match="the words span 1 dimensions, so they have no plane 0"):
        circle_plane(line, DAYS)
    with pytest.raises(ValueError, match="no plane 5; take an earlier one"):
        circle_plane(clock, DAYS, plane=5)
    with pytest.raises(ValueError, match="kind must be 'principal' or 'order'; got 'best'"):
        circle_plane(clock, DAYS, kind="best")
    with pytest.raises(ValueError, match="at least 5 different words"):
        circle_plane(clock[:3], DAYS[:3])
    with pytest.raises(ValueError, match=r"the circle has Mon, .*; got 'May'"):
        circle_plane(clock, DAYS).angle_of("May")
