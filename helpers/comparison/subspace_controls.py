"""The controls of notebook 06 in one go: every kind of group whose answer is known, through the same matching and test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from helpers.comparison.subspace_scores import SubspaceTest
from helpers.comparison.subspace_sides import SubspacePair
from helpers.comparison.subspace_truth import (
    MismatchCells,
    PairTests,
    mismatch_cells,
    mismatched_groups,
    wrong_pairing_tests,
)
from helpers.nulls import SECOND_DRAW, PermutationResult, RejectionRate, is_broken, rejection_rates

#: Kinds in which nothing can be alike by construction; they must keep the level of the test, in one of two draws.
MUST_HOLD = ("wrongly paired", "mismatched, shuffled tokens")
#: Kinds that keep it where groups without a common word have nothing else in common. Real meanings may be related
#: (days and numbers are both counted), so more alarms are told and do not stop a notebook.
EXPECTED_TO_HOLD = ("mismatched, as true groups", "mismatched, one pair a word")
#: The second draw of a kind of MUST_HOLD; made only if the first is above its bound by some measure.
AGAIN = "{kind}, drawn again"
#: Wrong pairings of every group, in the first draw.
N_WRONG_PAIRINGS = 20
_ANOTHER_SEED = 1_000_003  # from here on seeds of the second draw, out of the way of a study's own 0, 1, 2


@dataclass(frozen=True)
class SubspaceControls:
    """Tests of one layer pair by kind of group.

    Args:
        rates: kind -> measure -> how often the test says "above chance"; the kinds of MUST_HOLD are false alarms, and
            have a kind AGAIN after them where they had to be drawn again.
        as_true: tests of all groups with themselves and with mismatched ones, at the correlation of the study.
        names, mismatched: groups, and the pairs of groups that are controls.
    """

    rates: Mapping[str, Mapping[str, RejectionRate]]
    as_true: PairTests
    names: tuple[str, ...]
    mismatched: tuple[tuple[str, str], ...]
    alpha: float

    @property
    def failures(self) -> list[str]:
        """A sentence for every kind of MUST_HOLD and measure with more false alarms than a valid test may have, twice."""
        return [
            f"{_too_many(kind, measure, first)}; drawn again {second.as_text()}, at most {second.bound:.1%}"
            for kind, measure, first, second in self._drawn_again()
            if is_broken(first, second)
        ]

    @property
    def warnings(self) -> list[str]:
        """The same for the kinds of EXPECTED_TO_HOLD, drawn once, and for those of MUST_HOLD whose second draw is well."""
        unlucky = [
            f"{_too_many(kind, measure, first)}; bad luck, for a second draw gives {second.as_text()}"
            for kind, measure, first, second in self._drawn_again()
            if not is_broken(first, second)
        ]
        return unlucky + [
            _too_many(kind, measure, rate)
            for kind in EXPECTED_TO_HOLD
            for measure, rate in self.rates[kind].items()
            if not rate.within_bound
        ]

    def _drawn_again(self) -> Iterator[tuple[str, str, RejectionRate, RejectionRate]]:
        """Kind of MUST_HOLD, measure, first and second draw, where the first is above its bound."""
        for kind in MUST_HOLD:
            for measure, first in self.rates[kind].items():
                if not first.within_bound:
                    yield kind, measure, first, self.rates[AGAIN.format(kind=kind)][measure]

    def called_alike(self, measure: str) -> RejectionRate:
        """How often mismatched groups are called alike when they are matched and tested as true groups are.

        Over all pairs of groups: those that find too few partners to be tested are not called alike.
        """
        found = [
            result.p_value is not None and result.p_value <= self.alpha
            for (one, other, name), result in self.as_true.items()
            if one != other and name == measure
        ]
        return RejectionRate(len(found), sum(found), self.alpha)

    def cells(self, measure: str) -> MismatchCells:
        """Every group against every other under one measure."""
        return mismatch_cells(self.as_true, self.names, self.mismatched, measure=measure, alpha=self.alpha)

    def metrics(self) -> dict[str, float | None]:
        """Every rate under a name of its own."""
        return {
            f"alarms_{measure}_{kind.replace(', ', '_').replace(' ', '_')}": rate.rate
            for kind, by_measure in self.rates.items()
            for measure, rate in by_measure.items()
        }


def run_controls(
    pair: SubspacePair,
    names: Sequence[str],
    unrelated: Sequence[str],
    *,
    among: Sequence[tuple[str, str]],
    test: SubspaceTest,
    min_corr: float,
    alpha: float = 0.05,
    n_threads: int = 1,
) -> SubspaceControls:
    """Test true, unrelated, wrongly paired and mismatched groups of one layer pair.

    Args:
        names: true groups. unrelated: groups of unrelated words.
        among: pairs of groups without a common word (`ConceptGroups.mismatched_pairs`).
        min_corr: of the pairs of true groups.
    """
    mismatched = mismatched_groups(pair.a.groups, pair.b.groups, among=among)
    itself = [(name, name) for name in names]
    as_true = pair.tests([*itself, *mismatched], test=test, min_corr=min_corr, n_threads=n_threads)
    matched = pair.matched(names, min_corr=min_corr)

    def wrongly_paired(test: SubspaceTest, times: int) -> Iterable[PermutationResult]:
        return wrong_pairing_tests(matched, pair.a.space, pair.b.space, test=test, n_shuffles=times * N_WRONG_PAIRINGS)

    def on_shuffled_tokens(test: SubspaceTest, times: int) -> Iterable[PermutationResult]:
        for number in range(times):
            drawn = replace(test, seed=test.seed + number)
            shuffled = pair.on_shuffled_tokens(seed=drawn.seed, n_threads=n_threads)
            yield from shuffled.tests(mismatched, test=drawn, n_threads=n_threads).values()

    blind = dict(zip(MUST_HOLD, (wrongly_paired, on_shuffled_tokens), strict=True))
    of_control = {key: result for key, result in as_true.items() if key[0] != key[1]}
    tests = {
        "true groups": [result for key, result in as_true.items() if key not in of_control],
        "groups of unrelated words": pair.tests(
            [(name, name) for name in unrelated], test=test, min_corr=min_corr, n_threads=n_threads
        ).values(),
        "mismatched, every partner": pair.tests(mismatched, test=test, n_threads=n_threads).values(),
        MUST_HOLD[0]: blind[MUST_HOLD[0]](test, 1),
        "mismatched, as true groups": of_control.values(),
        "mismatched, one pair a word": pair.tests(mismatched, test=test, one_a_word=True, n_threads=n_threads).values(),
        MUST_HOLD[1]: blind[MUST_HOLD[1]](test, 1),
    }
    rates: dict[str, dict[str, RejectionRate]] = {}
    again = replace(test, seed=test.seed + _ANOTHER_SEED)
    for kind, results in tests.items():
        rates[kind] = rejection_rates(results, alpha=alpha)
        if kind in blind and not all(rate.within_bound for rate in rates[kind].values()):
            rates[AGAIN.format(kind=kind)] = rejection_rates(blind[kind](again, SECOND_DRAW), alpha=alpha)
    return SubspaceControls(
        rates=rates,
        as_true=as_true,
        names=tuple(names),
        mismatched=tuple(mismatched),
        alpha=alpha,
    )


def _too_many(kind: str, measure: str, rate: RejectionRate) -> str:
    return f"{kind}, {measure}: {rate.as_text()} false alarms, a valid test has at most {rate.bound:.1%}"
