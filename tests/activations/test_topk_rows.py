"""Tiles give what `sae.encode` gives: the k largest pre-activations above 0, whatever the cuts and the threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.activations.collect import collect_activations
from helpers.activations.topk_rows import takes_tiles, topk_rows
from tests.activations.conftest import small_sae

HOOK = "blocks.0.hook_resid_post"


def encoded(sae, x):
    with torch.no_grad():
        return sae.encode(x).numpy()


def rows_of(n_rows, d_in=16, seed=0):
    return torch.randn(n_rows, d_in, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize(("tile_tokens", "tile_features"), [(256, 1024), (7, 9), (1, 40), (100, 1)])
def test_equals_encode_for_every_cut(monkeypatch, tile_tokens, tile_features, n_threads):
    monkeypatch.setattr("helpers.activations.topk_rows.TILE_TOKENS", tile_tokens)
    monkeypatch.setattr("helpers.activations.topk_rows.TILE_FEATURES", tile_features)
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        sae, x = small_sae(), rows_of(100)
        found = topk_rows(sae, x)
        assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    expected = encoded(sae, x)
    np.testing.assert_array_equal(found.toarray() != 0, expected != 0)
    # products are summed in another order: a few units in the last place of numbers of order 10
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-5)
    assert all(np.all(np.diff(found.indices[a:b]) > 0) for a, b in zip(found.indptr, found.indptr[1:], strict=False))


def test_wide_dictionary_with_many_candidates():
    """More than one tile of features and of tokens, and every feature above 0 for many rows."""
    sae, x = small_sae(d_sae=3000, k=32), rows_of(300)
    np.testing.assert_allclose(topk_rows(sae, x).toarray(), encoded(sae, x), atol=1e-5)


def test_fewer_than_k_above_zero_are_fewer_values():
    sae = small_sae(d_sae=40, k=30)
    with torch.no_grad():
        sae.b_enc.fill_(-3.0)
    x = rows_of(50)
    found, expected = topk_rows(sae, x), encoded(sae, x)
    assert 0 < found.nnz == np.count_nonzero(expected) < 50 * 30
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-5)


def test_of_equal_values_the_lower_feature_stays():
    sae = small_sae(d_sae=40, k=3)
    with torch.no_grad():
        sae.W_enc.zero_()
        sae.b_enc.fill_(1.0)
        sae.b_enc[20] = 2.0
    found = topk_rows(sae, rows_of(4))
    np.testing.assert_array_equal(found.indices.reshape(4, 3), [[0, 1, 20]] * 4)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_bad_activations_are_named(model, tokens, tmp_path, bad):
    """A NaN or an infinity reaches the writer's check as it does from `sae.encode`."""
    sae = small_sae()
    with torch.no_grad():
        sae.b_enc[7] = bad
    if bad is torch.nan:
        assert topk_rows(sae, rows_of(5)) is None
    with pytest.raises(ValueError, match="feature 7, row 0 is .*; activations must be finite"):
        collect_activations(model, {"a": (sae, HOOK)}, tokens, tmp_path)


def test_only_what_it_can_do_goes_through_tiles():
    assert takes_tiles(small_sae())
    assert not takes_tiles(small_sae(k=None))
    assert not takes_tiles(small_sae().to(torch.float64))
    hooked = small_sae()
    hooked.hook_sae_acts_post.add_hook(lambda value, hook: value)  # noqa: ARG005 (the hook protocol passes it by name)
    assert not takes_tiles(hooked)
    rescaled = small_sae()
    rescaled.cfg.rescale_acts_by_decoder_norm = True
    assert not takes_tiles(rescaled)
