"""The worlds are what they say: rates, topics, shared features, noise, geometry."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.ground_truth import WorldSettings, build_worlds

SMALL = {"n_features": 60, "d_model": 24, "n_clusters": 6, "mean_l0": 3.0, "rate_ratio": 10.0}


@pytest.fixture(scope="module")
def worlds():
    return build_worlds(WorldSettings(**SMALL), seed=3)


@pytest.fixture(scope="module")
def sample(worlds):
    return worlds.sample(20_000, seed=1, noise=0.3)


def dense(matrix):
    return matrix.toarray().astype(np.float64)


def correlations(x, y):
    x, y = ((m - m.mean(axis=0)) / m.std(axis=0) for m in (x, y))
    return (x * y).mean(axis=0)


def test_half_of_the_features_are_shared_and_partners_are_distinct(worlds):
    assert len(worlds.shared_a) == len(set(worlds.shared_b)) == 30
    assert sorted([*worlds.shared_b, *worlds.unshared_b]) == list(range(60))
    assert sorted([*worlds.shared_a, *worlds.unshared_a]) == list(range(60))


def test_equal_numbers_mean_nothing(worlds):
    """Otherwise a method that returns the identity would look right."""
    assert (worlds.shared_a == worlds.shared_b).mean() < 0.2
    assert not np.array_equal(worlds.shared_a, np.arange(30))


def test_rates_decay_exponentially_and_partners_have_the_same(worlds):
    rates = np.sort(worlds.a.rates)[::-1]
    steps = rates[1:] / rates[:-1]
    assert steps == pytest.approx(np.full(59, 10 ** (-1 / 59)), rel=1e-9)
    assert rates.sum() == pytest.approx(3.0)
    assert np.array_equal(worlds.a.rates[worlds.shared_a], worlds.b.rates[worlds.shared_b])
    assert sorted(worlds.a.rates) == pytest.approx(sorted(worlds.b.rates))


def test_features_fire_as_often_as_they_should_in_both_worlds(worlds, sample):
    for world, acts in ((worlds.a, sample.feature_acts_a), (worlds.b, sample.feature_acts_b)):
        counts = acts.count_nonzero(axis=0)
        # Five standard errors of a binomial count, 120 of them.
        spread = np.sqrt(sample.n_tokens * world.rates * (1 - world.rates))
        assert (np.abs(counts - sample.n_tokens * world.rates) < 5 * spread).all()
        assert acts.data.min() >= 1.0


def test_shared_features_fire_together_and_unshared_ones_do_not(worlds, sample):
    a, b = dense(sample.feature_acts_a), dense(sample.feature_acts_b)
    shared = correlations(a[:, worlds.shared_a], b[:, worlds.shared_b])
    other = correlations(a[:, worlds.unshared_a], b[:, worlds.unshared_b])
    assert shared.min() > 0.3
    assert np.abs(other).max() < 0.2


def test_noise_takes_shared_firing_from_equal_to_topical_and_keeps_the_rates(worlds):
    means, counts = [], []
    for noise in (0.0, 0.5, 1.0):
        sample = worlds.sample(10_000, seed=2, noise=noise)
        a, b = dense(sample.feature_acts_a)[:, worlds.shared_a], dense(sample.feature_acts_b)[:, worlds.shared_b]
        if noise == 0:
            assert np.array_equal(a, b)
        means.append(correlations(a, b).mean())
        counts.append((b > 0).sum())
    assert means[0] == pytest.approx(1.0) and 0.2 < means[1] < 0.7 and 0 < means[2] < 0.2
    assert max(counts) / min(counts) < 1.05


def test_features_of_one_topic_fire_together_and_point_together(worlds, sample):
    acts = dense(sample.feature_acts_a)
    firing = np.corrcoef(acts.T)
    cosines = worlds.a.directions @ worlds.a.directions.T
    same = worlds.a.clusters[:, None] == worlds.a.clusters[None]
    others = ~np.eye(60, dtype=bool)
    assert firing[same & others].mean() > firing[~same].mean() + 0.05
    # closeness 0.2; the centres themselves are 1/sqrt(24) apart at random.
    assert cosines[same & others].mean() == pytest.approx(0.2, abs=0.05)
    assert abs(cosines[~same].mean()) < 0.05


def test_topics_join_unshared_features_of_both_worlds_without_pairing_them():
    """The trap for matching: unshared features of one topic do correlate across worlds."""
    worlds = build_worlds(WorldSettings(**SMALL, cluster_firing=0.8), seed=0)
    sample = worlds.sample(20_000, seed=0)
    a, b = dense(sample.feature_acts_a)[:, worlds.unshared_a], dense(sample.feature_acts_b)[:, worlds.unshared_b]
    joint = np.corrcoef(a.T, b.T)[:30, 30:]
    same = worlds.a.clusters[worlds.unshared_a][:, None] == worlds.b.clusters[worlds.unshared_b][None]
    assert joint[same].mean() > 0.15
    assert abs(joint[~same].mean()) < 0.02


def test_shared_directions_are_a_rotation_and_unshared_ones_are_not():
    worlds = build_worlds(WorldSettings(**SMALL, arrangement_noise=0.0), seed=1)
    gram_a = worlds.a.directions[worlds.shared_a] @ worlds.a.directions[worlds.shared_a].T
    gram_b = worlds.b.directions[worlds.shared_b] @ worlds.b.directions[worlds.shared_b].T
    assert gram_a == pytest.approx(gram_b, abs=1e-12)
    other_a = worlds.a.directions[worlds.unshared_a] @ worlds.a.directions[worlds.unshared_a].T
    other_b = worlds.b.directions[worlds.unshared_b] @ worlds.b.directions[worlds.unshared_b].T
    upper = np.triu_indices(30, 1)
    assert abs(np.corrcoef(other_a[upper], other_b[upper])[0, 1]) < 0.2
    # The spaces themselves are rotated: the same feature points elsewhere.
    cosines = (worlds.a.directions[worlds.shared_a] * worlds.b.directions[worlds.shared_b]).sum(axis=1)
    assert abs(cosines.mean()) < 0.1


def test_directions_have_norm_1_and_are_rows(worlds):
    assert worlds.a.directions.shape == worlds.b.directions.shape == (60, 24)
    for world in (worlds.a, worlds.b):
        assert np.linalg.norm(world.directions, axis=1) == pytest.approx(np.ones(60))


def test_activations_are_features_times_directions_plus_noise(worlds, sample):
    rest = sample.activations_a - dense(sample.feature_acts_a) @ worlds.a.directions
    assert np.linalg.norm(rest, axis=1).mean() == pytest.approx(0.1, rel=0.02)
    silent = build_worlds(WorldSettings(**SMALL, activation_noise=0.0), seed=3).sample(100, seed=0)
    exact = dense(silent.feature_acts_b) @ worlds.b.directions
    assert silent.activations_b == pytest.approx(exact, abs=1e-5)  # float32


def test_samples_repeat_and_differ_by_seed(worlds):
    first, again, other = (worlds.sample(500, seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(first.activations_a, again.activations_a)
    assert not np.array_equal(first.activations_a, other.activations_a)
    assert first.n_tokens == 500


def test_worlds_repeat_and_differ_by_seed(worlds):
    assert np.array_equal(build_worlds(worlds.settings, seed=3).partner, worlds.partner)
    assert not np.array_equal(build_worlds(worlds.settings, seed=4).partner, worlds.partner)


@pytest.mark.parametrize(("shared", "n_shared"), [(0.0, 0), (1.0, 60), (0.25, 15)])
def test_any_share_can_be_shared(shared, n_shared):
    worlds = build_worlds(WorldSettings(**SMALL, shared=shared), seed=0)
    assert len(worlds.shared_a) == len(worlds.shared_b) == n_shared
    assert worlds.sample(50, seed=0).n_tokens == 50


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_features": 0}, "n_features must be at least 1; got 0"),
        ({"d_model": 0}, "d_model must be at least 1"),
        ({"shared": 1.5}, r"shared must be a share in \[0, 1\]; got 1.5"),
        ({"cluster_firing": 1.0}, r"cluster_firing must be in \[0, 1\); got 1.0"),
        ({"cluster_closeness": -0.1}, "cluster_closeness must be in"),
        ({"activation_noise": -1.0}, "activation_noise must not be negative"),
        ({"rate_ratio": 0.5}, "expected rate_ratio >= 1 and mean_l0 > 0"),
        ({"mean_l0": 40.0}, "would fire on .* of the tokens.*lower mean_l0"),
    ],
)
def test_impossible_worlds_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        WorldSettings(**(SMALL | changes))


@pytest.mark.parametrize("arguments", [{"n_tokens": 0}, {"n_tokens": 5, "noise": 1.1}, {"n_tokens": 5, "noise": -0.1}])
def test_impossible_samples_are_refused(worlds, arguments):
    with pytest.raises(ValueError, match=r"expected n_tokens >= 1 and noise in \[0, 1\]"):
        worlds.sample(seed=0, **arguments)
