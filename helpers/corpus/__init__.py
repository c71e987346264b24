"""Texts and their tokens: the story world, local and Hub texts, tokenising with masks."""

from helpers.corpus.alignment import AlignedRows, RowUnits, align_rows, unit_token_ids
from helpers.corpus.balanced import BalancedBatch, balanced_batch
from helpers.corpus.documents import Corpus, Document
from helpers.corpus.ground_truth import CORE_PROBE_KINDS, concept_lookup, concept_words, kind_lookup, probes_of
from helpers.corpus.held_out import PartOfCorpus, held_out_corpus, training_corpus
from helpers.corpus.opening import open_corpus
from helpers.corpus.readers import HubCorpus, LocalCorpus
from helpers.corpus.story_world import Probe, StoryWorld
from helpers.corpus.token_batch import TokenBatch
from helpers.corpus.tokenizer import (
    build_tokenizer,
    load_tokenizer,
    tokenizer_fingerprint,
    tokenizer_for,
    train_bpe_tokenizer,
)
from helpers.corpus.tokenizing import stream_sequences, tokenize_corpus
from helpers.corpus.unit_texts import UnitBatch, unit_batch, unit_texts

__all__ = [
    "CORE_PROBE_KINDS",
    "AlignedRows",
    "BalancedBatch",
    "Corpus",
    "Document",
    "HubCorpus",
    "LocalCorpus",
    "PartOfCorpus",
    "Probe",
    "RowUnits",
    "StoryWorld",
    "TokenBatch",
    "UnitBatch",
    "align_rows",
    "balanced_batch",
    "build_tokenizer",
    "concept_lookup",
    "concept_words",
    "held_out_corpus",
    "kind_lookup",
    "load_tokenizer",
    "open_corpus",
    "probes_of",
    "stream_sequences",
    "tokenize_corpus",
    "tokenizer_fingerprint",
    "tokenizer_for",
    "train_bpe_tokenizer",
    "training_corpus",
    "unit_batch",
    "unit_texts",
    "unit_token_ids",
]
