"""The search: a planted circle comes first, mixtures and noise give nothing, and only the shape counts."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.geometry.circles import (
    FeatureClusters,
    FiringColumns,
    chance_cosine,
    cluster_features,
    cosine_graph,
    find_candidates,
    planted_circle,
)
from helpers.geometry.circles.candidates import MIXED, NULLS


def by_cosine(directions: np.ndarray) -> FeatureClusters:
    every = np.arange(len(directions))
    least = chance_cosine(directions, every)
    return cluster_features(cosine_graph(directions, every, min_cosine=least), method="components", name="cosine")


def among_equals(world, *, size: int = 8, seed: int = 0) -> FeatureClusters:
    """The planted groups, and all other features in clusters of the same size."""
    planted = [world.circle, world.mixture]
    rest = np.random.default_rng(seed).permutation(
        np.setdiff1d(np.arange(len(world.directions)), np.concatenate(planted))
    )
    others = [rest[start : start + size] for start in range(0, len(rest) - size + 1, size)]
    return FeatureClusters.of([*planted, *others], d_sae=len(world.directions), name="known")


@pytest.mark.parametrize("d", [64, 512])
def test_a_planted_circle_among_1000_features_is_found_and_first(d):
    world = planted_circle(n_tokens=10_000, n_features=1000, d=d, seed=1)
    found = find_candidates(world.acts, world.directions, [by_cosine(world.directions)], n_runs=199)
    first = found.candidates[0]
    np.testing.assert_array_equal(first.ids, world.circle)
    assert [candidate.ids.tolist() for candidate in found.significant()] == [world.circle.tolist()]
    assert first.plane == 0 and first.p_value == pytest.approx(1 / 200)
    assert all(first.score > 1.1 * null.mean for null in first.nulls.values()) and tuple(first.nulls) == NULLS


def test_it_is_first_among_as_many_clusters_as_there_are():
    world = planted_circle(n_tokens=6000, n_features=1000, seed=2)
    found = find_candidates(world.acts, world.directions, [among_equals(world)], n_runs=499)
    assert len(found.candidates) == 1 + 1000 // 8
    np.testing.assert_array_equal(found.candidates[0].ids, world.circle)
    assert found.candidates[0].p_value == 1 / 500 < found.candidates[1].p_value


def test_two_features_that_never_meet_are_rejected():
    """They are tied (exclusive firing is no independence) and beat two nulls; the third and the mixture index tell."""
    for seed in range(5):
        world = planted_circle(n_tokens=8000, n_features=20, seed=seed)
        clusters = FeatureClusters.of([world.mixture], d_sae=len(world.directions), name="known")
        found = find_candidates(world.acts, world.directions, [clusters], n_runs=99, min_members=2)
        (pair,) = found.candidates
        assert pair.separability > 0.5 and pair.mixture >= MIXED and found.significant() == []
        assert pair.nulls["own firing"].mean < pair.score < 1.5 * pair.nulls["own directions"].mean


def test_noise_gives_no_candidate_and_few_small_p_values():
    """False positives, stated: of 125 clusters of independent features at most 5 % have p <= 0.05 (the largest of three
    p-values is conservative), and none is significant."""
    world = planted_circle(n_tokens=6000, n_features=1000, with_circle=False, seed=3)
    found = find_candidates(world.acts, world.directions, [among_equals(world)], n_runs=99)
    p_values = np.array([candidate.p_value for candidate in found.candidates])
    assert found.significant() == []
    # 125 tests at 5 %: 6.25 expected at most, 13 is the 99 % point of the binomial.
    assert (p_values <= 0.05).sum() <= 13
    assert find_candidates(world.acts, world.directions, [by_cosine(world.directions)], n_runs=99).significant() == []


def test_rotation_and_order_of_the_features_change_nothing():
    world = planted_circle(n_tokens=4000, n_features=60, seed=4)
    clusters = among_equals(world)
    settings = {"n_runs": 19, "max_points": 5000}
    plain = find_candidates(world.acts, world.directions, [clusters], **settings)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((64, 64)))[0]
    turned = find_candidates(world.acts, world.directions @ turn, [clusters], **settings)
    order = np.random.default_rng(1).permutation(len(world.directions))
    shuffled = find_candidates(
        world.acts[:, order], world.directions[order], [FeatureClusters(clusters.labels[order], "known")], **settings
    )
    for other, ids_of in ((turned, lambda ids: ids), (shuffled, lambda ids: np.sort(order[ids]))):
        mine = {tuple(found.ids): found for found in plain.candidates}
        theirs = {tuple(ids_of(found.ids)): found for found in other.candidates}
        assert mine.keys() == theirs.keys()
        for ids, found in mine.items():
            # Principal components may be mirrored, which moves points over the edges of bins.
            assert theirs[ids].score == pytest.approx(found.score, rel=0.15, abs=0.02)
        np.testing.assert_array_equal(ids_of(other.candidates[0].ids), world.circle)


def test_threads_and_other_clusters_do_not_change_a_result():
    world = planted_circle(n_tokens=3000, n_features=40, seed=5)
    clusters = among_equals(world, size=5)
    one = find_candidates(world.acts, world.directions, [clusters], n_runs=19)
    two = find_candidates(world.acts, world.directions, [clusters], n_runs=19, n_threads=2)
    alone = FeatureClusters.of([world.circle], d_sae=len(clusters.labels), name="alone")
    only = find_candidates(FiringColumns.of(world.acts), world.directions, [alone], n_runs=19).candidates[0]
    assert [(c.score, c.p_value) for c in one.candidates] == [(c.score, c.p_value) for c in two.candidates]
    assert only.score == one.candidates[0].score and only.nulls == one.candidates[0].nulls
    assert only.p_corrected == only.p_value


def test_what_several_clusterings_find_is_scored_once():
    world = planted_circle(n_tokens=3000, n_features=20, seed=6)
    d_sae = len(world.directions)
    first = FeatureClusters.of([world.circle, [12, 13, 14]], d_sae=d_sae, name="first")
    second = FeatureClusters.of([world.circle, [15, 16, 17]], d_sae=d_sae, name="second")
    found = find_candidates(world.acts, world.directions, [first, second], n_runs=19)
    assert sorted((len(c.ids), c.made) for c in found.candidates) == [(3, "first"), (3, "second"), (8, "first")]


def test_what_cannot_be_scored_is_counted():
    """Dead features, rare clusters, pairs, crowds, and features that all write in one direction."""
    rng = np.random.default_rng(0)
    acts = rng.random((400, 20)) * (rng.random((400, 20)) < 0.3)
    acts[:, 0:3] = 0
    acts[60:, 3:6] = 0
    acts[:30, 3:6] = 0
    directions = rng.standard_normal((20, 16))
    directions[6:9] = directions[6]
    clusters = FeatureClusters.of(
        [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10], list(range(11, 17)), [17, 18, 19]], d_sae=20, name="known"
    )
    found = find_candidates(acts, directions, [clusters], n_runs=19, max_members=5)
    assert (found.n_too_few_tokens, found.n_other_size, found.n_flat) == (2, 2, 1)
    assert [candidate.ids.tolist() for candidate in found.candidates] == [[17, 18, 19]]
    assert "1 clusters scored" in found.sentence() and "1 that lie on a line" in found.sentence()


def test_a_dead_member_and_a_constant_feature_do_no_harm():
    rng = np.random.default_rng(0)
    acts = rng.random((300, 4)) * (rng.random((300, 4)) < 0.5)
    acts[:, 2], acts[:, 3] = 1.0, 0.0
    clusters = FeatureClusters.of([[0, 1, 2, 3]], d_sae=4, name="known")
    (found,) = find_candidates(acts, rng.standard_normal((4, 8)), [clusters], n_runs=19).candidates
    assert found.ids.tolist() == [0, 1, 2] and np.isfinite(found.score) and 0 < found.p_value <= 1


def test_without_clusters_the_list_is_empty():
    none = FeatureClusters(np.full(3, -1), "none")
    found = find_candidates(np.eye(3), np.eye(3), [none], n_runs=19)
    assert found.candidates == () and found.significant() == []


def test_columns_of_the_table():
    world = planted_circle(n_tokens=6000, n_features=10, seed=7)
    clusters = FeatureClusters.of([world.circle], d_sae=len(world.directions), name="known")
    text = find_candidates(world.acts, world.directions, [clusters], n_runs=19).candidates[0].as_text()
    assert text["features"] == "8" and text["p"] == "0.05"
    assert len(text["directions / firing / Gaussian"].split(" / ")) == len(NULLS)


def test_parameters_that_make_no_sense_are_refused():
    clusters = FeatureClusters(np.full(3, -1), "none")
    for options in ({"n_runs": 0}, {"max_points": 10}, {"min_members": 1}, {"max_members": 2}, {"n_threads": 0}):
        with pytest.raises(ValueError, match="expected n_runs and n_threads of at least 1"):
            find_candidates(np.eye(3), np.eye(3), [clusters], **options)
    with pytest.raises(ValueError, match="the activations have 3 features; got 2 directions"):
        find_candidates(np.eye(3), np.eye(3)[:2], [clusters])
    with pytest.raises(ValueError, match=r"clusters of \[4\] features"):
        find_candidates(np.eye(3), np.eye(3), [FeatureClusters(np.full(4, -1), "other")])


def test_the_planted_circle_is_a_circle():
    world = planted_circle(n_tokens=5000, n_features=5, noise=0.0, seed=8)
    points = FiringColumns.of(world.acts).points_of(world.circle, world.directions)
    np.testing.assert_allclose(np.linalg.norm(points.points, axis=1), 1.0, atol=1e-6)
    flat = points.principal().coordinates
    assert flat.shape[1] == 2
    on = world.angles[points.rows]
    assert np.isnan(np.delete(world.angles, points.rows)).all()
    around = np.exp(1j * np.arctan2(flat[:, 1], flat[:, 0]))
    assert max(abs((around * np.exp(sign * 1j * on)).mean()) for sign in (1, -1)) > 0.99
    both = world.acts[:, world.mixture].toarray()
    assert (both > 0).any(axis=0).all() and not (both > 0).all(axis=1).any()


def test_worlds_that_make_no_sense_are_refused():
    for options in ({"n_circle": 3}, {"n_features": 0}, {"d": 3}, {"share": 0.0}):
        with pytest.raises(ValueError, match="at least 4 features on the circle"):
            planted_circle(**options)
