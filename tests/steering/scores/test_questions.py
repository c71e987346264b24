"""Answers as tokens, and which of a model's answers are right."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.steering.scores import TaskPrompt, answer_token, encode_questions
from helpers.steering.scores.questions import NO_TOKEN
from tests.stand_ins.models import family_tokenizer


def test_an_answer_of_several_tokens_is_a_clear_error(tokenizer):
    assert answer_token(tokenizer, "Tuesday") == tokenizer.convert_tokens_to_ids(" Tuesday")
    with pytest.raises(ValueError, match="is one token of the model; ' Monday Tuesday' is 2 .*take another word"):
        answer_token(tokenizer, "Monday Tuesday")
    with pytest.raises(ValueError, match="a word that the tokenizer knows; got ' xyzzy'"):
        answer_token(tokenizer, "xyzzy")


@pytest.mark.parametrize("family", ["gpt2", "gemma", "llama"])
def test_an_answer_is_the_token_that_follows_the_prompt(family):
    """Llama's tokenizer puts a space of its own before a text: ' May' by itself is a space and ' May'."""
    texts = ["The month after April is May and the month before it is March."] * 50
    tokenizer = family_tokenizer(family, texts, n_vocab=400)
    prompt = "The month after April is"
    in_text = tokenizer(prompt + " May", add_special_tokens=False)["input_ids"]
    assert in_text[:-1] == tokenizer(prompt, add_special_tokens=False)["input_ids"]
    assert answer_token(tokenizer, "May") == in_text[-1]
    alone = tokenizer(" May", add_special_tokens=False)["input_ids"]
    assert (len(alone) > 1) == (family == "llama")  # the trap is there


def test_prompts_carry_their_right_answers(tokenizer):
    asked = [
        TaskPrompt("The day after Monday is", ("Tuesday",), ("February", "March"), exact="February"),
        TaskPrompt("Tom was happy because", ("he",), ("she",), form=3),
    ]
    found = encode_questions(tokenizer, asked, d_vocab=len(tokenizer))
    token = {word: answer_token(tokenizer, word) for word in ("Tuesday", "February", "March", "she")}
    assert found.before[0].nonzero()[0].tolist() == [token["Tuesday"]]
    assert set(found.after[0].nonzero()[0].tolist()) == {token["February"], token["March"]}
    assert found.exact.tolist() == [token["February"], NO_TOKEN] and found.forms.tolist() == [0, 3]
    assert found.texts[1] == "Tom was happy because"
    with pytest.raises(ValueError, match="answers are below the model's 4 tokens"):
        encode_questions(tokenizer, asked, d_vocab=4)
    with pytest.raises(ValueError, match="made of tokens that the tokenizer knows; got 'The xyzzy is'"):
        encode_questions(tokenizer, [TaskPrompt("The xyzzy is", (), ("she",))], d_vocab=len(tokenizer))


def test_answers_are_judged_by_hand(tokenizer):
    """Two tokens are right: together they have 3/4 of the first prompt, and neither is the top answer of the second."""
    asked = [TaskPrompt(text, (), ("he", "she"), exact="she") for text in ("Tom was", "Anna was")]
    probabilities = np.full((2, len(tokenizer)), 1e-12)
    ids = [answer_token(tokenizer, word) for word in ("he", "she", "him")]
    probabilities[0, ids] = 0.25, 0.5, 0.25
    probabilities[1, ids] = 0.3, 0.3, 0.4
    logits = np.log(probabilities).astype(np.float32)
    top = encode_questions(tokenizer, asked, d_vocab=len(tokenizer)).judged(logits)
    assert top.hits.tolist() == [True, False] and top.exact.tolist() == [True, False]
    assert np.allclose(top.probability, [0.75, 0.6], atol=1e-6)  # logits are rounded to float32
    weighed = encode_questions(tokenizer, asked, d_vocab=len(tokenizer), min_probability=0.59).judged(logits)
    assert weighed.hits.tolist() == [True, True] and weighed.answers.tolist() == [ids[1], ids[2]]
