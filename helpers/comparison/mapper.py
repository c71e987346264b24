"""Mapper graphs of two dictionaries whose features are matched: each beside chance, and one beside the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from helpers.comparison.feature_maps import SpaceRows
from helpers.geometry import concept_agreement
from helpers.geometry.mapper import (
    NULLS,
    MapperChance,
    MapperGraph,
    MapperSettings,
    NodeLabel,
    mapper_chance,
    mapper_graph,
    node_labels,
    partners_stay_together,
    rows_together,
)
from helpers.nulls import PermutationResult

PARTNERS, FREQUENCY = "shuffled partners", "partners of like frequency"
COVARIANCE = NULLS[0]


@dataclass(frozen=True)
class MapperPair:
    """The Mapper graphs of two dictionaries in one space, made with the same settings; row i of a graph is row i of its
    side of `rows`."""

    rows: SpaceRows
    a: MapperGraph
    b: MapperGraph
    settings: MapperSettings

    def sides(self) -> tuple[tuple[MapperGraph, np.ndarray, np.ndarray], tuple[MapperGraph, np.ndarray, np.ndarray]]:
        """Graph, rows and ids of the features of both sides."""
        return (self.a, self.rows.rows_a, self.rows.ids_a), (self.b, self.rows.rows_b, self.rows.ids_b)

    def matched_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the pairs, pair by pair: (n_pairs,), (n_pairs,)."""
        pairs = self.rows.pairs
        first, second = (
            np.array([place[i] for i in wanted.tolist()])
            for place, wanted in ((_place_of(self.rows.ids_a), pairs.ids_a), (_place_of(self.rows.ids_b), pairs.ids_b))
        )
        return first, second


def make_graphs(rows: SpaceRows, settings: MapperSettings) -> MapperPair:
    """The graphs of both sides.

    Raises:
        ValueError: what `mapper_graph` refuses.
    """
    return MapperPair(rows, mapper_graph(rows.rows_a, settings), mapper_graph(rows.rows_b, settings), settings)


def graphs_beside_chance(
    pair: MapperPair, *, names: tuple[str, str], n_runs: int, seed: int = 0
) -> dict[str, dict[str, MapperChance]]:
    """Both graphs against random rows.

    Returns:
        Name of the side -> null -> result.
    """
    return {
        name: mapper_chance(rows, graph, pair.settings, n_runs=n_runs, seed=seed)
        for name, (graph, rows, _) in zip(names, pair.sides(), strict=True)
    }


def describe_nodes(
    pair: MapperPair, labels: Sequence[Sequence[str]], groups: Sequence[Sequence[str]]
) -> tuple[list[NodeLabel], list[NodeLabel]]:
    """The nodes of both graphs in words.

    Shapes:
        labels, groups: of each side (d_sae,), "" where there is none.
    """
    first, second = (
        node_labels(graph, [label[i] for i in ids], [group[i] for i in ids])
        for (graph, _, ids), label, group in zip(pair.sides(), labels, groups, strict=True)
    )
    return first, second


def members_alike(
    pair: MapperPair,
    concepts: Sequence[Any],
    *,
    names: tuple[str, str],
    n_permutations: int = 1000,
    max_asked: int = 200_000,
    seed: int = 0,
) -> dict[str, PermutationResult]:
    """Do features that share a node stand for the same known concept more often than any two features?

    Shapes:
        concepts: of each side (d_sae,), None where unknown.
    Args:
        max_asked: where more pairs of features share a node, so many are drawn at random.
    Returns:
        Name of the side -> share of the pairs of known features with the same concept, beside concepts shuffled among
        them. A side of which no two known features share a node is left out.
    """
    found = {}
    for name, (graph, _, ids), known in zip(names, pair.sides(), concepts, strict=True):
        of_rows = np.array([known[i] for i in ids], dtype=object)
        together = rows_together(graph)
        together = together[np.array([c is not None for c in of_rows], dtype=bool)[together].all(axis=1)]
        if len(together) > max_asked:
            together = together[np.random.default_rng(seed).choice(len(together), max_asked, replace=False)]
        if len(together):
            found[name] = concept_agreement(
                together, of_rows, name="same_concept", n_permutations=n_permutations, seed=seed
            )
    return found


def partner_tests(
    pairs: Mapping[str, MapperPair], *, counts_b: np.ndarray, n_permutations: int = 1000, seed: int = 0
) -> dict[str, dict[str, PermutationResult]]:
    """Is the graph of a in that of b? `partners_stay_together` against two nulls.

    Shapes:
        counts_b: (d_sae_b,), tokens on which b's features fire.
    Returns:
        Space -> null -> result. Spaces of which no two matched features share a node are an error.
    """
    found = {}
    for space, pair in pairs.items():
        matched = pair.matched_rows()
        options: dict[str, Any] = {"n_permutations": n_permutations, "seed": seed}
        found[space] = {
            PARTNERS: partners_stay_together(pair.a, pair.b, *matched, **options),
            FREQUENCY: partners_stay_together(
                pair.a, pair.b, *matched, counts_b=counts_b[pair.rows.pairs.ids_b], **options
            ),
        }
    return found


def _place_of(ids: np.ndarray) -> dict[int, int]:
    return {feature: place for place, feature in enumerate(ids.tolist())}
