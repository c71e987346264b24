"""Contexts show the right token, its spaces, and nothing that is not text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from helpers.features import TopExamples, context_text, context_texts, example_contexts, token_texts
from tests.features.conftest import batch_of


def test_contexts_spell_the_sequence(tokens, tokenizer):
    rows = [0, 1, 17, 500, tokens.n_tokens - 1]
    for row, context in zip(rows, context_texts(tokens, rows, tokenizer, before=1000, after=1000), strict=True):
        sequence, _ = tokens.row_locations()[row]
        # The last sequence's surplus is masked out, but the model reads it.
        read = tokens.input_ids[sequence][tokens.attention_mask[sequence]][tokens.bos_columns :]
        assert context is not None
        assert context.text == tokenizer.decode(read, clean_up_tokenization_spaces=False).replace("\n", "⏎")
        assert context.token == token_texts(tokenizer, [tokens.token_ids()[row]])[0]
        assert context == context_text(tokens, row, tokenizer, before=1000, after=1000)


def test_rows_are_found_in_their_own_sequences_only(tokens, tokenizer):
    """Some rows, in no order and twice, with a sequence without any kept token between: as if all were listed."""
    keep_mask = tokens.keep_mask.copy()
    keep_mask[3] = False
    keep_mask[5, ::2] = False
    masked = replace(tokens, keep_mask=keep_mask)
    rows = np.random.default_rng(0).integers(0, masked.n_tokens, size=60)
    rows[7] = -1
    texts = masked.row_locations()
    for row, context in zip(rows.tolist(), context_texts(masked, rows, tokenizer, before=0, after=0), strict=True):
        if row < 0:
            assert context is None
            continue
        sequence, column = texts[row]
        assert context is not None
        assert context.text == token_texts(tokenizer, [masked.input_ids[sequence, column]])[0]


def test_no_special_token_is_shown(tokens, tokenizer):
    context = context_text(tokens, 0, tokenizer)
    assert context.before == ""
    assert tokenizer.bos_token not in context.text
    last_rows = np.flatnonzero(np.diff(tokens.row_locations()[:, 0]))  # the next row is another sequence
    context = context_text(tokens, int(last_rows[0]), tokenizer, before=2)
    assert context.after == ""
    sequence, column = tokens.row_locations()[last_rows[0]]
    assert context.before == "".join(token_texts(tokenizer, tokens.input_ids[sequence, column - 2 : column]))


def test_missing_rows_and_bad_rows(tokens, tokenizer):
    assert context_texts(tokens, [-1, 3], tokenizer)[0] is None
    with pytest.raises(ValueError, match=r"row must be in \[0, 3000\); got 3000"):
        context_text(tokens, 3000, tokenizer)
    with pytest.raises(ValueError, match=r"rows must be in \[-1, 3000\)"):
        context_texts(tokens, [0, 3000], tokenizer)


def test_spaces_and_newlines_are_kept(tokenizer):
    ids = tokenizer("The king slept.\nThe queen slept.", add_special_tokens=False)["input_ids"]
    texts = token_texts(tokenizer, ids)
    assert "".join(texts).replace("⏎", "\n").strip() == "The king slept.\nThe queen slept."
    assert "⏎" in "".join(texts)
    assert token_texts(tokenizer, [-1]) == [""]


def test_tokens_keep_their_space_in_every_tokenizer(byte_level, metaspace, wordpiece):
    for tokenizer, expected in (
        (byte_level, ["the", " king", "⏎", " the"]),
        (metaspace, [" the", " king", "⏎", " the"]),  # decoding one token drops its space
        (wordpiece, [" the", " king", " the"]),
    ):
        ids = tokenizer("the king\n the", add_special_tokens=False)["input_ids"]
        assert token_texts(tokenizer, ids) == expected


def test_a_cut_letter_is_shown_whole_on_each_of_its_tokens(byte_level, metaspace):
    for tokenizer in (byte_level, metaspace):
        tokens = batch_of(tokenizer, "the 世 كم")
        rows = range(tokens.n_tokens)
        whole = context_texts(tokens, rows, tokenizer, before=99, after=99)
        assert {context.text.strip() for context in whole} == {"the 世 كم"}
        assert [context.token for context in whole].count("世") == 3
        assert [context.token for context in whole].count("ك") == 2
        first = next(row for row in rows if whole[row].token == "世")
        # A window that ends inside a letter shows it whole too, and never twice.
        assert context_text(tokens, first, tokenizer, before=0, after=4).text == "世 ك"
        assert context_text(tokens, first + 2, tokenizer, before=1, after=0).text == "世"


def test_a_part_of_a_letter_alone_is_shown_as_its_byte(byte_level, metaspace):
    for tokenizer in (byte_level, metaspace):
        ids = tokenizer("世", add_special_tokens=False)["input_ids"][-3:]
        assert token_texts(tokenizer, ids) == ["<0xE4>", "<0xB8>", "<0x96>"]
    tokens = batch_of(byte_level, "the世", context_size=3)  # the window cuts the letter
    assert context_text(tokens, 1, byte_level).text == "the<0xE4>"


def test_neighbours_that_are_not_used_are_shown(byte_level):
    tokens = batch_of(byte_level, "the king said")
    only_king = tokens.keep_mask & (np.arange(tokens.context_size) == 2)
    assert context_text(replace(tokens, keep_mask=only_king), 0, byte_level).text == "the king said"


def test_letters_do_not_join_over_sequences(byte_level):
    tokens = batch_of(byte_level, "世世", context_size=3)  # two bytes in every window
    shown = [context.text for context in context_texts(tokens, range(6), byte_level)]
    assert shown[0] == shown[1] == "<0xE4><0xB8>"
    assert shown[2] == shown[3] == "<0x96><0xE4>"


def test_examples_are_shown_strongest_first_and_gaps_left_out(tokens, tokenizer):
    rows = np.array([[700, 3, -1], [-1, -1, -1]])
    examples = TopExamples(rows, np.zeros((2, 3), np.float32), np.array([2, 0]))
    contexts = example_contexts(examples, 0, tokens, tokenizer)
    assert contexts == [context_text(tokens, 700, tokenizer), context_text(tokens, 3, tokenizer)]
    assert example_contexts(examples, 0, tokens, tokenizer, n=1) == contexts[:1]
    assert example_contexts(examples, 1, tokens, tokenizer) == []
