"""Matching against dense float64 references; sizes differ on both sides, so that a swapped side fails."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.matching import match_features
from helpers.matching.dense_engine import DenseEngine
from helpers.matching.greedy import greedy_pairs
from helpers.matching.sparse_engine import SparseEngine
from tests.activations.conftest import random_activations, write_store
from tests.matching.conftest import associations, greedy, pair_set

N_TOKENS, D_A, D_B = 800, 45, 31
ASSOCIATIONS = ("pearson", "cosine", "jaccard")
# What the issue asks for; the measured difference is that of rounding to float32, about 3e-8.
AGREEMENT = 1e-5


@pytest.fixture(scope="module")
def sides():
    """Two sides that share some of their structure, sparse, with dead and constant columns."""
    a = random_activations(N_TOKENS, D_A, seed=1).toarray()
    b = random_activations(N_TOKENS, D_B, seed=2).toarray()
    b[:, :10] = a[:, 20:30] * (np.random.default_rng(3).random((N_TOKENS, 10)) < 0.8)
    a[:, 4] = 0.0
    b[:, 30] = 0.0
    a[:, 5] = 2.5
    return scipy.sparse.csr_array(a), scipy.sparse.csr_array(b)


@pytest.mark.parametrize("association", ASSOCIATIONS)
@pytest.mark.parametrize("form", ["csr", "dense", "tensor", "mixed"])
def test_nearest_agrees_with_the_dense_reference(sides, association, form):
    a, b = sides
    forms = {
        "csr": (a, b),
        "dense": (a.toarray(), b.toarray()),
        "tensor": (torch.tensor(a.toarray()), torch.tensor(b.toarray()).float()),
        "mixed": (a, b.toarray()),
    }
    values = associations(a.toarray(), b.toarray(), association)
    values[[4, 5]], values[:, 30] = -np.inf, -np.inf
    for direction in ("a_to_b", "b_to_a"):
        pairs = match_features(*forms[form], method="nearest", direction=direction, association=association)
        best = values.argmax(axis=1) if direction == "a_to_b" else values.argmax(axis=0)
        asking, found = (pairs.ids_a, pairs.ids_b) if direction == "a_to_b" else (pairs.ids_b, pairs.ids_a)
        np.testing.assert_array_equal(found, best[asking])
        np.testing.assert_allclose(pairs.corr, values[pairs.ids_a, pairs.ids_b], atol=AGREEMENT)
        assert pairs.corr.dtype == np.float32
        assert pairs.ids_a.dtype == pairs.ids_b.dtype == np.int64
        assert (np.diff(pairs.corr) <= 0).all()
        usable = D_A - 2 if direction == "a_to_b" else D_B - 1
        assert pairs.n_pairs == usable


def test_the_directions_are_different_questions(sides):
    a_to_b = match_features(*sides, method="nearest", direction="a_to_b")
    b_to_a = match_features(*sides, method="nearest", direction="b_to_a")
    assert sorted(a_to_b.ids_a) == [i for i in range(D_A) if i not in (4, 5)]
    assert sorted(b_to_a.ids_b) == list(range(D_B - 1))
    assert pair_set(a_to_b) != pair_set(b_to_a)
    # a swap of the sides is the other direction
    swapped = match_features(sides[1], sides[0], method="nearest", direction="a_to_b")
    assert {(a, b) for b, a in pair_set(swapped)} == pair_set(b_to_a)


@pytest.mark.parametrize("top_k", [2, 7, 500])
def test_top_k(sides, top_k):
    values = associations(sides[0].toarray(), sides[1].toarray(), "pearson")
    pairs = match_features(*sides, method="nearest", direction="b_to_a", top_k=top_k)
    for b in range(D_B - 1):
        order = [a for a in np.argsort(-values[:, b], kind="stable") if values[a, b] > 1e-12][:top_k]
        assert pairs.ids_a[pairs.ids_b == b].tolist() == order


def test_mutual(sides):
    values = associations(sides[0].toarray(), sides[1].toarray(), "pearson")
    values[[4, 5]], values[:, 30] = -np.inf, -np.inf
    expected = {(a, b) for b, a in enumerate(values.argmax(axis=0)) if values[a].argmax() == b and values[a, b] > 0}
    assert pair_set(match_features(*sides, method="mutual")) == expected
    assert 10 <= len(expected) < D_B


@pytest.mark.parametrize("max_partners", [None, 1, 2, 3, 100])
@pytest.mark.parametrize("direction", ["a_to_b", "b_to_a"])
def test_one_to_one_is_the_textbook_greedy(sides, max_partners, direction):
    values = np.nan_to_num(associations(sides[0].toarray(), sides[1].toarray(), "pearson"), nan=-1.0)
    cap = max_partners or 1
    capacity = (cap, 1) if direction == "b_to_a" else (1, cap)
    expected = greedy(values, capacity_a=capacity[0], capacity_b=capacity[1])
    pairs = match_features(*sides, method="one_to_one", direction=direction, max_partners=max_partners)
    assert pair_set(pairs) == expected
    assert pairs.partner_counts("a").max() <= capacity[0]
    assert pairs.partner_counts("b").max() <= capacity[1]
    if max_partners:
        capped = match_features(*sides, method="nearest", direction=direction, max_partners=max_partners)
        assert pair_set(capped) == expected


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    d_a=st.integers(1, 14),
    d_b=st.integers(1, 14),
    first_list=st.integers(1, 4),
    capacity=st.integers(1, 4),
    levels=st.sampled_from([2, 30]),
    dense=st.booleans(),
)
def test_greedy_does_not_depend_on_list_length(seed, d_a, d_b, first_list, capacity, levels, dense):
    """Short lists force many rounds; few levels force ties."""
    rng = np.random.default_rng(seed)
    a, b = (rng.integers(1, levels, size=(25, d)) * (rng.random((25, d)) < 0.4) for d in (d_a, d_b))
    engine = engine_of(a, b, dense=dense)
    values = engine_values(engine)
    ids_a, ids_b, corr = greedy_pairs(engine, floor=1e-12, capacity_a=capacity, capacity_b=1, first_list=first_list)
    assert set(zip(ids_a.tolist(), ids_b.tolist(), strict=True)) == greedy(values, capacity_a=capacity, capacity_b=1)
    np.testing.assert_array_equal(corr, values[ids_a, ids_b])  # dense values are on a grid, sparse ones reproducible


def engine_of(a, b, *, dense=False, n_threads=1, association="pearson", block_values=None):
    from helpers.matching.inputs import read_side

    wrap = (lambda x: x.astype(float)) if dense else (lambda x: scipy.sparse.csr_array(x.astype(float)))
    side_a, side_b = read_side(wrap(a), name="a"), read_side(wrap(b), name="b")
    usable = (side_a.varies, side_b.varies)
    if dense:
        return DenseEngine(
            side_a, side_b, association, *usable, n_threads, **({"block_values": block_values} if block_values else {})
        )
    return SparseEngine(
        side_a, side_b, association, *usable, n_threads, **({"block_values": block_values} if block_values else {})
    )


def engine_values(engine):
    """The engine's own associations of all pairs, so that ties are ties to the last bit."""
    best = engine.best_partners(of="a", k=engine.d_b, floor=-2.0)
    values = np.full((engine.d_a, engine.d_b), -1.0)
    rows, slots = np.nonzero(best.ids >= 0)
    values[rows, best.ids[rows, slots]] = best.values[rows, slots]
    return values


