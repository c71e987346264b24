"""The GPU's engine, run on the CPU (and on a CUDA device where there is one), against the compiled loops."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.matching import engines, match_features, torch_engine
from helpers.matching.greedy import greedy_pairs
from helpers.matching.inputs import read_side
from helpers.matching.sparse_engine import SparseEngine
from helpers.matching.torch_engine import TorchEngine
from tests.activations.conftest import random_activations, write_store
from tests.matching.conftest import greedy, pair_set

ASSOCIATIONS = ("pearson", "cosine", "jaccard")
CPU = torch.device("cpu")
DEVICES = [CPU] + ([torch.device("cuda")] if torch.cuda.is_available() else [])
# The grid of the engine is 2^-40 = 9e-13; the compiled loops do not round.
ON_THE_GRID = 1e-12


def engines_of(a, b, *, association="pearson", device=CPU, product=None, block_values=torch_engine.BLOCK_VALUES):
    side_a, side_b = read_side(a, name="a"), read_side(b, name="b")
    usable = side_a.varies, side_b.varies
    loops = SparseEngine(side_a, side_b, association, *usable, n_threads=1)
    return loops, TorchEngine(side_a, side_b, association, *usable, device, product, block_values)


@pytest.fixture(scope="module")
def sides():
    a = random_activations(900, 60, seed=1).toarray()
    b = random_activations(900, 41, seed=2).toarray()
    b[:, :12] += a[:, 20:32]
    b[:, 13] = b[:, 12]  # a tie
    a[:, 7] = 0.0
    b[:, 3] = (np.arange(900) % 2) + 0.5  # fires on every token
    return scipy.sparse.csr_array(a), scipy.sparse.csr_array(b)


@pytest.mark.parametrize("device", DEVICES, ids=str)
@pytest.mark.parametrize("association", ASSOCIATIONS)
@pytest.mark.parametrize("product", ["sparse", "dense"])
@pytest.mark.parametrize("block_values", [1, 500, 1 << 20])
def test_it_finds_what_the_loops_find(sides, device, association, product, block_values, monkeypatch):
    monkeypatch.setattr(torch_engine, "CHUNK_PRODUCTS", 700)
    monkeypatch.setattr(torch_engine, "CHUNK_VALUES", 5000)
    loops, engine = engines_of(
        *sides, association=association, device=device, product=product, block_values=block_values
    )
    for k in (1, 4, 100):
        expected, found = (each.both_lists(k=k, floor=1e-12) for each in (loops, engine))
        for one, other in ((expected.of_a, found.of_a), (expected.of_b, found.of_b)):
            np.testing.assert_array_equal(one.ids, other.ids)
            np.testing.assert_array_equal(one.truncated, other.truncated)
            np.testing.assert_allclose(one.values, other.values, atol=ON_THE_GRID)
    ids_a, ids_b = np.array([30, 2, 59]), np.array([40, 3, 0, 12])
    np.testing.assert_allclose(engine.block(ids_a, ids_b), loops.block(ids_a, ids_b), atol=ON_THE_GRID)


@pytest.mark.parametrize("product", ["sparse", "dense"])
def test_only_kept_features_take_part(sides, product):
    loops, engine = engines_of(*sides, product=product)
    keep_a, keep_b = np.arange(60) % 3 > 0, np.arange(41) % 2 > 0
    expected, found = (each.both_lists(k=5, floor=0.01, keep_a=keep_a, keep_b=keep_b) for each in (loops, engine))
    np.testing.assert_array_equal(expected.of_a.ids, found.of_a.ids)
    np.testing.assert_array_equal(expected.of_b.ids, found.of_b.ids)
    alone = engine.best_partners(of="b", k=5, floor=0.01, keep_a=keep_a, keep_b=keep_b)
    np.testing.assert_array_equal(alone.ids, expected.of_b.ids)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), d_a=st.integers(1, 12), d_b=st.integers(1, 12), levels=st.sampled_from([2, 30]))
def test_greedy_is_the_textbook_greedy(seed, d_a, d_b, levels):
    """Few levels force ties; short lists force many rounds, so both sides must see the same bits."""
    rng = np.random.default_rng(seed)
    a, b = (
        scipy.sparse.csr_array((rng.integers(1, levels, size=(25, d)) * (rng.random((25, d)) < 0.4)).astype(float))
        for d in (d_a, d_b)
    )
    for product in ("sparse", "dense"):
        _, engine = engines_of(a, b, product=product, block_values=30)
        values = np.where(engine.usable_a[:, None] & engine.usable_b, engine.block(np.arange(d_a), np.arange(d_b)), 0.0)
        ids_a, ids_b, _ = greedy_pairs(engine, floor=1e-12, capacity_a=1, capacity_b=1, first_list=2)
        found = set(zip(ids_a.tolist(), ids_b.tolist(), strict=True))
        assert found == greedy(values, capacity_a=1, capacity_b=1)


@pytest.mark.parametrize("method", ["nearest", "mutual", "one_to_one", "hungarian", "ot"])
def test_every_method_gives_the_same_pairs(sides, method, monkeypatch):
    expected = match_features(*sides, method=method)
    monkeypatch.setattr(engines, "cuda_is_likely", lambda: True)
    monkeypatch.setattr(engines, "_cuda_engine", lambda *arguments: TorchEngine(*arguments, CPU))
    found = match_features(*sides, method=method)
    assert pair_set(found) == pair_set(expected)
    np.testing.assert_array_equal(found.corr, expected.corr)


def test_the_faster_product_is_found_by_timing(sides, monkeypatch, caplog):
    clock = {"sparse": 5.0, "dense": 1.0}
    monkeypatch.setattr(TorchEngine, "_timed", lambda _, product, *__, **___: clock[product])
    _, engine = engines_of(*sides)
    with caplog.at_level(logging.INFO, logger="helpers.matching.torch_engine"):
        engine.both_lists(k=1, floor=0.0)
    assert engine.product == "dense" and "by the dense product" in caplog.text
    clock["dense"] = 1000.0
    _, engine = engines_of(*sides)
    engine.both_lists(k=1, floor=0.0)
    assert engine.product == "sparse"


def test_both_products_are_really_timed(sides):
    loops, engine = engines_of(*sides)
    found = engine.both_lists(k=3, floor=1e-12)
    assert engine.product in ("sparse", "dense")
    np.testing.assert_array_equal(found.of_a.ids, loops.both_lists(k=3, floor=1e-12).of_a.ids)


@pytest.mark.parametrize("product", ["sparse", "dense"])
def test_a_device_with_too_little_memory_gets_smaller_blocks(sides, product, monkeypatch, caplog):
    """Memory for blocks of 300 values: of 2,400 (59 x 40 fit), 1,200, 600 and 300 the last one fits."""
    _, engine = engines_of(*sides, product=product, block_values=2400)
    expected = engine.both_lists(k=4, floor=1e-12)
    asked, at_once, kernel = [], [], getattr(torch_engine, f"_{product}_product")

    def small_memory(x, y, ids_x, ids_y, **options):
        asked.append(len(ids_x) * len(ids_y))
        at_once.append(next(reversed(options.values())))
        if asked[-1] > 300:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return kernel(x, y, ids_x, ids_y, **options)

    monkeypatch.setattr(torch_engine, f"_{product}_product", small_memory)
    found = engine.both_lists(k=4, floor=1e-12)
    assert asked[0] > 1200 >= asked[1] > 600 >= asked[2] > 300 >= max(asked[3:])
    assert at_once[:3] == [at_once[0], at_once[0] // 2, at_once[0] // 4]  # what a product holds besides shrinks, too
    assert engine.block_values == 300 and "going on with 300 values at once" in caplog.text
    for one, other in ((expected.of_a, found.of_a), (expected.of_b, found.of_b)):
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.truncated, other.truncated)
    ids = np.arange(20)
    np.testing.assert_array_equal(engine.block(ids, ids), engines_of(*sides, product=product)[1].block(ids, ids))


def test_half_precision_stores(sides, tmp_path):
    a, b = (write_store(tmp_path / name, side) for name, side in zip("ab", sides, strict=True))
    loops, engine = engines_of(a, b, product="sparse")
    expected, found = (each.both_lists(k=2, floor=1e-12) for each in (loops, engine))
    np.testing.assert_array_equal(expected.of_b.ids, found.of_b.ids)


def test_nothing_to_match():
    a = random_activations(50, 4, seed=1)
    for product in ("sparse", "dense"):
        _, engine = engines_of(a, scipy.sparse.csr_array((50, 3)), product=product)
        lists = engine.both_lists(k=2, floor=0.0)
        assert (lists.of_a.ids == -1).all() and (lists.of_b.ids == -1).all()
        assert engine.block(np.array([1, 2]), np.empty(0, np.int64)).shape == (2, 0)


def test_a_gpu_is_used_where_there_is_one_with_room(sides, monkeypatch):
    """The choice alone, with a pretended GPU: the CPU under its name."""
    expected = match_features(*sides)
    monkeypatch.setattr(engines, "cuda_is_likely", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1 << 40, 1 << 40))
    made = []

    class Pretended(TorchEngine):
        def __init__(self, *arguments):
            made.append(arguments[-1].type)
            super().__init__(*arguments[:-1], CPU)

    monkeypatch.setattr(torch_engine, "TorchEngine", Pretended)
    assert pair_set(match_features(*sides)) == pair_set(expected)
    assert made == ["cuda"]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1000, 1 << 40))
    assert isinstance(engines.open_engine(*sides), SparseEngine)
    assert made == ["cuda"]


def test_too_many_features_for_the_integer_order():
    side = read_side(scipy.sparse.csr_array((2, 1 << 22)), name="a")
    with pytest.raises(ValueError, match="fewer than 4,194,304 features"):
        TorchEngine(side, side, "pearson", side.varies, side.varies, CPU)
