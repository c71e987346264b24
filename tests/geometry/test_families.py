"""Planted forests come out exactly; what is no family is none."""

import numpy as np
import pytest

from helpers.geometry import FeatureForest, cofiring_communities, cofiring_pairs, family_forest, planted_families


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("reliability", [1.0, 0.85])
def test_planted_trees_are_recovered_exactly(seed, reliability):
    planted = planted_families(seed=seed, reliability=reliability)
    forest = family_forest(cofiring_pairs(planted.firings))
    np.testing.assert_array_equal(forest.parents, planted.parents)
    assert forest.depths.max() == 2 and len(forest.tree_sizes) == 6
    assert np.all(forest.tree_sizes == 1 + 5 + 3)


def test_the_parent_is_the_closest_and_not_the_widest(planted):
    """The trap: the root covers its grandchildren as well as their parent does."""
    pairs = cofiring_pairs(planted.firings)
    forest = family_forest(pairs)
    grandchild = int(np.flatnonzero(forest.depths == 2)[0])
    covering = pairs.wider[(pairs.rarer == grandchild) & (pairs.cover >= 0.7)]
    assert set(covering) == {forest.parents[grandchild], forest.parents[forest.parents[grandchild]]}
    assert forest.n_candidates[grandchild] == 2
    assert forest.trees[grandchild] == forest.parents[forest.parents[grandchild]]


def test_reordering_features_reorders_families(planted):
    order = np.random.default_rng(1).permutation(len(planted.parents))
    place = np.argsort(order)
    moved = family_forest(cofiring_pairs(planted.firings[:, order]))
    expected = np.where(planted.parents[order] >= 0, place[planted.parents[order]], -1)
    np.testing.assert_array_equal(moved.parents, expected)
    groups, moved_groups = (
        cofiring_communities(cofiring_pairs(fires), min_cover=0.3, min_jaccard=0.1)
        for fires in (planted.firings, planted.firings[:, order])
    )
    together, moved_together = (labels[:, None] == labels for labels in (groups[order], moved_groups))
    np.testing.assert_array_equal(groups[order] >= 0, moved_groups >= 0)
    in_group = moved_groups >= 0
    np.testing.assert_array_equal(together[np.ix_(in_group, in_group)], moved_together[np.ix_(in_group, in_group)])


def test_copies_are_no_parents(planted):
    """A duplicated feature covers and is covered: neither is a parent, and both get the same one."""
    child = int(np.flatnonzero(planted.parents >= 0)[0])
    fires = np.column_stack([planted.firings.toarray(), planted.firings[:, [child]].toarray()])
    forest = family_forest(cofiring_pairs(fires))
    copy = len(planted.parents)
    assert forest.parents[copy] == forest.parents[child] == planted.parents[child]


def test_dead_rare_and_constant_features_are_in_no_family(planted):
    extra = np.zeros((planted.firings.shape[0], 3))
    extra[:9, 1] = 1  # below min_firings
    extra[:, 2] = 1
    forest = family_forest(cofiring_pairs(np.column_stack([extra, planted.firings.toarray()])))
    np.testing.assert_array_equal(forest.parents[:3], -1)
    np.testing.assert_array_equal(forest.n_children[:3], 0)
    np.testing.assert_array_equal(np.where(planted.parents >= 0, planted.parents + 3, -1), forest.parents[3:])


def test_communities_are_the_planted_families(planted):
    pairs = cofiring_pairs(planted.firings)
    groups = cofiring_communities(pairs, min_cover=0.3, min_jaccard=0.1)
    trees = family_forest(pairs).trees
    for tree in np.unique(trees[trees >= 0]):
        assert len(np.unique(groups[trees == tree])) == 1
    assert groups.max() + 1 == len(np.unique(trees[trees >= 0]))
    np.testing.assert_array_equal(groups >= 0, trees >= 0)


def test_a_forest_by_hand():
    """0 <- 1 <- 3, 0 <- 2; 4 alone."""
    forest = FeatureForest(
        np.array([-1, 0, 0, 1, -1]), np.zeros(5), np.array([0, 1, 2, 1, 0]), np.array([9, 4, 5, 1, 1])
    )
    assert forest.edges.tolist() == [[1, 0], [2, 0], [3, 1]]
    assert forest.depths.tolist() == [0, 1, 1, 2, 0]
    assert forest.trees.tolist() == [0, 0, 0, 0, -1]
    assert forest.tree_sizes.tolist() == [4]
    assert forest.children(0).tolist() == [2, 1]  # the more frequent first
    assert forest.largest_families(5).tolist() == [0, 1]
    assert forest.as_text()["possible parents of a child, mean"] == "1.3"
    names = ["root", "x", "y", "z", "alone"]
    assert forest.alike_families(["k", "k", None, "k", "k"], names, min_names=1).tolist() == [1, 0]
    assert forest.alike_families(["k", "k", None, "k", "k"], names, min_names=2).tolist() == [0]


def test_no_pairs_no_families():
    rng = np.random.default_rng(0)
    pairs = cofiring_pairs(rng.random((5000, 20)) < 0.05)
    forest = family_forest(pairs)
    assert len(forest.edges) == 0 and len(forest.tree_sizes) == 0
    assert set(forest.as_text().values()) == {"0", "0%"}
    assert forest.largest_families(3).tolist() == []
    assert cofiring_communities(pairs, min_cover=0.9).max() == -1


def test_saved_families_come_back(planted, tmp_path):
    forest = family_forest(cofiring_pairs(planted.firings))
    forest.save(tmp_path / "families.npz")
    again = FeatureForest.load(tmp_path / "families.npz")
    for name in ("parents", "cover", "n_candidates", "counts"):
        np.testing.assert_array_equal(getattr(again, name), getattr(forest, name))


def test_bad_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="found no such file; run 17_feature_families again"):
        FeatureForest.load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no")
    with pytest.raises(ValueError, match="cannot be read as feature families"):
        FeatureForest.load(tmp_path / "text.npz")
    np.savez(tmp_path / "newer.npz", format_version=99)
    with pytest.raises(ValueError, match="format 99 is newer"):
        FeatureForest.load(tmp_path / "newer.npz")


def test_bad_arguments_are_refused(planted):
    pairs = cofiring_pairs(planted.firings, min_cover=0.3)
    with pytest.raises(ValueError, match=r"min_cover must be in \[0.3, 1\].*find the pairs again"):
        family_forest(pairs, min_cover=0.2)
    with pytest.raises(ValueError, match="min_ratio must be above 1"):
        family_forest(pairs, min_ratio=1)
    with pytest.raises(ValueError, match=r"min_cover in \[0.3, 1\] and min_jaccard in \[0, 1\]; got 0.5 and 2"):
        cofiring_communities(pairs, min_cover=0.5, min_jaccard=2)
    with pytest.raises(ValueError, match="expected at least one family, two children and a reliability"):
        planted_families(n_children=1)
