"""Directions, sweeps, twins, one-sided features, agreement."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch

from helpers.matching import (
    agreement,
    direction_twins,
    match_directions,
    match_features,
    one_sided_features,
    sweep_max_partners,
    twins,
)
from tests.activations.conftest import random_activations
from tests.matching.conftest import associations, greedy, pair_set

N_TOKENS, D_A, D_B = 700, 40, 26


@pytest.fixture(scope="module")
def sides():
    a = random_activations(N_TOKENS, D_A, seed=1).toarray()
    b = random_activations(N_TOKENS, D_B, seed=2).toarray()
    b[:, :15] += a[:, np.arange(15) % 4]  # four popular features of a
    a[:, 39] = 0.0
    return scipy.sparse.csr_array(a), scipy.sparse.csr_array(b)


@pytest.fixture(scope="module")
def directions():
    rng = np.random.default_rng(0)
    W_a, W_b = rng.normal(size=(50, 12)), rng.normal(size=(35, 12)) * 3
    W_b[:8] = W_a[10:18] + 0.1 * rng.normal(size=(8, 12))
    W_b[34] = 0.0
    return W_a, W_b


@pytest.mark.parametrize("form", [np.asarray, torch.tensor, lambda W: torch.tensor(W).double()])
def test_directions_are_matched_by_cosine(directions, form):
    W_a, W_b = directions
    with np.errstate(invalid="ignore"):
        cosines = np.nan_to_num(
            (W_a / np.linalg.norm(W_a, axis=1)[:, None]) @ (W_b / np.linalg.norm(W_b, axis=1)[:, None]).T
        )
    pairs = match_directions(form(W_a), form(W_b), method="nearest", top_k=3)
    for b in range(34):
        assert pairs.ids_a[pairs.ids_b == b].tolist() == np.argsort(-cosines[:, b])[:3].tolist()
    np.testing.assert_allclose(pairs.corr, cosines[pairs.ids_a, pairs.ids_b], atol=1e-6)  # float32
    assert pairs.unmatched_b.tolist() == [34]
    assert pairs.settings["association"] == "direction_cosine"
    one = match_directions(form(W_a), form(W_b))
    assert pair_set(one) == greedy(cosines, capacity_a=1, capacity_b=1)
    assert {(10 + i, i) for i in range(8)} <= pair_set(one)


def test_a_direction_of_equal_entries_is_a_direction():
    """Constant activations have no correlation; a constant direction has a cosine."""
    assert pair_set(match_directions(np.ones((1, 5)), np.eye(5)[:2] + 1.0, method="nearest")) == {(0, 0), (0, 1)}


def test_bad_directions(directions):
    W_a, W_b = directions
    with pytest.raises(ValueError, match="must share d_in; got 12 and 11; .* match their activations"):
        match_directions(W_a, W_b[:, :11])
    with pytest.raises(ValueError, match=r"W_a must have shape \(d_sae, d_in\)"):
        match_directions(W_a[0], W_b)
    bad = W_b.copy()
    bad[3, 2] = np.inf
    with pytest.raises(ValueError, match="W_b has 1 NaN or infinite values"):
        match_directions(W_a, bad)
    with pytest.raises(ValueError, match="method must be one of nearest, mutual, one_to_one, hungarian, ot"):
        match_directions(W_a, W_b, method="closest")


def test_the_sweep_equals_one_matching_at_a_time(sides):
    limits = [1, 2, 5, None]
    results = sweep_max_partners(*sides, max_partners=limits, min_firings=3)
    assert [pairs.settings["max_partners"] for pairs in results] == limits
    for limit, pairs in zip(limits, results, strict=True):
        alone = match_features(*sides, method="nearest", max_partners=limit, min_firings=3)
        assert pair_set(pairs) == pair_set(alone)
        assert pairs.settings == alone.settings
    unique = [pairs.share_unique_partners for pairs in results]
    assert unique[0] == 1.0 and unique == sorted(unique, reverse=True) and unique[-1] < 0.8
    with pytest.raises(ValueError, match="max_partners must be at least 1; got 0"):
        sweep_max_partners(*sides, max_partners=[0])


def test_twins_exclude_the_feature_itself():
    a = random_activations(N_TOKENS, 30, seed=3).toarray()
    a[:, 7] = a[:, 21] * 2.0  # equal up to scale
    a[:, 29] = 0.0
    values = associations(a, a, "pearson")
    np.fill_diagonal(values, -np.inf)
    values[29] = values[:, 29] = -np.inf
    pairs = twins(scipy.sparse.csr_array(a))
    assert (pairs.ids_a != pairs.ids_b).all()
    np.testing.assert_array_equal(pairs.ids_b, values.argmax(axis=1)[pairs.ids_a])
    assert set(pairs.ids_a[:2]) == {7, 21} and pairs.corr[0] == pytest.approx(1.0)
    assert 29 in pairs.unmatched_a
    three = twins(a, top_k=3)  # the dense path
    assert three.partner_counts("a").max() == 3
    order = [b for b in np.argsort(-values[5], kind="stable") if values[5, b] > 1e-12][:3]
    assert three.ids_b[three.ids_a == 5].tolist() == order


def test_many_copies_of_one_feature_are_each_others_twins():
    """The feature itself may be pushed off its own list by copies with lower ids."""
    column = random_activations(200, 1, density=0.3, seed=1).toarray()
    pairs = twins(scipy.sparse.csr_array(np.repeat(column, 5, axis=1)))
    assert pair_set(pairs) == {(0, 1), (1, 0), (2, 0), (3, 0), (4, 0)}


def test_direction_twins(directions):
    W = np.concatenate([directions[0], directions[0][:3] * 2.0])
    pairs = direction_twins(W, min_corr=0.99)
    assert pair_set(pairs) == {(0, 50), (1, 51), (2, 52), (50, 0), (51, 1), (52, 2)}
    with pytest.raises(ValueError, match="top_k must be at least 1"):
        direction_twins(W, top_k=0)
    with pytest.raises(ValueError, match="min_corr must be in"):
        direction_twins(W, min_corr=1.0)


def test_features_that_only_one_side_has(sides):
    a, b = sides
    values = associations(a.toarray(), b.toarray(), "pearson")
    values[39] = -np.inf
    result = one_sided_features(a, b, max_corr=0.15)
    best_a, best_b = np.maximum(values.max(axis=1), 0), np.maximum(values.max(axis=0), 0)
    np.testing.assert_allclose(result.best_a[:39], best_a[:39], atol=1e-6)
    np.testing.assert_allclose(result.best_b, best_b, atol=1e-6)
    assert np.isnan(result.best_a[39]) and 39 not in result.only_a  # dead is not "only in a"
    expected = np.flatnonzero(best_a[:39] <= 0.15)
    assert result.only_a.tolist() == expected[np.argsort(best_a[expected])].tolist()
    assert not set(range(4)) & set(result.only_a)
    assert set(range(15)).isdisjoint(result.only_b) and len(result.only_b) >= 8
    assert result.share_only_a == len(expected) / 39
    # Losing a rivalry is not being alone: one_to_one leaves copies of the popular features unmatched or badly matched.
    one = match_features(a, b, min_corr=0.15)
    assert set(one.unmatched_b) - set(result.only_b)
    with pytest.raises(ValueError, match=r"max_corr must be in \[0, 1\); got 1.5"):
        one_sided_features(a, b, max_corr=1.5)
    dead = one_sided_features(a, scipy.sparse.csr_array((N_TOKENS, 3)), max_corr=0.1)
    assert len(dead.only_a) == 39 and len(dead.only_b) == 0 and dead.share_only_b == 0.0


def test_agreement_counts_shared_pairs(sides):
    matchings = {
        method: match_features(*sides, method=method) for method in ("nearest", "mutual", "one_to_one", "hungarian")
    }
    matchings["none"] = matchings["nearest"].above(1.0).select(np.zeros(matchings["nearest"].above(1.0).n_pairs, bool))
    report = agreement(matchings)
    for i, x in enumerate(matchings.values()):
        for j, y in enumerate(matchings.values()):
            both, either = pair_set(x) & pair_set(y), pair_set(x) | pair_set(y)
            assert report.shared[i, j] == len(both)
            assert report.jaccard[i, j] == (len(both) / len(either) if either else 1.0)
    assert report.of("mutual", "one_to_one") == report.jaccard[1, 2]
    # mutual best pairs are in every other method's result but hungarian's
    assert report.shared[1, 0] == report.shared[1, 2] == report.n_pairs[1]
    assert report.total_corr[3] >= report.total_corr[2] - 1e-5 >= report.total_corr[1] - 1e-5
    assert report.mean_corr[4] == report.share_unique[4] == 0.0
    with pytest.raises(ValueError, match="at least two matchings"):
        agreement({"one": matchings["mutual"]})
    with pytest.raises(ValueError, match="of the same two dictionaries"):
        agreement({"x": matchings["mutual"], "y": match_features(sides[1], sides[0])})