@pytest.mark.parametrize("association", ASSOCIATIONS)
@pytest.mark.parametrize("dense", [False, True])
def test_both_sides_see_the_same_bits(sides, association, dense):
    """Greedy relies on it: a's value of a pair is b's value of it, to the last bit."""
    engine = engine_of(sides[0].toarray(), sides[1].toarray(), dense=dense, association=association)
    of_a = engine.best_partners(of="a", k=D_B, floor=1e-12)
    of_b = engine.best_partners(of="b", k=D_A, floor=1e-12)
    table_a, table_b = np.zeros((D_A, D_B)), np.zeros((D_A, D_B))
    rows, slots = np.nonzero(of_a.ids >= 0)
    table_a[rows, of_a.ids[rows, slots]] = of_a.values[rows, slots]
    rows, slots = np.nonzero(of_b.ids >= 0)
    table_b[of_b.ids[rows, slots], rows] = of_b.values[rows, slots]
    np.testing.assert_array_equal(table_a, table_b)
    assert (table_a > 0).sum() > D_A


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("block_values", [1, 50, 1000, 10**9])
def test_block_size_and_threads_do_not_matter(sides, dense, block_values):
    a, b = sides[0].toarray(), sides[1].toarray()
    whole = engine_of(a, b, dense=dense)
    parts = engine_of(a, b, dense=dense, n_threads=3, block_values=block_values)
    for of in ("a", "b"):
        one, other = (engine.best_partners(of=of, k=3, floor=1e-12) for engine in (whole, parts))
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.truncated, other.truncated)
        if dense:  # a matrix product sums in another order in other blocks
            np.testing.assert_allclose(one.values, other.values, rtol=1e-12)
        else:
            np.testing.assert_array_equal(one.values, other.values)


