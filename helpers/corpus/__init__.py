"""Texts and their tokens: the story world, local and Hub texts, tokenising with masks."""

from helpers.corpus.documents import Corpus, Document
from helpers.corpus.opening import open_corpus
from helpers.corpus.readers import HubCorpus, LocalCorpus
from helpers.corpus.story_world import Probe, StoryWorld
from helpers.corpus.token_batch import TokenBatch
from helpers.corpus.tokenizer import build_tokenizer, load_tokenizer, tokenizer_fingerprint
from helpers.corpus.tokenizing import stream_sequences, tokenize_corpus

__all__ = [
    "Corpus",
    "Document",
    "HubCorpus",
    "LocalCorpus",
    "Probe",
    "StoryWorld",
    "TokenBatch",
    "build_tokenizer",
    "load_tokenizer",
    "open_corpus",
    "stream_sequences",
    "tokenize_corpus",
    "tokenizer_fingerprint",
]
