"""Maps: seeded, stored, several dictionaries in one, one along another."""

import logging

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from helpers.geometry import (
    Embedding,
    embed,
    embed_along,
    embed_together,
    map_faithfulness,
    partner_distance,
    turn_onto,
)

SETTINGS = {"n_neighbors": 10, "seed": 3}


@pytest.fixture(scope="module")
def rows():
    """Six clusters of forty directions in twenty dimensions, and which cluster each belongs to."""
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(6), 40)
    return rng.normal(size=(6, 20))[clusters] + 0.3 * rng.normal(size=(240, 20)), clusters


@pytest.fixture(scope="module")
def plain(rows):
    return embed(rows[0], **SETTINGS)


def test_clusters_stay_together(rows, plain):
    assert plain.points.shape == (240, 2) and plain.points.dtype == np.float32
    found = map_faithfulness(rows[0], plain.points, k=10)
    assert found.neighbours_kept > 5 * found.chance and found.trustworthiness > 0.9
    # The same number from scikit-learn, in float64.
    exact = trustworthiness(rows[0], plain.points.astype(np.float64), n_neighbors=10, metric="cosine")
    assert found.trustworthiness == pytest.approx(exact, abs=1e-4)  # float32 distances swap a few equal ranks


def test_the_same_seed_gives_the_same_map_and_another_seed_another(rows, plain):
    np.testing.assert_array_equal(plain.points, embed(rows[0], **SETTINGS).points)
    assert not np.array_equal(plain.points, embed(rows[0], **(SETTINGS | {"seed": 4})).points)


