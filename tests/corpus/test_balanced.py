"""Balanced batches: caps, what is kept, whole words, and texts that do not have the words."""

from __future__ import annotations

import re

import numpy as np
import pytest

from helpers.corpus import StoryWorld, TokenBatch, balanced_batch, build_tokenizer
from helpers.corpus.word_spans import comparable, sentence_spans, word_spans
from helpers.features.word_borders import split_words
from tests.corpus.test_tokenizing import Texts, letters


@pytest.fixture(scope="module")
def world():
    return StoryWorld()


@pytest.fixture(scope="module")
def tokenizer(world):
    return build_tokenizer(world)


def kept_text(batch: TokenBatch, tokenizer) -> list[str]:
    return [tokenizer.decode(ids[mask]).strip() for ids, mask in zip(batch.input_ids, batch.keep_mask, strict=True)]


def test_only_sentences_with_a_word_are_kept_and_read_in_their_context(tokenizer):
    corpus = Texts("The king slept. The dog ran.\nThe queen sang.", "The dog ran.", "A red king.")
    result = balanced_batch(corpus, tokenizer, words=["king", "queen"], cap=5, context_size=32)
    assert kept_text(result.tokens, tokenizer) == ["The king slept.The queen sang.", "A red king."]
    assert result.tokens.documents.tolist() == [0, 2]
    assert tokenizer.decode(result.tokens.input_ids[0]).startswith(
        "<|bos|>The king slept. The dog ran.\nThe queen sang."
    )
    assert (result.samples, result.occurrences, result.n_documents_read) == ((2, 1), (2, 1), 3)
    assert result.fell_short == {"king": 2, "queen": 1}
    assert result.messages[1] == "'queen': 1 of 5 sentences in 3 documents"
    assert result.tokens.row_positions()[:5].tolist() == [0, 1, 2, 3, 9]


def test_whole_documents(tokenizer):
    corpus = Texts("The king slept. The dog ran.", "The dog ran.", "The king sang. The queen sang. The king ran.")
    result = balanced_batch(corpus, tokenizer, words=["king", "queen"], cap=1, context_size=32, unit="document")
    assert kept_text(result.tokens, tokenizer) == [corpus.texts[0], corpus.texts[2]]
    assert result.samples == (1, 1)
    assert result.occurrences == (3, 1)  # the queen's document has the king twice
    assert result.fell_short == {} and result.messages == [] and result.n_samples == 2


def test_the_cap_is_a_words_own():
    """Trap: "the king" stands in every sentence; if that counted for its cap, the queen would get too few, or none."""
    tokenizer = build_tokenizer(StoryWorld())
    corpus = Texts(*["The king slept."] * 10, *["The king and the queen slept."] * 10)
    result = balanced_batch(corpus, tokenizer, words=["king", "queen"], cap=4, context_size=16)
    assert result.samples == (4, 4)
    assert result.occurrences == (8, 4)
    assert result.tokens.n_sequences == 8
    assert result.n_documents_read == 14  # it stops when every cap is full


def test_a_sample_goes_to_the_word_that_has_fewest(tokenizer):
    corpus = Texts(*["The king and the queen slept."] * 6)
    result = balanced_batch(corpus, tokenizer, words=["king", "queen", "dog"], cap=10, context_size=16)
    assert result.samples == (3, 3, 0)
    assert result.messages[2] == "'dog' has no sentence of its own in 6 documents"


def test_words_are_whole_words(tokenizer):
    """Trap: king in talking, man in Brockman; and the rule for case."""
    corpus = Texts("She was talking.", "Brockman ran.", "The kings slept.", "King Tom slept.", "The king's dog ran.")
    result = balanced_batch(corpus, tokenizer, words=["king", "man"], cap=9, context_size=16)
    assert result.tokens.documents.tolist() == [3, 4]
    result = balanced_batch(corpus, tokenizer, words=["king"], cap=9, context_size=16, ignore_case=False)
    assert result.tokens.documents.tolist() == [4]


def test_long_documents_go_on_in_further_sequences(tokenizer):
    text = " ".join(["The dog ran."] * 20 + ["The king slept."] + ["The cat ran."] * 20)
    result = balanced_batch(Texts(text), tokenizer, words=["king"], cap=3, context_size=10)
    # 4 tokens a sentence, 9 a sequence: the king's 80th to 83rd token are the last of one sequence and three of the next.
    assert result.tokens.starts.tolist() == [72, 81]
    assert result.tokens.row_positions().tolist() == [80, 81, 82, 83]
    assert "".join(kept_text(result.tokens, tokenizer)) == "Theking slept."


