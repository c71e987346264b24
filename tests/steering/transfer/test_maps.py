"""Maps between streams: moments in blocks, ridge and Procrustes against independent fits, turned copies, shuffles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.corpus import TokenBatch
from helpers.steering import given_vector
from helpers.steering.transfer import (
    PairedMoments,
    decoder_map,
    paired_moments,
    procrustes_map,
    ridge_map,
    shuffled_maps,
)
from tests.steering.conftest import HOOK

HOOKS = {"hook_a": "blocks.0.hook_resid_post", "hook_b": "blocks.1.hook_resid_post"}


def rotation(d: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


def summed(rows_a, rows_b, *, n_folds=4, n_shuffles=0, blocks=3) -> PairedMoments:
    moments = PairedMoments.empty(rows_a.shape[1], rows_b.shape[1], n_folds=n_folds, n_shuffles=n_shuffles, **HOOKS)
    rng = np.random.default_rng(0)
    folds = np.arange(len(rows_a)) % n_folds
    for part in np.array_split(np.arange(len(rows_a)), blocks):
        moments.add(rows_a[part], rows_b[part], folds[part], rng)
    return moments


def a_vector(d: int):
    return given_vector(np.random.default_rng(9).normal(size=d), hook_name=HOOKS["hook_a"], name="a")


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    """300 rows with a mean far from 0, and what a matrix makes of them, with noise and another mean."""
    rng = np.random.default_rng(1)
    rows_a = rng.normal(size=(300, 6)) * [5, 3, 2, 1, 1, 0.5] + 20
    return rows_a, rows_a @ rng.normal(size=(6, 4)) - 7 + rng.normal(size=(300, 4))


def test_a_turned_copy_is_carried_exactly():
    """Procrustes recovers the vector in a rotated and moved copy of the space; so does ridge, up to its penalty."""
    rng = np.random.default_rng(2)
    rows_a, turn = rng.normal(size=(200, 8)) * np.arange(1, 9) + 3, rotation(8, 3)
    moments = summed(rows_a, rows_a @ turn + 11)
    source = a_vector(8)
    carried = procrustes_map(moments).carry(source, name="b", residual_norm=2.0)
    assert np.allclose(carried.vector, source.vector @ turn, atol=1e-9)
    assert (carried.hook_name, carried.model, carried.residual_norm) == (HOOKS["hook_b"], "b", 2.0)
    # A penalty of 1e-7 mean variances shrinks the weakest direction (variance 1 of a mean of 25) by 3e-6.
    ridge = ridge_map(moments, penalties=[1e-7])
    assert np.allclose(ridge.carry(source, name="b").vector, source.vector @ turn, atol=1e-4)
    assert procrustes_map(moments).details["missed_variance"] == pytest.approx(0, abs=1e-9)


def test_ridge_is_ridge(rows):
    """Against a fit on all rows at once, and its choice against folds left out by hand."""
    rows_a, rows_b = rows
    penalties = [1e-3, 1.0, 30.0]
    found = ridge_map(summed(rows_a, rows_b), penalties=penalties)

    def fit(keep, penalty):
        a, b = rows_a[keep] - rows_a[keep].mean(0), rows_b[keep] - rows_b[keep].mean(0)
        weight = penalty * (a**2).sum() / a.shape[1]  # n times the mean variance
        # Least squares on rows to which sqrt(weight) times the identity is added: another way to the same matrix.
        stacked = np.vstack([a, np.sqrt(weight) * np.eye(6)])
        return np.linalg.lstsq(stacked, np.vstack([b, np.zeros((6, 4))]), rcond=None)[0]

    folds, missed = np.arange(300) % 4, []
    for penalty in penalties:
        error = total = 0.0
        for fold in range(4):
            keep = folds != fold
            mean_a, mean_b = rows_a[keep].mean(0), rows_b[keep].mean(0)
            predicted = (rows_a[~keep] - mean_a) @ fit(keep, penalty) + mean_b
            error += ((rows_b[~keep] - predicted) ** 2).sum()
            total += ((rows_b[~keep] - mean_b) ** 2).sum()
        missed.append(error / total)
    assert list(found.details["missed"].values()) == pytest.approx(missed, rel=1e-8)
    assert found.details["penalty"] == penalties[int(np.argmin(missed))]
    assert np.allclose(found.matrix, fit(np.ones(300, bool), found.details["penalty"]), rtol=1e-8)


def test_the_penalty_guards_against_few_rows():
    """With hardly more rows than dimensions and nothing but noise, the strongest penalty predicts best."""
    rng = np.random.default_rng(4)
    found = ridge_map(summed(rng.normal(size=(40, 25)), rng.normal(size=(40, 5))), penalties=[1e-6, 1e-2, 100.0])
    assert found.details["penalty"] == 100.0 and found.details["missed"]["1e-06"] > 1.5


def test_procrustes_between_widths(rows):
    rows_a, rows_b = rows
    found = procrustes_map(summed(rows_a, rows_b))
    assert found.matrix.shape == (6, 4) and np.allclose(found.matrix.T @ found.matrix, np.eye(4))
    cross = (rows_a - rows_a.mean(0)).T @ (rows_b - rows_b.mean(0))
    left, _, right = np.linalg.svd(cross, full_matrices=False)
    assert np.allclose(found.matrix, left @ right, atol=1e-9)
    rng = np.random.default_rng(0)
    others = [np.linalg.qr(rng.normal(size=(6, 4)))[0] for _ in range(200)]
    assert max(np.vdot(other, cross) for other in others) < np.vdot(found.matrix, cross)


def test_blocks_do_not_matter(rows):
    whole, parts = (summed(*rows, blocks=blocks) for blocks in (1, 50))
    for name in ("counts", "sums_a", "sums_b", "products_aa", "products_ab", "squares_b"):
        assert np.allclose(getattr(whole, name), getattr(parts, name), rtol=1e-12)


def test_maps_of_shuffled_tokens_know_nothing(rows):
    """Shuffled within blocks of 300 rows, a map predicts nothing: the rows of b it is fitted on belong to others."""
    moments = summed(*rows, n_shuffles=6, blocks=1)
    rows_a, rows_b = (side - side.mean(0) for side in rows)
    true = ridge_map(moments)
    explained = 1 - ((rows_b - rows_a @ true.matrix) ** 2).sum() / (rows_b**2).sum()
    wrong = shuffled_maps(moments, penalty=true.details["penalty"])
    shares = [1 - ((rows_b - rows_a @ each.matrix) ** 2).sum() / (rows_b**2).sum() for each in wrong]
    assert len(wrong) == 6 and explained > 0.95 and max(shares) < 0.25
    turned = shuffled_maps(moments)
    assert all(np.allclose(each.matrix.T @ each.matrix, np.eye(4)) for each in turned)
    assert not np.allclose(turned[0].matrix, turned[1].matrix)


def test_decoder_rows_map_partners_onto_each_other():
    rng = np.random.default_rng(5)
    rows_a, turn = rng.normal(size=(30, 5)), rng.normal(size=(5, 3))
    found = decoder_map(rows_a, rows_a @ turn, **HOOKS)
    assert np.allclose(found.matrix, turn) and found.details == {"n_pairs": 30, "rank": 5}
    few = decoder_map(rows_a[:2], rows_a[:2] @ turn, **HOOKS)  # two pairs span a plane; what is across it is lost
    assert np.allclose(rows_a[:2] @ few.matrix, rows_a[:2] @ turn) and few.details["rank"] == 2
    across = np.linalg.svd(rows_a[:2])[2][2]
    assert np.allclose(across @ few.matrix, 0, atol=1e-12)


def batch(n_documents: int, length: int = 6) -> TokenBatch:
    ids = np.random.default_rng(6).integers(1, 40, size=(n_documents, length)).astype(np.int32)
    ids[:, 0] = 0
    keep = np.ones(ids.shape, bool)
    keep[:, 0] = False
    keep[::2, -1] = False
    numbers = np.arange(n_documents, dtype=np.int32)
    return TokenBatch(ids, keep, np.ones(ids.shape, bool), numbers // 2, numbers * 0, "")


def test_moments_of_two_models(model):
    """All pairs of hooks in one pass over kept tokens; a document's sequences are in one fold."""
    text, hooks = batch(9), ["blocks.0.hook_resid_post", HOOK]
    shuffles = {(hooks[0], HOOK): 2}
    found = paired_moments(model, model, text, hooks_a=hooks, hooks_b=[HOOK], n_folds=2, n_shuffles=shuffles)
    assert set(found) == {(hooks[0], HOOK), (HOOK, HOOK)}
    with torch.no_grad():
        cache = model.run_with_cache(torch.from_numpy(text.input_ids).long(), prepend_bos=False)[1]
    rows_a, rows_b = (cache[hook].double().numpy() for hook in hooks)
    for fold in (0, 1):
        keep = text.keep_mask & (text.documents % 2 == fold)[:, None]
        moments = found[hooks[0], HOOK]
        # float32 activations of order 1 summed over some 20 rows
        assert np.allclose(moments.products_ab[fold], rows_a[keep].T @ rows_b[keep], atol=1e-4)
        assert moments.counts[fold] == keep.sum()
    assert found[hooks[0], HOOK].n_rows == text.n_tokens
    assert len(found[hooks[0], HOOK].shuffled_ab) == 2 and not len(found[HOOK, HOOK].shuffled_ab)
    same = procrustes_map(found[HOOK, HOOK]).matrix
    assert np.allclose(same, np.eye(len(same)), atol=1e-6)


