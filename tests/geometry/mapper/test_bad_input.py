"""What Mapper refuses, and that its errors name the parameter to change, the direction and the numbers."""

import numpy as np
import pytest
from kmapper import Cover, KeplerMapper
from sklearn.cluster import DBSCAN

from helpers.geometry.mapper import MapperSettings, mapper_graph
from helpers.geometry.mapper.lenses import MapperPoints, mapper_lens
from helpers.geometry.point_clouds import point_cloud


@pytest.fixture(scope="module")
def noise():
    return point_cloud("noise", n_points=300, d=512, noise=0, seed=0).rows


def test_the_usual_default_of_dbscan_calls_everything_noise_and_ours_does_not(noise):
    """The trap of this method: an empty graph is a problem of parameters and no result."""
    lens = noise[:, :1]
    usual = KeplerMapper().map(lens, noise, clusterer=DBSCAN(eps=0.5, min_samples=3), cover=Cover(10, 0.4))
    assert len(usual["nodes"]) == 0
    assert mapper_graph(noise, MapperSettings()).statistics().unused < 0.1
    message = r"empty: eps=0.5 is too small \(inside cubes the \d+th to \d+th nearest row is 1\.\d+ to 1\.\d+ away"
    with pytest.raises(ValueError, match=message + r", and eps=0 reads off 1\.\d+\); raise eps, or lower n_cubes=8"):
        mapper_graph(noise, MapperSettings(eps=0.5))


def test_one_node_of_all_rows_asks_for_more_cubes_or_less_eps(noise):
    with pytest.raises(ValueError, match=r"one node, which holds 300 of 300 rows: raise n_cubes=1 .* lower eps=9"):
        mapper_graph(noise, MapperSettings(n_cubes=1, eps=9))


def test_one_node_among_noise_asks_for_more_eps(noise):
    rows = np.concatenate([noise, noise[:1] + 1e-3 * np.random.default_rng(0).standard_normal((30, 512))])
    with pytest.raises(ValueError, match=r"one node, and 2\d\d of 330 rows are in none: raise eps=0.3"):
        mapper_graph(rows, MapperSettings(eps=0.3, n_cubes=1))


def test_nodes_without_a_tie_ask_for_more_gain():
    rows = np.concatenate([np.random.default_rng(i).normal(3 * i, 0.05, (40, 4)) for i in range(4)])
    with pytest.raises(ValueError, match=r"no two of the 4 nodes .* raise gain=0\.05 .* or lower n_cubes=4"):
        mapper_graph(rows, MapperSettings(gain=0.05, n_cubes=4, eps=0.5))


def test_cubes_with_too_few_rows_ask_for_fewer(noise):
    with pytest.raises(
        ValueError, match=r"no cube has the 200 rows \(min_samples\) .* fullest of \d+ has \d+; lower n_cubes"
    ):
        mapper_graph(noise, MapperSettings(min_samples=200, n_cubes=20))


def test_rows_that_are_mostly_copies_have_no_eps():
    rows = np.repeat(point_cloud("circle", n_points=20, d=8, noise=0, seed=0).rows, 60, axis=0)
    with pytest.raises(ValueError, match="eps cannot be read off: most rows have so many exact copies"):
        mapper_graph(rows, MapperSettings())
    found = mapper_graph(
        rows, MapperSettings(eps=0.9, n_cubes=8)
    ).statistics()  # with eps given, copies are no obstacle
    assert found.unused == 0


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (np.ones((50, 4)), {}, "all 50 rows are the same point"),
        (np.eye(3), {}, "at least four rows; got 3"),
        (np.full((20, 3), np.nan), {}, "finite numbers"),
        (np.zeros(20), {}, "must be .n, d."),
        (np.vstack([np.zeros(4), np.random.default_rng(0).standard_normal((30, 4))]), {"metric": "cosine"}, "row 0 is zero"),
        (np.eye(30), {"metric": "taxi"}, "metric must be one of"),
        (np.eye(30), {"lens": "tsne"}, "lens must be one of pca, l2_norm, umap, isomap, density, concept"),
        (np.eye(30), {"lens": "l2_norm"}, r"lens 'l2_norm' is the same for all rows \(1 in component 1\)"),
        (np.eye(30), {"lens": "umap"}, "lens 'umap' has n_components=2; got 1"),
        (np.eye(30), {"lens": "density", "n_neighbors": 29}, "n_neighbors must be from 1 to 28 for 30 rows; got 29"),
        (np.eye(30), {"lens": "concept"}, "scores go with lens='concept'"),
        (np.arange(30.0)[:, None], {"n_components": 2}, "rows of 1 dimensions have no 2 principal components"),
        (np.outer(np.arange(30.0), [1, 2]), {"n_components": 2}, "in component 2. and cannot cut them into pieces"),
        (np.eye(30), {"gain": 1.0}, "gain, the share .* must be between 0 and 1; got 1.0"),
    ],
)  # fmt: skip
def test_rows_lenses_and_covers_that_make_no_sense_are_refused(rows, settings, message):
    with pytest.raises(ValueError, match=message):
        mapper_graph(rows, MapperSettings(**settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_samples": 1}, "min_samples of at least 2"),
        ({"eps": -1.0}, "eps, n_cubes and reach_k of at least 0"),
        ({"n_cubes": -1}, "n_cubes"),
        ({"core_share": 1.1}, r"core_share must be in \[0, 1\]"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MapperSettings(**settings)


def test_scores_must_be_one_a_row():
    rows = np.random.default_rng(0).standard_normal((30, 4))
    with pytest.raises(ValueError, match="scores must be .30, 1. finite numbers, one line a row; got shape .29, 1."):
        mapper_graph(rows, MapperSettings(lens="concept"), scores=np.arange(29))
    with pytest.raises(ValueError, match="scores go with lens='concept' and with no other; got lens='pca'"):
        mapper_graph(rows, MapperSettings(), scores=np.arange(30))


def test_isomap_says_that_the_neighbour_graph_falls_apart():
    rows = point_cloud("two_clusters", n_points=100, d=8, noise=0, seed=0).rows
    with pytest.raises(
        ValueError, match=r"falls into 2 parts with n_neighbors=5 \(the largest have 50, 50 of 100 rows\)"
    ):
        mapper_graph(rows, MapperSettings(lens="isomap", n_neighbors=5))
    assert mapper_graph(rows, MapperSettings(lens="isomap", n_neighbors=60)).statistics().components == 2


def test_isomap_needs_more_landmarks_than_neighbours():
    data = MapperPoints.of(np.random.default_rng(0).standard_normal((60, 4)), metric="euclidean")
    with pytest.raises(ValueError, match="n_neighbors must be below the number of landmarks, 10; got 15"):
        mapper_lens(data, lens="isomap", max_landmarks=10)
