"""Is a semantic subspace arranged alike in two models? One group's paired rows beside every null that could explain them.

A score counts as above chance only if it is above *each* of three nulls: the group's own features wrongly paired, random
features, and random features that fire as often. The largest of the three p-values is a valid p-value of that claim (an
intersection-union test). Beside it stand two checks of what carries the score, and one finding that decides nothing:

one pair a word       Several features of one word are near-copies in both models, and pairing by correlation keeps such
                      blocks together; then single features are not exchangeable, and their shuffles are too easy to
                      beat. With one pair a word the shuffles are shuffles of words.
leave one word out    The score without all pairs of a word.
specificity           Against as many correctly matched pairs of any meaning. Unrelated words share the geometry of the
                      whole space too, so a group can be alike without being more alike than the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from helpers.comparison.subspaces import GroupPairs, one_pair_a_word
from helpers.matching import FeaturePairs
from helpers.nulls import (
    PermutationResult,
    frequency_matched_draw,
    permutation_test,
    random_draw,
    random_features_test,
)
from helpers.nulls.permutation import null_rng, summarise
from helpers.similarity import MEASURES, UndefinedMeasure

#: Measures that still say something about a dozen rows.
SUBSPACE_MEASURES = ("rsa", "linear_cka_debiased", "mutual_knn")


@dataclass(frozen=True)
class FeatureSpace:
    """One dictionary, as far as nulls need it.

    Shapes:
        directions: (d_sae, d_in), one row a feature; counts: (d_sae,), tokens on which each fires.
        candidates: (n_candidates,) ids of the features that could have been chosen, e.g. all that fire often enough.
    """

    directions: Float[np.ndarray, "d_sae d_in"]
    counts: Int[np.ndarray, " d_sae"]
    candidates: Int[np.ndarray, " n_candidates"]

    @classmethod
    def of(cls, directions: np.ndarray, counts: np.ndarray, *, min_firings: int) -> FeatureSpace:
        """Every feature that fires on at least `min_firings` tokens is a candidate.

        Raises:
            ValueError: not one count a direction.
        """
        directions, counts = np.asarray(directions), np.asarray(counts)
        if len(directions) != len(counts):
            raise ValueError(f"expected one count a feature; got {len(directions)} directions and {len(counts)} counts")
        return cls(directions, counts, np.flatnonzero(counts >= min_firings))


@dataclass(frozen=True)
class SubspaceScore:
    """One group under one measure.

    Args:
        group: its name; n_features_a, n_features_b: its features; n_pairs: of them matched.
        words: words that found a feature of a pair; same_word_share: pairs whose partners were found by the same word.
        shuffled: null of the group's own pairs, wrongly paired.
        random_features, as_frequent: nulls of other features in their place; None where there are none to draw (words).
        one_a_word: the shuffled null of the strongest pair of each word; None where every row is a word already.
        specificity: against matched pairs of any meaning; None if not asked for.
        without_word: word -> the shuffled null of the pairs that are left without it.
    """

    group: str
    measure: str
    n_features_a: int
    n_features_b: int
    n_pairs: int
    words: tuple[str, ...]
    same_word_share: float
    shuffled: PermutationResult
    random_features: PermutationResult | None = None
    as_frequent: PermutationResult | None = None
    one_a_word: PermutationResult | None = None
    specificity: PermutationResult | None = None
    without_word: Mapping[str, PermutationResult] = field(default_factory=dict)

    @property
    def nulls(self) -> dict[str, PermutationResult]:
        """The nulls that a score has to beat, by their names."""
        named = {
            "shuffled pairing": self.shuffled,
            "random features": self.random_features,
            "features as frequent": self.as_frequent,
        }
        return {name: result for name, result in named.items() if result is not None}

    @property
    def undefined(self) -> str | None:
        """Why there is no score, or None."""
        return next((result.undefined for result in self.nulls.values() if result.undefined), None)

    @property
    def p_value(self) -> float | None:
        """Of the claim that the score is above each null: the largest p-value."""
        if self.undefined:
            return None
        return max(result.p_value for result in self.nulls.values() if result.p_value is not None)

    @property
    def largest_drop(self) -> tuple[str, PermutationResult] | None:
        """The word without which the calibrated score is lowest, and what is left; None if no word can be spared."""
        left = {
            word: result
            for word, result in self.without_word.items()
            if result.undefined is None and result.calibrated is not None
        }
        if not left:
            return None
        word = min(left, key=lambda name: left[name].calibrated or 0.0)
        return word, left[word]


@dataclass(frozen=True)
class SubspaceTest:
    """How groups are tested.

    Args:
        measures: names in MEASURES, of paired rows.
        options: measure -> its options, e.g. {"mutual_knn": {"k": 5}}.
        n_permutations: shuffles of the pairing.
        n_draws: draws of other features, and of other pairs for specificity.
        n_word_permutations: shuffles after each word that is left out.
        seed: of everything; every group has its own stream.
    Raises:
        ValueError: no measure, an unknown one, or one that ignores the pairing.
    """

    measures: tuple[str, ...] = SUBSPACE_MEASURES
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    n_permutations: int = 1000
    n_draws: int = 1000
    n_word_permutations: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        unfit = [name for name in self.measures if name not in MEASURES or MEASURES[name].null != "pairing"]
        if unfit or not self.measures:
            known = ", ".join(name for name, entry in MEASURES.items() if entry.null == "pairing")
            raise ValueError(f"measures must be of paired rows ({known}); got {', '.join(unfit) or 'none'}")

    def shuffle(
        self, x: np.ndarray, y: np.ndarray, measure: str, *, seed: int, n: int | None = None
    ) -> PermutationResult:
        """The shuffled null of paired rows; no rows at all are undefined, as too few are."""
        if len(x) == 0:
            return PermutationResult.without_score(
                MEASURES[measure], null_kind="pairing", n_rows=0, reason="there is no pair", settings={}
            )
        options = self.options.get(measure, {})
        return permutation_test(x, y, measure=measure, n_permutations=n or self.n_permutations, seed=seed, **options)


def score_groups(
    groups: Sequence[GroupPairs],
    space_a: FeatureSpace,
    space_b: FeatureSpace,
    *,
    test: SubspaceTest,
    matched: FeaturePairs | None = None,
    n_threads: int = 1,
) -> list[SubspaceScore]:
    """Score matched groups of features under every measure.

    Args:
        groups: ids are those of the spaces.
        matched: correctly matched pairs of the whole dictionaries, for specificity; None leaves it out.
        n_threads: groups and measures that are scored at once; the result does not depend on it.
    Returns:
        One entry a group and measure, groups in their order.
    Raises:
        ValueError: a pair names a feature that a space does not have.
    """
    for group in groups:
        for name, ids, space in (("a", group.pairs.ids_a, space_a), ("b", group.pairs.ids_b, space_b)):
            if len(ids) and ids.max() >= len(space.directions):
                raise ValueError(
                    f"group '{group.name}' names feature {ids.max()} of {name}, which has {len(space.directions)} "
                    "directions; pass the directions of the dictionaries that were matched"
                )
    jobs = [(number, group, measure) for number, group in enumerate(groups) for measure in test.measures]

    def run(job: tuple[int, GroupPairs, str]) -> SubspaceScore:
        number, group, measure = job
        return _score_group(group, measure, space_a, space_b, test, matched, _seed(test.seed, number))

    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(run, jobs))


def score_words(
    rows: Mapping[str, tuple[np.ndarray, np.ndarray, Sequence[str]]], *, test: SubspaceTest, n_threads: int = 1
) -> list[SubspaceScore]:
    """The same test of rows that stand for words themselves: paired by the word, with nothing to match or to draw.

    Args:
        rows: group -> directions of its words in a, (n_words, d_a), in b, (n_words, d_b), and the words.
        n_threads: groups and measures that are scored at once; the result does not depend on it.
    Returns:
        One entry a group and measure.
    """
    jobs = [(number, group, measure) for number, group in enumerate(rows) for measure in test.measures]

    def run(job: tuple[int, str, str]) -> SubspaceScore:
        number, group, measure = job
        x, y, words = rows[group]
        return SubspaceScore(
            group=group,
            measure=measure,
            n_features_a=len(x),
            n_features_b=len(y),
            n_pairs=len(x),
            words=tuple(words),
            same_word_share=1.0 if len(x) else 0.0,
            shuffled=test.shuffle(x, y, measure, seed=_seed(test.seed, number)),
        )

    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(run, jobs))


def specificity_test(
    group: GroupPairs,
    space_a: FeatureSpace,
    space_b: FeatureSpace,
    matched: FeaturePairs,
    *,
    measure: str,
    n_draws: int,
    seed: int,
    **options: Any,
) -> PermutationResult:
    """A group's score against random subsets of other matched pairs, as many as it has.

    Args:
        matched: correctly matched pairs of the whole dictionaries; those with a feature of the group do not count.
    Returns:
        p is the share of subsets at least as alike; undefined if the measure is, or other pairs are too few.
    """
    entry, pairs = MEASURES[measure], group.pairs
    settings = {"null": "other matched pairs", "n_permutations": n_draws, "seed": seed, **entry.options, **options}
    others = matched.select(~(np.isin(matched.ids_a, pairs.ids_a) | np.isin(matched.ids_b, pairs.ids_b)))
    if others.n_pairs < pairs.n_pairs or pairs.n_pairs == 0:
        reason = f"{others.n_pairs} other matched pairs cannot stand in for {pairs.n_pairs}"
        return PermutationResult.without_score(
            entry, null_kind="features", n_rows=pairs.n_pairs, reason=reason, settings=settings
        )
    rng = null_rng(seed)

    def score(ids_a: np.ndarray, ids_b: np.ndarray) -> float:
        return entry.score(space_a.directions[ids_a], space_b.directions[ids_b], **options)

    try:
        observed = score(pairs.ids_a, pairs.ids_b)
        null = np.empty(n_draws)
        for draw in range(n_draws):
            chosen = rng.choice(others.n_pairs, pairs.n_pairs, replace=False)
            null[draw] = score(others.ids_a[chosen], others.ids_b[chosen])
    except UndefinedMeasure as reason:
        return PermutationResult.without_score(
            entry, null_kind="features", n_rows=pairs.n_pairs, reason=str(reason), settings=settings
        )
    return summarise(entry, observed, null, pairs.n_pairs, settings, null_kind="features")


def leave_one_word_out(
    group: GroupPairs, space_a: FeatureSpace, space_b: FeatureSpace, *, measure: str, test: SubspaceTest, seed: int
) -> dict[str, PermutationResult]:
    """Word -> the shuffled null of the pairs in which neither partner was found by it.

    The calibrated scores can be compared, although there are fewer and fewer rows: 0 is chance for each of them.
    """
    x, y = space_a.directions[group.pairs.ids_a], space_b.directions[group.pairs.ids_b]
    words_a, words_b = (np.array(words, dtype=object) for words in (group.words_a, group.words_b))
    found = {}
    for word in sorted({*group.words_a, *group.words_b}):
        keep_mask = (words_a != word) & (words_b != word)
        found[word] = test.shuffle(
            x[keep_mask], y[keep_mask], measure, seed=seed, n=min(test.n_permutations, test.n_word_permutations)
        )
    return found


def _score_group(
    group: GroupPairs,
    measure: str,
    space_a: FeatureSpace,
    space_b: FeatureSpace,
    test: SubspaceTest,
    matched: FeaturePairs | None,
    seed: int,
) -> SubspaceScore:
    ids_a, ids_b = group.pairs.ids_a, group.pairs.ids_b
    x, y = space_a.directions[ids_a], space_b.directions[ids_b]
    score = SubspaceScore(
        group=group.name,
        measure=measure,
        n_features_a=group.n_features_a,
        n_features_b=group.n_features_b,
        n_pairs=group.n_pairs,
        words=tuple(sorted({*group.words_a, *group.words_b})),
        same_word_share=group.same_word_share,
        shuffled=test.shuffle(x, y, measure, seed=seed),
    )
    if score.undefined:
        return score
    draws: dict[str, Any] = {
        "measure": measure, "n_draws": test.n_draws, "seed": seed, **test.options.get(measure, {})
    }  # fmt: skip
    keep_mask = one_pair_a_word(group.words_a, group.words_b)
    return replace(
        score,
        random_features=random_features_test(
            space_a.directions, space_b.directions, ids_a, ids_b,
            draw_a=random_draw(ids_a, candidates=space_a.candidates),
            draw_b=random_draw(ids_b, candidates=space_b.candidates),
            null_name="random features", **draws,
        ),
        as_frequent=random_features_test(
            space_a.directions, space_b.directions, ids_a, ids_b,
            draw_a=frequency_matched_draw(ids_a, counts=space_a.counts, candidates=space_a.candidates),
            draw_b=frequency_matched_draw(ids_b, counts=space_b.counts, candidates=space_b.candidates),
            null_name="features as frequent", **draws,
        ),
        one_a_word=test.shuffle(x[keep_mask], y[keep_mask], measure, seed=seed),
        specificity=None if matched is None else specificity_test(group, space_a, space_b, matched, **draws),
        without_word=leave_one_word_out(group, space_a, space_b, measure=measure, test=test, seed=seed),
    )  # fmt: skip


def _seed(seed: int, number: int) -> int:
    """A seed of its own for every group."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
