"""Clouds of points of two models whose shape can be asked for, and who is whose partner in them.

Three kinds of points. *Features*: a dictionary's directions, partners by the matching. *Words*: what a layer holds at a
word on average (`word_directions`). *Tokens*: what the dictionary writes at single tokens of these words, which shows
what an average hides. Words and tokens are their own partners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from helpers.comparison.feature_maps import describe_sides
from helpers.comparison.matched_sides import MatchedSides, Read, load_sides
from helpers.comparison.matched_spaces import MatchedSpaces, Space, load_matched_spaces
from helpers.comparison.word_directions import word_directions
from helpers.features import (
    ConceptGroup,
    FeatureIndex,
    FeatureTable,
    WordTable,
    build_words,
    concept_features,
    load_concepts,
)
from helpers.geometry.family_tests import order_test
from helpers.geometry.homology import BarTest, CarriedLoop, Loop, bar_test, carried_loop, loop_around
from helpers.geometry.homology.carried import MIN_POINTS
from helpers.geometry.homology.rows import Metric
from helpers.matching import take_rows
from helpers.nulls import PermutationResult

PointKind = Literal["feature", "word", "token"]
ALL_FEATURES, MATCHED_FEATURES = "all features", "matched features"


@dataclass(frozen=True, eq=False)
class Cloud:
    """A cloud of points in each of two models.

    Shapes:
        rows: (n_a, d_a) and (n_b, d_b); partners: (n, 2) int64, places in a and in b of what is matched.
    Args:
        points: what a point is.
        names: of every point of a and of b.
        ids: feature, or row of the stores, of every point of a and of b; places for words.
        metric: in which its points are compared.
    """

    name: str
    points: PointKind
    rows: tuple[np.ndarray, np.ndarray]
    names: tuple[tuple[str, ...], tuple[str, ...]]
    ids: tuple[np.ndarray, np.ndarray]
    partners: np.ndarray
    metric: Metric

    @property
    def n(self) -> tuple[int, int]:
        return len(self.rows[0]), len(self.rows[1])

    def matched(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the partners, pair by pair: (n, d_a) and (n, d_b)."""
        return self.rows[0][self.partners[:, 0]], self.rows[1][self.partners[:, 1]]

    def along(self, loop: Loop, *, side: int = 0) -> list[str]:
        """Names of the points around a loop of one side (0 = a, 1 = b), in order."""
        return [self.names[side][place] for place in loop.ids]

    def follow(self, loop: Loop, *, n_permutations: int = 999, seed: int = 0) -> CarriedLoop | None:
        """What becomes of a loop of a in b (`carried_loop`); None if too few of its points have a partner."""
        place = {int(a): number for number, a in enumerate(self.partners[:, 0])}
        around = np.array([place[int(a)] for a in loop.ids if int(a) in place], dtype=np.int64)
        if not MIN_POINTS <= len(around) < len(self.partners):
            return None
        rows_b = self.matched()[1]
        return carried_loop(rows_b, around, metric=self.metric, n_permutations=n_permutations, seed=seed)


def cloud_tests(clouds: Mapping[str, Cloud], *, sides: Sequence[str], **settings: Any) -> dict[str, BarTest]:
    """The bars of every cloud in both models, beside random clouds.

    Args:
        sides: names of the two models.
        settings: of `bar_test`, except the metric, which is each cloud's own.
    Returns:
        "<cloud>, <model>" -> test.
    """
    return {
        f"{name}, {side}": bar_test(rows, metric=cloud.metric, **settings)
        for name, cloud in clouds.items()
        for side, rows in zip(sides, cloud.rows, strict=True)
    }


def named_loops(
    clouds: Mapping[str, Cloud], tests: Mapping[str, BarTest], *, sides: Sequence[str], alpha: float, at_most: int = 3
) -> list[NamedLoop]:
    """The significant loops of all clouds, at most so many of each, the longest first; where there are none, none."""
    found = []
    for name, cloud in clouds.items():
        for side, label in enumerate(sides):
            test = tests[f"{name}, {label}"]
            for bar in range(min(at_most, test.n_significant(1, alpha=alpha))):
                loop = loop_around(test.found, bar=bar)
                found.append(
                    NamedLoop(name, side, loop, float(test.p_values(1)[bar]), tuple(cloud.along(loop, side=side)))
                )
    return found