def test_the_story_world_is_balanced(world, tokenizer):
    words = ["king", "queen", "princess", "he", "she", "it"]
    result = balanced_batch(world, tokenizer, words=words, cap=20, context_size=128)
    assert result.samples == (20,) * 6
    assert all(n >= 20 for n in result.occurrences)
    again = balanced_batch(world, tokenizer, words=words, cap=20, context_size=128)
    assert again.tokens.fingerprint() == result.tokens.fingerprint()
    later = balanced_batch(world, tokenizer, words=words, cap=20, context_size=128, start_document=1000)
    assert later.tokens.documents.min() >= 1000
    for text in kept_text(result.tokens, tokenizer):
        assert re.search(r"\b(king|queen|princess|he|she|it)\b", text, re.IGNORECASE)
    tokens = result.tokens
    assert (tokens.keep_mask <= tokens.attention_mask).all() and tokens.keep_mask.any(axis=1).all()


def test_other_scripts():
    """A vowel sign belongs to its word; a text's own way of writing an accent does not matter."""
    alphabet = tuple("किताब है।ٱلْمَلِكُنعم؟cafe\u0301é ")
    tokenizer = letters(
        special={"bos_token": "<s>", "unk_token": "<u>"}, first=("<s>", "<u>", *dict.fromkeys(alphabet))
    )
    corpus = Texts("किताब है।", "कि है।", "cafe\u0301 a.", "نعم ٱلْمَلِك؟ نعم.")
    result = balanced_batch(corpus, tokenizer, words=["कि", "café", "ٱلْمَلِك"], cap=3, context_size=32)
    assert result.tokens.documents.tolist() == [1, 2, 3]
    assert kept_text(result.tokens, tokenizer)[2] == "نعم ٱلْمَلِك؟"


def test_endless_corpus_without_the_word(world, tokenizer):
    with pytest.raises(ValueError, match="expected texts with unicorn in story world.*got none in 50 documents"):
        balanced_batch(world, tokenizer, words=["unicorn"], cap=3, context_size=32, max_documents=50)
    result = balanced_batch(world, tokenizer, words=["unicorn", "king"], cap=3, context_size=128, max_documents=300)
    assert result.samples == (0, 3)
    assert result.n_documents_read == 300


def test_bad_input(world, tokenizer):
    def call(**changed):
        balanced_batch(
            **({"corpus": world, "tokenizer": tokenizer, "words": ["king"], "cap": 2, "context_size": 32} | changed)
        )

    with pytest.raises(ValueError, match="got no document; check the words"):
        call(corpus=Texts())
    with pytest.raises(ValueError, match="words is a list of at least one word; got 'king'"):
        call(words="king")
    with pytest.raises(ValueError, match="at least one word; got \\[\\]"):
        call(words=[])
    for wrong in ("the king", "king.", "", "king-queen", "king's"):
        with pytest.raises(ValueError, match="every entry is one word; got"):
            call(words=["queen", wrong])
    with pytest.raises(ValueError, match="every word stands once; got 'king' twice"):
        call(words=["king", "King"])
    with pytest.raises(ValueError, match="cap is at least 1; got 0"):
        call(cap=0)
    with pytest.raises(ValueError, match="max_documents is at least 1; got 0"):
        call(max_documents=0)
    with pytest.raises(ValueError, match="unit is sentence or document; got 'word'"):
        call(unit="word")
    with pytest.raises(ValueError, match="context_size is at least 2"):
        call(context_size=1)

    class Slow:
        is_fast = False

    with pytest.raises(ValueError, match="needs a fast tokenizer"):
        call(tokenizer=Slow())


@pytest.mark.parametrize(
    "text",
    [
        "The king's talking, don't o'clock 3.5 x_y. 'Tis rock 'n' roll James' s's's",
        "की किताब क है।  ٱلْمَلِكُ مَلِك؟ نعم's cafe\u0301's",
        "me\u0301lo \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 soft\u00adware ½ 's a's don\u2019t\u2019s",
        "",
    ],
)
def test_words_are_those_of_the_word_tables(text):
    """One rule for words, in texts and in rows of stores; marks are no words of a text."""
    words = [text[start:stop] for start, stop in word_spans(text)]
    expected = [word for word in split_words(text) if any(character.isalnum() for character in word)]
    assert [comparable(word, ignore_case=False) for word in words] == expected


def test_sentences():
    text = 'He said: "Stop!" It was 3.5 km.\n\nNo end here\u061f  Yes (really.) \u6771\u4eac\u3002\u4eca\u65e5'
    found = [text[start:stop] for start, stop in sentence_spans(text)]
    assert found == [
        'He said: "Stop!"',
        "It was 3.5 km.",
        "No end here\u061f",
        "Yes (really.)",
        "\u6771\u4eac\u3002",
        "\u4eca\u65e5",
    ]
    assert sentence_spans(" \n ") == []
    assert np.all(np.diff([place for span in sentence_spans(text) for place in span]) >= 0)
