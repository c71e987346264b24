"""A wide Gemma with zeros around a narrow one is the same model."""

import pytest
import torch

from tests.stand_ins.models import family_tokenizer, padded_gemma, tiny_model


@pytest.mark.parametrize("family", ["gemma", "gemma2"])
def test_a_padded_gemma_predicts_what_the_narrow_one_does(family: str) -> None:
    tokenizer = family_tokenizer(family, ["a few words, and some more words"], n_vocab=300)
    narrow, wide = (tiny_model(family, tokenizer, d_model=width, d_mlp=24, seed=width) for width in (16, 64))
    with torch.no_grad():  # gains of norms are zero at first, and would agree by accident
        for weight in narrow.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    padded_gemma(narrow, wide)
    for module in [*narrow.modules(), *wide.modules()]:  # it is added to a mean of squares, which zeros make smaller
        if hasattr(module, "eps"):
            module.eps = 0.0
    ids = torch.tensor([[2, 5, 9, 40, 7, 11]])
    with torch.no_grad():
        expected, got = (model.eval()(ids, output_hidden_states=True) for model in (narrow, wide))
    torch.testing.assert_close(got.logits, expected.logits, rtol=1e-3, atol=1e-4)  # of float32 sums in another order
    torch.testing.assert_close(got.hidden_states[1][..., :16], expected.hidden_states[1], rtol=1e-3, atol=1e-4)
    assert not got.hidden_states[1][..., 16:].any()
    assert expected.logits.std() > 0.01
