"""Two dictionaries as maps: their features as rows of a space, laid out beside each other, and what that shows.

A space says what makes two features alike: that they write alike (decoder), read alike (encoder), or fire on the same
tokens (firing). A map is a picture of the neighbourhoods of one space; how much of them it keeps is part of the result.
Models share no axes, so nothing is compared across models but neighbourhoods, along the matched pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.cluster import HDBSCAN

from helpers.comparison.matched_sides import MatchedSides, Read
from helpers.comparison.matched_spaces import Space, load_matched_spaces
from helpers.features import FeatureTable, build_words, describe_features
from helpers.geometry import (
    Embedding,
    Faithfulness,
    PartnerDistance,
    embed,
    embed_along,
    firing_rows,
    map_faithfulness,
    partner_distance,
    turn_onto,
)
from helpers.matching import FeaturePairs
from helpers.nulls import PermutationResult, permutation_test

#: Space -> what it means for two features to be near.
SPACES = {"decoder": "they write alike", "encoder": "they read alike", "firing": "they fire on the same tokens"}


@dataclass(frozen=True)
class SpaceRows:
    """The features of two dictionaries as rows of one space, and the pairs whose features both have a row.

    Shapes:
        rows_a: (n_a, d_a); rows_b: (n_b, d_b); ids_a: (n_a,); ids_b: (n_b,), feature of every row.
    Args:
        note: what was lost before anything is laid out, a sentence; "" if nothing was.
    """

    space: str
    rows_a: np.ndarray
    rows_b: np.ndarray
    ids_a: np.ndarray
    ids_b: np.ndarray
    pairs: FeaturePairs
    note: str = ""

    def matched(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the pairs, pair by pair: (n_pairs, d_a), (n_pairs, d_b)."""
        sides = (self.rows_a, self.ids_a, self.pairs.ids_a), (self.rows_b, self.ids_b, self.pairs.ids_b)
        first, second = (Embedding(rows, ids, {}).at(wanted) for rows, ids, wanted in sides)
        return first, second

    def correlations(self) -> tuple[np.ndarray, np.ndarray]:
        """Correlation of every feature with its partner (the strongest of several), NaN without one: (n_a,), (n_b,)."""
        found = []
        for ids, matched in ((self.ids_a, self.pairs.ids_a), (self.ids_b, self.pairs.ids_b)):
            strongest = dict(zip(matched[::-1].tolist(), self.pairs.corr[::-1].tolist(), strict=True))
            found.append(np.array([strongest.get(i, np.nan) for i in ids.tolist()]))
        return found[0], found[1]


def load_space_rows(
    read: Read, matching: str, *, space: str, min_corr: float, n_components: int, seed: int = 0
) -> SpaceRows:
    """Rows of the features that fire often enough to have been matched.

    Args:
        read: gives the result of a notebook's run, e.g. `stage.upstream`.
        matching: run of 04_match_features.
        space: decoder, encoder or firing.
        min_corr: pairs below are left out.
        n_components: dimensions that stand for firing patterns.
    Raises:
        ValueError: another space; encoder rows of neurons.
    """
    if space not in SPACES:
        raise ValueError(f"space must be one of {', '.join(SPACES)}; got '{space}'")
    weights: Space = "encoder" if space == "encoder" else "decoder"
    found = load_matched_spaces(read, matching, space=weights)
    ids_a, ids_b = found.candidates
    note = ""
    if space == "firing":
        packed = [
            firing_rows(store, ids, n_components=n_components, seed=seed)
            for store, ids in ((found.store_a, ids_a), (found.store_b, ids_b))
        ]
        (rows_a, ids_a), (rows_b, ids_b) = ((side.rows, side.ids) for side in packed)
        kept = " and ".join(f"{side.neighbours_kept:.0%}" for side in packed)
        note = (
            f"Firing patterns are packed into {rows_a.shape[1]} dimensions, which keep {kept} of each feature's "
            f"{packed[0].k} nearest patterns."
        )
    else:
        rows_a, rows_b = found.directions_a[ids_a], found.directions_b[ids_b]
    pairs = found.pairs.above(min_corr)
    both = np.isin(pairs.ids_a, ids_a) & np.isin(pairs.ids_b, ids_b)
    return SpaceRows(space, rows_a, rows_b, ids_a, ids_b, pairs.select(both), note)


