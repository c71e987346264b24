"""The result: what its numbers mean, by hand, and that it survives a file."""

import numpy as np
import pytest

from helpers.geometry.mapper import MapperGraph, graph_layout, node_labels, rows_together


def graph_of(nodes, *, n_rows=None):
    """A graph with these rows in its nodes."""
    n_rows = n_rows or 1 + max(max(rows) for rows in nodes)
    members = np.concatenate([np.array(rows) for rows in nodes])
    ends = np.cumsum([len(rows) for rows in nodes])
    return MapperGraph(members, ends, np.zeros((n_rows, 1)), np.array([0.5, 1.0]), {"lens": "pca"})


@pytest.fixture
def star():
    """Three arms of two nodes around a centre, a stub, and a part by itself: rows 0-2 are shared with the centre."""
    arms = [[0, 3, 4], [4, 5, 6], [1, 7, 8], [8, 9, 10], [2, 11, 12], [12, 13, 14]]
    return graph_of([[0, 1, 2, 15, 16], *arms, [15, 17], [18, 19, 20]], n_rows=24)


def test_components_loops_branches_and_unused_rows_by_hand(star):
    found = star.statistics(min_share=0)
    assert (found.components, found.loops, found.branches) == (2, 0, 3)  # the stub hangs on the fork itself
    assert (found.n_nodes, found.n_edges, found.unused) == (9, 7, pytest.approx(3 / 24))
    assert star.degrees.tolist() == [4, 2, 1, 2, 1, 2, 1, 1, 0]
    assert star.components.tolist() == [0] * 8 + [1]
    assert star.sizes.tolist() == [5, 3, 3, 3, 3, 3, 3, 2, 3]
    assert star.rows_of(3).tolist() == [1, 7, 8]


def test_parts_with_few_rows_are_left_out(star):
    assert star.statistics(min_share=0.2).components == 1  # three of 21 rows


def test_a_ring_has_one_loop_and_no_branch_and_two_rings_have_two():
    ring = [[i, (i + 1) % 5] for i in range(5)]
    found = graph_of(ring).statistics()
    assert (found.components, found.loops, found.branches) == (1, 1, 0)
    both = graph_of([*ring, *[[10 + i, 10 + (i + 1) % 5] for i in range(5)]]).statistics()
    assert (both.components, both.loops) == (2, 2)


def test_paths_have_two_ends():
    assert graph_of([[0, 1], [1, 2], [2, 3]]).statistics().branches == 2
    assert graph_of([[0, 1], [1, 2]]).statistics().branches == 2
    assert graph_of([[0, 1]]).statistics().branches == 0


def test_node_values_are_means_of_the_known_members():
    graph = graph_of([[0, 1, 2], [2, 3], [4]])
    values = graph.node_values([1.0, 3.0, np.nan, 6.0, np.nan])
    np.testing.assert_allclose(values, [2.0, 6.0, np.nan])
    with pytest.raises(ValueError, match="one value for each of 5 rows; got shape .4,."):
        graph.node_values([1.0] * 4)


def test_a_saved_graph_comes_back(star, tmp_path):
    star.save(tmp_path / "graph.npz")
    loaded = MapperGraph.load(tmp_path / "graph.npz")
    for name in ("members", "ends", "lens", "reach"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(star, name))
    assert loaded.settings == star.settings and loaded.statistics() == star.statistics()


def test_files_that_are_no_graph_are_refused(star, tmp_path):
    with pytest.raises(ValueError, match="found no such file; run 09_mapper again"):
        MapperGraph.load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no graph")
    with pytest.raises(ValueError, match="cannot be read as a Mapper graph .*; run 09_mapper again"):
        MapperGraph.load(tmp_path / "text.npz")
    star.save(tmp_path / "graph.npz")
    with np.load(tmp_path / "graph.npz") as content:
        np.savez(tmp_path / "newer.npz", **{**content, "format_version": np.int64(99)})
    with pytest.raises(ValueError, match="format 99 is newer than 1"):
        MapperGraph.load(tmp_path / "newer.npz")


def test_nodes_are_named_by_what_is_common_in_them_and_rare_elsewhere():
    graph = graph_of([[0, 1, 2, 3], [3, 4, 5], [6, 7]])
    names = ["the", "Monday", "Monday", "Tuesday", "the", "the", "", ""]
    groups = ["", "weekdays", "weekdays", "weekdays", "", "articles", "", ""]
    first, second, third = node_labels(graph, names, groups, n_names=2)
    assert first.names == ("Monday", "Tuesday")  # as common as "the", which is elsewhere as well
    assert (first.group, first.group_share) == ("weekdays", 0.75)
    assert second.names == ("the", "Tuesday") and (second.group, second.group_share) == ("", 0.0)  # one of each group
    assert third.names == () and third.text() == "(no names)"
    with pytest.raises(ValueError, match="one name and group for each of 8 rows; got 7, 8"):
        node_labels(graph, names[:7], groups)


def test_a_few_of_many_do_not_name_a_node():
    graph = graph_of([range(20), range(18, 29)])
    groups = ["birds"] * 3 + [""] * 17 + ["fish"] * 3 + [""] * 6
    labels = node_labels(graph, [""] * 29, groups)
    assert [label.group for label in labels] == ["", "fish"]  # 3 of 20, and 3 of 11


def test_rows_that_share_a_node_come_once():
    graph = graph_of([[0, 1, 2], [1, 2, 3], [5]])
    assert sorted(map(tuple, rows_together(graph).tolist())) == [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]


def test_the_layout_keeps_ties_short_parts_apart_and_repeats(star):
    ring = [[20 + i, 20 + (i + 1) % 170] for i in range(170)]
    for graph in (star, graph_of([*[[i, i + 1] for i in range(9)], *ring])):  # by path lengths, and by springs
        places = graph_layout(graph, seed=3)
        np.testing.assert_array_equal(places, graph_layout(graph, seed=3))
        assert np.isfinite(places).all() and len(np.unique(places, axis=0)) == graph.n_nodes
        ties = np.linalg.norm(places[graph.edges[:, 0]] - places[graph.edges[:, 1]], axis=1)
        assert np.median(ties) == pytest.approx(1, rel=0.5)
        boxes = [
            (places[graph.components == part].min(axis=0), places[graph.components == part].max(axis=0))
            for part in range(graph.components.max() + 1)
        ]
        for number, (low, high) in enumerate(boxes):
            for other_low, other_high in boxes[:number]:
                assert (low > other_high).any() or (high < other_low).any()
