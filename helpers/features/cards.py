"""What a card says about one feature, as data: contexts, histogram, tokens promoted and suppressed, partner.

The page is written by `helpers.reports.cards`; `to_dict` is for pages that embed the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.features.columns import FeatureColumns
from helpers.features.contexts import token_texts
from helpers.features.feature_table import FeatureTable
from helpers.features.labels import FROM_WORDS, TOP
from helpers.features.logit_effects import LogitEffects
from helpers.features.windows import RowWindows

if TYPE_CHECKING:
    from helpers.corpus import TokenBatch
    from helpers.matching import FeaturePairs


@dataclass(frozen=True)
class CardLabel:
    """A short name for a feature, and where it comes from, in words; both "" for a feature without one."""

    text: str
    source: str


@dataclass(frozen=True)
class GradedToken:
    """Text with the activation of the card's feature on it, 0 where it does not fire."""

    text: str
    activation: float


@dataclass(frozen=True)
class GradedContext:
    """A stretch of text; `tokens[marked]` is the example that it is shown for."""

    tokens: tuple[GradedToken, ...]
    marked: int


@dataclass(frozen=True)
class TokenEffect:
    """A token of the vocabulary and how a feature moves its logit (see LogitEffects)."""

    token: str
    effect: float


@dataclass(frozen=True)
class Partner:
    """The matched feature of the other model; `link` is the address of its own card, "" without one."""

    dictionary: str
    feature: int
    label: str
    corr: float
    link: str = ""


@dataclass(frozen=True)
class FeatureCard:
    """Everything that a card shows.

    Args:
        n_firings: tokens on which the feature is not 0, of `n_tokens`.
        histogram: tokens in equal steps of activation from 0 to `max_activation`; empty for a dead feature.
        contexts: the strongest first.
        compared: whether a partner was looked for; only then does `partner` None mean that there is none.
    """

    dictionary: str
    feature: int
    label: CardLabel
    n_firings: int
    n_tokens: int
    max_activation: float
    histogram: tuple[int, ...]
    contexts: tuple[GradedContext, ...]
    promoted: tuple[TokenEffect, ...]
    suppressed: tuple[TokenEffect, ...]
    partner: Partner | None
    compared: bool

    @property
    def density(self) -> float:
        """Share of tokens on which it fires, in [0, 1]."""
        return self.n_firings / self.n_tokens

    def to_dict(self) -> dict[str, Any]:
        """JSON types only, the density included."""
        return asdict(self) | {"density": self.density}


def feature_cards(
    columns: FeatureColumns,
    table: FeatureTable,
    tokens: TokenBatch,
    tokenizer: Any,
    *,
    dictionary: str,
    effects: LogitEffects | None = None,
    partners: Mapping[int, Partner] | None = None,
    n_contexts: int = 5,
    before: int = 9,
    after: int = 7,
) -> dict[int, FeatureCard]:
    """Cards of all features that `columns` holds, by feature id, in its order.

    Args:
        columns: activations of the features, from one pass over the store (`feature_columns`).
        table: of the whole dictionary, from the same store (`describe_features`).
        dictionary: its name, for people.
        effects: of these features or more; None shows none.
        partners: by feature id; a feature may lack one (`partners_of`). None: nothing was compared.
        n_contexts, before, after: contexts of a card, and tokens around the example.
    Raises:
        ValueError: a table of another dictionary, another token batch, or effects without one of the features.
    """
    _require_same_store(columns, table)
    columns.require_tokens(tokens)
    windows = RowWindows(tokens, tokenizer)

    def card(feature: int) -> FeatureCard:
        rows = table.examples.rows[feature]
        contexts = (
            graded_context(columns, feature, int(row), windows, before=before, after=after)
            for row in rows[rows >= 0][:n_contexts]
        )
        n_firings = int(table.examples.counts[feature])
        promoted, suppressed = _token_effects(effects, feature, tokenizer)
        return FeatureCard(
            dictionary=dictionary,
            feature=feature,
            label=card_label(table, feature),
            n_firings=n_firings,
            n_tokens=table.n_tokens,
            max_activation=float(table.max_activation[feature]),
            histogram=tuple(table.histogram[feature].tolist()) if n_firings else (),
            contexts=tuple(contexts),
            promoted=promoted,
            suppressed=suppressed,
            partner=(partners or {}).get(feature),
            compared=partners is not None,
        )

    return {feature: card(feature) for feature in columns.feature_ids.tolist()}


