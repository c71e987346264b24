"""Rows of different tokenizers: units against hand-made cases and a slow reference; what has no counterpart is left out."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizer, PreTrainedTokenizerFast

from helpers.corpus import (
    StoryWorld,
    TokenBatch,
    align_rows,
    build_tokenizer,
    concept_lookup,
    tokenize_corpus,
    train_bpe_tokenizer,
    unit_batch,
    unit_texts,
    unit_token_ids,
)
from helpers.corpus.alignment import _by_characters
from tests.tiny import Texts

ARABIC = "\u0627\u0644\u0645\u0644\u0643"  # the king
STRANGE = f"Zo\u00eb  ran\n {ARABIC} \U0001f600 don't"


@pytest.fixture(scope="module")
def world() -> StoryWorld:
    return StoryWorld()


@pytest.fixture(scope="module")
def words(world: StoryWorld) -> PreTrainedTokenizerFast:
    return build_tokenizer(world)


@pytest.fixture(scope="module")
def pieces(world: StoryWorld) -> PreTrainedTokenizerFast:
    """Byte-level BPE: frequent words are one token, the space before a word belongs to it."""
    return train_bpe_tokenizer(world, n_vocab=600, n_documents=300)


def cutter(pattern: str, *texts: str, drop: str = "", mark: str = "<x>") -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are the matches of a pattern, and an EOS, `mark`; `drop` matches what is no token's."""
    found = sorted({match for text in texts for match, _ in _split(pattern, drop).pre_tokenize_str(text)})
    vocabulary = {token: number for number, token in enumerate(["<s>", mark, "<unk>", *found])}
    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = _split(pattern, drop)
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token=mark, unk_token="<unk>")


def _split(pattern: str, drop: str) -> pre_tokenizers.PreTokenizer:
    parts = [pre_tokenizers.Split(Regex(pattern), behavior="isolated")]
    removed = [pre_tokenizers.Split(Regex(drop), behavior="removed")] if drop else []
    return pre_tokenizers.Sequence(removed + parts)


def batch(tokenizer, *texts: str, n_tokens: int | None = None, context_size: int = 64, **options) -> TokenBatch:
    if n_tokens is None:
        special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
        n_tokens = sum(i not in special for text in texts for i in tokenizer.encode(text, add_special_tokens=False))
    return tokenize_corpus(Texts(*texts), tokenizer, context_size=context_size, n_tokens=n_tokens, **options)


def cut(tokens: TokenBatch, *texts: str) -> list[str]:
    """The text of every row, by its span."""
    spans = tokens.char_spans[tokens.keep_mask]
    return [texts[document][start:stop] for document, (start, stop) in zip(tokens.row_documents(), spans, strict=True)]


# Where the tokens stand


def test_spans_of_byte_pieces_spaces_and_bos(pieces: PreTrainedTokenizerFast) -> None:
    tokens = batch(pieces, STRANGE)
    assert (tokens.char_spans[:, 0] == -1).all() and (tokens.char_spans[~tokens.attention_mask] == -1).all()
    found = cut(tokens, STRANGE)
    # every token stands on the characters that it decodes to, or on the one character of which it is a byte
    for token_id, text in zip(tokens.token_ids(), found, strict=True):
        decoded = pieces.decode([token_id])
        assert text == (decoded.strip() or decoded) if "\ufffd" not in decoded else len(text) == 1
    assert found.count("\U0001f600") == 4  # its four bytes
    # the first of two spaces, the line break, and spaces before letters of which only bytes are tokens
    assert [text for text in found if text.isspace()] == [" ", "\n", " ", " "]


def test_spans_of_the_world_s_words(world: StoryWorld, words: PreTrainedTokenizerFast) -> None:
    texts = [world.document(index).text for index in range(20)]
    tokens = batch(words, *texts, context_size=32)  # documents go on in further sequences
    assert cut(tokens, *texts) == [
        text if text.isspace() else text.strip() for text in words.batch_decode(tokens.token_ids()[:, None])
    ]


