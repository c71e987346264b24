"""Persistence images: where bars lie, what they weigh, one grid for all."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.geometry.homology import common_scales, persistence, persistence_images
from tests.geometry.homology.reference import polygon


def test_the_brightest_pixel_is_the_longest_bar_and_weights_are_lengths():
    ring, square = persistence(polygon(12)), persistence(polygon(4))
    found = persistence_images([ring, square], n_pixels=40, blur=0.05)
    assert found.images.shape[0] == 2 and found.images.min() >= 0
    for image, one in zip(found.images, (ring, square), strict=True):
        (birth, death), *_ = one.relative(1)
        column, row = np.unravel_index(int(image.argmax()), image.shape)
        pixel = (found.births[1] - found.births[0]) / image.shape[0]
        assert found.births[0] + (column + 0.5) * pixel == pytest.approx(birth, abs=pixel)
        assert found.lengths[0] + (row + 0.5) * pixel == pytest.approx(death - birth, abs=pixel)
    # A bar adds its length times the part of its Gaussian on the grid; the square's bar lies wholly inside.
    length = float(np.diff(square.relative(1)).sum())
    assert found.images[1].sum() == pytest.approx(length, rel=0.01)  # 3 deviations hold 99.7 % in each direction


def test_a_cloud_without_bars_is_dark_beside_others():
    images = persistence_images([persistence(polygon(3)), persistence(polygon(8))]).images
    assert images[0].max() == 0 < images[1].max()


def test_scales_hold_all_bars():
    ring, square = persistence(polygon(12)), persistence(polygon(4))
    scales = common_scales([ring, square], n_scales=50)
    bars = np.concatenate([ring.relative(1), square.relative(1)])
    assert len(scales) == 50 and scales[0] < bars.min() and scales[-1] > bars.max()


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="no bars of dimension 1"):
        persistence_images([persistence(polygon(3))])
    with pytest.raises(ValueError, match="no bars of dimension 1"):
        common_scales([])
    for change in ({"n_pixels": 1}, {"blur": 0.0}):
        with pytest.raises(ValueError, match="at least 2 pixels and a blur above 0"):
            persistence_images([persistence(polygon(5))], **change)
