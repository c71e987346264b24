"""The bytes of tokens, for every way in which a tokenizer writes text into the names of its tokens."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from helpers.features.spelling import spell, token_bytes
from tests.features.conftest import bpe, merges_of

TEXT = "the king said 世界 to عربي 👍!"


def spelled(tokenizer, text: str) -> str:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return b"".join(token_bytes(tokenizer, ids)).decode()


def with_word_ends(decoder, pre_tokenizer, alphabet):
    tokenizer = bpe([*alphabet, *(f"{letter}</w>" for letter in alphabet)], [], end_of_word_suffix="</w>")
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizer, decoder
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def test_bytes_of_tokens_are_the_text(byte_level, metaspace, tokenizer):
    assert spelled(byte_level, TEXT) == TEXT
    assert spelled(metaspace, TEXT) == " " + TEXT  # a space is put before every text
    assert spelled(tokenizer, "The king slept.\nHe was old.") == "The king slept.\nHe was old."


def test_a_space_is_implied_before_what_does_not_continue_a_word(wordpiece):
    assert spelled(wordpiece, "the talking man, to") == " the talking man , to"
    plain = Tokenizer(models.WordLevel({"the": 0, "king": 1}, unk_token="the"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()  # without a decoder, tokens are joined by spaces
    assert spelled(PreTrainedTokenizerFast(tokenizer_object=plain), "the king") == " the king"


def test_marks_at_the_end_of_words_are_spaces():
    letters = list("abc")
    plain = with_word_ends(decoders.BPEDecoder("</w>"), pre_tokenizers.Whitespace(), letters)
    assert spelled(plain, "ab c") == "ab c "
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    clip = with_word_ends(decoders.ByteLevel(), pre_tokenizers.ByteLevel(add_prefix_space=False), alphabet)
    assert spelled(clip, "é").rstrip(" ") == "é"


def test_tokens_that_were_added_are_spelled_as_they_are():
    tokenizer = bpe(sorted(pre_tokenizers.ByteLevel.alphabet()), merges_of(("the",)))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken("é"), AddedToken("    ")])
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    assert spelled(wrapped, "é    the") == "é    the"


def test_a_tokenizer_without_a_backend():
    class SentencePiece:
        """In Python: "▁" is a space, "<0x0A>" a byte."""

        pieces = ("▁king", "dom", "<0x0A>", None)

        def convert_ids_to_tokens(self, ids):
            return [self.pieces[i] for i in ids]

    assert token_bytes(SentencePiece(), [0, 1, 2, 3]) == [b" king", b"dom", b"\n", b""]


@pytest.mark.parametrize(
    ("pieces", "first", "stop", "begins"),
    [
        ([b"a", b"bc"], [0, 1], [1, 3], [True, True]),
        ([b"\xe4", b"\xb8\x96a", b""], [0, 0, 2], [1, 2, 2], [True, False, True]),  # a character over two tokens
        ([b"\xe4\xb8", b"a"], [0, 2], [2, 3], [True, True]),  # bytes without their character stand for themselves
        ([], [], [], []),
    ],
)
def test_which_characters_a_token_makes(pieces, first, stop, begins):
    found = spell(pieces)
    assert (found.first.tolist(), found.stop.tolist(), found.begins.tolist()) == (first, stop, begins)
    assert found.text.encode("utf-8", "surrogateescape") == b"".join(pieces)
