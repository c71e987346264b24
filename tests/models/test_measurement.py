import math

import numpy as np
import pytest
import torch

from helpers.corpus import TokenBatch
from helpers.models import ModelReference, load_shared_tokenizer, measure_language_model, reinitialise
from helpers.models.measurement import unigram_entropy


def batch_of(ids, keep):
    ids = np.array(ids, dtype=np.int32)
    keep = np.array(keep, dtype=bool)
    zeros = np.zeros(len(ids), dtype=np.int32)
    return TokenBatch(ids, keep, np.ones_like(keep), zeros, zeros, "fingerprint")


def test_unigram_entropy_by_hand_ignores_masked_tokens():
    batch = batch_of([[0, 5, 5, 6], [0, 7, 6, 5]], [[0, 1, 1, 1], [0, 0, 1, 0]])  # kept: 5 5 6 6
    assert unigram_entropy(batch) == pytest.approx(math.log(2))


def test_a_reinitialised_model_has_the_shapes_and_none_of_the_weights(model):
    fresh, again = reinitialise(model, seed=5), reinitialise(model, seed=5)
    old, new = model.original_model.state_dict(), fresh.original_model.state_dict()
    assert {k: v.shape for k, v in old.items()} == {k: v.shape for k, v in new.items()}
    learnt = [name for name, value in old.items() if value.ndim == 2]
    assert learnt and all(not torch.allclose(old[name], new[name]) for name in learnt)
    assert all(torch.equal(value, again.original_model.state_dict()[name]) for name, value in new.items())


def test_a_random_model_knows_less_than_word_frequencies(model, tokenizer, tokens):
    measured = measure_language_model(reinitialise(model, seed=1), tokenizer, tokens=tokens)
    assert measured.loss > measured.unigram_loss
    assert measured.accuracies == {}
    assert measured.n_parameters > 0


def test_references_move_with_their_folder(model_folder, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "model").symlink_to(model_folder)
    ModelReference(source="folder", name_or_path="model").save(tmp_path / "here" / "model.json")
    (tmp_path / "here").rename(tmp_path / "moved")
    reference = ModelReference.load(tmp_path / "moved" / "model.json")
    assert reference.load_model(device="cpu").cfg.n_layers == 3
    assert reference.load_tokenizer().bos_token_id is not None


def test_models_with_different_tokenizers_have_no_shared_one(model_folder, tokenizer, tmp_path):
    changed = type(tokenizer).from_pretrained(model_folder)
    changed.add_tokens(["brand-new-word"])
    changed.save_pretrained(tmp_path)
    one = ModelReference(source="folder", name_or_path=str(model_folder))
    two = ModelReference(source="folder", name_or_path=str(tmp_path))
    assert load_shared_tokenizer({"a": one, "b": one}).bos_token_id == tokenizer.bos_token_id
    with pytest.raises(ValueError, match="models 'a' and 'b' have different tokenizers"):
        load_shared_tokenizer({"a": one, "b": two})
