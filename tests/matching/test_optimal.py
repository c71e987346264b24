"""hungarian and ot against dense solvers that see every pair."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment, linprog

from helpers.matching import match_directions, match_features
from helpers.matching import transport as transport_module
from helpers.matching.hungarian import optimal_pairs
from helpers.matching.transport import transport_plan
from tests.activations.conftest import random_activations
from tests.matching.conftest import associations, pair_set
from tests.matching.test_match import engine_of

# Each of at most 120 pairs may miss the least bid, 1e-6.
TOTAL = 2e-4


def dense_optimum(values: np.ndarray) -> float:
    """Textbook: leaving features unmatched is a pair of value 0."""
    positive = np.maximum(np.nan_to_num(values), 0.0)
    return float(positive[linear_sum_assignment(positive, maximize=True)].sum())


def related(n_tokens: int, d_a: int, d_b: int, *, seed: int, density: float = 0.08):
    """Two sides of which b's features are noisy copies of some of a's, several of the same."""
    rng = np.random.default_rng(seed)
    a = random_activations(n_tokens, d_a, density=density, seed=seed).toarray()
    source = rng.integers(0, d_a, size=d_b)
    b = a[:, source] * (rng.random((n_tokens, d_b)) < 0.7)
    b += random_activations(n_tokens, d_b, density=density / 3, seed=seed + 1).toarray()
    return scipy.sparse.csr_array(a), scipy.sparse.csr_array(b)


@pytest.mark.parametrize(("d_a", "d_b"), [(120, 120), (150, 90), (90, 150)])
def test_hungarian_is_the_dense_optimum(d_a, d_b):
    a, b = related(600, d_a, d_b, seed=1)
    values = associations(a.toarray(), b.toarray(), "pearson")
    pairs = match_features(a, b, method="hungarian")
    assert len(set(pairs.ids_a)) == len(set(pairs.ids_b)) == pairs.n_pairs
    assert pairs.share_unique_partners == 1.0
    np.testing.assert_allclose(pairs.corr, values[pairs.ids_a, pairs.ids_b], atol=1e-6)  # float32
    assert pairs.corr.sum(dtype=np.float64) == pytest.approx(dense_optimum(values), abs=TOTAL)
    assert 0 <= pairs.settings["optimality_gap"] <= 1e-4


def test_hungarian_is_better_than_greedy_where_greedy_is_greedy():
    # Cosines 0.7, 0.65 / 0.65, 0: greedy takes 0.7 and then 0; the optimum is 0.65 twice.
    W_a = np.eye(3)[:2]
    W_b = np.array([[0.7, 0.65, 0.0], [0.65, 0.0, 0.0]])
    W_b[:, 2] = np.sqrt(1 - (W_b**2).sum(axis=1))
    greedy, best = (match_directions(W_a, W_b, method=method) for method in ("one_to_one", "hungarian"))
    assert pair_set(best) == {(0, 1), (1, 0)}
    assert pair_set(greedy) == {(0, 0)}
    np.testing.assert_allclose(best.corr, 0.65, atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    d_a=st.integers(1, 14),
    d_b=st.integers(1, 14),
    first_list=st.integers(1, 4),
    levels=st.sampled_from([2, 30]),
    dense=st.booleans(),
)
def test_the_certificate_holds(seed, d_a, d_b, first_list, levels, dense):
    """Short first lists force more rounds; the bound must never be below the dense optimum."""
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(1, levels, size=(25, d)) * (rng.random((25, d)) < 0.4) for d in (d_a, d_b))
    engine = engine_of(a, b, dense=dense)
    best = dense_optimum(engine.block(np.arange(d_a), np.arange(d_b)) * engine.usable_a[:, None] * engine.usable_b)
    result = optimal_pairs(engine, floor=1e-12, first_list=first_list, tolerance=0.0, bid=1e-9)
    total = result.values.sum()
    rounding = 1e-10
    assert total <= best + rounding
    assert best <= total * (1 + result.gap) + rounding
    assert total == pytest.approx(best, abs=1e-7)  # 14 pairs at 1e-9; at this size the lists always get long enough
    assert result.gap * total <= 1e-7


def test_a_loose_tolerance_still_tells_the_truth():
    """One candidate a feature is too few here: the result is below the optimum and the gap says so."""
    a, b = related(400, 60, 60, seed=3)
    engine = engine_of(a.toarray(), b.toarray())
    best = dense_optimum(engine.block(np.arange(60), np.arange(60)))
    result = optimal_pairs(engine, floor=1e-12, first_list=1, tolerance=10.0)
    total = result.values.sum()
    assert total < best - 0.1
    assert best <= total * (1 + result.gap)
    assert result.gap > 0.01


def test_the_block_is_the_dense_reference():
    a, b = related(300, 40, 30, seed=2)
    ids_a, ids_b = np.array([7, 3, 30]), np.array([29, 0, 4, 11])
    for association in ("pearson", "cosine", "jaccard"):
        values = associations(a.toarray(), b.toarray(), association)[np.ix_(ids_a, ids_b)]
        dense = engine_of(a.toarray(), b.toarray(), dense=True, association=association, block_values=9)
        np.testing.assert_allclose(dense.block(ids_a, ids_b), values, atol=1e-11)
        sparse = engine_of(a.toarray(), b.toarray(), n_threads=2, association=association, block_values=50)
        found = sparse.block(ids_a, ids_b)
        met = (a.toarray() != 0).T.astype(int) @ (b.toarray() != 0) > 0
        np.testing.assert_allclose(found, np.where(met[np.ix_(ids_a, ids_b)], values, 0.0), atol=1e-12)


@pytest.mark.parametrize("method", ["hungarian", "ot"])
def test_a_permutation_is_recovered_and_a_shuffle_destroys_it(method):
    matrix = random_activations(2000, 80, density=0.05, seed=4)
    order = np.random.default_rng(5).permutation(80)
    pairs = match_features(matrix, matrix[:, order], method=method)
    assert pairs.n_pairs == 80
    np.testing.assert_array_equal(pairs.ids_a, order[pairs.ids_b])
    shuffled = match_features(matrix, matrix[np.random.default_rng(6).permutation(2000)], method=method)
    # One right partner is expected by chance; more than 6 has a probability below 1e-4 (Poisson of mean 1).
    assert (shuffled.ids_a == shuffled.ids_b).sum() <= 6
    assert shuffled.corr.max() < 0.2


@pytest.mark.parametrize("method", ["hungarian", "ot"])
def test_dead_and_constant_features_and_empty_candidates(method):
    a, b = (side.toarray() for side in related(400, 30, 20, seed=7))
    a[:, 4], a[:, 5], b[:, 19] = 0.0, 2.5, 0.0
    a, b = scipy.sparse.csr_array(a), scipy.sparse.csr_array(b)
    pairs = match_features(a, b, method=method)
    assert {4, 5} <= set(pairs.unmatched_a) and 19 in pairs.unmatched_b
    assert pairs.n_pairs > 10 and np.isfinite(pairs.corr).all()
    nothing = match_features(a, scipy.sparse.csr_array((400, 3)), method=method)
    assert nothing.n_pairs == 0 and len(nothing.unmatched_b) == 3
    apart = np.zeros((10, 2))
    apart[:3, 0], apart[5:8, 1] = 1.0, 1.0  # never fire together
    sides = scipy.sparse.csr_array(apart[:, :1]), scipy.sparse.csr_array(apart[:, 1:])
    assert match_features(*sides, method=method).n_pairs == 0


def test_exact_transport_is_the_linear_programme():
    rng = np.random.default_rng(0)
    values = rng.random((4, 6))
    plan = transport_plan(values)
    rows = np.kron(np.eye(4), np.ones(6))
    columns = np.kron(np.ones(4), np.eye(6))
    marginals = np.concatenate([np.full(4, 1 / 4), np.full(6, 1 / 6)])
    reference = linprog((1 - values).ravel(), A_eq=np.vstack([rows, columns]), b_eq=marginals)
    assert ((1 - values) * plan).sum() == pytest.approx(reference.fun, abs=1e-9)
    np.testing.assert_allclose(plan.sum(axis=1), 1 / 4, atol=1e-12)


def test_exact_transport_between_equal_sizes_is_the_assignment():
    a, b = related(500, 60, 60, seed=8, density=0.3)
    values = np.maximum(associations(a.toarray(), b.toarray(), "pearson"), 0)
    pairs = match_features(a, b, method="ot")
    rows, columns = linear_sum_assignment(values, maximize=True)
    best = values[rows, columns]
    assert pairs.corr.sum(dtype=np.float64) == pytest.approx(best.sum(), abs=1e-5)


def test_entropic_and_unbalanced_transport():
    a, b = related(500, 40, 30, seed=9)
    values = np.maximum(associations(a.toarray(), b.toarray(), "pearson"), 0)
    soft = transport_plan(values, regularization=0.05)
    # the optimality condition: log(plan) + cost / regularization is a row term plus a column term
    residual = np.log(soft) + (1 - values) / 0.05
    residual = residual - residual.mean(axis=1, keepdims=True) - residual.mean(axis=0) + residual.mean()
    np.testing.assert_allclose(residual, 0.0, atol=1e-8)
    # converged to 1e-4 of the margins' norm, so no margin is off by more than 1e-4 * sqrt(30)
    np.testing.assert_allclose(soft.sum(axis=0), 1 / 30, rtol=6e-4)
    for regularization in (0.0, 0.02):
        loose = transport_plan(values, regularization=regularization, marginal_penalty=0.3)
        assert 0.05 < loose.sum() < 0.95
    hard = match_features(a, b, method="ot")
    for options in (
        {"regularization": 0.01},
        {"marginal_penalty": 0.5},
        {"regularization": 0.01, "marginal_penalty": 0.5},
    ):
        pairs = match_features(a, b, method="ot", **options)
        assert pairs.settings["regularization"] == options.get("regularization", 0.0)
        shared = len(pair_set(pairs) & pair_set(hard)) / hard.n_pairs
        assert shared > 0.6


def test_unbalanced_transport_leaves_strangers_unmatched():
    """b holds copies of half of a's features and ten of its own: moving the weight of those is not worth it."""
    a = random_activations(1500, 20, density=0.05, seed=1)
    b = scipy.sparse.hstack([a[:, :10], random_activations(1500, 10, density=0.05, seed=2)], format="csr")
    pairs = match_features(a, b, method="ot", marginal_penalty=0.5)
    assert pair_set(pairs) == {(i, i) for i in range(10)}
    balanced = match_features(a, b, method="ot")
    assert pair_set(pairs) < pair_set(balanced)


