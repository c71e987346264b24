"""A re-initialised model: same architecture and tokenizer, other weights, and the caller's random state untouched."""

from __future__ import annotations

import torch

from helpers.corpus import tokenizer_fingerprint
from helpers.models import ModelReference, save_reinitialised


def weights(reference: ModelReference) -> torch.Tensor:
    return torch.cat([p.flatten() for p in reference.load_model(device="cpu").parameters()])


def test_same_shape_other_weights_and_repeatable(model_folder, tmp_path):
    original = ModelReference("folder", str(model_folder))
    first, second, other = (
        save_reinitialised(original, folder=tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert torch.equal(weights(first), weights(second))
    assert weights(first).shape == weights(original).shape
    for different in (weights(original), weights(other)):
        # Of two independent draws, only constants (norms, biases) are equal.
        assert (weights(first) == different).float().mean() < 0.2


def test_it_is_a_model_of_its_own_with_the_same_tokenizer(model_folder, tokenizer, tmp_path):
    fresh = save_reinitialised(ModelReference("folder", str(model_folder)), folder=tmp_path / "fresh", seed=1)
    assert tokenizer_fingerprint(fresh.load_tokenizer()) == tokenizer_fingerprint(tokenizer)
    assert fresh.name_or_path == str(tmp_path / "fresh")


def test_the_global_random_state_is_left_alone(model_folder, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    save_reinitialised(ModelReference("folder", str(model_folder)), folder=tmp_path / "fresh", seed=1)
    assert torch.equal(torch.rand(3), expected)