def test_a_permutation_of_the_columns_is_recovered(tmp_path):
    matrix = random_activations(2000, 150, density=0.05, seed=4)
    order = np.random.default_rng(5).permutation(150)
    a, b = write_store(tmp_path / "a", matrix), write_store(tmp_path / "b", matrix[:, order])
    for method in ("nearest", "mutual", "one_to_one"):
        for direction in ("a_to_b", "b_to_a"):
            pairs = match_features(a, b, method=method, direction=direction)
            assert pairs.n_pairs == 150
            np.testing.assert_array_equal(pairs.ids_a, order[pairs.ids_b])
            np.testing.assert_allclose(pairs.corr, 1.0, atol=AGREEMENT)
            assert pairs.corr.max() <= 1.0


def test_a_permutation_of_the_rows_destroys_it():
    matrix = random_activations(2000, 150, density=0.05, seed=4)
    shuffled = matrix[np.random.default_rng(6).permutation(2000)]
    pairs = match_features(matrix, shuffled, method="one_to_one", min_firings=20)
    recovered = (pairs.ids_a == pairs.ids_b).sum()
    # One right partner is expected by chance; more than 6 has a probability below 1e-4 (Poisson of mean 1).
    assert recovered <= 6
    # The largest of 150 x 150 independent correlations at n = 2000 is about 4.2 / sqrt(2000) = 0.09.
    assert pairs.corr.max() < 0.2


def test_very_rare_features_correlate_by_chance_unless_min_firings_stops_them():
    a = scipy.sparse.csr_array(([1.0, 2.0, 1.0, 1.0, 1.0], ([3, 0, 1, 2, 4], [0, 1, 1, 1, 1])), shape=(100, 2))
    b = scipy.sparse.csr_array(([5.0, 1.0, 1.0, 3.0], ([3, 1, 2, 4], [0, 1, 1, 1])), shape=(100, 2))
    assert (0, 0) in pair_set(match_features(a, b, method="nearest"))
    assert match_features(a, b, method="nearest").corr[0] == pytest.approx(1.0)
    pairs = match_features(a, b, method="nearest", min_firings=3)
    assert pair_set(pairs) == {(1, 1)}
    assert pairs.unmatched_a.tolist() == [0]
    assert pairs.unmatched_b.tolist() == [0]
    assert match_features(a, b, method="nearest", min_firings=5).n_pairs == 0


