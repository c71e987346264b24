"""Clouds whose shape is known: their components, loops and branches are found, and nothing changes when rows are turned."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.geometry.mapper import MapperSettings, mapper_graph
from helpers.geometry.mapper.build import clusters_along, lens_of
from helpers.geometry.mapper.lenses import MapperPoints
from helpers.geometry.point_clouds import BETTI, point_cloud

#: Shape -> lens that does not fold it up: arms of a tree leave the origin, so its length is where one is on an arm.
LENS = {"circle": "pca", "figure_eight": "pca", "two_clusters": "pca", "tree": "l2_norm", "noise": "pca"}
BRANCHES = {"circle": 0, "figure_eight": 0, "tree": 4}


def shape_of(rows, settings):
    found = mapper_graph(rows, settings).statistics()
    return found.components, found.loops, found.branches


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("d", [64, 512])
@pytest.mark.parametrize("shape", list(LENS))
def test_known_shapes_are_found(shape, d, seed):
    rows = point_cloud(shape, n_points=600, d=d, noise=0.1, seed=seed).rows
    components, loops, branches = shape_of(rows, MapperSettings(lens=LENS[shape]))
    assert (components, loops) == BETTI[shape][:2]
    if shape in BRANCHES:  # a blob is a path or less: its ends are no part of its shape
        assert branches == BRANCHES[shape]


@pytest.mark.parametrize("shape", ["circle", "figure_eight"])
def test_loops_are_found_through_two_components_of_a_lens(shape):
    rows = point_cloud(shape, n_points=800, d=64, noise=0.1, seed=0).rows
    graph = mapper_graph(rows, MapperSettings(n_components=2))
    assert graph.statistics().loops == BETTI[shape][1]
    cycle_rank = len(graph.edges) - graph.n_nodes + 1
    assert cycle_rank > 5 * BETTI[shape][1]  # the known-wrong count: patches taken for holes


def test_a_disc_has_no_loop_although_its_graph_has_many_cycles():
    rng = np.random.default_rng(0)
    disc = rng.uniform(-1, 1, (2000, 2))
    graph = mapper_graph(disc[np.linalg.norm(disc, axis=1) < 1], MapperSettings(n_components=2))
    assert graph.statistics().loops == 0
    assert len(graph.edges) - graph.n_nodes + 1 > 50


def test_along_one_component_loops_are_the_cycles_of_the_graph():
    rows = point_cloud("figure_eight", n_points=600, d=64, noise=0.1, seed=3).rows
    graph = mapper_graph(rows, MapperSettings(gain=0.5))
    assert len(graph.nerve.triangles) == 0
    assert graph.statistics(min_share=0).loops == len(graph.edges) - graph.n_nodes + 1 == 2


def test_isomap_sees_the_circle():
    rows = point_cloud("circle", n_points=400, d=64, noise=0.1, seed=0).rows
    found = mapper_graph(rows, MapperSettings(lens="isomap", n_components=2)).statistics()
    assert (found.components, found.loops) == (1, 1)


@pytest.mark.slow
def test_umap_sees_parts():
    """Parts, but not loops: a layout may tear a ring, and what lies in cubes far apart is never tied again."""
    rows = point_cloud("two_clusters", n_points=300, d=64, noise=0.1, seed=0).rows
    assert mapper_graph(rows, MapperSettings(lens="umap", n_components=2)).statistics().components == 2


def test_a_given_score_is_a_lens():
    """Along the angle itself a circle is cut open at 0 and 2 pi; along its height it is whole."""
    cloud = point_cloud("circle", n_points=600, d=64, noise=0.1, seed=0)
    settings = MapperSettings(lens="concept")
    assert mapper_graph(cloud.rows, settings, scores=np.sin(cloud.place)).statistics().loops == 1
    assert mapper_graph(cloud.rows, settings, scores=cloud.place).statistics().loops == 0


def test_a_small_fixed_neighbour_tears_the_circle_that_a_growing_one_keeps():
    """The trap: chance gaps are wider than the distance to a fourth neighbour."""
    rows = point_cloud("circle", n_points=800, d=512, noise=0.1, seed=0).rows
    torn = mapper_graph(rows, MapperSettings(reach_k=4)).statistics()
    whole = mapper_graph(rows, MapperSettings()).statistics()
    assert (torn.loops, whole.loops) == (0, 1)
    assert torn.components > whole.components == 1


@pytest.mark.parametrize(
    ("lens", "shape"), [("pca", "circle"), ("l2_norm", "tree"), ("density", "two_clusters"), ("isomap", "circle")]
)
def test_turning_and_reordering_change_the_numbering_alone(lens, shape):
    rng = np.random.default_rng(0)
    rows = point_cloud(shape, n_points=300, d=32, noise=0.1, seed=1).rows
    turn = np.linalg.qr(rng.standard_normal((32, 32)))[0]
    order = rng.permutation(300)
    settings = MapperSettings(lens=lens)
    graph, turned = mapper_graph(rows, settings), mapper_graph((rows @ turn)[order], settings)
    assert turned.statistics() == graph.statistics()
    assert turned.settings["eps"] == pytest.approx(graph.settings["eps"], rel=1e-6)  # float32 in the density lens
    nodes = [
        sorted(sorted(place) for place in (g.rows_of(n).tolist() for n in range(g.n_nodes))) for g in (graph, turned)
    ]
    assert sorted(sorted(order[place].tolist()) for place in nodes[1]) == nodes[0]


def test_cosine_does_not_know_of_lengths():
    cloud = point_cloud("circle", n_points=400, d=32, noise=0.1, seed=2)
    lengths = np.random.default_rng(0).uniform(0.5, 20, (400, 1))
    settings = MapperSettings(metric="cosine")
    plain, scaled = (mapper_graph(rows, settings).statistics() for rows in (cloud.rows, cloud.rows * lengths))
    assert plain == scaled and plain.loops == 1
    assert mapper_graph(cloud.rows * lengths, MapperSettings()).statistics().loops != 1


def test_constant_columns_change_nothing():
    rows = point_cloud("circle", n_points=300, d=16, noise=0.1, seed=0).rows
    wider = np.column_stack([rows, np.full((300, 3), 7.0)])
    assert mapper_graph(wider, MapperSettings()).statistics() == mapper_graph(rows, MapperSettings()).statistics()


def test_copies_of_some_rows_change_nothing_but_sizes():
    rows = point_cloud("circle", n_points=400, d=16, noise=0.1, seed=0).rows
    found = mapper_graph(np.concatenate([rows, rows]), MapperSettings()).statistics()
    assert (found.components, found.loops, found.branches) == (1, 1, 0)


def test_a_single_tight_cluster_is_one_component():
    rng = np.random.default_rng(0)
    found = mapper_graph(5 + 0.01 * rng.standard_normal((400, 64)), MapperSettings()).statistics()
    assert (found.components, found.loops) == (1, 0)


def test_small_stray_groups_do_not_count_unless_asked():
    rng = np.random.default_rng(0)
    main = point_cloud("circle", n_points=800, d=16, noise=0.05, seed=0).rows
    stray = main[np.abs(main).sum(axis=1).argmin()] + 6 + 0.01 * rng.standard_normal((6, 16))
    graph = mapper_graph(np.concatenate([main, stray]), MapperSettings(n_cubes=40, eps=0.35))
    assert graph.statistics(min_share=0.02).components == 1
    assert graph.statistics(min_share=0).components == 2


def test_a_graph_without_a_node_is_counted_as_nothing():
    data = MapperPoints.of(point_cloud("noise", n_points=100, d=64, noise=0, seed=0).rows, metric="euclidean")
    settings = replace(MapperSettings(), eps=0.1)
    empty = clusters_along(data, lens_of(data, settings), settings).statistics()
    assert (empty.components, empty.loops, empty.branches, empty.n_nodes, empty.unused) == (0, 0, 0, 0, 1.0)
