"""A small world of words on disk: two stores whose features fire on known words, in groups that are arranged alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.sparse

from helpers.activations import ActivationStore
from helpers.comparison.subspace_sides import SubspaceSide, search_side
from helpers.features import ConceptGroup, WordTable, describe_features

N_GROUPS, N_WORDS, COPIES, N_TOKENS = 4, 6, 2, 3000
N_FILLERS = 30  # words of no group, with features of their own
D_A, D_B = 10, 8
VOCABULARY = tuple(
    sorted([f"g{group}w{word}" for group in range(N_GROUPS) for word in range(N_WORDS)])
    + [f"other{number:02d}" for number in range(N_FILLERS)]
)
GROUPS = [
    ConceptGroup(f"group{group}", tuple(f"g{group}w{word}" for word in range(N_WORDS))) for group in range(N_GROUPS)
]
D_SAE = len(VOCABULARY) * COPIES


def word_table(seed: int = 0) -> WordTable:
    """Every row a word of the vocabulary, at random."""
    return WordTable(VOCABULARY, np.random.default_rng(seed).integers(0, len(VOCABULARY), N_TOKENS).astype(np.int32))


def features_of(word: str) -> list[int]:
    """The features that fire on a word, in both dictionaries."""
    first = VOCABULARY.index(word) * COPIES
    return list(range(first, first + COPIES))


def side(
    name: str, folder: Path, words: WordTable, directions: np.ndarray, *, seed: int, groups: list[ConceptGroup]
) -> SubspaceSide:
    """A dictionary whose features fire on one word each, most of the time, with random strengths."""
    rng = np.random.default_rng(seed)
    fires = np.repeat(np.eye(len(VOCABULARY))[words.word_ids], COPIES, axis=1)
    acts = fires * (0.2 + rng.random(fires.shape)) * (rng.random(fires.shape) < 0.8)
    rows = np.arange(N_TOKENS)
    with ActivationStore.create(folder, d_sae=D_SAE) as writer:
        writer.append(scipy.sparse.csr_array(acts), token_ids=words.word_ids, documents=rows, positions=rows)
    store = ActivationStore.open(folder)
    return search_side(name, store, directions, describe_features(store, words), groups)


def arranged_alike(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Directions of both dictionaries: copies of a word near each other, words in the same arrangement."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((len(VOCABULARY), D_B))
    rotation = np.linalg.qr(rng.standard_normal((D_A, D_A)))[0][:D_B]
    return (
        np.repeat(centres @ rotation, COPIES, axis=0) + 0.1 * rng.standard_normal((D_SAE, D_A)),
        np.repeat(centres, COPIES, axis=0) + 0.1 * rng.standard_normal((D_SAE, D_B)),
    )
