"""Two dictionaries as maps: rows by feature id, alignment beside its controls, neighbours beside their null."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from helpers.comparison import feature_maps
from helpers.comparison.feature_maps import (
    SpaceRows,
    alignment_steps,
    another_seed,
    lay_out,
    map_clusters,
    neighbour_tests,
    random_layout,
)
from helpers.geometry import Embedding
from helpers.matching.pairs import make_pairs

N, LAYOUT = 240, {"n_neighbors": 10, "n_epochs": 100, "seed": 3}


def rows_of(*, alike: bool) -> SpaceRows:
    """Twelve clusters of twenty features; b's are the same in another basis and order, or strangers. 200 are matched."""
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(12), N // 12)
    a = rng.normal(size=(12, 20))[cluster] + 0.3 * rng.normal(size=(N, 20))
    order = rng.permutation(N)
    basis = np.linalg.qr(rng.normal(size=(24, 20)))[0].T
    b = (a @ basis + 0.1 * rng.normal(size=(N, 24)))[order] if alike else rng.normal(size=(N, 24))
    ids_a, ids_b = 1000 + np.arange(N), 5000 - np.arange(N)  # neither side's ids are places
    chosen = rng.permutation(N)[:200]
    pairs = make_pairs(
        ids_a[order[chosen]],
        ids_b[chosen],
        rng.uniform(0.5, 1, 200).astype(np.float32),
        settings={"d_sae_a": 6000, "d_sae_b": 6000, "direction": "a_to_b"},
    )
    return SpaceRows("decoder", a, b, ids_a, ids_b, pairs)


@pytest.fixture(scope="module")
def alike():
    return lay_out(rows_of(alike=True), k=10, **LAYOUT)


@pytest.fixture(scope="module")
def strangers():
    return lay_out(rows_of(alike=False), k=10, **LAYOUT)


def test_rows_and_points_of_pairs_are_found_by_feature_id(alike):
    x, y = alike.rows.matched()
    place_a, place_b = alike.rows.pairs.ids_a - 1000, 5000 - alike.rows.pairs.ids_b
    np.testing.assert_array_equal(x, alike.rows.rows_a[place_a])
    np.testing.assert_array_equal(y, alike.rows.rows_b[place_b])
    np.testing.assert_array_equal(alike.matched()[1], alike.b.points[place_b])


def test_neighbours_are_shared_by_like_spaces_and_not_by_strangers(alike, strangers):
    found = neighbour_tests({"like": alike, "unlike": strangers}, k=10, n_permutations=199)
    assert list(found) == ["like, rows", "like, maps", "unlike, rows", "unlike, maps"]
    for where in ("rows", "maps"):
        like, unlike = found[f"like, {where}"], found[f"unlike, {where}"]
        assert like.p_value == 1 / 200 and like.score > 5 * like.null_mean
        # k of the n - 1 others are shared by chance.
        assert like.null_mean == pytest.approx(10 / 199, rel=0.1)
        assert unlike.score < 2 * unlike.null_mean
    assert found["unlike, rows"].p_value > 0.01
    # The trap: a map along another starts from the partners, and must not make strangers' neighbourhoods alike.
    assert found["unlike, maps"].score < 0.2 * found["like, maps"].score


def test_alignment_brings_held_out_partners_near_and_wrong_partners_do_not(alike, strangers):
    steps = alignment_steps(alike, n_permutations=199, **LAYOUT)
    held_out, wrong = steps["the same, held-out pairs"], steps["started from wrong partners"]
    assert held_out.p_value == 1 / 200 and held_out.mean < 0.7 and held_out.n_pairs == 100
    assert wrong.mean > held_out.mean + 0.2
    assert steps["started from the partners"].mean < steps["turned onto the first"].mean
    unlike = alignment_steps(strangers, n_permutations=199, **LAYOUT)
    assert unlike["the same, held-out pairs"].mean > held_out.mean + 0.2


def test_random_places_keep_what_chance_keeps(alike):
    found = random_layout(alike)
    # 2,400 answers, each right with probability 10 / 239: four standard errors.
    assert found.neighbours_kept == pytest.approx(found.chance, abs=4 * np.sqrt(found.chance / 2400))
    assert alike.faithful_a.neighbours_kept > 5 * found.neighbours_kept


