"""Circles of two models: orders corrected together, dictionaries that keep them, partners that draw them again."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from helpers.comparison.circle_partners import cluster_words, partner_planes
from helpers.comparison.circle_sides import CirclePair, CircleSide
from helpers.comparison.circles import dictionary_rows, group_plane, order_table, own_features, save_planes
from helpers.features import ConceptGroup, WordTable
from helpers.geometry.circles import CirclePlane, FeatureClusters, FiringColumns, find_candidates, planted_circle
from helpers.matching.pairs import make_pairs
from tests.activations.conftest import write_store

DAYS = ConceptGroup("days", ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), case="exact")


def circle(n: int, d: int = 20, *, noise: float = 0.3, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(n) / n
    frame = np.linalg.qr(rng.standard_normal((d, 2)))[0]
    return np.column_stack([np.cos(angle), np.sin(angle)]) @ frame.T + noise * rng.standard_normal((n, d)) / np.sqrt(d)


@pytest.fixture(scope="module")
def table_and_rows():
    rows = {
        ("a", "blocks.0.hook_resid_pre", "first", "days"): (
            np.random.default_rng(5).standard_normal((7, 20)),
            DAYS.words,
        ),
        ("a", "blocks.0.hook_resid_post", "first", "days"): (circle(7), DAYS.words),
        ("b", "blocks.0.hook_resid_post", "first", "days"): (circle(7, seed=2), DAYS.words),
        ("b", "blocks.1.hook_resid_post", "first", "days"): (circle(7)[:4], DAYS.words[:4]),
    }
    return order_table(rows, n_permutations=999), rows


def test_places_with_too_few_words_are_left_out_and_named(table_and_rows):
    table, rows = table_and_rows
    assert table.left_out == (("b", "blocks.1.hook_resid_post", "first", "days"),)
    assert set(table.orders) == set(rows) - set(table.left_out)


def test_p_values_are_corrected_over_all_places_and_questions(table_and_rows):
    table, _ = table_and_rows
    p = np.array([test.p_value for tests in table.tests.values() for test in tests.values()])
    corrected = np.array([test.p_corrected for tests in table.tests.values() for test in tests.values()])
    order = np.argsort(p)
    by_hand = np.minimum.accumulate((p[order] * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]
    np.testing.assert_allclose(corrected[order], np.minimum(by_hand, 1))
    assert len(p) == 3 * 4


def test_the_best_place_and_its_verdict(table_and_rows):
    table, _ = table_and_rows
    best = table.best("a", "days", "held out")
    assert best[1] == "blocks.0.hook_resid_post" and table.verdict(best) == "a circle"
    assert table.verdict(("a", "blocks.0.hook_resid_pre", "first", "days")) == "none found"
    assert table.counts() == {("first", "days"): (2, 3)}
    with pytest.raises(ValueError, match="no place of model 'b' has enough words of 'months'"):
        table.best("b", "months", "circle")


def test_merged_tables_keep_their_own_corrections(table_and_rows):
    table, _ = table_and_rows
    other = order_table({("c", "x", "first", "days"): (circle(7, seed=4), DAYS.words)}, n_permutations=99)
    both = table.merged(other)
    assert set(both.orders) == {*table.orders, *other.orders} and both.left_out == table.left_out
    assert both.tests["c", "x", "first", "days"] == other.tests["c", "x", "first", "days"]


def test_planes_are_saved_for_every_place(table_and_rows, tmp_path):
    table, rows = table_and_rows
    written = save_planes(tmp_path, table, rows)
    assert len(written) == 2 * len(table.orders)
    place = ("a", "blocks.0.hook_resid_post", "first", "days")
    again = CirclePlane.load(tmp_path / "a_days_blocks.0.hook_resid_post_order.npz")
    np.testing.assert_array_equal(again.places, group_plane(table, rows, place, kind="order").places)
    assert again.hook_name == place[1] and again.words == DAYS.words


def make_pair(folder, *, right_partners: bool) -> tuple[CirclePair, np.ndarray]:
    """Two dictionaries with the planted circle, b turned and with its features in another order."""
    world = planted_circle(n_tokens=6000, n_features=60, seed=1)
    d_sae = len(world.directions)
    rng = np.random.default_rng(2)
    order = rng.permutation(d_sae)
    turn = np.linalg.qr(rng.standard_normal((64, 64)))[0]
    # Words: a day wherever the circle is, by its angle; another word elsewhere.
    day = np.where(np.isnan(world.angles), 7, np.nan_to_num(world.angles) // (2 * np.pi / 7)).astype(np.int32)
    words = WordTable((*DAYS.words, "other"), np.minimum(day, 7))
    sides = [
        CircleSide(
            name, "blocks.0.hook_resid_post", None, None,
            write_store(folder / name, scipy.sparse.csr_array(acts)), directions, words,
        )
        for name, acts, directions in (
            ("a", world.acts, world.directions),
            ("b", world.acts[:, order], world.directions[order] @ turn),
        )
    ]  # fmt: skip
    partners = np.argsort(order) if right_partners else rng.permutation(d_sae)
    settings = {"d_sae_a": d_sae, "d_sae_b": d_sae, "direction": "a_to_b"}
    return CirclePair(*sides, make_pairs(np.arange(d_sae), partners, np.ones(d_sae), settings=settings)), world.circle


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    return make_pair(tmp_path_factory.mktemp("right"), right_partners=True)


def test_own_features_fire_on_the_group_most_of_the_time(right):
    pair, circle_ids = right
    assert own_features(pair.a, DAYS).tolist() == circle_ids.tolist()


def test_dictionaries_keep_the_order_and_so_do_the_partners(right):
    pair, _ = right
    rows = dictionary_rows(pair, [DAYS])
    assert {place[1] for place in rows} == {"all features", "own features", "partners of a's"}
    table = order_table(rows, n_permutations=999)
    for place in rows:
        if place[1] != "all features":
            assert table.verdict(place) == "a circle", place
    mine = rows["a", "own features", "dictionary", "days"][0]
    theirs = rows["b", "partners of a's", "dictionary", "days"][0]
    np.testing.assert_allclose(mine @ mine.T, theirs @ theirs.T, atol=0.01)  # turned; stores hold half precision


def candidates_of(pair, circle_ids):
    clusters = FeatureClusters.of([circle_ids], d_sae=pair.a.store.d_sae, name="known")
    return find_candidates(pair.a.store, pair.a.directions, [clusters], n_runs=19).candidates


def test_partners_draw_the_same_plane_and_wrong_partners_do_not(right, tmp_path):
    pair, circle_ids = right
    (found,) = partner_planes(pair, candidates_of(pair, circle_ids), n_runs=49)
    assert found.agreement > 0.99 and found.chance < 0.3 and found.p_agreement == found.p_score == 1 / 50
    wrong, circle_ids = make_pair(tmp_path, right_partners=False)
    (other,) = partner_planes(wrong, candidates_of(wrong, circle_ids), n_runs=49)
    assert other.agreement < 0.5 and other.p_agreement > 0.02


def test_a_cluster_without_two_partners_is_left_out(right):
    pair, circle_ids = right
    few = CirclePair(pair.a, pair.b, pair.pairs.select(pair.pairs.ids_a == circle_ids[0]))
    assert partner_planes(few, candidates_of(pair, circle_ids)) == []


def test_words_of_a_cluster_are_the_most_frequent(right):
    pair, circle_ids = right
    text = cluster_words(pair.a, circle_ids, FiringColumns.of(pair.a.store), n=7)
    assert set(text.split(", ")) == set(DAYS.words)
