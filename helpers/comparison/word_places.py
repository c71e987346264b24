"""Where ordered words stand in the texts, and what every layer of a model holds there, on average.

Three positions of a word are told apart, because they are not equally good evidence:

* **word**: the word's own token, wherever it stands. In "Monday, Tuesday, Wednesday" attention mixes the days before into
  the day itself, and a mixture of neighbours is round even if the model knows no order.
* **first**: the first word of its group in a sequence: nothing before it can be mixed in.
* **before**: the token before the word, where the model must know what follows. What precedes is the text's own order.

A model with random weights reads the same texts, so it has the same mixtures; what it shows is not learnt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from scipy.sparse import csr_array

from helpers.corpus import TokenBatch
from helpers.features import ConceptGroup, WordTable
from helpers.models import split_batch, stream_activations

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

Position = Literal["first", "word", "before"]
POSITIONS: dict[Position, str] = {
    "first": "at the first word of the group in a text",
    "word": "at every such word",
    "before": "just before such a word",
}
NONE = -1
_SEQUENCES = 64  # read at once


@dataclass(frozen=True)
class WordPlaces:
    """Which ordered word stands at which token.

    Shapes:
        labels: position -> (n_sequences, context_size) int32, place in `words`, -1 where there is none; counts:
        position -> (n_words,) int64.
    Args:
        words: of all groups, one group after another; groups: name -> (start, stop) in `words`.
        tokens: the batch.
    """

    tokens: TokenBatch
    words: tuple[str, ...]
    groups: Mapping[str, tuple[int, int]]
    labels: Mapping[Position, np.ndarray]

    def counts(self, position: Position) -> np.ndarray:
        labels = self.labels[position]
        return np.bincount(labels[labels >= 0], minlength=len(self.words))

    def known(self, group: str, *, position: Position = "first", min_count: int = 1) -> list[int]:
        """Places in `words` of a group's words that stand often enough, in their order."""
        start, stop = self.groups[group]
        counts = self.counts(position)
        return [place for place in range(start, stop) if counts[place] >= min_count]


def find_word_places(tokens: TokenBatch, words: WordTable, groups: Sequence[ConceptGroup]) -> WordPlaces:
    """Find the words of some groups in a batch.

    Args:
        words: of the rows of the batch. A word of several tokens stands at its last one; what is before it is the token
            before its first one.
    Raises:
        ValueError: words of another batch; a word in two groups.
    """
    if words.n_tokens != tokens.n_tokens:
        raise ValueError(
            f"the words are of {words.n_tokens} rows, the batch has {tokens.n_tokens}; build them from the same batch"
        )
    names = [word for group in groups for word in group.words]
    if len({name.casefold() for name in names}) != len(names):
        raise ValueError("a word stands in two of the groups; ask for groups without common words")
    bounds = np.cumsum([0, *(len(group.words) for group in groups)])
    ends = zip(groups, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    ranges = {group.name: (start, stop) for group, start, stop in ends}
    label_of = np.full(len(words.words) + 1, NONE, dtype=np.int32)  # the last answers for rows without a word
    for group in groups:
        wanted = {group.spelling(word): ranges[group.name][0] + i for i, word in enumerate(group.words)}
        for number, word in enumerate(words.words):
            label_of[number] = max(label_of[number], wanted.get(group.spelling(word), NONE))
    at = np.full(tokens.input_ids.shape, NONE, dtype=np.int32)
    at[tokens.keep_mask] = label_of[words.word_ids]
    return WordPlaces(tokens, tuple(names), ranges, _positions(at, tokens.keep_mask, ranges))


def _positions(
    at: np.ndarray, keep_mask: np.ndarray, groups: Mapping[str, tuple[int, int]]
) -> dict[Position, np.ndarray]:
    empty = np.full((len(at), 1), NONE, dtype=at.dtype)
    after, earlier = np.hstack([at[:, 1:], empty]), np.hstack([empty, at[:, :-1]])
    last = np.where(after != at, at, NONE)  # pieces of one word follow each other
    starts = np.where(earlier != at, at, NONE)
    before = np.where(keep_mask, np.hstack([starts[:, 1:], empty]), NONE)
    first = np.full_like(at, NONE)
    for start, stop in groups.values():
        inside = (last >= start) & (last < stop)
        first = np.where(inside & (np.cumsum(inside, axis=1) == 1), last, first)
    return {"first": first, "word": last, "before": before}


@dataclass(frozen=True)
class WordMeans:
    """Mean activation of every word at every hook and position.

    Shapes:
        means: (hook, position) -> (n_words, d); rows of words that stand nowhere are 0.
    """

    places: WordPlaces
    means: Mapping[tuple[str, Position], np.ndarray]

    def rows(
        self, group: str, hook_name: str, position: Position, *, min_count: int = 10
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        """The group's words that stand often enough, in order, and their names."""
        known = self.places.known(group, position=position, min_count=min_count)
        return self.means[hook_name, position][known], tuple(self.places.words[place] for place in known)


def layer_hooks(model: TransformerBridge) -> list[str]:
    """The embedding as the first layer reads it, and the residual stream after every layer."""
    return ["blocks.0.hook_resid_pre", *(f"blocks.{layer}.hook_resid_post" for layer in range(model.cfg.n_layers))]


def word_means(model: TransformerBridge, places: WordPlaces, hook_names: Sequence[str]) -> WordMeans:
    """Average what the hooks see at every position of every word, in one pass over the texts.

    Raises:
        ValueError: an unknown hook.
    """
    n_words = len(places.words)
    sums: dict[tuple[str, Position], np.ndarray] = {}
    read = 0
    for batch, seen in stream_activations(model, split_batch(places.tokens, batch_size=_SEQUENCES), hook_names):
        rows = slice(read, read + batch.n_sequences)
        read += batch.n_sequences
        for position, labels in places.labels.items():
            sequences, columns = np.nonzero(labels[rows] >= 0)
            found = labels[rows][sequences, columns]
            # Words x tokens: a sum over the tokens of every word is one product.
            belongs = csr_array((np.ones(len(found)), (found, np.arange(len(found)))), shape=(n_words, len(found)))
            for hook_name, values in seen.items():
                at = values[torch.from_numpy(sequences), torch.from_numpy(columns)].double().cpu().numpy()
                sums[hook_name, position] = sums.get((hook_name, position), 0.0) + belongs @ at
    counts: dict[Position, np.ndarray] = {position: places.counts(position) for position in places.labels}
    means = {key: total / np.maximum(counts[key[1]], 1)[:, None] for key, total in sums.items()}
    return WordMeans(places, means)
