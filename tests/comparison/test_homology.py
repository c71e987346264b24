"""Clouds of two models: who is whose partner, loops followed and named, and what holds loops of tokens together."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from helpers.comparison import homology
from helpers.comparison.homology import (
    ALL_FEATURES,
    MATCHED_FEATURES,
    Cloud,
    cloud_tests,
    load_clouds,
    named_loops,
    steps_explained,
)
from helpers.features import WordTable
from helpers.geometry.homology import loop_around, persistence

N = 12


def ring_cloud(*, same_order: bool = True) -> Cloud:
    """A ring of twelve in a, with twenty other points; b has the ring in rows of its own, in this or another order."""
    rng = np.random.default_rng(0)
    angle = 2 * np.pi * np.arange(N) / N
    ring = np.column_stack([np.cos(angle), np.sin(angle), np.zeros((N, 6))])
    blob = 0.25 * rng.standard_normal((20, 8)) + np.array([0, 0, 3.0, 0, 0, 0, 0, 0])
    rows_a = np.concatenate([ring, blob])
    order = rng.permutation(N + 20)
    rows_b = np.column_stack([rows_a, np.zeros(N + 20)])
    rows_b[:N] = rows_b[:N] if same_order else rows_b[rng.permutation(N)]
    places_b = np.empty(N + 20, dtype=np.int64)
    places_b[order] = np.arange(N + 20)
    names = tuple(f"on day{i}" for i in range(N + 20))
    partners = np.column_stack([np.arange(N + 20), places_b])
    ids = np.arange(N + 20)
    return Cloud("days", "token", (rows_a, rows_b[order]), (names, names), (ids, ids), partners, "euclidean")


def test_a_loop_is_followed_through_the_partners():
    cloud = ring_cloud()
    loop = loop_around(persistence(cloud.rows[0], n_landmarks=100))
    assert cloud.along(loop) == [f"on day{i}" for i in range(N)]
    kept = cloud.follow(loop, n_permutations=99)
    assert kept is not None and kept.n == N and kept.order.p_value == 1 / 100 and kept.loop.p_value == 1 / 100
    broken = ring_cloud(same_order=False).follow(loop, n_permutations=99)
    assert broken is not None and broken.loop.p_value == 1 / 100 and broken.order.p_value > 0.05


def test_rows_of_partners_are_rows_of_partners():
    cloud = ring_cloud()
    x, y = cloud.matched()
    np.testing.assert_array_equal(np.column_stack([x, np.zeros(len(x))]), y)


def test_a_loop_without_partners_is_not_followed():
    cloud = ring_cloud()
    few = Cloud("few", "feature", cloud.rows, cloud.names, cloud.ids, cloud.partners[9:], "euclidean")
    loop = loop_around(persistence(cloud.rows[0], n_landmarks=100))
    assert few.follow(loop) is None


def test_significant_loops_are_named_and_others_are_not():
    cloud = ring_cloud()
    clouds = {"days": cloud}
    tests = cloud_tests(clouds, sides=["a", "b"], n_runs=39, n_landmarks=100)
    assert list(tests) == ["days, a", "days, b"]
    found = named_loops(clouds, tests, sides=["a", "b"], alpha=0.05)
    assert [(loop.cloud, loop.side, loop.p_value) for loop in found] == [("days", 0, 1 / 40), ("days", 1, 1 / 40)]
    assert set(found[0].names) == {f"on day{i}" for i in range(N)}
    assert named_loops(clouds, tests, sides=["a", "b"], alpha=0.01) == []


def test_steps_of_a_rim_of_a_table_are_explained_and_those_of_a_ring_of_days_are_not():
    rim = ["on Mon", "on Tue", "on Wed", "by Wed", "by Tue", "by Mon"]
    result = steps_explained([rim, rim[::-1]], n_permutations=199)
    assert result.score == 1.0 and result.p_value < 0.02
    # By hand: the last step closes the loop; here it alone keeps something.
    assert steps_explained([["on Mon", "by Tue", "at Wed", "on Thu"]], n_permutations=9).score == pytest.approx(1 / 4)
    days = [f"w{i} day{i}" for i in range(7)]
    assert steps_explained([days], n_permutations=19).p_value == 1.0
    with pytest.raises(ValueError, match="at least one loop"):
        steps_explained([])


def test_shuffles_stay_inside_their_loop():
    """Two loops that each keep a word everywhere: no order of their points can change that."""
    result = steps_explained([["a x", "b x", "c x", "d x"], ["a y", "b y", "c y", "d y"]], n_permutations=50)
    assert result.score == 1.0 and (result.null == 1.0).all()


@pytest.fixture
def loaded(alike, monkeypatch, tmp_path):
    """Clouds of the two matched spaces; every third token is Monday, every sixth Friday."""
    word_ids = np.full(alike.store_a.n_tokens, 2, dtype=np.int32)
    word_ids[::3], word_ids[1::6] = 0, 1
    words = WordTable(("Monday", "Friday", "the"), word_ids)
    table = SimpleNamespace(word=lambda feature: f"word{feature}" if feature else "")
    parts = homology._Parts(alike, SimpleNamespace(), (table, table), words)
    monkeypatch.setattr(homology, "_parts", lambda *_: parts)
    monkeypatch.setattr(homology, "FeatureIndex", lambda table: table)
    monkeypatch.setattr(homology, "concept_features", lambda *_, **__: SimpleNamespace(ids=np.arange(5, 30)))
    file = tmp_path / "groups.yaml"
    file.write_text("groups:\n  days:\n    words: Monday Friday Sunday\n    case: exact\n")
    return lambda **settings: load_clouds(None, "main", concepts=str(file), groups=["days"], **settings)


def test_clouds_have_the_rows_of_their_points(loaded, alike):
    clouds = loaded(min_points=2, n_tokens=100, min_corr=0.3)
    assert list(clouds) == [ALL_FEATURES, MATCHED_FEATURES, "days, features", "days, words", "days, tokens"]
    features = clouds[ALL_FEATURES]
    np.testing.assert_array_equal(features.rows[0], alike.directions_a[alike.candidates[0]])
    x, y = features.matched()
    pairs = alike.pairs.above(0.3)
    np.testing.assert_array_equal(x, alike.directions_a[pairs.ids_a])
    np.testing.assert_array_equal(y, alike.directions_b[pairs.ids_b])
    assert features.names[0][0] == "feature 0" and features.names[0][1] == "word1"
    matched = clouds[MATCHED_FEATURES]
    assert matched.n == (pairs.n_pairs, pairs.n_pairs) == (len(matched.partners),) * 2
    np.testing.assert_array_equal(matched.matched()[1], alike.directions_b[pairs.ids_b])
    assert set(clouds["days, features"].ids[0].tolist()) == set(range(5, 30)) & set(alike.candidates[0].tolist())


def test_tokens_are_what_the_dictionary_writes_there(loaded, alike):
    cloud = loaded(min_points=2, n_tokens=100)["days, tokens"]
    rows = cloud.ids[0]
    written = np.asarray(homology.take_rows(alike.store_b, rows).todense()) @ alike.directions_b
    np.testing.assert_allclose(cloud.rows[1], written, atol=1e-6)
    assert np.array_equal(rows, cloud.ids[1]) and len(rows) == 100  # fifty of each word
    assert (rows % 3 == 0).sum() == 50 and (rows % 6 == 1).sum() == 50
    assert all(
        name.rsplit(" ", 1)[1] == ("Monday" if row % 3 == 0 else "Friday")
        for name, row in zip(cloud.names[0], rows, strict=True)
    )


def test_words_are_means_and_small_clouds_are_left_out(loaded):
    clouds = loaded(min_points=2)
    assert clouds["days, words"].names[0] == ("Monday", "Friday")  # Sunday stands nowhere
    assert "days, words" not in loaded(min_points=3)


def test_random_tokens_follow_the_seed(loaded):
    draw = lambda seed: loaded(min_points=2, n_tokens=20, seed=seed)["days, tokens"].ids[0].tolist()
    assert draw(1) == draw(1) != draw(2)
