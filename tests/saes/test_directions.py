import numpy as np
import pytest
import torch
from sae_lens import TopKSAE, TopKSAEConfig

from helpers.saes import feature_directions, random_sae


@pytest.fixture
def sae():
    torch.manual_seed(0)
    sae = TopKSAE(TopKSAEConfig(d_in=6, d_sae=20, k=3))
    with torch.no_grad():
        sae.W_enc.copy_(torch.randn(6, 20))
        sae.W_dec.copy_(torch.randn(20, 6))
        sae.b_dec.copy_(torch.randn(6))
    return sae


def test_rows_are_features_in_both_spaces(sae):
    decoder, encoder = (feature_directions(sae, space=space) for space in ("decoder", "encoder"))
    assert decoder.shape == encoder.shape == (20, 6) and decoder.dtype == np.float64
    np.testing.assert_array_equal(decoder[7], sae.W_dec[7].detach().numpy())
    np.testing.assert_array_equal(encoder[7], sae.W_enc[:, 7].detach().numpy())


def test_unknown_space_is_refused(sae):
    with pytest.raises(ValueError, match="space must be 'decoder' or 'encoder'; got 'middle'"):
        feature_directions(sae, space="middle")


def test_random_directions_keep_shape_norms_and_sparsity_and_leave_the_original(sae):
    before = sae.W_dec.detach().clone()
    control = random_sae(sae, seed=1)
    assert torch.equal(sae.W_dec, before)
    torch.testing.assert_close(control.W_dec.norm(dim=1), sae.W_dec.norm(dim=1))
    assert not torch.allclose(control.W_dec, sae.W_dec)
    assert torch.equal(control.b_dec, sae.b_dec)
    assert (control.encode(torch.randn(50, 6)) != 0).sum(dim=1).max() <= 3
    assert torch.equal(control.W_dec, random_sae(sae, seed=1).W_dec)
    assert not torch.equal(control.W_dec, random_sae(sae, seed=2).W_dec)
