"""The null keeps both sums and nothing else, and thresholds from it hold their error rate."""

import numpy as np
import pytest
import scipy.sparse

from helpers.geometry import cofiring_pairs, cover_threshold, family_forest, implied_firings, shuffled_firings
from tests.geometry.conftest import pairs_of


def top_k_firings(n_tokens, d_sae, k, *, seed):
    """Exactly k features a token, frequencies from rare to common, otherwise independent."""
    rng = np.random.default_rng(seed)
    keys = rng.gumbel(size=(n_tokens, d_sae)) + np.linspace(0, 3, d_sae)
    fires = np.zeros((n_tokens, d_sae), dtype=np.float32)
    np.put_along_axis(fires, np.argpartition(-keys, k, axis=1)[:, :k], 1, axis=1)
    return fires


def test_a_shuffle_keeps_how_often_features_fire_and_how_many_on_each_token(planted):
    shuffled = shuffled_firings(planted.firings, seed=0)
    assert shuffled.shape == planted.firings.shape and set(shuffled.data) == {1}
    np.testing.assert_array_equal(np.diff(shuffled.indptr), np.diff(planted.firings.indptr))
    np.testing.assert_array_equal(shuffled.sum(axis=0), planted.firings.sum(axis=0))
    assert shuffled.toarray().max() == 1  # no feature twice on a token
    # Each firing stays on its token about as often as chance puts it there: at most L0 times the highest density.
    overlap = shuffled.multiply(planted.firings).sum() / planted.firings.nnz
    assert overlap < 0.2


def test_the_seed_fixes_the_shuffle(planted):
    one, again, other = (shuffled_firings(planted.firings, seed=seed).toarray() for seed in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_all_tables_with_these_sums_are_equally_likely():
    """Two features, three tokens, sums (1, 1) and (1, 1, 0): two tables exist; each must come up about half of the time."""
    fires = np.array([[1, 0], [0, 1], [0, 0]])
    same = [shuffled_firings(fires, seed=seed, trades_per_token=20).toarray()[0, 0] == 1 for seed in range(400)]
    assert abs(np.mean(same) - 0.5) < 4 * 0.5 / np.sqrt(400)  # four standard errors


def test_busy_tokens_alone_make_no_finding():
    """The trap: where some tokens have many features, all meet there; shuffling every feature alone would call it structure."""
    rng = np.random.default_rng(0)
    busy = np.where(rng.random(20_000) < 0.1, 0.4, 0.01)
    fires = scipy.sparse.csr_array(rng.random((20_000, 40)) < busy[:, None], dtype=np.float32)
    pairs = cofiring_pairs(fires)
    alone = scipy.sparse.csr_array(np.column_stack([rng.permutation(column) for column in fires.toarray().T]))
    assert cofiring_pairs(alone).n_pairs == 0 and pairs.n_pairs == 40 * 39 // 2
    assert cover_threshold(fires, pairs).min_cover is None


@pytest.mark.parametrize("seed", range(3))
def test_independent_features_of_a_top_k_dictionary_have_no_pairs_beyond_chance(seed):
    fires = top_k_firings(4000, 150, 8, seed=seed)
    pairs = cofiring_pairs(fires, min_cover=0.02, min_firings=20)
    threshold = cover_threshold(fires, pairs, alpha=0.05, n_shuffles=10, seed=seed)
    assert pairs.n_pairs > 300  # there is something that could be taken for a finding
    found = 0 if threshold.min_cover is None else pairs.above(threshold.min_cover).n_pairs
    assert found <= 5
    assert len(family_forest(pairs.above(0.1), min_cover=0.7).edges) == 0


def test_planted_families_are_beyond_chance_and_shuffled_ones_are_not(planted):
    pairs = cofiring_pairs(planted.firings)
    threshold = cover_threshold(planted.firings, pairs)
    children = np.flatnonzero(planted.parents >= 0)
    found = set(map(tuple, pairs.above(threshold.min_cover).edges.tolist()))
    assert {(child, planted.parents[child]) for child in children} <= found
    assert np.all(np.diff(threshold.n_pairs) <= 0) and np.all(np.diff(threshold.n_chance) <= 0)
    assert threshold.n_pairs[0] == pairs.n_pairs
    shuffled = shuffled_firings(planted.firings, seed=99)
    again = cofiring_pairs(shuffled)
    nothing = cover_threshold(shuffled, again, seed=1)
    assert nothing.min_cover is None or again.above(nothing.min_cover).n_pairs < 0.05 * len(found)
    assert len(family_forest(again).edges) == 0


def test_the_false_discovery_rate_at_the_threshold_is_what_was_asked_for(planted):
    pairs = cofiring_pairs(planted.firings, min_cover=0.02)
    for alpha in (0.01, 0.2):
        threshold = cover_threshold(planted.firings, pairs, alpha=alpha, n_shuffles=4)
        at = int(np.flatnonzero(threshold.covers == threshold.min_cover)[0])
        rates = (0.25 + threshold.n_chance) / np.maximum(threshold.n_pairs, 1)  # one more than the hits of 4 shuffles
        assert rates[at] <= alpha < rates[at - 1]


def test_implied_firings_keep_what_the_pairs_fix():
    rng = np.random.default_rng(0)
    a = rng.random((500, 6)) < 0.2
    b = np.where(rng.random((500, 6)) < 0.8, a, rng.random((500, 6)) < 0.2)[:, ::-1]
    pairs = pairs_of([0, 1, 2], [5, 4, 3], d_sae_a=6, d_sae_b=6)
    implied = implied_firings(a, b, pairs, seed=0).toarray()
    for i, j in zip(pairs.ids_a, pairs.ids_b, strict=True):
        assert implied[:, j].sum() == b[:, j].sum()
        assert (implied[:, j] * a[:, i]).sum() == (b[:, j] & a[:, i]).sum()
    assert set(np.unique(implied)) == {0, 1}  # no token twice
    assert implied[:, :3].sum() == 0 and not np.array_equal(implied[:, 3:], b[:, 3:])


def test_bad_input_is_refused(planted):
    fires = planted.firings
    pairs = cofiring_pairs(fires)
    with pytest.raises(ValueError, match="trades_per_token must be above 0"):
        shuffled_firings(fires, seed=0, trades_per_token=0)
    with pytest.raises(ValueError, match=r"expected alpha in \(0, 1\) and n_shuffles of at least 1; got 0 and 3"):
        cover_threshold(fires, pairs, alpha=0)
    with pytest.raises(ValueError, match="do not belong together"):
        cover_threshold(fires[:, ::-1], pairs)
    d_sae = fires.shape[1]
    matched = pairs_of([0, 1], [0, 1], d_sae_a=d_sae, d_sae_b=d_sae)
    with pytest.raises(ValueError, match="are a and b swapped"):
        implied_firings(fires[:, :10], fires, matched, seed=0)
    with pytest.raises(ValueError, match="are a and b swapped"):
        implied_firings(fires[:10], fires, matched, seed=0)
    with pytest.raises(ValueError, match="in two pairs"):
        implied_firings(fires, fires, pairs_of([0, 1], [0, 0], d_sae_a=d_sae, d_sae_b=d_sae), seed=0)
    with pytest.raises(ValueError, match="there are no pairs"):
        implied_firings(fires, fires, pairs_of([], [], d_sae_a=d_sae, d_sae_b=d_sae), seed=0)
