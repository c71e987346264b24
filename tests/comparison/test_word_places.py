"""Where ordered words stand, and what a model holds there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from helpers.comparison.word_places import find_word_places, layer_hooks, word_means
from helpers.corpus import tokenize_corpus
from helpers.features import ConceptGroup, WordTable, build_words
from helpers.models import reinitialise
from tests.tiny import HOOK, Texts

DAYS = ConceptGroup("days", ("Monday", "Tuesday", "Friday"), case="exact")
NUMBERS = ConceptGroup("numbers", ("one", "two"), case="ignore")
TEXT = Texts("Today is Monday. Tomorrow is Tuesday.", "Two days after Monday. One, two.", "The king is happy.")


@pytest.fixture(scope="module")
def places(tokenizer):
    tokens = tokenize_corpus(TEXT, tokenizer, context_size=16, n_tokens=22)
    return find_word_places(tokens, build_words(tokens, tokenizer), [DAYS, NUMBERS])


def standing(places, tokenizer, position):
    """(sequence, token's text, word) of every labelled token."""
    labels = places.labels[position]
    return [
        (int(s), tokenizer.decode([places.tokens.input_ids[s, c]]).strip(), places.words[labels[s, c]])
        for s, c in np.argwhere(labels >= 0)
    ]


def test_every_word_is_found_and_case_counts_where_it_should(places, tokenizer):
    assert places.words == ("Monday", "Tuesday", "Friday", "one", "two")
    assert places.groups == {"days": (0, 3), "numbers": (3, 5)}
    assert standing(places, tokenizer, "word") == [
        (0, "Monday", "Monday"), (0, "Tuesday", "Tuesday"), (1, "Two", "two"), (1, "Monday", "Monday"),
        (1, "One", "one"), (1, "two", "two"),
    ]  # fmt: skip
    assert places.counts("word").tolist() == [2, 1, 0, 1, 2]


def test_first_is_the_first_of_its_group_in_a_text(places, tokenizer):
    assert standing(places, tokenizer, "first") == [(0, "Monday", "Monday"), (1, "Two", "two"), (1, "Monday", "Monday")]


def test_before_is_the_token_that_must_know(places, tokenizer):
    """The word that opens a text has only the BOS before it, which is never used."""
    assert standing(places, tokenizer, "before") == [
        (0, "is", "Monday"), (0, "is", "Tuesday"), (1, "after", "Monday"), (1, ".", "one"), (1, ",", "two"),
    ]  # fmt: skip


def test_known_words_keep_their_order(places):
    assert places.known("days", position="word") == [0, 1]
    assert places.known("days", position="word", min_count=2) == [0]


def test_a_word_of_several_tokens_stands_at_its_last(places):
    """Two rows of one word in a row: pieces of one token each."""
    tokens = places.tokens
    ids = np.full(tokens.n_tokens, -1, dtype=np.int32)
    at = np.cumsum(tokens.keep_mask.ravel()).reshape(tokens.keep_mask.shape) - 1
    ids[at[0, 2]] = ids[at[0, 3]] = 0
    found = find_word_places(tokens, WordTable(("Monday",), ids), [DAYS])
    assert np.argwhere(found.labels["word"] >= 0).tolist() == [[0, 3]]
    assert np.argwhere(found.labels["before"] >= 0).tolist() == [[0, 1]]


def test_means_are_those_of_a_plain_pass(places, model):
    hooks = [*layer_hooks(model), HOOK]
    assert hooks[:3] == ["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post", "blocks.1.hook_resid_post"]
    found = word_means(model, places, list(dict.fromkeys(hooks)))
    _, cache = model.run_with_cache(torch.from_numpy(places.tokens.input_ids).long(), prepend_bos=False)
    labels = places.labels["word"]
    for hook in hooks:
        values = cache[hook].numpy()
        for number in (0, 1, 3, 4):
            expected = values[labels == number].mean(axis=0)
            np.testing.assert_allclose(found.means[hook, "word"][number], expected, atol=1e-5)  # float32 activations
    rows, words = found.rows("numbers", HOOK, "word", min_count=2)
    assert words == ("two",) and rows.shape == (1, 16)


def test_the_control_reads_the_same_texts_with_other_weights(places, model):
    trained = word_means(model, places, [HOOK]).means[HOOK, "word"]
    control = word_means(reinitialise(model, seed=3), places, [HOOK]).means[HOOK, "word"]
    assert trained.shape == control.shape and not np.allclose(trained, control)


def test_what_does_not_belong_together_is_refused(places, tokenizer):
    with pytest.raises(ValueError, match="build them from the same batch"):
        find_word_places(places.tokens, WordTable(("Monday",), np.zeros(3, dtype=np.int32)), [DAYS])
    words = build_words(places.tokens, tokenizer)
    with pytest.raises(ValueError, match="a word stands in two of the groups"):
        find_word_places(places.tokens, words, [DAYS, ConceptGroup("again", ("friday",))])
