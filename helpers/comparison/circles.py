"""Circles in two models: the order of words at every layer and in the dictionaries, asked of all places together.

A place is (model, hook or features, position, group of words).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers.comparison.circle_sides import CirclePair, CircleSide
from helpers.comparison.word_directions import word_directions
from helpers.comparison.word_places import POSITIONS, Position, WordMeans
from helpers.features import ConceptGroup
from helpers.geometry.circles import CirclePlane, FiringColumns, WordOrder, circle_plane, word_order
from helpers.geometry.circles.circle_plane import PlaneKind
from helpers.geometry.circles.word_order import MIN_WORDS
from helpers.nulls import CorrectedTest, correct_tests

OWN_SHARE = 0.5  # of a feature's tokens that are words of the group, for the feature to be one of the group's own

Place = tuple[str, str, str, str]
WordRows = tuple[np.ndarray, tuple[str, ...]]  # the words' rows in their order, and the words


@dataclass(frozen=True)
class OrderTable:
    """The order of every group of words at every place that was asked, corrected together.

    Args:
        orders: (model, hook, position, group) -> order; left_out: the places with fewer known words than an order needs.
        tests: the same keys -> question -> corrected test.
    """

    orders: Mapping[Place, WordOrder]
    tests: Mapping[Place, Mapping[str, CorrectedTest]]
    left_out: tuple[Place, ...]

    def verdict(self, place: Place) -> str:
        return self.orders[place].verdict(self.tests[place])

    def best(self, model: str, group: str, question: str) -> Place:
        """The place at which the question is answered most clearly; the earliest of equals.

        Raises:
            ValueError: the group was asked nowhere in this model.
        """
        places = [place for place in self.orders if place[0] == model and place[3] == group]
        if not places:
            raise ValueError(f"no place of model '{model}' has enough words of '{group}'; lower min_count")
        return min(places, key=lambda place: (self.tests[place][question].p_value or 1.0, places.index(place)))

    def counts(self) -> dict[tuple[str, str], tuple[int, int]]:
        """(position, group) -> places at which any question is answered with yes, and all places."""
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for place, tests in self.tests.items():
            yes, of = found.get((place[2], place[3]), (0, 0))
            clear = any(test.significant for test in tests.values())
            found[place[2], place[3]] = (yes + clear, of + 1)
        return found

    def merged(self, other: OrderTable) -> OrderTable:
        """Both tables, each as it was corrected."""
        return OrderTable(
            {**self.orders, **other.orders}, {**self.tests, **other.tests}, (*self.left_out, *other.left_out)
        )


def order_table(
    rows: Mapping[Place, WordRows],
    *,
    n_permutations: int = 1000,
    alpha: float = 0.05,
    seed: int = 0,
) -> OrderTable:
    """Ask every place for the order of its words.

    Args:
        rows: place -> the words' rows in their order, and the words.
    """
    known = {place: found for place, found in rows.items() if len(found[1]) >= MIN_WORDS}
    orders = {
        place: word_order(x, words, n_permutations=n_permutations, seed=seed) for place, (x, words) in known.items()
    }
    flat = {f"{number}/{name}": t for number, found in enumerate(orders.values()) for name, t in found.tests.items()}
    corrected = {test.name: test for test in correct_tests(flat, alpha=alpha)}
    tests: dict[Place, Mapping[str, CorrectedTest]] = {
        place: {name: corrected[f"{number}/{name}"] for name in found.tests}
        for number, (place, found) in enumerate(orders.items())
    }
    return OrderTable(orders, tests, tuple(place for place in rows if place not in known))


def layer_rows(
    means: Mapping[str, WordMeans], *, positions: Sequence[Position] = tuple(POSITIONS), min_count: int = 10
) -> dict[Place, WordRows]:
    """Rows of every model, hook, position and group, for `order_table`."""
    found: dict[Place, WordRows] = {}
    for model, measured in means.items():
        for hook_name, position in measured.means:
            for group in measured.places.groups if position in positions else ():
                found[model, hook_name, position, group] = measured.rows(
                    group, hook_name, position, min_count=min_count
                )
    return found


def own_features(side: CircleSide, group: ConceptGroup, *, min_firings: int = 10) -> np.ndarray:
    """Features of which at least half of the tokens are words of the group, ascending ids.

    Raises:
        ValueError: a store of pre-activations, which are nowhere silent.
    """
    wanted = {group.spelling(word) for word in group.words}
    member = np.array([group.spelling(word) in wanted for word in side.words.words] + [False])
    fires = FiringColumns.of(side.store).matrix.sign()
    inside = fires.T @ member[side.words.word_ids].astype(np.float32)
    counts = side.store.feature_counts
    return np.flatnonzero((counts >= min_firings) & (inside >= OWN_SHARE * counts))


def dictionary_rows(
    pair: CirclePair, groups: Sequence[ConceptGroup], *, min_count: int = 10, min_firings: int = 10
) -> dict[Place, WordRows]:
    """What the dictionaries write at the words: all features; the group's own; and, of b, the partners of a's own."""
    found: dict[Place, WordRows] = {}
    wanted = [word for group in groups for word in group.words]
    for model, side in (("a", pair.a), ("b", pair.b)):
        chosen: dict[tuple[str, str], np.ndarray] = {}
        for group in groups:
            own = own_features(side, group, min_firings=min_firings)
            chosen["all features", group.name] = np.arange(side.store.d_sae)
            chosen["own features", group.name] = own
            if model == "b":
                theirs = own_features(pair.a, group, min_firings=min_firings)
                chosen["partners of a's", group.name] = pair.pairs.ids_b[np.isin(pair.pairs.ids_a, theirs)]
        for (what, name), ids in chosen.items():
            group = next(item for item in groups if item.name == name)
            only = np.zeros_like(side.directions)
            only[ids] = side.directions[ids]
            written = word_directions(
                side.store, only, vocabulary=side.words.words, word_ids=side.words.word_ids, wanted=wanted
            )
            words = written.known(group.words, ignore_case=group.ignore_case, min_count=min_count)
            rows = written.means(words, ignore_case=group.ignore_case)
            written_at = np.linalg.norm(rows, axis=1) > 0
            kept = [word for word, here in zip(words, written_at, strict=True) if here]
            found[model, what, "dictionary", name] = (rows[written_at], tuple(kept))
    return found


def group_plane(
    orders: OrderTable,
    rows: Mapping[Place, WordRows],
    place: Place,
    *,
    kind: PlaneKind = "principal",
) -> CirclePlane:
    """The plane of principal components in which the angle follows the words' order best, or the one fitted to it."""
    x, words = rows[place]
    return circle_plane(x, words, kind=kind, plane=orders.orders[place].plane, hook_name=place[1])


def save_planes(folder: Path, orders: OrderTable, rows: Mapping[Place, WordRows]) -> list[Path]:
    """Write the planes of every place as <model>_<group>_<hook>_<kind>.npz, for whoever steers along them."""
    written = []
    for place in orders.orders:
        model, hook_name, _, group = place
        for kind in ("principal", "order"):
            path = folder / f"{model}_{group}_{hook_name}_{kind}.npz"
            group_plane(orders, rows, place, kind=kind).save(path)
            written.append(path)
    return written
