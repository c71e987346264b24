"""What notebook 06 reads of a layer pair: the features of every group in both dictionaries, and the words themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from helpers.activations import ActivationStore
from helpers.comparison.subspace_scores import FeatureSpace, SubspaceTest
from helpers.comparison.subspace_truth import pair_tests
from helpers.comparison.subspaces import FeatureGroup, GroupCorrelations, GroupPairs, correlate_groups
from helpers.comparison.word_directions import word_directions
from helpers.features import (
    ConceptFeatures,
    ConceptGroup,
    ConceptGroups,
    FeatureIndex,
    FeatureTable,
    KnownConcepts,
    TruthScore,
    WordTable,
    concept_features,
    concept_mass,
    control_group,
    truth_score,
)
from helpers.matching.chance import shuffled_rows
from helpers.nulls import PermutationResult


@dataclass(frozen=True)
class SubspaceSide:
    """One dictionary: its store, its features as a space, and the features of every group of words.

    Args:
        found: group -> its features with what became of every word; groups: the same, for matching.
    """

    name: str
    store: ActivationStore
    table: FeatureTable
    space: FeatureSpace
    found: Mapping[str, ConceptFeatures]
    groups: Mapping[str, FeatureGroup]


@dataclass(frozen=True)
class SubspacePair:
    """Two dictionaries, and the correlations between all features of any group."""

    a: SubspaceSide
    b: SubspaceSide
    correlations: GroupCorrelations

    def matched(self, names: Sequence[str], *, min_corr: float) -> list[GroupPairs]:
        """The named groups, each matched with itself."""
        return [self.correlations.match(self.a.groups[n], self.b.groups[n], min_corr=min_corr) for n in names]

    def tests(
        self, chosen: Sequence[tuple[str, str]], *, test: SubspaceTest, min_corr: float = 0.0, one_a_word: bool = False,
        n_threads: int = 1,
    ) -> dict[tuple[str, str, str], PermutationResult]:  # fmt: skip
        """`pair_tests` of the chosen (group of a, group of b)."""
        return pair_tests(
            self.correlations, self.a.groups, self.b.groups, self.a.space, self.b.space, chosen,
            test=test, min_corr=min_corr, one_a_word=one_a_word, n_threads=n_threads,
        )  # fmt: skip

    def on_shuffled_tokens(self, *, seed: int, n_threads: int | None = None) -> SubspacePair:
        """The same groups with correlations that mean nothing: the tokens of b are in random order."""
        correlations = correlate_groups(
            self.a.store,
            shuffled_rows(self.b.store, seed=seed),
            self.a.groups.values(),
            self.b.groups.values(),
            min_firings=int(self.correlations.settings["min_firings"]),
            n_threads=n_threads,
        )
        return replace(self, correlations=correlations)


def search_side(
    name: str,
    store: ActivationStore,
    directions: Float[np.ndarray, "d_sae d_in"],
    table: FeatureTable,
    groups: Sequence[ConceptGroup],
    *,
    words: WordTable | None = None,
    min_hits: int = 3,
    min_firings: int = 10,
) -> SubspaceSide:
    """Find the features of every group in one dictionary.

    Args:
        name: of the dictionary. table: of this store (notebook 03). words: of its rows, to tell absent words apart.
    Raises:
        ValueError: store, directions and table are not of the same number of features.
    """
    if not store.d_sae == len(directions) == table.d_sae:
        raise ValueError(
            f"dictionary '{name}': the store has {store.d_sae} features, there are {len(directions)} directions and "
            f"{table.d_sae} described features; take all three from one dictionary"
        )
    index = FeatureIndex(table)
    found = {group.name: concept_features(index, group, min_hits=min_hits, words=words) for group in groups}
    return SubspaceSide(
        name=name,
        store=store,
        table=table,
        space=FeatureSpace.of(directions, store.feature_counts, min_firings=min_firings),
        found=found,
        groups={key: FeatureGroup(key, features.ids, features.words) for key, features in found.items()},
    )


def pair_sides(
    a: SubspaceSide, b: SubspaceSide, *, min_firings: int = 10, n_threads: int | None = None
) -> SubspacePair:
    """Correlate all groups of two dictionaries in one pass over their stores.

    Raises:
        ValueError: the stores do not describe the same tokens.
    """
    correlations = correlate_groups(
        a.store, b.store, a.groups.values(), b.groups.values(), min_firings=min_firings, n_threads=n_threads
    )
    return SubspacePair(a, b, correlations)


def unrelated_groups(
    groups: ConceptGroups, words: WordTable, *, known: KnownConcepts | None, seed: int
) -> list[ConceptGroup]:
    """For every group one of unrelated words, about as frequent; groups whose words stand in no row have none.

    Raises:
        ValueError: fewer free words than a group needs.
    """
    standing = {word.casefold() for word in words.words}
    return [
        control_group(group, words, groups=groups, known=known, seed=seed + number).group
        for number, group in enumerate(groups.groups)
        if any(word.casefold() in standing for word in group.words)
    ]


def truth_of_groups(
    side: SubspaceSide, groups: Sequence[ConceptGroup], words: WordTable, known: KnownConcepts
) -> dict[str, TruthScore]:
    """How many of every group's features belong to it, and how many of those that belong there were found.

    Args:
        words: of the rows of the store, which holds post-activations. known: what the corpus knows of its words.
    """
    mass = concept_mass(side.store, words, known)
    return {
        group.name: truth_score(
            side.found[group.name].ids, mass.true_features(group), n_features=len(side.space.candidates)
        )
        for group in groups
    }


def word_rows(
    pair: SubspacePair, groups: Sequence[ConceptGroup], words: WordTable, *, min_count: int = 10
) -> dict[str, tuple[np.ndarray, np.ndarray, list[str]]]:
    """For every group what both dictionaries write at its words, on average: rows for `score_words`.

    Args:
        words: of the rows of both stores. min_count: rows that a word needs.
    """
    wanted = [word for group in groups for word in group.words]
    sides = [
        word_directions(
            side.store, side.space.directions, vocabulary=words.words, word_ids=words.word_ids, wanted=wanted
        )
        for side in (pair.a, pair.b)
    ]
    rows = {}
    for group in groups:
        known = sides[0].known(group.words, ignore_case=group.ignore_case, min_count=min_count)
        x, y = (side.means(known, ignore_case=group.ignore_case) for side in sides)
        rows[group.name] = (x, y, known)
    return rows
