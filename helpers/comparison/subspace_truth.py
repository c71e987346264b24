"""Does the test of subspaces find what is there, and only that? Error rates over groups whose answer is known.

True groups should be found. Wrongly paired rows should not, at the test's own level. The hard control lies between: a
group of a *mismatched* with another group of b, the partners chosen by correlation as they are for true groups. That
choice is not blind. Features of different words fire together now and then (one feature, two meanings), near-copies of
one feature choose near-copies of another, and so blocks of pairs keep together what is together in both spaces. Shuffles
of single pairs tear such blocks apart and are beaten a little too often. Two controls show that this is the cause: the
same choice made on shuffled tokens, which leaves only the selection, and one pair a word, which leaves no blocks. Both
keep their level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from helpers.comparison.subspace_scores import FeatureSpace, SubspaceTest
from helpers.comparison.subspaces import FeatureGroup, GroupCorrelations, GroupPairs, one_pair_a_word
from helpers.nulls import PermutationResult, benjamini_hochberg

#: (group of a, group of b, measure) -> the test of their pairs against shuffles.
PairTests = Mapping[tuple[str, str, str], PermutationResult]


def mismatched_groups(
    groups_a: Mapping[str, FeatureGroup], groups_b: Mapping[str, FeatureGroup], *, among: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Ordered pairs of different groups that have no feature in common, in either model.

    Args:
        among: pairs without a common word (`ConceptGroups.mismatched_pairs`).
    """
    return [
        (one, other)
        for one, other in among
        if one != other
        and not groups_a[one].shares_features(groups_a[other])
        and not groups_b[one].shares_features(groups_b[other])
    ]


def pair_tests(
    correlations: GroupCorrelations,
    groups_a: Mapping[str, FeatureGroup],
    groups_b: Mapping[str, FeatureGroup],
    space_a: FeatureSpace,
    space_b: FeatureSpace,
    chosen: Sequence[tuple[str, str]],
    *,
    test: SubspaceTest,
    min_corr: float = 0.0,
    one_a_word: bool = False,
    n_threads: int = 1,
) -> dict[tuple[str, str, str], PermutationResult]:
    """Match the chosen groups of a with groups of b as true groups are matched, and test them against shuffles.

    Args:
        chosen: (group of a, group of b), e.g. from `mismatched_groups`, or every group with itself.
        one_a_word: only the strongest pair of each word takes part.
    Returns:
        (group of a, group of b, measure) -> the test; undefined where the pairs are too few.
    Notes:
        The whole test also asks for more than random features reach, so it says "above chance" no more often.
    """

    def run(job: tuple[int, tuple[str, str]]) -> list[PermutationResult]:
        number, (one, other) = job
        found = correlations.match(groups_a[one], groups_b[other], min_corr=min_corr)
        x, y = _rows(found, space_a, space_b, one_a_word=one_a_word)
        seed = int(np.random.SeedSequence([test.seed, number]).generate_state(1)[0])
        return [test.shuffle(x, y, measure, seed=seed) for measure in test.measures]

    with ThreadPoolExecutor(n_threads) as pool:
        tested = list(pool.map(run, enumerate(chosen)))
    return {
        (*names, measure): result
        for names, results in zip(chosen, tested, strict=True)
        for measure, result in zip(test.measures, results, strict=True)
    }


@dataclass(frozen=True)
class MismatchCells:
    """Groups of a against groups of b as matrices, groups in the order of `names`.

    Shapes:
        z: (n, n), standard deviations above the mean of the cell's own shuffles, NaN where there is no test;
        significant: p <= alpha after the correction over all cells; related: no control and not on the diagonal.
    """

    names: tuple[str, ...]
    z: Float[np.ndarray, "n n"]
    significant: Bool[np.ndarray, "n n"]
    related: Bool[np.ndarray, "n n"]


def mismatch_cells(
    tests: PairTests, names: Sequence[str], mismatched: Iterable[tuple[str, str]], *, measure: str, alpha: float = 0.05
) -> MismatchCells:
    """Arrange the tests of one measure and correct them together.

    Args:
        tests: of groups with themselves and of mismatched groups, see `pair_tests`.
        mismatched: the pairs of groups that are controls.
    """
    shown = {(one, other): result for (one, other, name), result in tests.items() if name == measure}
    corrected = dict(zip(shown, benjamini_hochberg([r.p_value for r in shown.values()]), strict=True))
    place = {name: number for number, name in enumerate(names)}
    z = np.full((len(names), len(names)), np.nan)
    significant = np.zeros(z.shape, dtype=bool)
    related = ~np.eye(len(names), dtype=bool)
    for one, other in mismatched:
        related[place[one], place[other]] = False
    for (one, other), result in shown.items():
        if result.z is not None:
            z[place[one], place[other]] = result.z
        p = corrected[one, other]
        significant[place[one], place[other]] = p is not None and p <= alpha
    return MismatchCells(tuple(names), z, significant, related)


def wrong_pairing_tests(
    groups: Sequence[GroupPairs],
    space_a: FeatureSpace,
    space_b: FeatureSpace,
    *,
    test: SubspaceTest,
    n_shuffles: int,
) -> list[PermutationResult]:
    """Tests of true groups whose partners were exchanged at random: every one that is above chance is a false alarm.

    Args:
        n_shuffles: wrong pairings of each group.
    """
    found = []
    for number, group in enumerate(groups):
        x, y = _rows(group, space_a, space_b, one_a_word=False)
        # Its own stream: the wrong pairing must not be one of the shuffles that it is compared with.
        rng = np.random.default_rng([test.seed, number, 1])
        for shuffle in range(n_shuffles):
            wrong = y[rng.permutation(len(y))]
            seed = int(np.random.SeedSequence([test.seed, number, 2, shuffle]).generate_state(1)[0])
            found += [test.shuffle(x, wrong, measure, seed=seed) for measure in test.measures]
    return found


def _rows(
    group: GroupPairs, space_a: FeatureSpace, space_b: FeatureSpace, *, one_a_word: bool
) -> tuple[np.ndarray, np.ndarray]:
    ids_a, ids_b = group.pairs.ids_a, group.pairs.ids_b
    if one_a_word:
        keep_mask = one_pair_a_word(group.words_a, group.words_b)
        ids_a, ids_b = ids_a[keep_mask], ids_b[keep_mask]
    return space_a.directions[ids_a], space_b.directions[ids_b]
