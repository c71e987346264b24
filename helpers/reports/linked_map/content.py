"""What a linked map shows: the points of two dictionaries, what is known of each, and who is whose partner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from helpers.features.cards import FeatureCard
from helpers.reports.linked_map.packing import pack, packed_card, packed_numbers

NO_GROUP = ""


@dataclass(frozen=True)
class MapSide:
    """One dictionary's points.

    Shapes:
        points: (n_points, 2), coordinates of the map; ids: (n_points,) feature of every point, each at most once;
        density: (n_points,) share of tokens on which it fires.
    Args:
        name: of the dictionary, e.g. "a".
        labels: one short label a point; "" where there is none.
        groups: group (concept) of every point, "" for none; no groups at all: ().
        clusters: number of every point's cluster, -1 for none; no clusters at all: None.
        words: whole words on which every point's strongest examples fire; a search finds these and labels; none: ().
        cards: by feature id; a feature may lack one.
    Raises:
        ValueError: no points, coordinates that are not finite, an id that is there twice, columns of another length.
    """

    name: str
    points: Float[np.ndarray, "n_points 2"]
    ids: Int[np.ndarray, " n_points"]
    density: Float[np.ndarray, " n_points"]
    labels: Sequence[str]
    groups: Sequence[str] = ()
    clusters: Int[np.ndarray, " n_points"] | None = None
    words: Sequence[Sequence[str]] = ()
    cards: Mapping[int, FeatureCard] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.ids)
        if np.shape(self.points) != (n, 2) or n == 0:
            raise ValueError(f"points of '{self.name}' must be (n_points, 2), one a feature id, at least one; "
                             f"got {np.shape(self.points)} and {n} ids")  # fmt: skip
        if not np.isfinite(self.points).all():
            raise ValueError(f"points of '{self.name}' must be finite; leave out the features that have no place")
        if len(np.unique(self.ids)) != n:
            raise ValueError(f"a feature is one point; some id of '{self.name}' is there twice")
        columns: dict[str, Sequence[Any] | np.ndarray] = {"density": self.density, "labels": self.labels}
        optional = {"groups": self.groups, "words": self.words}
        if self.clusters is not None:
            columns["clusters"] = self.clusters
        columns |= {name: values for name, values in optional.items() if len(values)}
        for name, values in columns.items():
            if len(values) != n:
                raise ValueError(f"{name} of '{self.name}' must have one entry a point; got {len(values)} for {n}")

    @cached_property
    def place_of(self) -> dict[int, int]:
        """Feature id -> number of its point."""
        return {int(feature): place for place, feature in enumerate(self.ids)}


@dataclass(frozen=True)
class LinkedMap:
    """Two sides and the pairs between them.

    Shapes:
        ids_a, ids_b: (n_pairs,) feature ids, pair by pair (not positions of points); corr: (n_pairs,) association.
    Args:
        title: what the map shows.
        faithfulness: sentences under the maps, e.g. how many neighbours they keep.
        value_name: what `corr` is, for legends and tables.
    Notes:
        A pair with a feature that has no point is left out and counted in `n_without_point`. A feature may be in several
        pairs.
    """

    a: MapSide
    b: MapSide
    ids_a: Int[np.ndarray, " n_pairs"]
    ids_b: Int[np.ndarray, " n_pairs"]
    corr: Float32[np.ndarray, " n_pairs"]
    title: str = "Feature maps"
    faithfulness: Sequence[str] = ()
    value_name: str = "correlation"

    def __post_init__(self) -> None:
        if not len(self.ids_a) == len(self.ids_b) == len(self.corr):
            raise ValueError(
                f"pairs must have equally many ids and values; got {len(self.ids_a)}, {len(self.ids_b)}, {len(self.corr)}"
            )
        if not np.isfinite(self.corr).all():
            raise ValueError("the association of every pair must be a finite number")

    @cached_property
    def places(self) -> Int[np.ndarray, "n_shown 3"]:
        """(point of a, point of b, row in the pairs) of every pair whose features both have a point."""
        found = [
            (self.a.place_of[int(i)], self.b.place_of[int(j)], row)
            for row, (i, j) in enumerate(zip(self.ids_a, self.ids_b, strict=True))
            if int(i) in self.a.place_of and int(j) in self.b.place_of
        ]
        return np.array(found, dtype=np.int64).reshape(-1, 3)

    @property
    def n_without_point(self) -> int:
        """Pairs that are not shown."""
        return len(self.ids_a) - len(self.places)

    def first_paint(self) -> str:
        """What the first picture needs, packed: coordinates, ids, groups, clusters, densities, pairs."""
        places = self.places
        return pack(
            {
                "title": self.title,
                "valueName": self.value_name,
                "faithfulness": list(self.faithfulness),
                "sides": [_numbers(self.a), _numbers(self.b)],
                "pairs": {
                    "a": packed_numbers(places[:, 0], "<u4"),
                    "b": packed_numbers(places[:, 1], "<u4"),
                    "value": packed_numbers(np.asarray(self.corr)[places[:, 2]], "<f4"),
                },
            }
        )

    def texts(self) -> str:
        """What is read on demand, packed: labels, words, cards."""
        return pack([_texts(self.a), _texts(self.b)])


def _numbers(side: MapSide) -> dict[str, Any]:
    groups = list(side.groups) or [NO_GROUP] * len(side.ids)
    names = sorted({group for group in groups if group != NO_GROUP})
    codes = {name: code for code, name in enumerate(names)}
    points = np.asarray(side.points, dtype=np.float64)
    # Each map is centred and scaled as a whole, so that both fill their panel; distances keep their proportions.
    centred = points - (points.min(axis=0) + points.max(axis=0)) / 2
    reach = np.abs(centred).max() or 1.0
    return {
        "name": side.name,
        "n": len(side.ids),
        "x": packed_numbers(centred[:, 0] / reach, "<f4"),
        "y": packed_numbers(centred[:, 1] / reach, "<f4"),
        "ids": packed_numbers(side.ids, "<u4"),
        "density": packed_numbers(side.density, "<f4"),
        "groupNames": names,
        "groups": packed_numbers(np.array([codes.get(group, -1) for group in groups]), "<i4"),
        "clusters": None if side.clusters is None else packed_numbers(side.clusters, "<i4"),
    }


def _texts(side: MapSide) -> dict[str, Any]:
    cards = (side.cards.get(int(feature)) for feature in side.ids)
    return {
        "labels": list(side.labels),
        "words": [" ".join(words) for words in side.words],
        "cards": [None if card is None else packed_card(card) for card in cards],
    }