def test_bad_maps(rows, model):
    moments = summed(*rows)
    with pytest.raises(ValueError, match=r"starts at blocks.0.hook_resid_post; got a vector of blocks.1"):
        ridge_map(moments).carry(given_vector(np.ones(6), hook_name=HOOK, name="a"), name="b")
    with pytest.raises(ValueError, match="width 6; got a vector of 8"):
        procrustes_map(moments).carry(a_vector(8), name="b")
    with pytest.raises(ValueError, match="a direction is not zero"):
        decoder_map(np.eye(6)[:1], np.ones((1, 4)), **HOOKS).carry(
            given_vector(np.eye(6)[1], hook_name=HOOKS["hook_a"], name="a"), name="b"
        )
    for penalties in ([], [0.0], [np.nan]):
        with pytest.raises(ValueError, match="penalties are positive"):
            ridge_map(moments, penalties=penalties)
    with pytest.raises(ValueError, match="every fold holds rows"):
        ridge_map(PairedMoments.empty(6, 4, **HOOKS))
    with pytest.raises(ValueError, match="rows vary on both sides"):
        procrustes_map(summed(np.ones((40, 3)), np.ones((40, 2))))
    with pytest.raises(ValueError, match="sum them up with n_shuffles"):
        shuffled_maps(moments)
    with pytest.raises(ValueError, match="at least 2 folds"):
        PairedMoments.empty(6, 4, n_folds=1, **HOOKS)
    with pytest.raises(ValueError, match=r"widths 6 and 4; got \(2, 5\)"):
        moments.add(np.ones((2, 5)), np.ones((2, 4)), np.zeros(2, np.int64), np.random.default_rng(0))
    with pytest.raises(ValueError, match="activations are finite"):
        moments.add(np.full((2, 6), np.nan), np.ones((2, 4)), np.zeros(2, np.int64), np.random.default_rng(0))
    with pytest.raises(ValueError, match="one row of b for every row of a"):
        decoder_map(np.ones((3, 2)), np.ones((2, 2)), **HOOKS)
    with pytest.raises(ValueError, match="decoder rows are finite"):
        decoder_map(np.full((3, 2), np.inf), np.ones((3, 2)), **HOOKS)
    with pytest.raises(ValueError, match="each of 5 folds; got 1"):
        paired_moments(model, model, batch(2), hooks_a=[HOOK], hooks_b=[HOOK])
    with pytest.raises(ValueError, match="hook of the model"):
        paired_moments(model, model, batch(9), hooks_a=["blocks.1.nothing"], hooks_b=[HOOK], n_folds=2)
