"""Tokenizers and token batches: exact counts, exact places, special tokens out by id."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from helpers.corpus import (
    StoryWorld,
    TokenBatch,
    build_tokenizer,
    load_tokenizer,
    stream_sequences,
    tokenize_corpus,
    tokenizer_fingerprint,
    tokenizer_for,
    train_bpe_tokenizer,
)
from tests.tiny import Texts


def letters(*, special: dict[str, str], first: tuple[str, ...]) -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are single letters, after the tokens of `first`."""
    vocabulary = {token: number for number, token in enumerate([*first, *"abcdefghijklmnopqrstuvwxyz"])}
    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token=special.get("unk_token")))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


@pytest.fixture(scope="module")
def world() -> StoryWorld:
    return StoryWorld()


@pytest.fixture(scope="module")
def tokenizer(world: StoryWorld) -> PreTrainedTokenizerFast:
    return build_tokenizer(world)


# BOS id 0 and padding = EOS, the two ids that careless code takes for "nothing" and for "padding only".
PLANTED = letters(special={"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}, first=("<s>", "</s>"))


def test_round_trip_and_one_token_a_word(world: StoryWorld, tokenizer: PreTrainedTokenizerFast) -> None:
    for document in (world.document(index) for index in range(300)):
        encoded = tokenizer(document.text, return_offsets_mapping=True, add_special_tokens=False)
        ids = encoded["input_ids"]
        assert tokenizer.decode(ids) == document.text
        assert tokenizer.unk_token_id not in ids
        for token_id, (start, stop) in zip(ids, encoded["offset_mapping"], strict=True):
            assert tokenizer.decode([token_id]) == document.text[start:stop]
            assert world.concept_of(document.text[start:stop]) is not None


def test_unknown_words_become_the_unknown_token_and_are_kept(tokenizer: PreTrainedTokenizerFast) -> None:
    batch = tokenize_corpus(Texts("The talking king."), tokenizer, context_size=8, n_tokens=4)
    assert batch.token_ids()[1] == tokenizer.unk_token_id


def test_tokenizer_folder_is_the_same_tokenizer(
    tokenizer: PreTrainedTokenizerFast, world: StoryWorld, tmp_path: Path
) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert tokenizer_fingerprint(loaded) == tokenizer_fingerprint(tokenizer)
    text = world.document(5).text
    assert loaded.decode(loaded.encode(text)) == text


def test_fingerprint_tells_tokenizers_apart_and_survives_use(tokenizer: PreTrainedTokenizerFast) -> None:
    before = tokenizer_fingerprint(tokenizer)
    tokenizer(["The king.", "The queen smiled."], padding=True, truncation=True, max_length=3)
    assert tokenizer_fingerprint(tokenizer) == before
    assert tokenizer_fingerprint(PLANTED) != before
    other_bos = letters(special={"bos_token": "</s>", "eos_token": "</s>", "pad_token": "</s>"}, first=("<s>", "</s>"))
    assert tokenizer_fingerprint(other_bos) != tokenizer_fingerprint(PLANTED)


@pytest.fixture(scope="module")
def pieces(world: StoryWorld) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer trained on the world."""
    return train_bpe_tokenizer(world, n_vocab=600, n_documents=300)


def test_a_trained_tokenizer_keeps_every_text(world: StoryWorld, pieces: PreTrainedTokenizerFast) -> None:
    assert len(pieces) == pieces.vocab_size == 600
    texts = [world.document(index).text for index in range(20)]
    for text in [*texts, "Zo\u00eb  ran\n \u0645\u0644\u0643 \U0001f600 <b>\ttab ", "<|unk|> [x] don't"]:
        ids = pieces.encode(text, add_special_tokens=False)
        assert pieces.decode(ids) == text
    n_pieces = [len(pieces.encode(word)) for word in world.vocabulary]
    assert n_pieces.count(1) > 50  # frequent words are one token
    assert max(n_pieces) > 3  # rare ones are not


def test_a_trained_tokenizer_repeats_and_survives_saving(
    world: StoryWorld, pieces: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    again = train_bpe_tokenizer(world, n_vocab=600, n_documents=300)
    assert tokenizer_fingerprint(again) == tokenizer_fingerprint(pieces)
    assert tokenizer_fingerprint(train_bpe_tokenizer(world, n_vocab=601, n_documents=300)) != tokenizer_fingerprint(
        pieces
    )
    pieces.save_pretrained(tmp_path)
    assert tokenizer_fingerprint(load_tokenizer(tmp_path)) == tokenizer_fingerprint(pieces)


def test_a_trained_tokenizer_has_the_special_tokens_of_the_world_s_own(
    tokenizer: PreTrainedTokenizerFast, pieces: PreTrainedTokenizerFast
) -> None:
    for name in ("bos_token_id", "pad_token_id", "unk_token_id"):
        assert getattr(pieces, name) == getattr(tokenizer, name)


def test_tokenizer_for_trains_one_where_asked(world: StoryWorld, tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(tokenizer_for(world, name_or_path="bpe", n_vocab=300)) == 300
    assert tokenizer_fingerprint(tokenizer_for(world)) == tokenizer_fingerprint(tokenizer)
    with pytest.raises(ValueError, match="given texts has no tokenizer of its own; set `tokenizer` to bpe"):
        tokenizer_for(Texts("a"))
    with pytest.raises(ValueError, match="expected text for 500 tokens in given texts; got 26.; lower n_vocab"):
        tokenizer_for(Texts("abc abc abc"), name_or_path="bpe", n_vocab=500)
    with pytest.raises(ValueError, match="n_vocab is at least 260: .* got 259"):
        train_bpe_tokenizer(world, n_vocab=259)


def test_missing_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a tokenizer folder or Hub name; '.*empty' could not be loaded"):
        (tmp_path / "empty").mkdir()
        load_tokenizer(tmp_path / "empty")


def test_masks_of_a_tokenizer_with_bos_zero_and_padding_like_eos() -> None:
    # room for 3 letters a sequence; the second document holds an EOS of its own
    batch = tokenize_corpus(Texts("abcde", "a</s>b"), PLANTED, context_size=4, n_tokens=7)
    a, b, c, d, e = range(2, 7)
    assert batch.input_ids.tolist() == [[0, a, b, c], [0, d, e, 1], [0, a, 1, b]]
    assert batch.attention_mask.tolist() == [[True] * 4, [True, True, True, False], [True] * 4]
    assert batch.keep_mask.tolist() == [
        [False, True, True, True], [False, True, True, False], [False, True, False, True],
    ]  # fmt: skip
    assert batch.token_ids().tolist() == [a, b, c, d, e, a, b]
    assert batch.row_documents().tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert batch.row_positions().tolist() == [0, 1, 2, 3, 4, 0, 2]
    assert batch.row_locations().tolist() == [[0, 1], [0, 2], [0, 3], [1, 1], [1, 2], [2, 1], [2, 3]]
    assert batch.starts.tolist() == [0, 3, 0]


def test_a_text_with_its_own_bos_gets_no_second_one() -> None:
    batch = tokenize_corpus(Texts("<s>ab"), PLANTED, context_size=4, n_tokens=2)
    assert batch.input_ids.tolist() == [[0, 2, 3, 1]]
    assert batch.row_positions().tolist() == [1, 2]  # the text's BOS is its position 0


def test_eos_opens_the_sequence_where_there_is_no_bos() -> None:
    gpt_like = letters(special={"eos_token": "</s>"}, first=("</s>",))
    batch = tokenize_corpus(Texts("ab"), gpt_like, context_size=4, n_tokens=2)
    assert batch.input_ids.tolist() == [[0, 1, 2, 0]]
    assert batch.keep_mask.tolist() == [[False, True, True, False]]


def test_without_bos_the_first_column_is_kept() -> None:
    batch = tokenize_corpus(Texts("abc"), PLANTED, context_size=2, n_tokens=3, prepend_bos=False)
    assert batch.input_ids.tolist() == [[2, 3], [4, 1]]
    assert batch.row_positions().tolist() == [0, 1, 2]
    neither = letters(special={"pad_token": "<pad>"}, first=("<pad>",))
    assert tokenize_corpus(Texts("abc"), neither, context_size=4, n_tokens=3, prepend_bos=False).n_tokens == 3
    with pytest.raises(ValueError, match="BOS or EOS token; got one with neither"):
        tokenize_corpus(Texts("abc"), neither, context_size=4, n_tokens=3)


@pytest.mark.parametrize("n_tokens", [1, 3, 4, 9, 10])
def test_the_number_of_tokens_is_exact(n_tokens: int) -> None:
    texts = Texts("abcde", "fghij", "klmno")
    batch = tokenize_corpus(texts, PLANTED, context_size=4, n_tokens=n_tokens)
    assert batch.n_tokens == n_tokens == len(batch.token_ids())
    assert PLANTED.decode(batch.token_ids()) == "abcdefghijklmno"[:n_tokens]
    assert batch.keep_mask[-1].any()  # no sequence without a use


def test_no_token_of_a_long_document_is_lost(world: StoryWorld, tokenizer: PreTrainedTokenizerFast) -> None:
    text = " ".join(world.document(index).text for index in range(5))
    ids = tokenizer(text)["input_ids"]
    batch = tokenize_corpus(Texts(text), tokenizer, context_size=33, n_tokens=len(ids))
    assert batch.token_ids().tolist() == ids
    assert batch.row_positions().tolist() == list(range(len(ids)))


def test_start_document_goes_on_where_another_batch_ended(
    world: StoryWorld, tokenizer: PreTrainedTokenizerFast
) -> None:
    whole = tokenize_corpus(world, tokenizer, context_size=128, n_tokens=2000)
    part = tokenize_corpus(world, tokenizer, context_size=128, n_tokens=500, start_document=3)
    from_there = whole.row_documents() >= 3
    assert part.token_ids().tolist() == whole.token_ids()[from_there][:500].tolist()
    assert part.documents[0] == 3


def test_stream_gives_the_same_sequences_in_batches(world: StoryWorld, tokenizer: PreTrainedTokenizerFast) -> None:
    stream = stream_sequences(world, tokenizer, context_size=64, sequences_per_batch=7)
    parts = [next(stream) for _ in range(3)]
    whole = next(stream_sequences(world, tokenizer, context_size=64, sequences_per_batch=21))
    np.testing.assert_array_equal(np.concatenate([part.input_ids for part in parts]), whole.input_ids)
    skipped = next(stream_sequences(world, tokenizer, context_size=64, sequences_per_batch=14, skip_sequences=7))
    np.testing.assert_array_equal(skipped.input_ids, whole.input_ids[7:])


def test_finite_streams_end_with_a_smaller_batch() -> None:
    sizes = [
        batch.n_sequences
        for batch in stream_sequences(Texts("abcdefg"), PLANTED, context_size=3, sequences_per_batch=3)
    ]
    assert sizes == [3, 1]


@pytest.mark.parametrize("texts", [(), ("",), ("", "")])
def test_empty_corpora(texts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected 1 tokens from given texts .*; got 0"):
        tokenize_corpus(Texts(*texts), PLANTED, context_size=4, n_tokens=1)
    with pytest.raises(ValueError, match="given texts has no text from document 0 on"):
        next(stream_sequences(Texts(*texts), PLANTED, context_size=4, sequences_per_batch=1))


def test_too_small_a_corpus() -> None:
    with pytest.raises(ValueError, match="expected 6 tokens .* got 5; lower n_tokens"):
        tokenize_corpus(Texts("abcde"), PLANTED, context_size=4, n_tokens=6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"context_size": 1, "n_tokens": 1}, "context_size is at least 2"),
        ({"context_size": 4, "n_tokens": 0}, "n_tokens is at least 1"),
    ],
)
def test_settings_out_of_range(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tokenize_corpus(Texts("abc"), PLANTED, **arguments)
    with pytest.raises(ValueError, match="sequences_per_batch is at least 1"):
        next(stream_sequences(Texts("abc"), PLANTED, context_size=4, sequences_per_batch=0))


@pytest.fixture
def batch() -> TokenBatch:
    return tokenize_corpus(Texts("abcde", "a</s>b"), PLANTED, context_size=4, n_tokens=7)


def test_saved_tokens_come_back(batch: TokenBatch, tmp_path: Path) -> None:
    batch.save(tmp_path / "tokens")
    loaded = TokenBatch.load(tmp_path / "tokens")
    assert loaded.fingerprint() == batch.fingerprint()
    np.testing.assert_array_equal(loaded.row_positions(), batch.row_positions())
    assert loaded.tokenizer_fingerprint == tokenizer_fingerprint(PLANTED)


@pytest.mark.parametrize("name", ["input_ids", "keep_mask", "attention_mask", "documents", "starts"])
def test_fingerprint_covers_every_array(batch: TokenBatch, name: str) -> None:
    before = batch.fingerprint()
    array = getattr(batch, name)
    array.flat[1] = not array.flat[1] if array.dtype == bool else array.flat[1] + 1
    assert batch.fingerprint() != before


def test_altered_truncated_and_missing_files(batch: TokenBatch, tmp_path: Path) -> None:
    folder = tmp_path / "tokens"
    batch.save(folder)
    file = folder / "tokens.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match="do not match their fingerprint"):
        TokenBatch.load(folder)
    file.write_bytes(content[:-5])
    with pytest.raises(ValueError, match="expected saved tokens in .*; tokenise the corpus again"):
        TokenBatch.load(folder)
    with pytest.raises(ValueError, match="expected saved tokens"):
        TokenBatch.load(tmp_path / "nothing")


def test_batches_check_their_arrays(batch: TokenBatch) -> None:
    good = {name: getattr(batch, name) for name in ("input_ids", "keep_mask", "attention_mask", "documents", "starts")}
    with pytest.raises(ValueError, match="starts is int32 of shape"):
        TokenBatch(**{**good, "starts": good["starts"][:1]}, tokenizer_fingerprint="x")
    with pytest.raises(ValueError, match="keep_mask is bool .* got int32"):
        TokenBatch(**{**good, "keep_mask": good["keep_mask"].astype(np.int32)}, tokenizer_fingerprint="x")
    with pytest.raises(ValueError, match="keep_mask is True on padding"):
        TokenBatch(**{**good, "keep_mask": np.ones_like(good["keep_mask"])}, tokenizer_fingerprint="x")