def describe_sides(read: Read, matching: str, sides: MatchedSides) -> tuple[FeatureTable, FeatureTable]:
    """What the features of both sides fire on: as notebook 03 has described them, with the labels that they were given.

    Where the rows are units of two tokenizers, features are described anew on these.

    Args:
        read: gives the result of a notebook's run; matching: run of 04_match_features; sides: of that run.
    """
    if sides.alignment is not None:
        words = build_words(sides.tokens, sides.tokenizer)
        return describe_features(sides.store_a, words), describe_features(sides.store_b, words)
    params = read("04_match_features", matching).params
    runs = params["activations"], params.get("activations_b") or params["activations"]
    folders = (
        read("03_save_activations", run).artifact(f"features_{name}")
        for run, name in zip(runs, sides.names, strict=True)
    )
    first, second = (FeatureTable.load(folder) for folder in folders)
    return first, second


@dataclass(frozen=True)
class MapPair:
    """The maps of two dictionaries in one space, the second laid out along the first, and how faithful each is."""

    rows: SpaceRows
    a: Embedding
    b: Embedding
    faithful_a: Faithfulness
    faithful_b: Faithfulness

    def matched(self) -> tuple[np.ndarray, np.ndarray]:
        """Points of the pairs, pair by pair."""
        return self.a.at(self.rows.pairs.ids_a), self.b.at(self.rows.pairs.ids_b)

    def correlations(self) -> tuple[np.ndarray, np.ndarray]:
        """Correlation of every point with its partner, NaN without one: (n_a,), (n_b,)."""
        return self.rows.correlations()

    def sentences(self, names: tuple[str, str]) -> list[str]:
        """For the line under the maps."""
        found = [self.faithful_a.sentence(names[0]), self.faithful_b.sentence(names[1])]
        return found + [self.rows.note] * bool(self.rows.note)


def lay_out(
    rows: SpaceRows, *, folder: Path | None = None, k: int = 15, n_components: int = 2, seed: int = 0, **settings: Any
) -> MapPair:
    """Map of a; map of b along it (`embed_along`); faithfulness of both.

    Args:
        folder: where maps are stored, and taken from if they were made in the same way; None stores nothing.
        k: neighbours that are asked for faithfulness.
        settings: as for `embed`, e.g. n_neighbors.
    """
    path = {side: folder / f"{rows.space}_{n_components}d_{side}.npz" if folder else None for side in "ab"}
    a = embed(rows.rows_a, ids=rows.ids_a, n_components=n_components, seed=seed, path=path["a"], **settings)
    anchors: dict[str, Any] = {"ids_own": rows.pairs.ids_b, "ids_reference": rows.pairs.ids_a}
    b = embed_along(rows.rows_b, a, ids=rows.ids_b, seed=seed, path=path["b"], **anchors, **settings)
    faithful = (
        map_faithfulness(part, placed.points, k=k, seed=seed) for part, placed in ((rows.rows_a, a), (rows.rows_b, b))
    )
    return MapPair(rows, a, b, *faithful)


def random_layout(maps: MapPair, *, seed: int = 0) -> Faithfulness:
    """What random places keep of a's neighbourhoods: what a map that shows nothing would score."""
    points = np.random.default_rng(seed).normal(size=maps.a.points.shape)
    return map_faithfulness(maps.rows.rows_a, points, k=maps.faithful_a.k, seed=seed)


