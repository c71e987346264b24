"""Contexts show the right token, its spaces, and nothing that is not text."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.features import TopExamples, context_text, context_texts, example_contexts, token_texts


def test_contexts_spell_the_sequence(tokens, tokenizer):
    rows = [0, 1, 17, 500, tokens.n_tokens - 1]
    for row, context in zip(rows, context_texts(tokens, rows, tokenizer, before=1000, after=1000), strict=True):
        sequence, _ = tokens.row_locations()[row]
        kept = tokens.input_ids[sequence][tokens.keep_mask[sequence]]
        assert context is not None
        assert context.text == tokenizer.decode(kept, clean_up_tokenization_spaces=False).replace("\n", "⏎")
        assert context.token == token_texts(tokenizer, [tokens.token_ids()[row]])[0]
        assert context == context_text(tokens, row, tokenizer, before=1000, after=1000)


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


def test_sentencepiece_tokens_keep_their_space():
    class SentencePiece:
        """Decoding one token drops its space, as Llama's tokenizer does."""

        pieces = ("\u2581king", "dom", "<0x0A>")

        def convert_ids_to_tokens(self, token_id):
            return self.pieces[token_id]

        def decode(self, ids, **_options):
            return ("king", "dom", "\n")[ids[0]]

    assert token_texts(SentencePiece(), [0, 1, 2]) == [" king", "dom", "⏎"]


def test_a_part_of_a_character_is_shown_as_its_piece():
    class Bytes:
        def convert_ids_to_tokens(self, _token_id):
            return "â"

        def decode(self, _ids, **_options):
            return "\ufffd"

    assert token_texts(Bytes(), [5]) == ["â"]


def test_examples_are_shown_strongest_first_and_gaps_left_out(tokens, tokenizer):
    rows = np.array([[700, 3, -1], [-1, -1, -1]])
    examples = TopExamples(rows, np.zeros((2, 3), np.float32), np.array([2, 0]))
    contexts = example_contexts(examples, 0, tokens, tokenizer)
    assert contexts == [context_text(tokens, 700, tokenizer), context_text(tokens, 3, tokenizer)]
    assert example_contexts(examples, 0, tokens, tokenizer, n=1) == contexts[:1]
    assert example_contexts(examples, 1, tokens, tokenizer) == []
