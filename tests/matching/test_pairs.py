"""FeaturePairs: counts, selection, saving."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.matching import FeaturePairs
from helpers.matching.pairs import make_pairs

SETTINGS = {"d_sae_a": 5, "d_sae_b": 4, "direction": "b_to_a", "method": "nearest"}


@pytest.fixture
def pairs():
    return make_pairs(np.array([3, 1, 1]), np.array([0, 2, 1]), np.array([0.25, 0.5, 1.0 + 1e-12]), settings=SETTINGS)


def test_pairs_are_sorted_and_the_rest_is_unmatched(pairs):
    assert pairs.ids_a.tolist() == [1, 1, 3]
    assert pairs.ids_b.tolist() == [1, 2, 0]
    assert pairs.corr.tolist() == [1.0, 0.5, 0.25]
    assert pairs.unmatched_a.tolist() == [0, 2, 4]
    assert pairs.unmatched_b.tolist() == [3]
    assert pairs.n_pairs == 3


def test_partner_counts(pairs):
    assert pairs.partner_counts("a").tolist() == [0, 2, 0, 1, 0]
    assert pairs.partner_counts("b").tolist() == [1, 1, 1, 0]
    assert pairs.share_unique_partners == pytest.approx(2 / 3)  # of a, which b searched
    with pytest.raises(ValueError, match="side must be 'a' or 'b'; got 'c'"):
        pairs.partner_counts("c")


def test_selection_updates_the_unmatched(pairs):
    strong = pairs.above(0.5)
    assert strong.ids_b.tolist() == [1, 2]
    assert strong.unmatched_a.tolist() == [0, 2, 3, 4]
    assert strong.settings["min_corr"] == 0.5
    assert "min_corr" not in pairs.settings
    with pytest.raises(ValueError, match=r"keep_mask must be \(3,\) bool"):
        pairs.select(np.array([0, 1]))


def test_saving(pairs, tmp_path):
    path = tmp_path / "deep" / "pairs.npz"
    pairs.save(path)
    loaded = FeaturePairs.load(path)
    for name in ("ids_a", "ids_b", "corr", "unmatched_a", "unmatched_b"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(pairs, name))
    assert loaded.settings == pairs.settings
    assert [file.name for file in path.parent.iterdir()] == ["pairs.npz"]


def test_damaged_files_are_refused(pairs, tmp_path):
    path = tmp_path / "pairs.npz"
    with pytest.raises(ValueError, match="found no such file; run 04_match_features again"):
        FeaturePairs.load(path)
    pairs.save(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="cannot be read as feature pairs"):
        FeaturePairs.load(path)
    np.savez(path, format_version=99)
    with pytest.raises(ValueError, match="format 99 is newer than 1"):
        FeaturePairs.load(path)


def test_the_most_shared_partners_come_first():
    pairs = make_pairs([4, 4, 4, 1, 2, 2], range(6), np.linspace(0.9, 0.4, 6), settings=SETTINGS | {"d_sae_b": 7})
    assert pairs.most_shared("a", n=2) == [(4, 3), (2, 2)]
    assert pairs.most_shared("a", n=9) == [(4, 3), (2, 2), (1, 1)]
    assert all(count == 1 for _, count in pairs.most_shared("b", n=9))
