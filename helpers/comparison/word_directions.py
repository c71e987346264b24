"""What a layer holds at a word, on average: the reference that tells whether a group has an arrangement to be found.

A dictionary writes, at every token, the sum of its active directions times their activations. Averaged over the rows of
a word this is the word's direction in the layer, up to what the dictionary leaves unexplained and to its bias, which is
the same for all words. Words are paired by themselves, so nothing is matched. If the words of a group are not arranged
alike, no choice of features can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from helpers.activations import ActivationStore, CsrRows


@dataclass(frozen=True)
class WordDirections:
    """Sums of what is written at every row of a word.

    Shapes:
        counts: (n_words,), rows of each; sums: (n_words, d_in).
    Args:
        words: distinct, as written.
    """

    words: tuple[str, ...]
    counts: Int[np.ndarray, " n_words"]
    sums: Float[np.ndarray, "n_words d_in"]

    def known(self, wanted: Iterable[str], *, ignore_case: bool, min_count: int = 1) -> list[str]:
        """The wanted words that stand in at least `min_count` rows, in their order."""
        return [word for word in wanted if self._members(word, ignore_case)[1] >= min_count]

    def means(self, wanted: Sequence[str], *, ignore_case: bool) -> Float[np.ndarray, "n_wanted d_in"]:
        """Mean direction of every wanted word; with `ignore_case` over all of its spellings.

        Raises:
            ValueError: a word stands in no row.
        """
        rows = np.empty((len(wanted), self.sums.shape[1]))
        for number, word in enumerate(wanted):
            members, count = self._members(word, ignore_case)
            if not count:
                raise ValueError(f"'{word}' stands in no row; ask only for words that are `known`")
            rows[number] = self.sums[members].sum(axis=0) / count
        return rows

    def _members(self, word: str, ignore_case: bool) -> tuple[list[int], int]:
        spelled = word.casefold() if ignore_case else word
        members = [i for i, known in enumerate(self.words) if (known.casefold() if ignore_case else known) == spelled]
        return members, int(self.counts[members].sum())


def word_directions(
    store: ActivationStore,
    directions: Float[np.ndarray, "d_sae d_in"],
    *,
    vocabulary: Sequence[str],
    word_ids: Int[np.ndarray, " n_tokens"],
    wanted: Iterable[str],
) -> WordDirections:
    """Sum what a dictionary writes at the rows of the wanted words, in one pass over its store.

    Shapes:
        directions: (d_sae, d_in); word_ids: (n_tokens,) places in `vocabulary`, -1 where there is no word.
    Args:
        wanted: words, in any case; every spelling that the vocabulary has is kept apart.
    Raises:
        ValueError: not one word a row, or not one direction a feature.
    Notes:
        Memory: wanted words times d_sae.
    """
    if len(word_ids) != store.n_tokens or len(directions) != store.d_sae:
        raise ValueError(
            f"expected a word of each of {store.n_tokens} rows and a direction of each of {store.d_sae} features; "
            f"got {len(word_ids)} and {len(directions)}; take words and directions of the store's own tokens and SAE"
        )
    asked = {word.casefold() for word in wanted}
    kept = [number for number, word in enumerate(vocabulary) if word.casefold() in asked]
    place = np.full(len(vocabulary) + 1, -1, dtype=np.int64)  # the last entry answers for rows without a word
    place[kept] = np.arange(len(kept))
    totals = np.zeros((len(kept), store.d_sae))
    counts = np.zeros(len(kept), dtype=np.int64)
    for first, block in store.row_blocks():
        places = place[word_ids[first : first + block.shape[0]]]
        rows = np.flatnonzero(places >= 0)
        counts += np.bincount(places[rows], minlength=len(kept))
        belongs = scipy.sparse.csr_array((np.ones(len(rows)), (places[rows], rows)), shape=(len(kept), block.shape[0]))
        totals += belongs @ _dense_or_csr(block)
    return WordDirections(tuple(vocabulary[number] for number in kept), counts, totals @ directions)


def _dense_or_csr(block: CsrRows | np.ndarray) -> scipy.sparse.csr_array | np.ndarray:
    if isinstance(block, CsrRows):
        return scipy.sparse.csr_array((block.data.astype(np.float64), block.indices, block.indptr), shape=block.shape)
    return block.astype(np.float64)