def steps_explained(loops: Sequence[Sequence[str]], *, n_permutations: int = 999, seed: int = 0) -> PermutationResult:
    """What holds loops of tokens together: does a step around them keep the word, or the word before it?

    Args:
        loops: names of the points around each loop, in order; of tokens: "<word before> <word>".
    Returns:
        Share of all steps that keep one of the two, in [0, 1], beside the points of every loop in random orders.
    Raises:
        ValueError: no loop, or no permutations.
    Notes:
        A loop that runs over two words in two surroundings (on Monday, after Monday, after Friday, on Friday) is a grid
        and not a circle of days: each of its steps keeps one.
    """
    if not loops or not all(loops):
        raise ValueError("expected at least one loop of points; got none")
    texts = [name.rpartition(" ") for loop in loops for name in loop]
    before, words = np.array([text[0] for text in texts]), np.array([text[2] for text in texts])
    bins = np.repeat(np.arange(len(loops)), [len(loop) for loop in loops])
    ends = np.cumsum([len(loop) for loop in loops])
    following = np.arange(len(words)) + 1
    following[ends - 1] = ends - [len(loop) for loop in loops]

    def score(order: np.ndarray) -> float:
        after = order[following]
        return float(((words[order] == words[after]) | (before[order] == before[after])).mean())

    return order_test("steps_explained", score, len(words), bins, n_permutations, seed, n_loops=len(loops))


@dataclass(frozen=True, eq=False)
class NamedLoop:
    """A significant loop and what it runs through.

    Args:
        cloud: its name; side: 0 = a, 1 = b.
        p_value: of its bar.
        names: of the points around it, in order.
    """

    cloud: str
    side: int
    loop: Loop
    p_value: float
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Parts:
    """What clouds are made of."""

    spaces: MatchedSpaces
    sides: MatchedSides
    tables: tuple[FeatureTable, FeatureTable]
    words: WordTable


def load_clouds(
    read: Read,
    matching: str,
    *,
    space: Space = "decoder",
    concepts: str,
    groups: Sequence[str],
    min_corr: float = 0.5,
    min_hits: int = 3,
    min_count: int = 10,
    n_tokens: int = 600,
    min_points: int = 6,
    metric: Metric = "cosine",
    seed: int = 0,
) -> dict[str, Cloud]:
    """All features, those that have partners, and for every group of words its features, its words and its tokens.

    Args:
        read: gives the result of a notebook's run, e.g. `stage.upstream`.
        matching: run of 04_match_features.
        concepts, groups: file of word groups, and those that are looked at.
        min_corr: pairs below are not partners.
        min_hits: of a feature's five strongest examples, so many must fire on words of the group.
        min_count: rows that a word needs.
        n_tokens: of a group, at most; about equally many of each word.
        metric: in which points are compared.
        min_points: clouds with fewer points in one of the models are left out.
        seed: of the choice of tokens.
    Returns:
        Name -> cloud, e.g. "weekdays, tokens".
    Raises:
        ValueError: an unknown group; encoder rows of neurons.
    """
    parts = _parts(read, matching, space)
    chosen = load_concepts(concepts).choose(list(groups)).groups
    candidates = parts.spaces.candidates
    pairs = parts.spaces.pairs.above(min_corr)
    paired = np.unique(pairs.ids_a), np.unique(pairs.ids_b)
    clouds = [
        _features(ALL_FEATURES, parts, candidates, min_corr, metric),
        _features(MATCHED_FEATURES, parts, paired, min_corr, metric),
    ]
    for number, group in enumerate(chosen):
        ids = [concept_features(FeatureIndex(table), group, min_hits=min_hits).ids for table in parts.tables]
        kept = tuple(np.sort(found[np.isin(found, live)]) for found, live in zip(ids, candidates, strict=True))
        clouds += [
            _features(f"{_title(group)}, features", parts, (kept[0], kept[1]), min_corr, metric),
            _words(group, parts, min_count, metric),
            _tokens(group, parts, min_count, n_tokens, metric, seed + number),
        ]
    return {cloud.name: cloud for cloud in clouds if min(cloud.n) >= min_points}


