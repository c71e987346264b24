"""Every row has the whole word that its token is a part of, whatever the tokenizer and the script."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from helpers.features import WordTable, build_words, split_words
from helpers.features import words as words_module
from helpers.features.spelling import spell
from helpers.features.word_borders import word_spans
from tests.features.conftest import batch_of


def words_of(tokens, tokenizer) -> list[str]:
    table = build_words(tokens, tokenizer)
    return [table.word(row) for row in range(table.n_tokens)]


def pieces_of(tokens, tokenizer) -> list[str]:
    return tokenizer.convert_ids_to_tokens(tokens.token_ids().tolist())


TRAPS = "the king said to Anderson: talking, Brockman!"
WORDS = ("the", "king", "said", "to", "Anderson", ":", "talking", ",", "Brockman", "!")


@pytest.mark.parametrize(
    ("kind", "cut"),
    [
        ("byte_level", {"talking": ["Ġtal", "king"], "Anderson": ["ĠAnder", "son"], "Brockman": ["ĠBrock", "man"]}),
        ("metaspace", {"talking": ["▁tal", "king"], "Anderson": ["▁Ander", "son"], "Brockman": ["▁Brock", "man"]}),
        ("wordpiece", {"talking": ["tal", "##king"], "Anderson": ["Ander", "##son"], "Brockman": ["Brock", "##man"]}),
    ],
)
def test_parts_of_a_word_have_the_whole_word(request, kind, cut):
    # Traps: "king" in "talking", "son" in "Anderson", "man" in "Brockman" are tokens of their own.
    tokenizer = request.getfixturevalue(kind)
    tokens = batch_of(tokenizer, TRAPS)
    words, pieces = words_of(tokens, tokenizer), pieces_of(tokens, tokenizer)
    for word, parts in cut.items():
        assert [piece for piece, found in zip(pieces, words, strict=True) if found == word] == parts
    assert tuple(dict.fromkeys(words)) == WORDS
    assert words.count("king") == 1


def test_words_of_the_story_world_are_its_tokens(tokens, tokenizer):
    words = words_of(tokens, tokenizer)
    texts = [tokenizer.decode([token_id]) for token_id in tokens.token_ids()]
    # Only the parts of "Anna's" are joined to something else.
    alone = [i for i, text in enumerate(texts) if "'" not in texts[i - 1 : i + 2] and text != " "]
    assert len(alone) > 2900
    assert [words[i] for i in alone] == [texts[i].replace("\n", "⏎").strip(" ") for i in alone]
    assert "⏎" in words


@pytest.mark.parametrize("kind", ["byte_level", "metaspace"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("عربي كلمة", ["عربي", "كلمة"]),
        ("кот спит", ["кот", "спит"]),
        ("é naïve", ["é", "naïve"]),
        ("世界", ["世", "界"]),  # a character is a word where every token is a part of one
        ("👍🏽 👨‍👩‍👧", ["👍🏽", "👨‍👩‍👧"]),
        ("हिन्दी", ["हिन्दी"]),
    ],
)
def test_letters_that_are_cut_into_bytes_show_as_letters(request, kind, text, expected):
    tokenizer = request.getfixturevalue(kind)
    tokens = batch_of(tokenizer, text)
    words = words_of(tokens, tokenizer)
    assert len(words) > len(expected), "the tokenizer should cut these letters"
    assert [word for word in dict.fromkeys(words) if word != "␣"] == expected
    n_bytes = [len(word.encode()) for word in expected]
    assert [sum(word == wanted for word in words) for wanted in expected] == n_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the king's men don't go", ("the", "king", "'s", "men", "don't", "go")),
        ("Anna’s rock’n’roll", ("Anna", "'s", "rock'n'roll")),
        ("'quoted' words", ("'", "quoted", "'", "words")),
        ("wait... no--yes?!", ("wait", "...", "no", "--", "yes", "?", "!")),
        ("a\n\nb\r\nc", ("a", "⏎", "b", "⏎", "c")),
        ("3.14 snake_case well-known", ("3", ".", "14", "snake", "_", "case", "well", "-", "known")),
        ("cafe\u0301 \u200fكلمة", ("café", "كلمة")),
        ("  \t ", ()),
        ("", ()),
    ],
)
def test_what_a_word_is(text, expected):
    assert split_words(text) == expected


LETTER = "[abSsé]"
REFERENCE = re.compile(
    rf"(?<={LETTER})'[sS](?!{LETTER})|{LETTER}+(?:'(?![sS](?!{LETTER})){LETTER}+)*|\n+|\.+|-+|'+|世|👍"
)


@settings(deadline=None, max_examples=150)
@given(text=st.text(alphabet="abSsé'. -\n世👍", max_size=30), seed=st.integers(0, 1000))
@example(text="世世a", seed=0)
def test_any_cut_of_any_text_gives_the_words_of_a_regular_expression(text, seed):
    assume(not re.search("'[sS]'", text))  # the expression and the rule part "a's's" in different places
    rng = np.random.default_rng(seed)
    encoded = text.encode()
    cuts = np.flatnonzero(np.append(rng.random(max(0, len(encoded) - 1)) < 0.5, False)) + 1
    borders = [0, *cuts.tolist(), len(encoded)]
    spans = word_spans(spell([encoded[i:j] for i, j in pairwise(borders)]))
    matches = [match.span() for match in REFERENCE.finditer(text)]
    # Two characters of a script without spaces are one word if one token begins with the first and holds the second.
    byte_of = [len(text[:i].encode()) for i in range(len(text) + 1)]
    joined: list[list[int]] = []
    for i, j in matches:
        if joined and text[i] == "世" == text[i - 1] and joined[-1][1] == i and byte_of[i] not in borders:
            joined[-1][1] = j
        else:
            joined.append([i, j])
    assert list(zip(spans.starts.tolist(), spans.stops.tolist(), strict=True)) == [tuple(word) for word in joined]
    for token, (low, high) in enumerate(pairwise(borders)):
        inside = [n for n, (i, j) in enumerate(joined) if byte_of[i] < high and byte_of[j] > low]
        lettered = [n for n in inside if any(map(str.isalpha, text[joined[n][0] : joined[n][1]]))]
        assert spans.of_token[token] == [*lettered, *inside, -2 if b" " in encoded[low:high] else -1][0]


def test_long_texts_have_the_words_of_short_ones():
    """Kinds of characters are looked up one by one in a short text and in a table in a long one."""
    text = "The king's o'clock x_y ... 3.5 \u0645\u064e\u0644\u0643 \u092e\u093f \u6771\u4eac \U0001f469\u200d\U0001f9d1 e\u0301\n"
    assert split_words(text * 500) == split_words(text) * 500


def test_words_do_not_join_over_documents_or_windows(byte_level):
    tokens = batch_of(byte_level, "tal", "king")
    assert words_of(tokens, byte_level) == ["tal", "king"]
    tokens = batch_of(byte_level, "the talking", context_size=3)  # the | tal, king: BOS and two tokens
    assert pieces_of(tokens, byte_level) == ["the", "Ġtal", "king"]
    assert words_of(tokens, byte_level) == ["the", "tal", "king"], "either part of a cut word is a word"


def test_a_character_that_the_window_cuts_has_no_word(byte_level):
    tokens = batch_of(byte_level, "the世", context_size=3)  # three bytes: one beside "the", two in the next window
    table = build_words(tokens, byte_level)
    assert table.word_ids.tolist() == [0, -1, -1, -1]
    assert table.words == ("the",)
    assert table.word(1) == ""


def test_masked_tokens_complete_a_word_and_special_tokens_part_it(byte_level):
    tokens = batch_of(byte_level, "the talking")
    keep_mask = tokens.keep_mask.copy()
    keep_mask[0, 2] = False  # " tal" is read by the model, but not used
    masked = replace(tokens, keep_mask=keep_mask)
    assert pieces_of(masked, byte_level) == ["the", "king"]
    assert words_of(masked, byte_level) == ["the", "talking"]
    ids = tokens.input_ids.copy()
    ids[0, 2] = byte_level.bos_token_id
    parted = replace(tokens, input_ids=ids, keep_mask=keep_mask)
    assert words_of(parted, byte_level) == ["the", "king"]
    unread = tokens.attention_mask & keep_mask
    assert words_of(replace(masked, attention_mask=unread), byte_level) == ["the", "king"]


def test_unknown_tokens_and_spaces(wordpiece, byte_level):
    tokens = batch_of(wordpiece, "the ☃ king")
    assert words_of(tokens, wordpiece) == ["the", "[UNK]", "king"]
    assert words_of(batch_of(byte_level, "the   king"), byte_level) == ["the", "␣", "␣", "king"]


def test_case_is_kept_and_equal_batches_have_equal_tables(byte_level, monkeypatch):
    tokens = batch_of(byte_level, "The the THE", *["the king said"] * 5, context_size=16)
    whole = build_words(tokens, byte_level)
    assert {"The", "the", "THE"} <= set(whole.words)
    monkeypatch.setattr(words_module, "_TOKENS_AT_ONCE", 16)  # one sequence at a time
    again = build_words(tokens, byte_level)
    assert again.words == whole.words == tuple(sorted(whole.words))
    np.testing.assert_array_equal(again.word_ids, whole.word_ids)
    assert whole.tokens_fingerprint == tokens.fingerprint()


def test_a_batch_of_another_tokenizer_is_refused(byte_level, metaspace):
    tokens = batch_of(byte_level, "the king")
    ids = tokens.input_ids.copy()
    ids[0, 1] = len(byte_level) + 5
    with pytest.raises(ValueError, match=f"token ids must be below {len(byte_level)}.*got {len(byte_level) + 5}"):
        build_words(replace(tokens, input_ids=ids), byte_level)


def test_saving(tmp_path, byte_level):
    table = build_words(batch_of(byte_level, "the king\n世 said"), byte_level)
    table.save(tmp_path / "words.npz")
    loaded = WordTable.load(tmp_path / "words.npz")
    assert loaded.words == table.words
    assert loaded.tokens_fingerprint == table.tokens_fingerprint
    np.testing.assert_array_equal(loaded.word_ids, table.word_ids)
    (tmp_path / "words.npz").write_bytes((tmp_path / "words.npz").read_bytes()[:200])
    with pytest.raises(ValueError, match="cannot be read as a table of words"):
        WordTable.load(tmp_path / "words.npz")
    with pytest.raises(ValueError, match="found no such file"):
        WordTable.load(tmp_path / "none.npz")


def test_an_empty_table_can_be_saved(tmp_path):
    WordTable((), np.full(3, -1, np.int32)).save(tmp_path / "w.npz")
    assert WordTable.load(tmp_path / "w.npz").words == ()


def test_newer_and_inconsistent_tables_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(words_module, "_FILE", replace(words_module._FILE, version=2))
    WordTable(("a",), np.zeros(1, np.int32)).save(tmp_path / "w.npz")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="format 2 is newer than 1"):
        WordTable.load(tmp_path / "w.npz")
    with pytest.raises(ValueError, match=r"word_ids must be in \[-1, 1\)"):
        WordTable(("a",), np.array([0, 1], np.int32))
    with pytest.raises(ValueError, match=r"word_ids is \(n_tokens,\) int32"):
        WordTable(("a",), np.zeros(2))
