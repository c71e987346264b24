"""Which features of a narrow and a wide dictionary of one hook belong together: by what they write and when they fire.

Rows are tokens, columns are features; both dictionaries read the same place of the same model, so their decoder rows lie
in one space and their cosines are exact. A *general* feature is one of the narrow dictionary, a *specific* feature one of
the wide dictionary. They are linked if both of these hold:

- **containment**: the general feature fires on the specific one's tokens, chance taken out (Loevinger's H, as in
  `cofiring`), on at least `min_containment` of them;
- **cosine** of their decoder rows of at least `min_cosine`.

Firing together alone is not enough: two features with unrelated meanings that are often met in one sentence position
fire together too, and a frequent feature contains many. Both thresholds come from nulls (`splitting_chance`).

Source: two dictionaries of different width by cosine of decoder rows, Bricken et al. 2023 ("Towards Monosemanticity").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from helpers.activations import ActivationStore
from helpers.geometry.cofiring import BLOCK_VALUES, checked_firings, cover_beyond_chance, firing_counts, joint_firings
from helpers.matching.candidates import Engine
from helpers.matching.engines import open_engine
from helpers.matching.inputs import check_pair

SAME_SOURCE = ("hook_name", "model_fingerprint")


@dataclass(frozen=True, eq=False)
class WidthPair:
    """A narrow and a wide dictionary of one hook on the same tokens, checked.

    Shapes:
        narrow: (n_tokens, d_narrow), wide: (n_tokens, d_wide), stores or CSR; rows_narrow: (d_narrow, d_in), rows_wide:
        (d_wide, d_in), decoder rows of unit length (a zero row stays zero); counts_narrow: (d_narrow,), counts_wide:
        (d_wide,) int64, tokens on which each feature fires.
    Args:
        min_firings: features that fire on fewer tokens, or on all, are in no link.
    """

    narrow: Any
    wide: Any
    rows_narrow: np.ndarray
    rows_wide: np.ndarray
    counts_narrow: np.ndarray
    counts_wide: np.ndarray
    min_firings: int
    n_threads: int | None

    @property
    def n_tokens(self) -> int:
        return int(self.narrow.shape[0])

    @property
    def eligible_narrow(self) -> np.ndarray:
        """(d_narrow,) bool: fires often enough, and not on all tokens."""
        return (self.counts_narrow >= self.min_firings) & (self.counts_narrow < self.n_tokens)

    @property
    def eligible_wide(self) -> np.ndarray:
        """(d_wide,) bool."""
        return (self.counts_wide >= self.min_firings) & (self.counts_wide < self.n_tokens)

    def with_wide(self, wide: Any) -> WidthPair:
        """The pair with other firings of the wide dictionary, e.g. the same ones on shuffled tokens."""
        return replace(self, wide=wide)


@dataclass(frozen=True)
class WidthLinks:
    """Linked features, the specific ones ascending.

    Shapes:
        general, specific: (n_links,) int64, ids; together: (n_links,) int64, tokens on which both fire; containment,
        cosine, corr: (n_links,) float64; corr is Pearson's, of the activations.
    """

    general: np.ndarray
    specific: np.ndarray
    together: np.ndarray
    containment: np.ndarray
    cosine: np.ndarray
    corr: np.ndarray

    @property
    def n_links(self) -> int:
        return len(self.general)

    def select(self, keep_mask: np.ndarray) -> WidthLinks:
        """The links under a mask, (n_links,) bool, True = kept."""
        return WidthLinks(*(getattr(self, field.name)[keep_mask] for field in fields(self)))


def open_widths(
    narrow: Any, wide: Any, W_narrow: Any, W_wide: Any, *, min_firings: int = 20, n_threads: int | None = None
) -> WidthPair:
    """Check that two dictionaries can be compared feature by feature.

    Shapes:
        narrow: (n_tokens, d_narrow); wide: (n_tokens, d_wide); stores, SciPy sparse matrices or arrays of activations;
        W_narrow: (d_narrow, d_in); W_wide: (d_wide, d_in); decoder rows.
    Args:
        min_firings: tokens; a feature that fires on three is easily contained by accident.
    Raises:
        ValueError: other tokens, hooks or models; rows of other width or number; the first dictionary is wider than the
            second; pre-activations; no feature of one fires often enough.
    """
    if min_firings < 1:
        raise ValueError(f"min_firings must be at least 1; got {min_firings}")
    narrow, wide = checked_firings(narrow), checked_firings(wide)
    check_pair(narrow, wide, allow_mixed_kinds=False)
    _require_one_source(narrow, wide)
    if narrow.shape[0] != wide.shape[0]:
        raise ValueError(
            f"both dictionaries must have encoded the same tokens; got {narrow.shape[0]} and {wide.shape[0]} rows; "
            "save both in one run of 03_save_activations"
        )
    if narrow.shape[1] > wide.shape[1]:
        raise ValueError(
            f"expected the narrow dictionary first; got {narrow.shape[1]} and {wide.shape[1]} features; swap them"
        )
    rows_narrow = _unit_rows(W_narrow, narrow.shape[1], "W_narrow")
    rows_wide = _unit_rows(W_wide, wide.shape[1], "W_wide")
    if rows_narrow.shape[1] != rows_wide.shape[1]:
        raise ValueError(
            f"decoder rows must share d_in; got {rows_narrow.shape[1]} and {rows_wide.shape[1]}; only dictionaries of "
            "one hook of one model have a common space"
        )
    counts = firing_counts(narrow), firing_counts(wide)
    pair = WidthPair(narrow, wide, rows_narrow, rows_wide, *counts, min_firings, n_threads)
    for name, eligible in (("narrow", pair.eligible_narrow), ("wide", pair.eligible_wide)):
        if not eligible.any():
            raise ValueError(
                f"none of {len(eligible)} features of the {name} dictionary fires on at least {min_firings} of "
                f"{pair.n_tokens} tokens (and not on all); lower min_firings or save more tokens"
            )
    return pair


def width_links(
    pair: WidthPair, *, min_containment: float, min_cosine: float, block_values: int = BLOCK_VALUES
) -> WidthLinks:
    """Every pair of a general and a specific feature that is linked.

    Args:
        min_containment, min_cosine: in (0, 1] and [-1, 1]; take them from `link_thresholds`.
        block_values: pairs looked at together; bounds the memory at about 30 bytes each.
    Raises:
        ValueError: a threshold out of range.
    Notes:
        Counts are exact: three passes of the matching engine over the firing pairs.
    """
    if not 0 < min_containment <= 1 or not -1 <= min_cosine <= 1:
        raise ValueError(
            f"expected min_containment in (0, 1] and min_cosine in [-1, 1]; got {min_containment} and {min_cosine}"
        )
    engine = open_engine(pair.narrow, pair.wide, min_firings=pair.min_firings, n_threads=pair.n_threads)
    found = []
    for general, specific, together, containment in contained_pairs(pair, block_values=block_values):
        rows, columns = np.nonzero(containment >= min_containment)
        cosine = cosines(pair, general[rows], specific[columns])
        near = cosine >= min_cosine
        rows, columns = rows[near], columns[near]
        values = (together[rows, columns], containment[rows, columns], cosine[near])
        found.append(
            (general[rows], specific[columns], *values, _correlations(engine, general[rows], specific[columns]))
        )
    columns_of = [np.concatenate(part) for part in zip(*found, strict=True)]
    order = np.lexsort((columns_of[0], columns_of[1]))
    return WidthLinks(*(column[order] for column in columns_of))


def contained_pairs(
    pair: WidthPair, *, block_values: int = BLOCK_VALUES
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Walk over all pairs of eligible features, a block of specific ones at a time.

    Yields:
        ids of the general features (all eligible), ids of the specific ones, and for each pair of them, (n_general,
        n_specific), the tokens on which both fire (int64) and how far the general one contains the specific one.
    """
    engine = open_engine(
        pair.narrow, pair.wide, association="jaccard", min_firings=pair.min_firings, n_threads=pair.n_threads
    )
    general, wide = np.flatnonzero(pair.eligible_narrow), np.flatnonzero(pair.eligible_wide)
    step = max(1, block_values // len(general))
    for start in range(0, len(wide), step):
        specific = wide[start : start + step]
        n_general, n_specific = pair.counts_narrow[general, None], pair.counts_wide[None, specific]
        together = joint_firings(engine.block(general, specific), n_general, n_specific)
        yield general, specific, together, cover_beyond_chance(together, n_specific, n_general, n_tokens=pair.n_tokens)


def _correlations(engine: Engine, general: np.ndarray, specific: np.ndarray) -> np.ndarray:
    """Of each general feature with the specific one in the same place."""
    if len(general) == 0:
        return np.empty(0)
    rows, at_row = np.unique(general, return_inverse=True)
    columns, at_column = np.unique(specific, return_inverse=True)
    return engine.block(rows, columns)[at_row, at_column]


def cosines(pair: WidthPair, general: np.ndarray, specific: np.ndarray) -> np.ndarray:
    """Cosine of each general feature with the specific one in the same place, (n,) float64."""
    found = np.empty(len(general))
    step = max(1, BLOCK_VALUES // pair.rows_wide.shape[1])
    for start in range(0, len(general), step):
        part = slice(start, start + step)
        found[part] = np.einsum("ij,ij->i", pair.rows_narrow[general[part]], pair.rows_wide[specific[part]])
    return found


def _require_one_source(narrow: Any, wide: Any) -> None:
    if not (isinstance(narrow, ActivationStore) and isinstance(wide, ActivationStore)):
        return
    for name in SAME_SOURCE:
        first, second = narrow.manifest.source.get(name), wide.manifest.source.get(name)
        if first and second and first != second:
            raise ValueError(
                f"both dictionaries must read one hook of one model, or their decoder rows have no common space; got "
                f"{name} {str(first)[:40]} and {str(second)[:40]}"
            )


def _unit_rows(W: Any, d_sae: int, name: str) -> np.ndarray:
    rows = np.asarray(W, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != d_sae:
        raise ValueError(
            f"{name} must hold one row for each of {d_sae} features, (d_sae, d_in); got shape {rows.shape}; was it "
            "filtered or transposed?"
        )
    if not np.isfinite(rows).all():
        raise ValueError(f"{name} has {int((~np.isfinite(rows)).sum())} NaN or infinite values; load the SAE again")
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1.0)