def test_dead_and_constant_features_are_unmatched_never_index_0(sides):
    """The published pipeline turned NaN columns into partner 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        reference = associations(sides[0].toarray(), sides[1].toarray(), "pearson")
    assert np.isnan(reference[[4, 5]]).all()  # what the naive formula gives
    assert np.isnan(reference[:, 30]).all()
    for method in ("nearest", "mutual", "one_to_one"):
        for forms in (sides, tuple(side.toarray() for side in sides)):
            pairs = match_features(*forms, method=method, direction="a_to_b")
            assert {4, 5} <= set(pairs.unmatched_a)
            assert 30 in pairs.unmatched_b
            assert not np.isnan(pairs.corr).any()


def test_constant_features_with_float_noise_in_their_sums():
    # 0.1 is not exact: its variance by sums is not exactly 0, and its correlation would be noise.
    a = np.column_stack([np.full(1000, 0.1), np.random.default_rng(0).random(1000)])
    for wrap in (np.asarray, scipy.sparse.csr_array):
        pairs = match_features(wrap(a), wrap(a[:, ::-1]), method="nearest")
        assert pair_set(pairs) == {(1, 0)}


def test_features_that_never_fire_together_are_unmatched():
    a, b = np.zeros((10, 2)), np.zeros((10, 1))
    a[:4, 0], a[6:, 1], b[4:6, 0] = 1.0, 1.0, 1.0
    assert associations(a, b, "pearson").max() < 0
    pairs = match_features(scipy.sparse.csr_array(a), scipy.sparse.csr_array(b), method="nearest")
    assert pairs.n_pairs == 0
    assert pairs.unmatched_a.tolist() == [0, 1]
    assert pairs.unmatched_b.tolist() == [0]
    assert pairs.share_unique_partners == 0.0


def test_equal_associations_go_to_the_lower_id():
    column = random_activations(200, 1, density=0.3, seed=1).toarray()
    a, b = np.repeat(column, 3, axis=1), np.repeat(column, 2, axis=1)
    for wrap in (np.asarray, scipy.sparse.csr_array):
        pairs = match_features(wrap(a), wrap(b), method="nearest")
        assert pair_set(pairs) == {(0, 0), (0, 1)}
        assert pair_set(match_features(wrap(a), wrap(b), method="one_to_one")) == {(0, 0), (1, 1)}
        assert pairs.share_unique_partners == 0.5
        assert pairs.partner_counts("a").tolist() == [2, 0, 0]


def test_signed_sparse_values_take_the_exact_dense_path():
    rng = np.random.default_rng(0)
    # Means of opposite sign: features that never meet still correlate positively; the sparse shortcut would miss it.
    a, b = np.zeros((40, 2)), np.zeros((40, 2))
    a[:20, 0], b[20:, 0] = 1.0, -1.0
    a[:, 1], b[:, 1] = rng.normal(size=40) * (rng.random(40) < 0.5), rng.normal(size=40)
    values = associations(a, b, "pearson")
    assert values[0, 0] == pytest.approx(1.0)
    pairs = match_features(scipy.sparse.csr_array(a), scipy.sparse.csr_array(b), method="nearest")
    assert (0, 0) in pair_set(pairs)
    np.testing.assert_allclose(pairs.corr, values[pairs.ids_a, pairs.ids_b], atol=AGREEMENT)


def test_stored_half_precision_is_read_exactly(tmp_path):
    """Subnormal, small and large float16 values survive the compiled loops."""
    values = np.array([6e-8, 6.1e-5, 1e-3, 0.333, 1.0, 2047.0, 65504.0], dtype=np.float16)
    rng = np.random.default_rng(0)
    dense = rng.choice(values, size=(400, 12)) * (rng.random((400, 12)) < 0.3).astype(np.float16)
    other = random_activations(400, 9, density=0.3)
    a, b = write_store(tmp_path / "a", dense), write_store(tmp_path / "b", other)
    for direction in ("a_to_b", "b_to_a"):
        pairs = match_features(a, b, method="nearest", direction=direction, top_k=20)
        values64 = associations(dense.astype(np.float64), other.toarray(), "pearson")
        np.testing.assert_allclose(pairs.corr, values64[pairs.ids_a, pairs.ids_b], atol=AGREEMENT)
        assert pairs.n_pairs > 12


def test_vanishing_values_do_not_break_the_sums():
    a = scipy.sparse.csr_array(np.array([[1e-200, 1.0], [1e-200, 0.0], [0.0, 2.0]] * 50))
    pairs = match_features(a, a, method="nearest")
    assert pair_set(pairs) == {(1, 1)}


def test_large_means_keep_their_digits_in_the_dense_path():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(500, 4)) + 1e6
    pairs = match_features(a, a[:, ::-1] + rng.normal(size=(500, 4)), method="nearest")
    values = associations(a, a[:, ::-1] + np.random.default_rng(0).normal(size=(500, 4)) * 0, "pearson")
    assert pair_set(pairs) == {(i, 3 - i) for i in range(4)}
    assert values.shape == (4, 4)
    assert (pairs.corr > 0.6).all()
    assert (pairs.corr < 0.8).all()  # signal and noise of equal variance: 0.71


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), n_tokens=st.integers(2, 40), association=st.sampled_from(ASSOCIATIONS))
def test_sparse_and_dense_paths_agree(seed, n_tokens, association):
    a = random_activations(n_tokens, 7, density=0.4, seed=seed)
    b = random_activations(n_tokens, 5, density=0.4, seed=seed + 1)
    sparse = match_features(a, b, method="nearest", top_k=7, association=association)
    dense = match_features(a.toarray(), b.toarray(), method="nearest", top_k=7, association=association)
    # ties may fall out of order by the last bit, so compare pair by pair
    values = {(x, y): c for x, y, c in zip(dense.ids_a.tolist(), dense.ids_b.tolist(), dense.corr, strict=True)}
    assert pair_set(sparse) == set(values)
    for x, y, c in zip(sparse.ids_a.tolist(), sparse.ids_b.tolist(), sparse.corr, strict=True):
        assert c == pytest.approx(values[x, y], abs=AGREEMENT)


def test_min_corr_is_exclusive_and_keeps_the_greedy_order(sides):
    everything = match_features(*sides)
    some = match_features(*sides, min_corr=0.3)
    assert pair_set(some) == pair_set(everything.above(0.3))
    assert 0 < some.n_pairs < everything.n_pairs


def test_bad_options(sides):
    for options, message in [
        ({"method": "closest"}, "method must be one of nearest, mutual, one_to_one.*; got 'closest'"),
        ({"direction": "up"}, "direction must be one of a_to_b, b_to_a; got 'up'"),
        ({"association": "kendall"}, "association must be one of pearson, cosine, jaccard; got 'kendall'"),
        ({"top_k": 0}, "top_k must be at least 1; got 0"),
        ({"min_firings": 0}, "min_firings must be at least 1"),
        ({"max_partners": 0}, "max_partners must be at least 1"),
        ({"min_corr": 1.0}, r"min_corr must be in \[-1, 1\)"),
        ({"method": "one_to_one", "top_k": 2}, "one_to_one needs top_k=1"),
        ({"method": "nearest", "top_k": 2, "max_partners": 2}, "max_partners needs top_k=1"),
        ({"method": "mutual", "top_k": 2}, "mutual takes neither top_k nor max_partners"),
    ]:
        with pytest.raises(ValueError, match=message):
            match_features(*sides, **options)


def test_bad_inputs(sides):
    a, b = sides
    with pytest.raises(ValueError, match="must have the same rows .*; got 799 and 800"):
        match_features(a[:-1], b)
    bad = a.toarray()
    bad[3, 3] = np.nan
    for form in (bad, scipy.sparse.csr_array(bad)):
        with pytest.raises(ValueError, match="b has 1 NaN or infinite values"):
            match_features(a, form)
    with pytest.raises(ValueError, match=r"a must have shape \(n_tokens, d_sae\)"):
        match_features(np.zeros(3), b)
    with pytest.raises(ValueError, match=r"a must have shape \(n_tokens, d_sae\)"):
        match_features(np.zeros((0, 3)), b)


def test_stores_of_other_tokens_are_refused(tmp_path, sides):
    a, b = sides

    def store(name, matrix, **options):
        return write_store(tmp_path / name, matrix, **options)

    base = store("base", a, tokens_fingerprint="t1", tokenizer_fingerprint="k1")
    with pytest.raises(ValueError, match="different tokenizers"):
        match_features(base, store("b1", b, tokens_fingerprint="t1", tokenizer_fingerprint="k2"))
    with pytest.raises(ValueError, match="different token batches"):
        match_features(base, store("b2", b, tokens_fingerprint="t2", tokenizer_fingerprint="k1"))
    with pytest.raises(ValueError, match="got 800 and 700"):
        match_features(base, store("b3", b[:700]))
    with pytest.raises(ValueError, match="a holds feature_acts, b holds hidden_pre"):
        match_features(base, store("b4", b.toarray(), kind="hidden_pre"))
    mixed = match_features(base, store("b5", b.toarray(), kind="hidden_pre"), allow_mixed_kinds=True)
    assert pair_set(mixed) == pair_set(match_features(a, b))
    from helpers.activations import ActivationStore

    with ActivationStore.create(tmp_path / "b6", d_sae=D_B) as writer:
        rows = np.arange(N_TOKENS)
        writer.append(b, token_ids=np.where(rows == 17, 5, rows % 13), documents=rows // 10, positions=rows % 10)
    with pytest.raises(ValueError, match=r"disagree on token_ids from row 17 on \(4 and 5\)"):
        match_features(base, ActivationStore.open(tmp_path / "b6"))


def test_all_features_dead_on_one_side(sides):
    pairs = match_features(sides[0], scipy.sparse.csr_array((N_TOKENS, 3)))
    assert pairs.n_pairs == 0
    assert len(pairs.unmatched_a) == D_A
    assert len(pairs.unmatched_b) == 3


@pytest.mark.parametrize("method", ["nearest", "one_to_one", "hungarian", "ot"])
def test_integer_and_half_precision_input(method):
    counts = np.random.default_rng(0).integers(0, 3, size=(300, 12)) * (
        np.random.default_rng(1).random((300, 12)) < 0.3
    )
    order = np.random.default_rng(2).permutation(12)
    forms = [
        counts,
        counts.astype(np.float16),
        torch.tensor(counts, dtype=torch.bfloat16),
        scipy.sparse.csr_array(counts),
    ]
    for form in forms:
        pairs = match_features(form, form[:, order], method=method)
        assert pairs.n_pairs == 12
        np.testing.assert_array_equal(pairs.ids_a, order[pairs.ids_b])


def test_groups_have_about_equal_cost_and_only_a_very_dense_feature_is_alone():
    from helpers.matching.sparse_engine import _groups

    cost = np.random.default_rng(0).integers(1, 50, size=5000).astype(np.int64)
    cost[[7, 99]] = 30_000, 9_000
    groups = _groups(cost, 32)
    share = cost.sum() / 32
    assert sorted(np.concatenate(groups).tolist()) == list(range(5000))
    assert groups[0].tolist() == [7] and groups[1].tolist() == [99]  # the dearest first
    for group in groups[2:]:
        assert cost[group].sum() < share + cost[group].max() + 1


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_every_feature_is_searched_once_whatever_the_threads(n_threads):
    rng = np.random.default_rng(3)
    a = (rng.random((2000, 200)) < 0.02).astype(float)
    a[:, :5] = (rng.random((2000, 5)) < 0.6) * 1.0
    engine, searched = engine_of(a, a, n_threads=n_threads, block_values=900), []
    terms = engine._terms(None, None)
    engine._walk(engine.a, engine.b, *terms, lambda _, group, features, *__: searched.extend(features[group].tolist()))
    assert sorted(searched) == list(range(200))


def test_values_are_halved_only_where_no_bit_is_lost():
    from helpers.activations import CsrRows
    from helpers.matching.layouts import Rows

    def rows(data, d_sae=10, most_copied=100):
        data = np.asarray(data)
        matrix = CsrRows(np.array([0, len(data)]), np.arange(len(data), dtype=np.int32), data, d_sae)
        return Rows.of(matrix, most_copied=most_copied)

    exact = np.array([1.0, 0.5, 2.0**-24, 65504.0], dtype=np.float32)
    np.testing.assert_array_equal(rows(exact).data.view(np.float16).astype(np.float32), exact)
    assert rows(exact).indices.dtype == np.uint16
    assert rows(exact, d_sae=1 << 17).indices.dtype == np.int32
    for other in (np.float32([1.0, 0.1]), np.float32([1.0, 1e6]), np.float64([1.0, 0.5])):
        assert rows(other).data.dtype == other.dtype
    assert rows(exact, most_copied=3).data.dtype == np.float32
    late = np.ones(2000, dtype=np.float32)
    late[1500] = 0.1
    assert rows(late, most_copied=5000).data.dtype == np.float32