def test_another_seed_is_the_best_that_maps_can_show(alike):
    ceiling = another_seed(alike, k=10, n_permutations=99, **LAYOUT)
    across = neighbour_tests({"x": alike}, k=10, n_permutations=99)["x, maps"]
    assert ceiling.score > across.score > ceiling.null_mean


def test_clusters_are_carried_to_the_partners(alike):
    mine, carried = map_clusters(alike, min_size=10)
    sizes = np.bincount(mine[mine >= 0])
    assert (np.diff(sizes) <= 0).all() and len(sizes) > 3
    pairs = alike.rows.pairs
    np.testing.assert_array_equal(carried[5000 - pairs.ids_b], mine[pairs.ids_a - 1000])
    unmatched = np.setdiff1d(np.arange(N), 5000 - pairs.ids_b)
    assert (carried[unmatched] == -1).all()


def test_points_show_the_correlation_of_their_strongest_pair(alike):
    a, b = alike.correlations()
    pairs = alike.rows.pairs
    np.testing.assert_array_equal(a[pairs.ids_a - 1000], pairs.corr)
    assert np.isnan(a).sum() == np.isnan(b).sum() == N - 200
    twice = make_pairs(
        np.append(pairs.ids_a, pairs.ids_a[0]), np.append(pairs.ids_b, pairs.ids_b[5]), np.append(pairs.corr, np.float32(0.2)),
        settings=pairs.settings,
    )  # fmt: skip
    again, _ = replace(alike, rows=replace(alike.rows, pairs=twice)).correlations()
    assert again[pairs.ids_a[0] - 1000] == pairs.corr[0]


def test_maps_are_stored_and_taken_again(alike, tmp_path):
    first = lay_out(alike.rows, folder=tmp_path, k=10, **LAYOUT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["decoder_2d_a.npz", "decoder_2d_b.npz"]
    Embedding(first.a.points + 1, first.a.ids, first.a.settings).save(tmp_path / "decoder_2d_a.npz")
    again = lay_out(alike.rows, folder=tmp_path, k=10, **LAYOUT)
    np.testing.assert_array_equal(again.a.points, first.a.points + 1)


def test_sentences_under_the_maps_say_what_was_lost(alike):
    noted = replace(alike, rows=replace(alike.rows, note="Half is lost."))
    assert noted.sentences(("x", "y"))[-1] == "Half is lost." and len(alike.sentences(("x", "y"))) == 2
    assert alike.sentences(("x", "y"))[1].startswith("y: the map keeps")


@pytest.mark.parametrize(("space", "d_a"), [("decoder", 6), ("encoder", 5), ("firing", 3)])
def test_every_space_holds_the_features_that_could_be_matched(monkeypatch, space, d_a):
    ids = np.array([4, 7, 9])
    pairs = make_pairs(np.array([7, 9, 4]), np.array([4, 7, 9]), np.array([0.9, 0.8, 0.2], np.float32),
                       settings={"d_sae_a": 10, "d_sae_b": 10, "direction": "a_to_b"})  # fmt: skip
    directions = {"decoder": np.arange(60.0).reshape(10, 6), "encoder": np.arange(50.0).reshape(10, 5)}

    def load(read, run, *, space):
        weights = directions[space]
        return SimpleNamespace(
            candidates=(ids, ids), directions_a=weights, directions_b=weights, store_a="a", store_b="b", pairs=pairs
        )

    def pack(store, feature_ids, *, n_components, seed):
        kept = feature_ids[:2] if store == "a" else feature_ids  # feature 9 of a has no place
        return SimpleNamespace(rows=np.ones((len(kept), 3)), ids=kept, neighbours_kept=0.5, k=15)

    monkeypatch.setattr(feature_maps, "load_matched_spaces", load)
    monkeypatch.setattr(feature_maps, "firing_rows", pack)
    found = feature_maps.load_space_rows(None, "main", space=space, min_corr=0.5, n_components=3)
    assert found.rows_a.shape[1] == d_a
    assert found.pairs.ids_a.tolist() == ([7] if space == "firing" else [7, 9])  # both partners must have a row
    assert bool(found.note) == (space == "firing")
    if space != "firing":
        np.testing.assert_array_equal(found.rows_a, directions[space][ids])


def test_another_space_is_refused():
    with pytest.raises(ValueError, match="space must be one of decoder, encoder, firing; got 'neurons'"):
        feature_maps.load_space_rows(None, "main", space="neurons", min_corr=0.5, n_components=3)
