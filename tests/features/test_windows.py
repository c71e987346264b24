"""Stretches of text, token by token."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.features import token_texts
from helpers.features.windows import RowWindows
from tests.features.conftest import batch_of


def text_of(pieces):
    return "".join(piece.text for piece in pieces)


def test_windows_spell_the_sequence_and_stay_in_it(tokens, tokenizer):
    windows = RowWindows(tokens, tokenizer)
    sequences = np.nonzero(tokens.keep_mask)[0]
    texts = token_texts(tokenizer, tokens.token_ids())
    for row in (0, 1, 63, 64, 500, tokens.n_tokens - 1):
        pieces = windows.around(row, before=9, after=7)
        own = [r for r in range(row - 9, row + 8) if 0 <= r < len(sequences) and sequences[r] == sequences[row]]
        assert [r for piece in pieces for r in piece.rows] == own
        assert [piece.text for piece in pieces] == [texts[r] for r in own]


def test_the_first_row_of_a_sequence_has_nothing_before_it(tokens, tokenizer):
    windows = RowWindows(tokens, tokenizer)
    sequences = np.nonzero(tokens.keep_mask)[0]
    first = int(np.argmax(sequences == 1))
    assert windows.around(first, before=5, after=0)[0].rows.tolist() == [first]
    assert windows.around(first - 1, before=0, after=5)[0].rows.tolist() == [first - 1]


def test_letters_that_are_cut_into_bytes_stand_whole(byte_level):
    # Arabic: every letter is two tokens; a space and a letter begin a word.
    text = "the ملك said"
    tokens = batch_of(byte_level, text)
    assert tokens.n_tokens > len(text) - 8
    windows = RowWindows(tokens, byte_level)
    whole = windows.around(0, before=0, after=100)
    assert text_of(whole) == text
    assert [piece.text for piece in whole if not piece.text.isascii()] == ["م", "ل", "ك"]
    for piece in whole:
        assert len(piece.rows) == (1 if piece.text.isascii() else 2)
    np.testing.assert_array_equal(np.concatenate([piece.rows for piece in whole]), np.arange(tokens.n_tokens))


def test_a_letter_that_the_window_cuts_shows_its_bytes(byte_level):
    tokens = batch_of(byte_level, "ملك")
    windows = RowWindows(tokens, byte_level)
    cut = windows.around(1, before=0, after=2)
    assert [piece.text for piece in cut] == ["<0x85>", "ل"]


def test_newlines_are_shown(byte_level):
    tokens = batch_of(byte_level, "the\nking")
    assert text_of(RowWindows(tokens, byte_level).around(0, before=0, after=9)) == "the⏎king"


def test_rows_outside_are_refused(tokens, tokenizer):
    windows = RowWindows(tokens, tokenizer)
    for row in (-1, tokens.n_tokens):
        with pytest.raises(ValueError, match=r"row must be in \[0, 3000\)"):
            windows.around(row, before=1, after=1)
