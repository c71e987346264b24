"""Prompts, padding and places, and what a layer holds at them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.corpus import tokenize_corpus
from helpers.steering import Prompts, encode_prompts, mean_residual_norm, prompt_states, prompts_of_batch
from helpers.steering.prompts import repeated_prompts, steered_columns
from tests.steering.conftest import D_VOCAB, HOOK, prompts_of
from tests.tiny import Texts

# float32 sums of another order than by hand, about 1e-6 of values near 1
ATOL = 1e-5


def test_texts_become_prompts_with_bos(tokenizer):
    texts = [" Monday", " It was Monday and"]
    left, right = (encode_prompts(tokenizer, texts, side=side) for side in ("left", "right"))
    ids = [[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]] for text in texts]
    assert left.lengths.tolist() == right.lengths.tolist() == [2, 5]
    assert left.input_ids[0, 3:].tolist() == right.input_ids[0, :2].tolist() == ids[0]
    assert left.input_ids[1].tolist() == ids[1]
    assert left.first.tolist() == [3, 0] and left.last.tolist() == [4, 4] and left.is_left_padded
    assert right.first.tolist() == [0, 0] and right.last.tolist() == [1, 4] and not right.is_left_padded
    assert left.keep_mask.sum(axis=1).tolist() == [1, 4]
    for there, here in ((left, right), (right, left)):
        back = there.padded("right" if there is left else "left")
        assert all(np.array_equal(getattr(back, name), getattr(here, name)) for name in ("attention_mask", "keep_mask"))
        assert np.array_equal(back.input_ids[back.attention_mask], here.input_ids[here.attention_mask])
    bare = encode_prompts(tokenizer, texts, prepend_bos=False)
    assert bare.lengths.tolist() == [1, 4] and (bare.keep_mask == bare.attention_mask).all()
    twice = repeated_prompts(left, 2)
    assert np.array_equal(twice.input_ids, np.concatenate([left.input_ids] * 2))


def test_places_by_hand():
    left = prompts_of([5, 9, 11], [17])
    right = left.padded("right")
    expected = {  # BOS and three words; BOS and one word; then two new tokens
        "last": ("000100", "000100"),
        "new": ("000011", "000011"),
        "from_last": ("000111", "000111"),
        "everywhere": ("011111", "000111"),
        (0, -1): ("100100", "001100"),
        ((2,), (0, 1)): ("001000", "001100"),
    }
    for at, rows in expected.items():
        found = steered_columns(left, at, n_new=2)
        assert found.astype(int).tolist() == [[int(c) for c in row] for row in rows], at
    assert steered_columns(right, "last").astype(int).tolist() == [[0, 0, 0, 1], [0, 1, 0, 0]]
    assert steered_columns(right, "everywhere").astype(int).tolist() == [[0, 1, 1, 1], [0, 1, 0, 0]]
    assert steered_columns(right, (-2,)).astype(int).tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]


def test_a_batch_and_back(world, tokenizer):
    batch = tokenize_corpus(world, tokenizer, context_size=16, n_tokens=200)
    prompts = prompts_of_batch(batch)
    back = prompts.as_batch()
    width = back.context_size
    assert np.array_equal(back.keep_mask, batch.keep_mask[:, :width]) and not batch.attention_mask[:, width:].any()
    assert np.array_equal(back.token_ids(), batch.token_ids())


def test_states_are_what_the_hook_gives(model, prompts):
    for side in ("left", "right"):
        last, mean = (prompt_states(model, prompts.padded(side), hook_name=HOOK, token=t) for t in ("last", "mean"))
        norms = []
        for row in range(3):
            ids = torch.from_numpy(prompts.input_ids[row][prompts.attention_mask[row]])[None]
            with torch.no_grad():
                _, cache = model.run_with_cache(ids, names_filter=[HOOK], prepend_bos=False)
            stream = cache[HOOK][0].double().numpy()
            assert np.allclose(last[row], stream[-1], atol=ATOL)
            assert np.allclose(mean[row], stream[1:].mean(axis=0), atol=ATOL)  # no BOS
            norms += np.linalg.norm(stream[1:], axis=1).tolist()
        assert mean_residual_norm(model, prompts, hook_name=HOOK) == pytest.approx(np.mean(norms), rel=1e-5)


def test_many_prompts_keep_their_order(model):
    rows = [[1 + number % 40, *range(2, 2 + number % 5)] for number in range(150)]
    states = prompt_states(model, prompts_of(*rows), hook_name=HOOK)
    for number in (0, 63, 64, 149):
        assert np.allclose(states[number], prompt_states(model, prompts_of(rows[number]), hook_name=HOOK)[0], atol=ATOL)


def test_bad_prompts(model, tokenizer, prompts):
    ids, real = np.ones((2, 3), np.int64), np.ones((2, 3), bool)
    for change, message in (
        (lambda: Prompts(ids, real[:, :2], real), "share one shape"),
        (lambda: Prompts(ids, real & False, real & False), "has a real token"),
        (lambda: Prompts(ids, np.array([[1, 0, 1]] * 2, bool), real & False), "padding between"),
        (lambda: Prompts(ids, np.array([[0, 1, 1]] * 2, bool), real), "True on padding"),
        (lambda: encode_prompts(tokenizer, []), "at least one prompt"),
        (lambda: encode_prompts(tokenizer, [" Monday", ""]), "tokens that the tokenizer knows; got ''"),
        (lambda: encode_prompts(tokenizer, [" Monday zyxw"]), "knows; got ' Monday zyxw'"),
        (lambda: steered_columns(prompts, (-3,)), "has positions -2 to 1; got -3"),
        (lambda: steered_columns(prompts, ((0,),)), "one tuple of positions a prompt, 3; got 1"),
        (lambda: prompt_states(model, prompts, hook_name=HOOK, token="first"), "'last' or 'mean'"),
        (lambda: prompt_states(model, prompts, hook_name="blocks.1.attn.hook_q"), "one vector a token"),
        (lambda: prompt_states(model, prompts, hook_name="blocks.9.hook_resid_post"), "hook of the model"),
        (lambda: prompt_states(model, prompts_of([D_VOCAB]), hook_name=HOOK), "below the model's"),
        (lambda: prompt_states(model, prompts_of([4], []), hook_name=HOOK, token="mean"), "special tokens only"),
        (lambda: mean_residual_norm(model, prompts_of([]), hook_name=HOOK), "special tokens only"),
    ):
        with pytest.raises(ValueError, match=message):
            change()


def test_a_text_is_tokenised_as_it_stands(tokenizer):
    """The same ids as the corpus's own tokenising."""
    text = " It was Monday and"
    batch = tokenize_corpus(Texts(text), tokenizer, context_size=8, n_tokens=4)
    assert encode_prompts(tokenizer, [text]).input_ids[0].tolist() == batch.input_ids[batch.attention_mask].tolist()