@pytest.mark.parametrize(("d_a", "d_b"), [(60, 60), (70, 45)])
def test_transport_over_candidates_is_the_dense_one_if_there_are_enough(d_a, d_b, monkeypatch):
    a, b = related(500, d_a, d_b, seed=11)
    dense = match_features(a, b, method="ot")
    monkeypatch.setattr(transport_module, "MAX_VALUES", 100)
    few = match_features(a, b, method="ot")
    monkeypatch.setattr(transport_module, "CANDIDATES", 100)
    enough = match_features(a, b, method="ot")
    assert pair_set(enough) == pair_set(dense)
    np.testing.assert_allclose(enough.corr, dense.corr, atol=1e-6)
    assert len(pair_set(few) & pair_set(dense)) > 0.9 * dense.n_pairs


def test_transport_asks_in_the_given_direction():
    a, b = related(500, 20, 50, seed=10)
    assert set(match_features(a, b, method="ot", direction="b_to_a").ids_b) >= set(range(40))
    a_to_b = match_features(a, b, method="ot", direction="a_to_b")
    assert a_to_b.n_pairs <= 20 and len(set(a_to_b.ids_a)) == a_to_b.n_pairs


def test_bad_options(monkeypatch):
    a, b = related(100, 12, 9, seed=0)
    for options, message in [
        ({"method": "hungarian", "top_k": 2}, "hungarian takes neither top_k nor max_partners"),
        ({"method": "ot", "max_partners": 2}, "ot takes neither top_k nor max_partners"),
        ({"method": "ot", "regularization": 1e-4}, "regularization must be 0 .exact. or at least 0.002; got 0.0001"),
        ({"method": "ot", "regularization": -1.0}, "regularization must be 0"),
        ({"method": "ot", "marginal_penalty": 0.0}, "marginal_penalty must be above 0"),
        ({"method": "mutual", "regularization": 0.1}, "settings of method='ot'; got method='mutual'"),
    ]:
        with pytest.raises(ValueError, match=message):
            match_features(a, b, **options)
    monkeypatch.setattr(transport_module, "MAX_VALUES", 100)
    with pytest.raises(ValueError, match=r"holds all 12 x 9 pairs and takes at most 100; use regularization=0"):
        match_features(a, b, method="ot", regularization=0.1)


def test_transport_that_does_not_converge_is_an_error(monkeypatch):
    values = np.random.default_rng(0).random((30, 30))
    monkeypatch.setattr(transport_module, "MAX_STEPS", 2)
    monkeypatch.setattr(transport_module, "MAX_PIVOTS", 2)
    for options in (
        {"regularization": 0.002},
        {"marginal_penalty": 1.0},
        {"regularization": 0.01, "marginal_penalty": 1.0},
        {},
    ):
        with pytest.raises(ValueError, match="optimal transport did not converge .*use a larger regularization"):
            transport_plan(values, **options)
    monkeypatch.setattr(transport_module, "MAX_VALUES", 100)
    with pytest.raises(ValueError, match="optimal transport did not converge .*use method='hungarian'"):
        match_features(*related(300, 40, 40, seed=0), method="ot")
