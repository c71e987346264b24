"""What a pair card says about two matched features, as data: a scatter, and the words on which they disagree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.features.columns import FeatureColumns
from helpers.features.contexts import Context, context_texts
from helpers.features.feature_table import FeatureTable
from helpers.features.joint_activations import (
    JointActivations,
    SilentWord,
    drawn_places,
    joint_activations,
    silent_words,
)

if TYPE_CHECKING:
    from helpers.corpus import TokenBatch
    from helpers.features.words import WordTable


@dataclass(frozen=True)
class PairPoint:
    """A token of the scatter: both activations, and the token between its neighbours."""

    a: float
    b: float
    context: Context


@dataclass(frozen=True)
class PairSide:
    """One partner of a pair card."""

    dictionary: str
    feature: int
    label: str


@dataclass(frozen=True)
class PairCard:
    """Everything that a pair card shows.

    Args:
        corr: Pearson correlation over all tokens; None where a partner never varies.
        n_both, n_only_a, n_only_b: tokens on which both or only one fires, of `n_tokens`.
        points: the tokens of the scatter, chosen by `drawn_places`.
        only_a, only_b: words on which one fires and the other is silent.
    """

    side_a: PairSide
    side_b: PairSide
    corr: float | None
    n_tokens: int
    n_both: int
    n_only_a: int
    n_only_b: int
    points: tuple[PairPoint, ...]
    only_a: tuple[SilentWord, ...]
    only_b: tuple[SilentWord, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return asdict(self)


def pair_cards(
    columns_a: FeatureColumns,
    columns_b: FeatureColumns,
    pairs: Iterable[tuple[int, int]],
    tokens: TokenBatch,
    tokenizer: Any,
    words: WordTable,
    *,
    dictionaries: tuple[str, str],
    tables: tuple[FeatureTable, FeatureTable] | None = None,
    n_points: int = 400,
    n_words: int = 6,
    seed: int = 0,
) -> list[PairCard]:
    """A card for each pair (feature of a, feature of b).

    Args:
        columns_a, columns_b: activations of all features that are in the pairs.
        words: the word of every row (`build_words`).
        dictionaries: names of both, for people. tables: for the labels; None shows none.
        n_points, seed: of the scatter (`drawn_places`). n_words: at most so many on either list.
    Raises:
        ValueError: the stores are not of the same tokens, `tokens` or `words` are of others, or a feature was not
            chosen.
    """
    for columns in (columns_a, columns_b):
        columns.require_tokens(tokens)
    told = columns_a.store.manifest.tokens_fingerprint, words.tokens_fingerprint
    if all(told) and told[0] != told[1]:
        raise ValueError("the words are of other tokens than the stores; build them from the stores' token batch")
    pairs = [(int(feature_a), int(feature_b)) for feature_a, feature_b in pairs]
    joints = [joint_activations(columns_a, columns_b, feature_a=a, feature_b=b) for a, b in pairs]
    drawn = [drawn_places(joint, n_points=n_points, seed=seed) for joint in joints]
    rows = [row for joint, places in zip(joints, drawn, strict=True) for row in joint.rows[places].tolist()]
    contexts = iter(context_texts(tokens, rows, tokenizer, before=6, after=3))
    return [
        PairCard(
            side_a=_side(dictionaries[0], feature_a, tables and tables[0]),
            side_b=_side(dictionaries[1], feature_b, tables and tables[1]),
            corr=joint.corr,
            n_tokens=joint.n_tokens,
            n_both=joint.n_both,
            n_only_a=joint.n_only_a,
            n_only_b=joint.n_only_b,
            points=_points(joint, places, contexts),
            only_a=silent_words(joint, words, n_words=n_words),
            only_b=silent_words(joint.swapped(), words, n_words=n_words),
        )
        for (feature_a, feature_b), joint, places in zip(pairs, joints, drawn, strict=True)
    ]


def _side(dictionary: str, feature: int, table: FeatureTable | None) -> PairSide:
    return PairSide(dictionary, feature, table.labels[feature] if table else "")


def _points(joint: JointActivations, places: np.ndarray, contexts: Iterator[Context | None]) -> tuple[PairPoint, ...]:
    """The next contexts, one a place, with their activations."""
    points = []
    for place in places:
        context = next(contexts)
        assert context is not None  # every row is a row of the batch
        points.append(PairPoint(float(joint.a[place]), float(joint.b[place]), context))
    return tuple(points)