def card_label(table: FeatureTable, feature: int) -> CardLabel:
    """A feature's label, and how sure it is where it is automatic."""
    source = table.label_sources[feature]
    if source == FROM_WORDS:
        of = min(TOP, int(np.sum(table.examples.rows[feature] >= 0)))
        source = f"top words, {table.hits[feature]} of {of} agree"
    return CardLabel(table.labels[feature], source)


def graded_context(
    columns: FeatureColumns, feature: int, row: int, windows: RowWindows, *, before: int, after: int
) -> GradedContext:
    """The text around a row, every token with the feature's activation on it.

    Tokens that make one letter together stand as one, with the strongest of their activations.
    Raises:
        ValueError: the row is not in the batch, or the feature was not chosen.
    """
    pieces = windows.around(row, before=before, after=after)
    found = iter(columns.at(feature, np.concatenate([piece.rows for piece in pieces])).tolist())
    graded = (GradedToken(piece.text, max(islice(found, len(piece.rows)), key=abs)) for piece in pieces)
    marked = next(place for place, piece in enumerate(pieces) if row in piece.rows)
    return GradedContext(tuple(graded), marked)


def partners_of(
    pairs: FeaturePairs,
    *,
    side: str,
    dictionary: str,
    table: FeatureTable | None = None,
    link: Callable[[int], str] | None = None,
) -> dict[int, Partner]:
    """The partner of every matched feature of one side, by feature id; of several the strongest.

    Args:
        side: "a" or "b": whose features look for their partners.
        dictionary, table: name and labels of the *other* side.
        link: address of the partner's card, from its id.
    Raises:
        ValueError: another side, or a table of another dictionary than the other side's.
    """
    if side not in ("a", "b"):
        raise ValueError(f"side must be 'a' or 'b'; got {side!r}")
    own, others = (pairs.ids_a, pairs.ids_b) if side == "a" else (pairs.ids_b, pairs.ids_a)
    d_sae = pairs.d_sae_b if side == "a" else pairs.d_sae_a
    if table is not None and table.d_sae != d_sae:
        raise ValueError(f"table must be of the other side's {d_sae} features; got one of {table.d_sae}")
    found: dict[int, Partner] = {}
    for feature, other, corr in zip(own.tolist(), others.tolist(), pairs.corr.tolist(), strict=True):
        if feature not in found:  # pairs come strongest first
            label = table.labels[other] if table else ""
            found[feature] = Partner(dictionary, other, label, corr, link(other) if link else "")
    return found


def _require_same_store(columns: FeatureColumns, table: FeatureTable) -> None:
    """Examples that are not where the store has them are of another dictionary, or of rows in another order."""
    fits = np.array_equal(table.examples.counts, columns.store.feature_counts)
    for feature in columns.feature_ids if fits else ():
        rows, values = table.examples.rows[feature], table.examples.values[feature]
        fits &= np.array_equal(columns.at(feature, rows[rows >= 0]), values[rows >= 0])
    if not fits:
        raise ValueError(
            f"the table of {table.d_sae} features does not describe {columns.store.path}, whose {columns.store.d_sae} "
            "features fire elsewhere; take the table that was made from this store"
        )


def _token_effects(
    effects: LogitEffects | None, feature: int, tokenizer: Any
) -> tuple[tuple[TokenEffect, ...], tuple[TokenEffect, ...]]:
    if effects is None:
        return (), ()
    own = effects.of(feature)

    def named(token_ids: np.ndarray, values: np.ndarray) -> tuple[TokenEffect, ...]:
        texts = token_texts(tokenizer, token_ids[0])
        return tuple(TokenEffect(text, float(value)) for text, value in zip(texts, values[0], strict=True))

    return named(own.promoted_ids, own.promoted), named(own.suppressed_ids, own.suppressed)
