"""How wide a feature is, where the corpus knows: one word, a concept of words, a kind of concepts.

The words of a corpus with known concepts are the leaves of a tree: "dog" is a mammal, that is an animal, that is a living
thing. `concept_mass` with `known_words` says how a feature's whole activation divides over the words; from this follow
the narrowest branch that holds most of it, and the number of words over which it is spread.
"""

from __future__ import annotations

import numpy as np

from helpers.corpus import Corpus, StoryWorld
from helpers.features.concept_truth import ConceptMass, KnownConcepts

MOST = 0.5


def known_words(corpus: Corpus) -> KnownConcepts | None:
    """As `known_concepts`, with every word a concept of its own under the concept it belongs to.

    Words are in quotation marks, because a word may be the name of a concept as well ("season"). None for a corpus without
    known concepts.
    """
    if not isinstance(corpus, StoryWorld):
        return None
    of_word = {_quoted(word): concept for concept, words in corpus.concepts.items() for word in words}

    def word_of(text: str) -> str | None:
        word = text.strip()
        for spelling in (word, word[:1].lower() + word[1:]):
            if _quoted(spelling) in of_word:
                return _quoted(spelling)
        return None

    return KnownConcepts(tuple(of_word), {**corpus.taxonomy, **of_word}, word_of)


def narrowest_concepts(mass: ConceptMass, *, min_share: float = MOST) -> np.ndarray:
    """The narrowest word, concept or kind that holds more than `min_share` of a feature's activation.

    Args:
        min_share: in [0.5, 1), so that of two words, or two concepts, only one can hold it.
    Returns:
        (d_sae,) object: a name, None where no branch of the tree holds so much, or the feature is dead.
    Raises:
        ValueError: min_share out of range.
    """
    if not MOST <= min_share < 1:
        raise ValueError(f"min_share must be at least {MOST} and below 1; got {min_share}")
    lines = [mass.known.line(name) for name in mass.known.names]
    depth = {name: len(line) - place for line in lines for place, name in enumerate(line)}
    branches = sorted(depth, key=lambda name: (depth[name], name))
    inside = np.zeros((len(lines), len(branches)))
    place_of = {name: place for place, name in enumerate(branches)}
    for row, line in enumerate(lines):
        inside[row, [place_of[name] for name in line]] = 1
    total = mass.mass.sum(axis=1, keepdims=True)
    holds = mass.mass[:, :-1] @ inside > min_share * total
    last = inside.shape[1] - 1 - np.argmax(holds[:, ::-1], axis=1)  # branches come the wider the earlier
    return np.array([branches[place] if any_ else None for place, any_ in zip(last, holds.any(axis=1), strict=True)],
                    dtype=object)  # fmt: skip


def concepts_above(names: np.ndarray, known: KnownConcepts) -> np.ndarray:
    """The same names with words replaced by their concept; concepts and kinds stay, None stays."""
    words = set(known.names)
    return np.array([known.parents.get(name, name) if name in words else name for name in names], dtype=object)


def effective_number(mass: ConceptMass) -> np.ndarray:
    """Over how many words (columns of `mass`) a feature's activation is spread, (d_sae,) float64.

    Returns:
        The exponential of the entropy of the shares: n if n words share it equally; 1 for one word; 0 for a dead feature.
        Words without a concept count as one.
    """
    total = mass.mass.sum(axis=1, keepdims=True)
    shares = mass.mass / np.where(total > 0, total, 1.0)
    logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
    return np.where(total[:, 0] > 0, np.exp(-(shares * logs).sum(axis=1)), 0.0)


def _quoted(word: str) -> str:
    return f'"{word}"'
