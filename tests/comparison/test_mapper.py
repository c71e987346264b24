"""Mapper graphs of two sides: made alike, held against chance, and carried over along the pairs."""

import numpy as np
import pytest

from helpers.comparison.feature_maps import SpaceRows
from helpers.comparison.mapper import (
    FREQUENCY,
    PARTNERS,
    describe_nodes,
    graphs_beside_chance,
    make_graphs,
    members_alike,
    partner_tests,
)
from helpers.geometry.mapper import MapperSettings
from helpers.geometry.point_clouds import point_cloud
from helpers.matching.pairs import make_pairs

N, D_SAE = 240, 300


@pytest.fixture(scope="module")
def sides():
    """The same circle in 16 and in 24 dimensions, its features in another order and numbered with gaps."""
    rng = np.random.default_rng(0)
    cloud = point_cloud("circle", n_points=N, d=16, noise=0.05, seed=0)
    order = rng.permutation(N)
    ids_a, ids_b = (np.sort(rng.choice(D_SAE, N, replace=False)) for _ in range(2))
    turned = (cloud.rows @ np.linalg.qr(rng.standard_normal((24, 24)))[0][:16])[order]
    settings = {"d_sae_a": D_SAE, "d_sae_b": D_SAE, "direction": "a_to_b"}
    pairs = make_pairs(ids_a[order], ids_b, np.linspace(1, 0.5, N), settings=settings)
    rows = SpaceRows("decoder", cloud.rows, turned, ids_a, ids_b, pairs)
    names = [np.full(D_SAE, "", dtype=object) for _ in range(2)]
    for side, ids, angle in zip(names, (ids_a, ids_b), (cloud.place, cloud.place[order]), strict=True):
        side[ids] = np.array(["east", "north", "west", "south"], dtype=object)[(angle // (np.pi / 2)).astype(int)]
    return make_graphs(rows, MapperSettings()), names


def test_the_same_shape_is_found_on_both_sides(sides):
    pair, _ = sides
    assert [graph.statistics().loops for graph, _, _ in pair.sides()] == [1, 1]
    found = graphs_beside_chance(pair, names=("a", "b"), n_runs=9)
    assert [result.p_value("loops") for row in found.values() for result in row.values()] == [0.1] * 4


def test_pairs_lead_from_the_rows_of_one_side_to_those_of_the_other(sides):
    pair, _ = sides
    rows_a, rows_b = pair.matched_rows()
    turned_back = np.linalg.lstsq(pair.rows.rows_b[rows_b], pair.rows.rows_a[rows_a], rcond=None)[0]
    np.testing.assert_allclose(pair.rows.rows_b[rows_b] @ turned_back, pair.rows.rows_a[rows_a], atol=1e-8)


def test_partners_stay_together_beyond_both_nulls(sides):
    pair, _ = sides
    found = partner_tests({"decoder": pair}, counts_b=np.arange(D_SAE), n_permutations=99)["decoder"]
    assert list(found) == [PARTNERS, FREQUENCY]
    for result in found.values():
        assert result.score == 1.0 and result.p_value == 0.01 and result.null_mean < 0.6


def test_strangers_do_not(sides):
    pair, _ = sides
    rows, rng = pair.rows, np.random.default_rng(1)
    wrong = make_pairs(rng.permutation(rows.ids_a), rows.ids_b, np.linspace(1, 0.5, N), settings=rows.pairs.settings)
    strangers = make_graphs(
        SpaceRows("decoder", rows.rows_a, rows.rows_b, rows.ids_a, rows.ids_b, wrong), pair.settings
    )
    found = partner_tests({"decoder": strangers}, counts_b=np.arange(D_SAE), n_permutations=99)["decoder"]
    assert all(result.p_value > 0.05 for result in found.values())


def test_members_of_a_node_share_a_known_concept(sides):
    pair, names = sides
    concepts = [[name or None for name in side] for side in names]
    found = members_alike(pair, concepts, names=("a", "b"), n_permutations=99)
    assert list(found) == ["a", "b"]
    for result in found.values():
        assert result.p_value == 0.01 and result.score > 2 * result.null_mean
    sampled = members_alike(pair, concepts, names=("a", "b"), n_permutations=99, max_asked=50)["a"]
    assert sampled.settings["n_relatives"] == 50
    assert members_alike(pair, [[None] * D_SAE] * 2, names=("a", "b")) == {}


def test_nodes_are_described_by_the_features_they_hold(sides):
    pair, names = sides
    for (graph, _, ids), labels, side in zip(pair.sides(), describe_nodes(pair, names, names), names, strict=True):
        for node, label in enumerate(labels):
            held = [side[ids[row]] for row in graph.rows_of(node)]
            assert label.group_share == pytest.approx(max(held.count(name) for name in set(held)) / len(held))
            assert label.names[0] == label.group


def test_correlations_are_those_of_the_strongest_partner():
    settings = {"d_sae_a": 4, "d_sae_b": 4, "direction": "a_to_b"}
    pairs = make_pairs(np.array([2, 2, 0]), np.array([1, 3, 3]), np.array([0.9, 0.7, 0.6]), settings=settings)
    rows = SpaceRows("decoder", np.eye(3), np.eye(3), np.array([0, 1, 2]), np.array([1, 2, 3]), pairs)
    first, second = rows.correlations()
    np.testing.assert_allclose(first, [0.6, np.nan, 0.9], rtol=1e-6)
    np.testing.assert_allclose(second, [0.9, np.nan, 0.7], rtol=1e-6)
