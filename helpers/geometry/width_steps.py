"""One step from a narrow to a wide dictionary, whole: thresholds, splits, and the same after shuffling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from helpers.features import KnownConcepts
from helpers.geometry.splitting import Splitting
from helpers.geometry.splitting_chance import (
    LinkThresholds,
    SplitsByChance,
    link_thresholds,
    split_features,
    splits_by_chance,
)
from helpers.geometry.splitting_tests import children_inside, families_of_one_kind, named_children, split_into_different
from helpers.geometry.width_links import WidthPair, open_widths
from helpers.nulls import PermutationResult

SHUFFLES: tuple[Literal["tokens", "directions"], ...] = ("tokens", "directions")


@dataclass(frozen=True, eq=False)
class WidthStep:
    """A step between two dictionaries of one hook.

    Args:
        narrow, wide: their names.
        chance: "tokens" and "directions", the same search after either was shuffled; empty if it was not asked for.
    """

    narrow: str
    wide: str
    pair: WidthPair
    thresholds: LinkThresholds
    splitting: Splitting
    chance: Mapping[str, SplitsByChance]

    @property
    def name(self) -> str:
        return f"{self.narrow} to {self.wide}"

    def metrics(self) -> dict[str, float]:
        """Plain name -> number, for a stage's results."""
        start, found = self.name.replace(" ", "_"), self.splitting
        plain = {f"{start}_{side}_{fate}": x for side in ("narrow", "wide") for fate, x in found.shares(side).items()}
        plain |= {f"{start}_families": len(found.families), f"{start}_absorbing": int(found.absorbs.sum())}
        for shuffle, by_chance in self.chance.items():
            children = by_chance.children
            plain |= {
                f"{start}_children": float(children.score or 0),
                f"{start}_children_{shuffle}_p": float(children.p_value or 1),
            }
            plain[f"{start}_children_{shuffle}"] = float(children.null_mean or 0)
        return plain


def width_step(
    names: tuple[str, str],
    stores: Mapping[str, Any],
    rows: Mapping[str, Any],
    *,
    quantile: float = 0.99,
    alpha: float = 0.01,
    n_shuffles: int = 0,
    min_firings: int = 20,
    n_threads: int | None = None,
    seed: int = 0,
) -> WidthStep:
    """Split the features of one dictionary into those of another.

    Args:
        names: the narrow and the wide dictionary.
        stores: name -> activations, (n_tokens, d_sae); rows: name -> decoder rows, (d_sae, d_in).
        n_shuffles: searches in shuffled dictionaries, of each kind; 0 = none.
        others: as for `open_widths`, `link_thresholds`, `find_splitting`.
    Raises:
        ValueError: as `open_widths`, `link_thresholds` and `find_splitting`.
    """
    narrow, wide = names
    pair = open_widths(
        stores[narrow], stores[wide], rows[narrow], rows[wide], min_firings=min_firings, n_threads=n_threads
    )
    thresholds = link_thresholds(pair, quantile=quantile, seed=seed)
    found = split_features(pair, thresholds, alpha=alpha)
    chance: dict[str, SplitsByChance] = {
        shuffle: splits_by_chance(pair, found, thresholds, shuffle=shuffle, n_shuffles=n_shuffles, seed=seed)
        for shuffle in SHUFFLES
        if n_shuffles
    }
    return WidthStep(narrow, wide, pair, thresholds, found, chance)


def width_steps(
    dictionaries: list[str], stores: Mapping[str, Any], rows: Mapping[str, Any], **settings: Any
) -> list[WidthStep]:
    """The step from every dictionary to the next wider one, `width_step` each."""
    return [width_step(names, stores, rows, **settings) for names in pairwise(dictionaries)]


def meaning_tests(
    step: WidthStep, names: Mapping[str, Any], known: KnownConcepts, *, n_permutations: int = 1000, seed: int = 0
) -> dict[str, PermutationResult]:
    """Does a step split features by meaning? Three questions; those that no named feature can answer are left out.

    Args:
        names: dictionary -> the name of every feature (`helpers.features.narrowest_concepts`).
    """
    found, narrow, wide = step.splitting, names[step.narrow], names[step.wide]
    shuffles: dict[str, Any] = {"n_permutations": n_permutations, "seed": seed}
    answers = {}
    if len(named_children(found, narrow, wide)):
        for word, strictly in (("inside", False), ("narrower than", True)):
            answer = children_inside(found, narrow, wide, known, strictly=strictly, **shuffles)
            answers[f"{step.name}: children {word} the parent"] = answer
    if len(split_into_different(found, wide)):
        answers[f"{step.name}: families of one kind"] = families_of_one_kind(found, wide, known, **shuffles)
    return answers
