"""Known truth for concept groups: which features do fire on a group's concept, counted over all of their firings.

Only the story world knows the concept of every word. The truth is defined without the word search: a feature belongs to
a group if more than half of its whole activation (summed over every token on which it fires, not over its top examples)
falls on words of the group's concepts. These concepts may hold words that the group leaves out.

Rows = tokens, columns = features. One walk over the store; memory is (d_sae, number of concepts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np

from helpers.activations import ActivationStore, CsrRows
from helpers.corpus import Corpus, StoryWorld
from helpers.features.concept_groups import ConceptGroup
from helpers.params.validation import near_key

if TYPE_CHECKING:
    from helpers.features.words import WordTable


@dataclass(frozen=True)
class KnownConcepts:
    """The concepts that a corpus knows of its words.

    Args:
        names: every concept.
        parents: concept or kind -> the wider kind that it belongs to.
        of: concept of a word as written, None if it has none.
    """

    names: tuple[str, ...]
    parents: Mapping[str, str]
    of: Callable[[str], str | None]

    def under(self, names: Iterable[str]) -> frozenset[str]:
        """The concepts that are one of `names` or belong to one, at any depth.

        Raises:
            ValueError: an unknown name.
        """
        names = set(names)
        known = [*self.names, *self.parents.values()]
        for name in sorted(names - set(known)):
            raise ValueError(f"unknown concept '{name}'{near_key(name, list(dict.fromkeys(known)))}")
        return frozenset(concept for concept in self.names if names & set(self.line(concept)))

    def line(self, concept: str) -> list[str]:
        """The concept, its kind, the kind's kind and so on."""
        line = [concept]
        while (parent := self.parents.get(line[-1])) and parent not in line:
            line.append(parent)
        return line


def known_concepts(corpus: Corpus) -> KnownConcepts | None:
    """What a corpus knows of its words; None for a corpus without known concepts."""
    if not isinstance(corpus, StoryWorld):
        return None
    return KnownConcepts(tuple(corpus.concepts), corpus.taxonomy, corpus.concept_of)


@dataclass(frozen=True)
class ConceptMass:
    """How the activation of every feature divides over the known concepts.

    Shapes:
        mass: (d_sae, n_concepts + 1) float64, summed activation; the last column is that of words without a concept;
        counts: (d_sae,) int64, tokens on which a feature fires.
    """

    known: KnownConcepts
    mass: np.ndarray
    counts: np.ndarray

    def share(self, concepts: Iterable[str]) -> np.ndarray:
        """Share of a feature's activation on words of these concepts (or kinds), (d_sae,) in [0, 1]; 0 if it is dead."""
        inside = self.known.under(concepts)
        columns = [number for number, name in enumerate(self.known.names) if name in inside]
        total = self.mass.sum(axis=1)
        return self.mass[:, columns].sum(axis=1) / np.where(total > 0, total, 1.0)

    def true_features(self, group: ConceptGroup, *, min_share: float = 0.5, min_firings: int = 1) -> np.ndarray:
        """Ids of the features that belong to the group, ascending.

        Args:
            min_share: least share (not reached by equality) of the activation on the group's concepts, in [0, 1).
            min_firings: features that fire on fewer tokens belong to no group.
        Raises:
            ValueError: the group names no concepts, or unknown ones; min_share out of range.
        """
        if not group.concepts:
            raise ValueError(f"group '{group.name}' names no concepts of the corpus; add `concepts` or do not score it")
        if not 0.0 <= min_share < 1.0:
            raise ValueError(f"min_share must be in [0, 1); got {min_share}")
        return np.flatnonzero((self.share(group.concepts) > min_share) & (self.counts >= max(1, min_firings)))


def concept_mass(store: ActivationStore, words: WordTable, known: KnownConcepts) -> ConceptMass:
    """Sum the activation of every feature over the concepts of the words that it fires on.

    Shapes:
        words: of the store's rows.
    Raises:
        ValueError: the words are of another number of rows; the store holds dense pre-activations.
    Notes:
        Negative values (neurons, signed stores) are no firing and count nothing.
    """
    if words.n_tokens != store.n_tokens:
        raise ValueError(
            f"words must be those of the store's {store.n_tokens} rows; got {words.n_tokens}; "
            "build them from the store's token batch"
        )
    if not store.is_sparse:
        raise ValueError("concept_mass needs post-activations (kind 'feature_acts'); got dense pre-activations")
    column = {name: number for number, name in enumerate(known.names)}
    unknown = len(column)
    # One more entry, reached by -1: a row without a readable word.
    of_word = np.array([column.get(known.of(word) or "", unknown) for word in words.words] + [unknown], dtype=np.int64)
    mass = np.zeros((store.d_sae, unknown + 1))
    counts = np.zeros(store.d_sae, dtype=np.int64)
    for first, block in store.row_blocks():
        assert isinstance(block, CsrRows)
        columns = of_word[words.word_ids[first : first + block.shape[0]]]
        _add_mass(block.indptr, block.indices, block.data.astype(np.float32), columns, mass, counts)
    return ConceptMass(known, mass, counts)


@dataclass(frozen=True)
class TruthScore:
    """A found set of features against the true one.

    Args:
        n_found, n_true, n_right: sizes of the found set, of the true set and of what they share.
        chance: expected precision of as many features drawn at random: n_true / n_features.
    """

    n_found: int
    n_true: int
    n_right: int
    chance: float

    @property
    def precision(self) -> float | None:
        """n_right / n_found in [0, 1]; None if nothing was found."""
        return self.n_right / self.n_found if self.n_found else None

    @property
    def recall(self) -> float | None:
        """n_right / n_true in [0, 1]; None if nothing was there to find."""
        return self.n_right / self.n_true if self.n_true else None


def truth_score(found: np.ndarray, true: np.ndarray, *, n_features: int) -> TruthScore:
    """Count how many features were found rightly.

    Shapes:
        found, true: ids, each once.
    Args:
        n_features: features that could have been found, e.g. all that fire.
    Raises:
        ValueError: ids twice, or more ids than features.
    """
    for name, ids in (("found", found), ("true", true)):
        if len(np.unique(ids)) != len(ids):
            raise ValueError(f"{name} holds a feature twice; pass np.unique({name})")
        if len(ids) > n_features:
            raise ValueError(f"{name} has {len(ids)} features, more than the {n_features} that there are")
    n_right = len(np.intersect1d(found, true, assume_unique=True))
    return TruthScore(len(found), len(true), n_right, len(true) / n_features if n_features else 0.0)


@numba.njit(cache=True, nogil=True)
def _add_mass(indptr, indices, data, columns, mass, counts):  # pragma: no cover (compiled)
    for row in range(len(indptr) - 1):
        column = columns[row]
        for place in range(indptr[row], indptr[row + 1]):
            if data[place] > 0:
                mass[indices[place], column] += data[place]
                counts[indices[place]] += 1
