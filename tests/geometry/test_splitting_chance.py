"""Where nothing is to be found, little is found; where something is, far more than after shuffling."""

import numpy as np
import pytest

from helpers.geometry import link_thresholds, open_widths, planted_splitting, split_features, splits_by_chance


@pytest.fixture(scope="module")
def pair(planted_split):
    return open_widths(planted_split.narrow, planted_split.wide, planted_split.W_narrow, planted_split.W_wide)


@pytest.fixture(scope="module")
def thresholds(pair):
    return link_thresholds(pair)


@pytest.mark.parametrize("shuffle", ["tokens", "directions"])
def test_planted_splits_are_more_than_both_nulls(pair, thresholds, planted_split, shuffle):
    found = split_features(pair, thresholds)
    chance = splits_by_chance(pair, found, thresholds, shuffle=shuffle, n_shuffles=19)
    assert chance.children.score == np.mean(planted_split.parents >= 0)
    assert chance.families.score == 8 / 20  # the split and the absorbed ones
    for result in (chance.children, chance.families):
        assert result.p_value == 1 / 20 and result.null.max() < 0.2 * result.score
    for shares in (chance.shares_wide, chance.shares_narrow):
        assert sum(shares.values()) == pytest.approx(1)
    assert chance.shares_wide["new"] > 0.8 and chance.shares_wide["kept"] < 0.01


def test_no_p_value_is_small_where_nothing_is_planted(thresholds):
    """Shuffled already: the found share is one of the null's. Of ten such p-values one below 0.1 is expected."""
    p_values = []
    for seed in range(10):
        planted = planted_splitting(n_tokens=4000, n_each=2, seed=seed)
        order = np.random.default_rng(100 + seed).permutation(4000)
        nothing = open_widths(planted.narrow, planted.wide[order], planted.W_narrow, planted.W_wide)
        lenient = link_thresholds(nothing, quantile=0.5)
        found = split_features(nothing, lenient)
        p_values.append(splits_by_chance(nothing, found, lenient, n_shuffles=19).children.p_value)
    assert np.mean(np.array(p_values) < 0.1) <= 0.4  # binomial: more than 4 of 10 has probability 0.002


def test_shuffles_are_seeded_and_not_those_of_the_thresholds(pair, thresholds):
    lenient = link_thresholds(pair, quantile=0.2)
    found = split_features(pair, lenient)
    first, again, other = (
        splits_by_chance(pair, found, lenient, shuffle="directions", n_shuffles=5, seed=seed).children.null
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_pair_is_left_as_it_was(pair, thresholds):
    before = pair.rows_wide.copy(), pair.wide.copy()
    for shuffle in ("tokens", "directions"):
        splits_by_chance(pair, split_features(pair, thresholds), thresholds, shuffle=shuffle, n_shuffles=1)
    np.testing.assert_array_equal(pair.rows_wide, before[0])
    assert (pair.wide != before[1]).nnz == 0


def test_bad_arguments_are_refused(pair, thresholds):
    found = split_features(pair, thresholds)
    with pytest.raises(ValueError, match="expected shuffle 'tokens' or 'directions' .* got 'rows' and 19"):
        splits_by_chance(pair, found, thresholds, shuffle="rows")
    with pytest.raises(ValueError, match="got 'tokens' and 0"):
        splits_by_chance(pair, found, thresholds, n_shuffles=0)
