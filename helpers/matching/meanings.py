"""What features stand for, as far as the tokens tell: top tokens of every feature, and known concepts.

Not part of the package's own names, because it is the one module here that reads top examples (helpers.features).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from helpers.activations import ActivationStore
from helpers.features import TopExamples, majority_concepts, top_examples
from helpers.matching.inputs import check_pair
from helpers.matching.match import match_features
from helpers.matching.pairs import FeaturePairs
from helpers.matching.quality import PairAgreement, same_concept_share, same_token_score
from helpers.matching.row_parts import random_documents, take_rows

SAME_TOKENS, SAME_CONCEPT = "same top tokens", "same concept"
ConceptLookup = Callable[[int], str | None]


@dataclass(frozen=True)
class Meanings:
    """Top tokens, and concepts where the corpus knows them, of the features of two dictionaries.

    Shapes:
        tokens_a: (d_sae_a, n_examples); tokens_b: (d_sae_b, n_examples); token ids, -1 where there is none.
        concepts_a: (d_sae_a,); concepts_b: (d_sae_b,); a label or None each; both None if no concept is known.
    """

    tokens_a: np.ndarray
    tokens_b: np.ndarray
    concepts_a: np.ndarray | None = None
    concepts_b: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        examples_a: TopExamples,
        examples_b: TopExamples,
        token_ids: np.ndarray,
        *,
        concept_of: ConceptLookup | None = None,
    ) -> Meanings:
        """Read them off the top examples.

        Shapes:
            token_ids: (n_tokens,), of the stores' rows.
        Args:
            concept_of: concept of a token id; None for a corpus without known concepts.
        """
        tokens_a, tokens_b = examples_a.tokens(token_ids), examples_b.tokens(token_ids)
        if concept_of is None:
            return cls(tokens_a, tokens_b)
        return cls(tokens_a, tokens_b, majority_concepts(tokens_a, concept_of), majority_concepts(tokens_b, concept_of))

    def check(self, pairs: FeaturePairs, *, n_permutations: int = 1000, seed: int = 0) -> dict[str, PairAgreement]:
        """How far partners stand for the same, each score beside shuffled partners.

        Returns:
            "same concept", where concepts are known, and "same top tokens".
        Raises:
            ValueError: as `same_token_score`, e.g. for no pairs.
        """
        shuffles: dict[str, Any] = {"n_permutations": n_permutations, "seed": seed}
        checks = {}
        if self.concepts_a is not None and self.concepts_b is not None:
            checks[SAME_CONCEPT] = same_concept_share(pairs, self.concepts_a, self.concepts_b, **shuffles)
        checks[SAME_TOKENS] = same_token_score(pairs, self.tokens_a, self.tokens_b, **shuffles)
        return checks


@dataclass(frozen=True)
class HeldOut:
    """Pairs from some documents, and what the features stand for in all the others.

    Shapes:
        matched_on: (n_tokens,) bool, rows of the documents that were matched on; the meanings are from the other rows.
    """

    pairs: FeaturePairs
    meanings: Meanings
    matched_on: np.ndarray


def match_held_out(
    store_a: ActivationStore,
    store_b: ActivationStore,
    *,
    concept_of: ConceptLookup | None = None,
    n_examples: int = 5,
    share: float = 0.5,
    seed: int = 0,
    **settings: Any,
) -> HeldOut:
    """Match on a random share of the documents and read the top examples in the others.

    Partners are chosen because they fire on the same tokens, so that they share their strongest tokens *there* is no
    independent evidence. Documents that the matching has not seen are.
    Args:
        concept_of, n_examples: of `Meanings.of` and `top_examples`.
        share: of the documents, to match on; seed: of the choice.
        settings: of `match_features`.
    Raises:
        ValueError: fewer than two documents, or as `match_features`.
    Notes:
        Holds a copy of the share of both stores' non-zero values in memory, 8 bytes each.
    """
    check_pair(store_a, store_b, allow_mixed_kinds=settings.get("allow_mixed_kinds", False))
    matched_on = random_documents(store_a.documents, share=share, seed=seed)
    rows = np.flatnonzero(matched_on)
    pairs = match_features(take_rows(store_a, rows), take_rows(store_b, rows), **settings)
    examples_a, examples_b = (
        top_examples(store, n_examples=n_examples, keep_mask=~matched_on) for store in (store_a, store_b)
    )
    return HeldOut(pairs, Meanings.of(examples_a, examples_b, store_a.token_ids, concept_of=concept_of), matched_on)