def test_a_stored_map_comes_back_whole(plain, tmp_path):
    plain.save(tmp_path / "map.npz")
    again = Embedding.load(tmp_path / "map.npz")
    np.testing.assert_array_equal(again.points, plain.points)
    np.testing.assert_array_equal(again.ids, plain.ids)
    assert again.settings == plain.settings and again.settings["versions"]["umap-learn"]
    (tmp_path / "map.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="cannot be read as a map"):
        Embedding.load(tmp_path / "map.npz")
    with pytest.raises(ValueError, match="found no such file"):
        Embedding.load(tmp_path / "none.npz")


def test_a_stored_map_that_cannot_be_read_is_made_again_and_said_so(rows, plain, tmp_path, caplog):
    path = tmp_path / "map.npz"
    np.savez(path, points=plain.points)  # of another version, which said nothing of what it holds
    with caplog.at_level(logging.WARNING):
        made = embed(rows[0], path=path, **SETTINGS)
    assert "cannot be read as a map" in caplog.text
    np.testing.assert_array_equal(made.points, plain.points)
    np.testing.assert_array_equal(Embedding.load(path).points, plain.points)


def test_a_stored_map_is_taken_only_for_the_same_rows_and_settings(rows, plain, tmp_path, caplog):
    """The trap: a map of other rows, other features or another seed that lies in the same place."""
    path = tmp_path / "map.npz"
    np.testing.assert_array_equal(embed(rows[0], path=path, **SETTINGS).points, plain.points)
    marked = Embedding(plain.points + 1, plain.ids, plain.settings)
    marked.save(path)  # a map that can be told from one that is made now
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(embed(rows[0], path=path, **SETTINGS).points, marked.points)
        assert caplog.text == ""
        for change, name in (
            ({"seed": 4}, "seed"),
            ({"min_dist": 0.3}, "min_dist"),
            ({"ids": np.arange(240) + 1}, "rows"),
        ):
            marked.save(path)
            made = embed(rows[0], path=path, **(SETTINGS | change))
            assert f"was made with another {name} and is made again" in caplog.text
            assert Embedding.load(path).settings == made.settings != marked.settings
            caplog.clear()
        marked.save(path)
        embed(rows[0] + 0.01, path=path, **SETTINGS)
        assert "another rows" in caplog.text


def test_a_stored_map_along_another_depends_on_its_pairs(rows, plain, tmp_path):
    options = {"ids": np.arange(240), "path": tmp_path / "along.npz", **SETTINGS}
    first = embed_along(rows[0], plain, ids_own=np.arange(50), ids_reference=np.arange(50), **options)
    again = embed_along(rows[0], plain, ids_own=np.arange(50), ids_reference=np.arange(50), **options)
    other = embed_along(rows[0], plain, ids_own=np.arange(50), ids_reference=np.arange(50)[::-1], **options)
    np.testing.assert_array_equal(first.points, again.points)
    assert first.settings["anchors"] != other.settings["anchors"] and not np.array_equal(first.points, other.points)


def test_points_are_found_by_feature_id(plain):
    shuffled = Embedding(plain.points[::-1], plain.ids[::-1] * 3, {})
    np.testing.assert_array_equal(shuffled.at([30, 0, 717]), plain.points[[10, 0, 239]])
    with pytest.raises(ValueError, match="the map has no feature 31"):
        shuffled.at([30, 31])
    with pytest.raises(ValueError, match="the map has no feature 720"):
        shuffled.at([720])


def test_turning_changes_nothing_inside_a_map(plain):
    angle = np.deg2rad(130)
    mirrored = plain.points @ np.array([[np.cos(angle), np.sin(angle)], [np.sin(angle), -np.cos(angle)]]) * 0.2 + 7
    turned = turn_onto(Embedding(mirrored, plain.ids, {}), plain, ids_own=plain.ids[:30], ids_reference=plain.ids[:30])
    np.testing.assert_allclose(turned.points, plain.points, atol=1e-4)  # float32 points of size 10


def test_a_map_whose_partners_do_not_correspond_is_not_shrunk_to_a_point(plain):
    """Least squares would scale by the correlation, which is 0 here, and every partner would seem equally near."""
    strangers = np.random.default_rng(8).normal(size=(240, 2)).astype(np.float32)
    turned = turn_onto(Embedding(strangers, plain.ids, {}), plain, ids_own=plain.ids, ids_reference=plain.ids)
    assert turned.points.std() == pytest.approx(plain.points.std(), rel=0.1)


def test_three_dimensions(rows):
    assert embed(rows[0], n_components=3, **SETTINGS).points.shape == (240, 3)


def test_dictionaries_that_share_a_map_are_fitted_once(rows):
    """Two halves of one set of clusters: each cluster of one half lies beside the same cluster of the other."""
    points, clusters = rows
    parts = {"small": points[::2], "large": points[1::2]}
    found = embed_together(parts, ids={"small": np.arange(0, 240, 2), "large": np.arange(1, 240, 2)}, **SETTINGS)
    whole = embed(np.concatenate(list(parts.values())), **SETTINGS)
    np.testing.assert_array_equal(np.concatenate([found["small"].points, found["large"].points]), whole.points)
    np.testing.assert_array_equal(found["large"].ids, np.arange(1, 240, 2))
    for cluster in range(6):
        small = found["small"].points[clusters[::2] == cluster].mean(axis=0)
        distances = np.linalg.norm(found["large"].points - small, axis=1)
        assert clusters[1::2][distances.argmin()] == cluster


def test_a_map_along_another_puts_partners_at_like_places(rows, plain):
    """The second model: the same clusters in another basis, features in another order, two thirds matched."""
    points, _ = rows
    rng = np.random.default_rng(5)
    order = rng.permutation(240)
    rotation = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    other = (points @ rotation + 0.1 * rng.normal(size=points.shape))[order]
    ids = 1000 + np.arange(240)  # feature ids are not row numbers
    matched = rng.permutation(240)[:160]
    along = embed_along(other, plain, ids=ids, ids_own=ids[matched], ids_reference=order[matched], **SETTINGS)
    rest = np.setdiff1d(np.arange(240), matched)  # pairs that were not used as anchors
    free = embed(other, ids=ids, **SETTINGS)
    near = partner_distance(plain.points[order[rest]], along.points[rest], n_permutations=200)
    assert near.p_value == 1 / 201
    assert near.mean < partner_distance(plain.points[order[rest]], free.points[rest], n_permutations=200).mean
    assert along.settings["n_anchors"] == 160
    # The start does not replace the data: neighbourhoods are kept as well as without it.
    kept = [map_faithfulness(other, part.points, k=10).neighbours_kept for part in (along, free)]
    assert kept[0] > 0.8 * kept[1]


def test_a_map_along_another_does_not_make_strangers_alike(plain):
    """Unrelated rows and pairs drawn at random: only the start comes from the pairs, held-out ones are not near."""
    rng = np.random.default_rng(6)
    strangers, ids = rng.normal(size=(240, 20)), np.arange(240)
    order = rng.permutation(240)
    along = embed_along(strangers, plain, ids=ids, ids_own=ids[:120], ids_reference=order[:120], **SETTINGS)
    held_out = partner_distance(plain.points[order[120:]], along.points[120:], n_permutations=500)
    assert held_out.p_value > 0.01


def test_what_cannot_be_mapped_is_refused(rows, plain):
    points, _ = rows
    with pytest.raises(ValueError, match="needs more than 16 rows; got 12; lower n_neighbors"):
        embed(points[:12], n_neighbors=15)
    with pytest.raises(ValueError, match="n_components must be 2 or 3; got 4"):
        embed(points, n_components=4)
    with pytest.raises(ValueError, match="ids must name every row; got 3 for 240"):
        embed(points, ids=[1, 2, 3])
    with pytest.raises(ValueError, match="rows of one width; got {'a': 20, 'b': 5}"):
        embed_together({"a": points, "b": points[:, :5]})
    with pytest.raises(ValueError, match="the same dimensions; got 3 and 2"):
        turn_onto(Embedding(np.zeros((240, 3)), plain.ids, {}), plain, ids_own=[0, 1, 2], ids_reference=[0, 1, 2])
    with pytest.raises(ValueError, match="at least three pairs; got 1"):
        embed_along(points, plain, ids=np.arange(240), ids_own=[0, 999], ids_reference=[0, 1])