def _parts(read: Read, matching: str, space: Space) -> _Parts:
    sides = load_sides(read, matching)
    if sides.alignment is None:
        run = read("04_match_features", matching).params["activations"]
        words = WordTable.load(read("03_save_activations", run).artifact("words"))
    else:
        words = build_words(sides.tokens, sides.tokenizer)
    spaces = load_matched_spaces(read, matching, space=space)
    return _Parts(spaces, sides, describe_sides(read, matching, sides), words)


def _features(name: str, parts: _Parts, ids: tuple[np.ndarray, np.ndarray], min_corr: float, metric: Metric) -> Cloud:
    pairs = parts.spaces.pairs.above(min_corr)
    both = np.isin(pairs.ids_a, ids[0]) & np.isin(pairs.ids_b, ids[1])
    partners = np.column_stack(
        [np.searchsorted(side, paired[both]) for side, paired in zip(ids, (pairs.ids_a, pairs.ids_b), strict=True)]
    )
    names = tuple(
        tuple(table.word(int(feature)) or f"feature {feature}" for feature in side)
        for side, table in zip(ids, parts.tables, strict=True)
    )
    rows = parts.spaces.directions_a[ids[0]], parts.spaces.directions_b[ids[1]]
    return Cloud(name, "feature", rows, (names[0], names[1]), ids, partners.astype(np.int64), metric)


def _words(group: ConceptGroup, parts: _Parts, min_count: int, metric: Metric) -> Cloud:
    settings: dict[str, Any] = {"vocabulary": parts.words.words, "word_ids": parts.words.word_ids}
    found = [
        word_directions(store, directions, wanted=group.words, **settings) for store, directions in _written(parts)
    ]
    known = found[0].known(group.words, ignore_case=group.ignore_case, min_count=min_count)
    rows = [side.means(known, ignore_case=group.ignore_case) for side in found]
    return _own_partners(f"{_title(group)}, words", "word", rows, known, np.arange(len(known)), metric)


def _tokens(group: ConceptGroup, parts: _Parts, min_count: int, n_tokens: int, metric: Metric, seed: int) -> Cloud:
    rng = np.random.default_rng(seed)
    wanted = {group.spelling(word) for word in group.words}
    numbers = [number for number, word in enumerate(parts.words.words) if group.spelling(word) in wanted]
    places = [np.flatnonzero(parts.words.word_ids == number) for number in numbers]
    places = [where for where in places if len(where) >= min_count]
    share = max(1, n_tokens // max(1, len(places)))
    picked = [rng.choice(where, min(share, len(where)), replace=False) for where in places]
    rows = np.sort(np.concatenate([*picked, np.empty(0, dtype=np.int64)]))
    written = [np.asarray(take_rows(store, rows) @ directions) for store, directions in _written(parts)]
    names = [_in_context(parts, int(row)) for row in rows]
    return _own_partners(f"{_title(group)}, tokens", "token", written, names, rows, metric)


def _title(group: ConceptGroup) -> str:
    return group.name.replace("_", " ")


def _written(parts: _Parts) -> tuple[tuple[Any, np.ndarray], tuple[Any, np.ndarray]]:
    spaces = parts.spaces
    return (spaces.store_a, spaces.directions_a), (spaces.store_b, spaces.directions_b)


def _in_context(parts: _Parts, row: int) -> str:
    """A token's word after the word before it."""
    documents = parts.spaces.store_a.documents
    before = parts.words.word(row - 1) if row and documents[row] == documents[row - 1] else "(start)"
    return f"{before} {parts.words.word(row)}".strip()


def _own_partners(
    name: str, points: PointKind, rows: Sequence[np.ndarray], names: Sequence[str], ids: np.ndarray, metric: Metric
) -> Cloud:
    places = np.arange(len(names))
    texts = tuple(names)
    return Cloud(
        name, points, (rows[0], rows[1]), (texts, texts), (ids, ids), np.column_stack([places, places]), metric
    )