def map_clusters(maps: MapPair, *, min_size: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of the first map, numbered by size, and where their features' partners lie in the second.

    Shapes:
        returns (n_a,), (n_b,) int64, one number a point; -1 = in no cluster, or without a partner in one.
    Args:
        min_size: features that make a cluster.
    Source:
        HDBSCAN: Campello et al. 2013, doi:10.1007/978-3-642-37456-2_14.
    """
    found = HDBSCAN(min_cluster_size=min_size, copy=True).fit(maps.a.points).labels_
    by_size = np.argsort(-np.bincount(found[found >= 0]), kind="stable") if (found >= 0).any() else np.empty(0, int)
    rank = np.append(np.argsort(by_size), -1)  # the last is that of label -1
    clusters_a = rank[found].astype(np.int64)
    cluster_of = dict(zip(maps.a.ids.tolist(), clusters_a.tolist(), strict=True))
    pairs = maps.rows.pairs
    # Pairs come strongest first; of several partners the strongest decides.
    strongest = dict(zip(pairs.ids_b[::-1].tolist(), pairs.ids_a[::-1].tolist(), strict=True))
    carried = [cluster_of[strongest[i]] if i in strongest else -1 for i in maps.b.ids.tolist()]
    return clusters_a, np.array(carried, dtype=np.int64)


def another_seed(
    maps: MapPair, *, k: int = 15, n_permutations: int = 1000, seed: int = 0, **settings: Any
) -> PermutationResult:
    """Neighbours that two maps of the *same* rows share when they differ in their seed: what maps can show at best.

    Args:
        settings: those of `lay_out`.
    """
    ids, rows = maps.rows.pairs.ids_a, maps.rows
    other = embed(rows.rows_a, ids=rows.ids_a, n_components=maps.a.points.shape[1], seed=seed + 1, **settings)
    return permutation_test(
        maps.a.at(ids), other.at(ids), measure="mutual_knn", metric="euclidean", k=k, n_permutations=n_permutations, seed=seed
    )  # fmt: skip


def neighbour_tests(
    maps: Mapping[str, MapPair], *, k: int = 15, n_permutations: int = 1000, seed: int = 0
) -> dict[str, PermutationResult]:
    """Are neighbours of a feature the neighbours of its partner, in the rows and in the maps?

    Returns:
        "<space>, rows" and "<space>, maps" -> share of the k nearest among the matched features that both have, beside
        shuffled partners.
    """
    options: dict[str, Any] = {"measure": "mutual_knn", "k": k, "n_permutations": n_permutations, "seed": seed}
    found = {}
    for space, pair in maps.items():
        found[f"{space}, rows"] = permutation_test(*pair.rows.matched(), **options)
        found[f"{space}, maps"] = permutation_test(*pair.matched(), metric="euclidean", **options)
    return found


def alignment_steps(
    maps: MapPair, *, n_permutations: int = 1000, seed: int = 0, **settings: Any
) -> dict[str, PartnerDistance]:
    """How far partners lie apart before and after the second map follows the first, each beside wrong partners.

    Args:
        settings: those of `lay_out`.
    Returns:
        Step -> distance. Held-out pairs took no part in the alignment; of the last step, neither did any true pair: its
        anchors are wrong partners, and what they bring together is an artefact of the method.
    Notes:
        How a whole map happens to lie is one throw that all pairs share and that shuffles of the pairs do not vary, so a
        map by itself, or along wrong partners, may lie significantly near or far. Compare steps with each other.
    """
    rows, pairs = maps.rows, maps.rows.pairs
    free = embed(rows.rows_b, ids=rows.ids_b, n_components=maps.a.points.shape[1], seed=seed, **settings)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,)))
    held_out = rng.permutation(pairs.n_pairs) < pairs.n_pairs // 2
    mine, theirs = pairs.ids_b, pairs.ids_a

    def along(others: np.ndarray) -> Embedding:
        anchors: dict[str, Any] = {"ids_own": mine[~held_out], "ids_reference": others}
        return embed_along(rows.rows_b, maps.a, ids=rows.ids_b, seed=seed, **anchors, **settings)

    def distance(placed: Embedding, chosen: np.ndarray) -> PartnerDistance:
        points = maps.a.at(theirs[chosen]), placed.at(mine[chosen])
        return partner_distance(*points, n_permutations=n_permutations, seed=seed)

    everything = np.ones(pairs.n_pairs, dtype=bool)
    turned = turn_onto(free, maps.a, ids_own=mine, ids_reference=theirs)
    return {
        "each map by itself": distance(free, everything),
        "turned onto the first": distance(turned, everything),
        "started from the partners": distance(maps.b, everything),
        "the same, held-out pairs": distance(along(theirs[~held_out]), held_out),
        "started from wrong partners": distance(along(rng.permutation(theirs[~held_out])), held_out),
    }