def metaspace(prepended: bool) -> PreTrainedTokenizerFast:
    """Like SentencePiece: spaces become a mark that the token after them begins with; the old way prepends one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(vocab_size=60, special_tokens=["<s>", "<unk>"], show_progress=False)
    tokenizer.train_from_iterator(["the cat sat", "a cat and the cats", f"Zo\u00eb {ARABIC}"], trainer)
    if prepended:
        tokenizer.pre_tokenizer = None
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="<unk>")


@pytest.mark.parametrize("prepended", [False, True])
def test_sentencepiece_like_tokens_meet_words(prepended: bool) -> None:
    text = "the cat sat and Zo\u00eb sat"
    tokens_a, tokens_b = batch(cutter(r" ?\S+", text), text), batch(metaspace(prepended), text)
    aligned = align_rows(tokens_a, tokens_b)
    assert aligned.a.of_rows.tolist() == [0, 1, 2, 3, 4, 5]
    assert (aligned.b.of_rows >= 0).all()
    assert [text[start:stop] for start, stop in aligned.spans] == text.split()


def test_saved_spans_come_back_and_are_guarded(pieces: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    tokens = batch(pieces, STRANGE, "a second text")
    tokens.save(tmp_path / "tokens")
    loaded = TokenBatch.load(tmp_path / "tokens")
    np.testing.assert_array_equal(loaded.char_spans, tokens.char_spans)
    np.testing.assert_array_equal(loaded.text_hashes, tokens.text_hashes)
    file = tmp_path / "tokens" / "tokens.safetensors"
    content = file.read_bytes()
    place = content.index(tokens.char_spans.tobytes()) + 8 * 3
    file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(ValueError, match="do not match their fingerprint"):
        TokenBatch.load(tmp_path / "tokens")


def test_batches_of_earlier_versions_load_without_spans(
    pieces: PreTrainedTokenizerFast, words: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    tokens = batch(pieces, "The king smiled.")
    (tmp_path / "tokens").mkdir()
    tokens.save(tmp_path / "new")
    arrays = load_file(tmp_path / "new" / "tokens.safetensors")
    earlier = {name: array for name, array in arrays.items() if name not in ("char_spans", "text_hashes")}
    metadata = {
        "tokenizer_fingerprint": tokens.tokenizer_fingerprint,
        "bos_columns": "1",
        "fingerprint": tokens.fingerprint(),
    }
    save_file(earlier, tmp_path / "tokens" / "tokens.safetensors", metadata=metadata)
    loaded = TokenBatch.load(tmp_path / "tokens")
    assert not loaded.has_spans
    assert loaded.fingerprint() == tokens.fingerprint()  # its stores still belong to it
    assert align_rows(loaded, tokens).n_units == tokens.n_tokens  # one tokenizer: no spans needed
    with pytest.raises(ValueError, match="batch b does not say where its tokens stand .* tokenise again"):
        align_rows(batch(words, "The king smiled."), loaded)


def test_spans_and_hashes_come_together(pieces: PreTrainedTokenizerFast) -> None:
    tokens = batch(pieces, "The king smiled.")
    with pytest.raises(ValueError, match="char_spans and text_hashes come together"):
        replace(tokens, text_hashes=None)
    with pytest.raises(ValueError, match="char_spans is int32 of shape"):
        replace(tokens, char_spans=tokens.char_spans[:, 1:])


class SlowLetters(PreTrainedTokenizer):
    """A tokenizer in Python, which tells no offsets; its tokens are letters."""

    vocab_size = 128

    def get_vocab(self) -> dict[str, int]:
        return {chr(number): number for number in range(128)}

    def _tokenize(self, text: str, **_: object) -> list[str]:
        return list(text)

    def _convert_token_to_id(self, token: str) -> int:
        return ord(token)

    def _convert_id_to_token(self, index: int) -> str:
        return chr(index)


def test_a_tokenizer_without_offsets(words: PreTrainedTokenizerFast) -> None:
    slow = SlowLetters(bos_token="^")
    tokens = batch(slow, "The king smiled.")
    assert not tokens.has_spans and not tokens.sequences(0, 1).has_spans
    with pytest.raises(ValueError, match="batch a does not say .* its tokenizer tells no offsets"):
        align_rows(tokens, batch(words, "The king smiled."))


# Units


def units_of(aligned, tokens_a: TokenBatch, tokens_b: TokenBatch, *texts: str) -> list[tuple[str, str]]:
    """The tokens of every unit on both sides, joined by |."""
    sides = []
    for units, tokens in ((aligned.a, tokens_a), (aligned.b, tokens_b)):
        rows = cut(tokens, *texts)
        sides.append(
            ["|".join(rows[r] for r in np.flatnonzero(units.of_rows == unit)) for unit in range(units.n_units)]
        )
    return list(zip(*sides, strict=True))


def test_units_by_hand() -> None:
    text = "the tomcat sat on the mat."
    a, b = cutter(r" ?[a-z]+|\.", text), cutter(r"the| tom|cat| sat on| the m|at\.", text)
    tokens_a, tokens_b = batch(a, text), batch(b, text)
    aligned = align_rows(tokens_a, tokens_b)
    expected = [("the", "the"), ("tomcat", "tom|cat"), ("sat|on", "sat on"), ("the|mat|.", "the m|at.")]
    assert units_of(aligned, tokens_a, tokens_b, text) == expected
    assert aligned.report() == {
        "n_units": 4, "share_one_to_one": 0.25, "tokens_per_unit_a": 7 / 4, "tokens_per_unit_b": 6 / 4,
        "lost_share_a": 0.0, "lost_share_b": 0.0, "n_documents": 1, "n_documents_only_a": 0, "n_documents_only_b": 0,
    }  # fmt: skip
    assert unit_token_ids(aligned.b, tokens_b)[1] == tuple(tokens_b.token_ids()[1:3])
    assert aligned.a.first_rows.tolist() == [0, 1, 2, 4]
    assert aligned.b.sizes.tolist() == [1, 2, 1, 2]


def test_spaces_of_a_token_do_not_matter_and_white_space_tokens_meet_their_like() -> None:
    text = "a dog\nran  off\n"
    with_space, without = cutter(r"\n| ?[^ \n]+| ", text), cutter(r"\n|[a-z]+", text, drop=" ")
    tokens_a, tokens_b = batch(with_space, text), batch(without, text)
    aligned = align_rows(tokens_a, tokens_b)
    both = [(word, word) for word in ("a", "dog", "\n", "ran", "off", "\n")]
    assert units_of(aligned, tokens_a, tokens_b, text) == both
    lost = [aligned.report()[f"lost_share_{side}"] for side in "ab"]
    assert lost == [pytest.approx(1 / 7), 0.0]  # the first of two spaces has no counterpart


def test_units_go_on_across_sequences_and_end_with_the_cut() -> None:
    text = "abcd efgh ijkl mnop"
    a = batch(cutter(r"[a-z]+", text, drop=" "), text, context_size=3)  # two words a sequence
    letters = cutter("[a-z]", text, drop=" ")
    b = batch(letters, text, n_tokens=14, context_size=6)  # five letters a sequence; "mn" is kept, "o" is cut off
    aligned = align_rows(a, b)
    assert aligned.a.of_rows.tolist() == [0, 1, 2, -1]
    assert aligned.b.of_rows.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [-1] * 2
    whole = align_rows(a, batch(letters, text, context_size=6))
    assert whole.a.of_rows.tolist() == [0, 1, 2, 3]
    # cut at the border of a sequence: nothing of "mnop" but its "m" and "n" is in the batch
    assert align_rows(a, batch(letters, text, n_tokens=14, context_size=8)).a.of_rows.tolist() == [0, 1, 2, -1]


def test_bytes_of_one_character_are_one_unit(pieces: PreTrainedTokenizerFast) -> None:
    tokens_a, tokens_b = batch(cutter(r" ?\S", ARABIC), ARABIC), batch(pieces, ARABIC)
    aligned = align_rows(tokens_a, tokens_b)
    assert aligned.n_units == len(ARABIC)
    assert aligned.b.sizes.tolist() == [2] * len(ARABIC)  # two bytes a letter
    half = batch(pieces, ARABIC, n_tokens=2 * len(ARABIC) - 1)  # the last letter lacks a byte, and is left out
    assert align_rows(tokens_a, half).n_units == len(ARABIC) - 1


def test_special_tokens_in_a_text_make_no_unit() -> None:
    text = "ab<x>cd"
    tokens_a, tokens_b = batch(cutter("[a-d]+", text), text), batch(cutter("[a-d]+|.", text, mark="<y>"), text)
    assert tokens_a.n_tokens == 2  # <x> is an EOS
    aligned = align_rows(tokens_a, tokens_b)
    assert units_of(aligned, tokens_a, tokens_b, text) == [("ab", "ab"), ("cd", "cd")]


def test_documents_of_one_batch_only_are_left_out_and_counted() -> None:
    texts = ("ab cd", "ef gh", "ij kl", "mn op")
    a, b = cutter(r"\S+| ", *texts), cutter(r"\S| ", *texts)
    tokens_a = tokenize_corpus(Texts(*texts), a, context_size=8, n_tokens=6)
    tokens_b = tokenize_corpus(Texts(*texts), b, context_size=8, n_tokens=15, start_document=1)
    aligned = align_rows(tokens_a, tokens_b)
    assert (aligned.n_documents, aligned.n_only_a, aligned.n_only_b) == (1, 1, 2)
    assert aligned.documents.tolist() == [1, 1, 1]
    assert aligned.a.of_rows.tolist() == [-1, -1, -1, 0, 1, 2]
    assert aligned.report()["lost_share_a"] == 0  # its other document is not lost to a tokenizer


def random_batch(rng: np.random.Generator, lengths: list[int], *, fingerprint: str) -> TokenBatch:
    """Documents of the given lengths cut at random, every token a row; some tokens share a character."""
    context = max(lengths) + 2
    shape = (len(lengths), context)
    spans, mask = np.full((*shape, 2), -1, dtype=np.int32), np.zeros(shape, dtype=bool)
    for document, length in enumerate(lengths):
        borders = np.unique(np.concatenate([[0, length], rng.integers(0, length, size=length // 2)]))
        cuts = np.stack([borders[:-1], borders[1:]], axis=1)
        doubled = np.repeat(cuts, 1 + ((cuts[:, 1] - cuts[:, 0] == 1) & (rng.random(len(cuts)) < 0.3)), axis=0)[
            :context
        ]
        spans[document, : len(doubled)], mask[document, : len(doubled)] = doubled, True
    return TokenBatch(
        input_ids=np.zeros(shape, dtype=np.int32), keep_mask=mask, attention_mask=mask,
        documents=np.arange(len(lengths), dtype=np.int32), starts=np.zeros(len(lengths), dtype=np.int32),
        tokenizer_fingerprint=fingerprint, bos_columns=0, char_spans=spans, text_hashes=np.zeros(len(lengths), dtype=np.int64),
    )  # fmt: skip


def finest_common_cut(tokens_a: TokenBatch, tokens_b: TokenBatch) -> list[tuple[int, int, int]]:
    """(document, start, stop) between neighbouring places at which no token of either batch goes on, one at a time."""
    stretches = []
    for document in range(tokens_a.n_sequences):
        spans = [tuple(s) for t in (tokens_a, tokens_b) for s in t.char_spans[document][t.keep_mask[document]].tolist()]
        places = [p for p in range(max(s[1] for s in spans) + 1) if not any(start < p < stop for start, stop in spans)]
        stretches += [(document, start, stop) for start, stop in pairwise(places)]
    return stretches


@pytest.mark.parametrize("seed", range(5))
def test_units_are_the_finest_common_cut(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 30, size=6).tolist()
    a, b = random_batch(rng, lengths, fingerprint="a"), random_batch(rng, lengths, fingerprint="b")
    aligned = align_rows(a, b)
    expected = finest_common_cut(a, b)
    assert [(d, *span) for d, span in zip(aligned.documents.tolist(), aligned.spans.tolist(), strict=True)] == expected
    for units, tokens in ((aligned.a, a), (aligned.b, b)):
        spans, documents = tokens.char_spans[tokens.keep_mask], tokens.row_documents()
        inside = [
            next(u for u, (at, low, high) in enumerate(expected) if at == document and low <= start and stop <= high)
            for document, (start, stop) in zip(documents.tolist(), spans.tolist(), strict=True)
        ]
        assert units.of_rows.tolist() == inside
    mirrored = align_rows(b, a)
    np.testing.assert_array_equal(mirrored.b.of_rows, aligned.a.of_rows)
    np.testing.assert_array_equal(mirrored.a.of_rows, aligned.b.of_rows)


def test_a_batch_against_itself_gives_its_rows(world: StoryWorld, words: PreTrainedTokenizerFast) -> None:
    tokens = tokenize_corpus(world, words, context_size=64, n_tokens=2000)
    for aligned in (align_rows(tokens, tokens), _by_characters(tokens, tokens)):
        rows = [aligned.a.of_rows, aligned.b.of_rows] if hasattr(aligned, "a") else aligned[:2]
        for of_rows in rows:
            np.testing.assert_array_equal(of_rows, np.arange(2000))


def test_batches_of_one_tokenizer_are_aligned_token_by_token(pieces: PreTrainedTokenizerFast) -> None:
    """Also where several tokens share a character, which by characters would be one unit."""
    tokens, other = batch(pieces, STRANGE, "The king"), batch(pieces, STRANGE, context_size=7)
    aligned = align_rows(tokens, other)
    np.testing.assert_array_equal(aligned.b.of_rows, np.arange(other.n_tokens))
    assert (aligned.n_documents, aligned.n_only_a) == (1, 1)
    assert len(_by_characters(tokens, other).documents) < aligned.n_units


def test_errors(words: PreTrainedTokenizerFast, pieces: PreTrainedTokenizerFast) -> None:
    tokens = batch(words, "The king smiled.", "The queen smiled.")
    with pytest.raises(ValueError, match="document 1 has different texts in the two batches; tokenise the same corpus"):
        align_rows(tokens, batch(pieces, "The king smiled.", "The prince smiled."))
    with pytest.raises(ValueError, match="document 1 has different texts"):
        align_rows(tokens, batch(words, "The king smiled.", "The prince smiled."))
    later = tokenize_corpus(Texts("", "", "The king."), pieces, context_size=8, n_tokens=2)
    with pytest.raises(ValueError, match="must share documents; got documents 0 to 1 and documents 2 to 2"):
        align_rows(tokens, later)
    with pytest.raises(ValueError, match="must share documents; got documents 0 to 1 and no document"):
        align_rows(tokens, replace(later, keep_mask=np.zeros_like(later.keep_mask)))
    turned = replace(tokens, documents=tokens.documents[::-1].copy())
    with pytest.raises(ValueError, match="the documents of batch b must ascend"):
        align_rows(tokens, turned)


def test_nothing_in_common() -> None:
    text = "abcdef"
    tokens_a = batch(cutter("abc|def", text), text, n_tokens=1)
    tokens_b = batch(cutter("abcd|ef", text), text)  # the only unit is the whole text, and half of it is cut off in a
    with pytest.raises(ValueError, match="share documents but no unit of text"):
        align_rows(tokens_a, tokens_b)


# Texts of units


def test_texts_are_what_the_units_cover(world: StoryWorld, words, pieces) -> None:
    texts = [world.document(index).text for index in range(10)]
    tokens_a, tokens_b = batch(words, *texts), batch(pieces, *texts)
    aligned = align_rows(tokens_a, tokens_b)
    options = {"tokenizer_a": words, "tokenizer_b": pieces}
    found = unit_texts(aligned, tokens_a, tokens_b, **options)
    assert "".join(found) == "".join(texts)
    mirrored = align_rows(tokens_b, tokens_a)
    assert found == unit_texts(mirrored, tokens_b, tokens_a, tokenizer_a=pieces, tokenizer_b=words)
    units = unit_batch(aligned, tokens_a, tokens_b, **options)
    assert units.tokens.n_tokens == aligned.n_units
    assert [units.tokenizer.decode([i]) for i in units.tokens.token_ids()] == found
    np.testing.assert_array_equal(units.tokens.row_documents(), aligned.documents)
    ends = list(accumulate(np.bincount(aligned.documents).tolist()))
    assert units.tokens.row_positions()[ends[0] - 1 : ends[0] + 1].tolist() == [ends[0] - 1, 0]
    concept_of = concept_lookup(world, units.tokenizer)
    concepts = [concept_of(i) for i in units.tokens.token_ids()]
    assert concepts == [world.concept_of(text) for text in found] and None not in concepts


def test_pieces_of_a_word_have_the_concept_of_the_word(world: StoryWorld, words, pieces) -> None:
    text = "The grandmother smiled."
    tokens_a, tokens_b = batch(words, text), batch(pieces, text)
    assert len(pieces.tokenize(" grandmother")) > 1
    aligned = align_rows(tokens_b, tokens_a)  # the side that splits comes first
    units = unit_batch(aligned, tokens_b, tokens_a, tokenizer_a=pieces, tokenizer_b=words)
    assert [concept_lookup(world, units.tokenizer)(i) for i in units.tokens.token_ids()][1] == "family"


def test_texts_of_unknown_words_come_from_the_other_side(words, pieces) -> None:
    text = f"The {ARABIC} smiled."
    tokens_a, tokens_b = batch(words, text), batch(pieces, text)
    assert words.unk_token_id in tokens_a.token_ids()
    found = unit_texts(align_rows(tokens_a, tokens_b), tokens_a, tokens_b, tokenizer_a=words, tokenizer_b=pieces)
    assert "".join(found) == text


def test_dropped_spaces_are_put_back() -> None:
    text = "a dog\nran off"
    without, letters = cutter(r"\n|[a-z]+", text, drop=" "), cutter(r"\n|[a-z]", text, drop=" ")
    tokens_a, tokens_b = batch(without, text), batch(letters, text)
    found = unit_texts(align_rows(tokens_a, tokens_b), tokens_a, tokens_b, tokenizer_a=without, tokenizer_b=letters)
    assert found == ["a", " dog", "\n", "ran", " off"]


def test_long_documents_of_units_go_on_in_further_sequences(pieces: PreTrainedTokenizerFast) -> None:
    text = "the king and the queen and the prince"
    a = cutter(r" ?\S+", text)
    tokens_a, tokens_b = batch(a, text, context_size=3), batch(pieces, text, context_size=3)
    units = unit_batch(align_rows(tokens_a, tokens_b), tokens_a, tokens_b, tokenizer_a=a, tokenizer_b=pieces).tokens
    assert (units.n_sequences, units.context_size, units.n_tokens) == (3, 3, 8)
    assert units.row_positions().tolist() == list(range(8))
    assert units.row_documents().tolist() == [0] * 8
