"""Feature splitting: what becomes of the features of a narrow dictionary in a wide one of the same hook.

A specific feature (of the wide dictionary) is a *child* of a general one that it is linked with (`width_links`: more than
chance) and that fires on most of its tokens, chance taken out. It has one parent at most: of several, the one whose
activation correlates best with its own. From these edges follows what each feature is:

wide dictionary     kept      a copy of its parent: each fires on most of the other's tokens, and no other child fits better
                    split     a child beside siblings, and no copy
                    narrowed  an only child, and no copy
                    mixed     linked, but no general feature fires on most of its tokens
                    new       linked with nothing
narrow dictionary   kept      has a copy
                    absorbed  has a copy, which falls silent where another child fires (see below)
                    split     two children or more, no copy
                    narrowed  an only child, no copy
                    mixed     linked, but no child
                    lost      linked with nothing

and *rare* in both: fires on too few tokens to tell. "Most" is half: of disjoint children only one can be the copy.

**Absorption.** In the wide dictionary a general feature often stops firing on the tokens for which there is a specific
feature that writes the general direction as well. The narrow dictionary, which has no room for the specific one, says
where the general feature should fire. A child *absorbs* if on most of the tokens that it shares with its parent the copy
is silent, and more often than the copy's silence on the parent's other tokens explains: were the copy's firings spread at
random over the parent's tokens, the number that falls on the child's tokens would be hypergeometric; the p-values are
corrected over all children of parents with a copy (Benjamini and Hochberg).

Sources: splitting, Bricken et al. 2023 ("Towards Monosemanticity"); absorption, Chanin et al. 2024, arXiv:2409.14507,
who know where a feature should fire from a probe for a known concept.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numba
import numpy as np
from scipy.stats import false_discovery_control, hypergeom

from helpers.activations import ActivationStore
from helpers.array_file import ArrayFile
from helpers.geometry.width_links import WidthLinks, WidthPair

_FILE = ArrayFile("split features", remedy="run 08_feature_splitting again")
NONE = -1
MOST = 0.5
RARE, KEPT, SPLIT, NARROWED, MIXED = "rare", "kept", "split", "narrowed", "mixed"
NEW, ABSORBED, LOST = "new", "absorbed", "lost"
WIDE_CLASSES = (KEPT, SPLIT, NARROWED, MIXED, NEW)
NARROW_CLASSES = (KEPT, ABSORBED, SPLIT, NARROWED, MIXED, LOST)


@dataclass(frozen=True, eq=False)
class Splitting:
    """What becomes of every feature from a narrow to a wide dictionary.

    Shapes:
        of every specific feature, (d_wide,), 0 (parents: -1) where it has no parent:
            parents: int64, id of its general feature; n_candidates: int64, general features whose child it could be;
            containment, cosine, corr: float64, with the parent; together: int64, tokens on which both fire;
            with_copy: int64, those of them on which the parent's copy fires as well;
            absorbs: bool; wide_class: str.
        of every general feature, (d_narrow,):
            copies: int64, id of its copy, -1 where it has none; covered: int64, its tokens on which a child fires;
            clashes: int64, pairs of children that fire together, summed over its tokens; expected_clashes: float64, the
            same if children fired independently of each other on its tokens; narrow_class: str.
        counts_narrow: (d_narrow,), counts_wide: (d_wide,) int64, tokens on which each fires.
    """

    parents: np.ndarray
    n_candidates: np.ndarray
    containment: np.ndarray
    cosine: np.ndarray
    corr: np.ndarray
    together: np.ndarray
    with_copy: np.ndarray
    absorbs: np.ndarray
    wide_class: np.ndarray
    copies: np.ndarray
    covered: np.ndarray
    clashes: np.ndarray
    expected_clashes: np.ndarray
    narrow_class: np.ndarray
    counts_narrow: np.ndarray
    counts_wide: np.ndarray
    n_tokens: int

    @property
    def d_narrow(self) -> int:
        return len(self.counts_narrow)

    @property
    def d_wide(self) -> int:
        return len(self.counts_wide)

    @property
    def n_children(self) -> np.ndarray:
        """(d_narrow,) int64."""
        return np.bincount(self.parents[self.parents >= 0], minlength=self.d_narrow)

    @property
    def families(self) -> np.ndarray:
        """Ids of the general features with two children or more, those with most children first, equals by id."""
        n_children = self.n_children
        order = np.argsort(-n_children, kind="stable")
        return order[n_children[order] >= 2]

    def children(self, general: int) -> np.ndarray:
        """Ids of the children of a general feature, the one that fires on most of its tokens first."""
        ids = np.flatnonzero(self.parents == general)
        return ids[np.lexsort((ids, -self.together[ids]))]

    @property
    def coverage(self) -> np.ndarray:
        """(d_narrow,): share of a general feature's tokens on which a child fires, in [0, 1]; 0 without children."""
        return self.covered / np.maximum(self.counts_narrow, 1)

    @property
    def coverage_by_chance(self) -> np.ndarray:
        """(d_narrow,): the coverage if the children fired as often as they do, on random tokens."""
        silent = np.ones(self.d_narrow)
        children = np.flatnonzero(self.parents >= 0)
        np.multiply.at(silent, self.parents[children], 1 - self.counts_wide[children] / self.n_tokens)
        return 1 - silent

    @property
    def absorbed(self) -> np.ndarray:
        """(d_narrow,) int64: tokens on which an absorbing child fires in place of the copy, summed over such children."""
        children = np.flatnonzero(self.absorbs)
        taken = self.together[children] - self.with_copy[children]
        return np.bincount(self.parents[children], weights=taken, minlength=self.d_narrow).astype(np.int64)

    def shares(self, side: str) -> dict[str, float]:
        """Class -> share of the features of side "narrow" or "wide" that are not rare; the shares add up to 1."""
        classes, names = {"narrow": (self.narrow_class, NARROW_CLASSES), "wide": (self.wide_class, WIDE_CLASSES)}[side]
        n_told = max(int((classes != RARE).sum()), 1)
        return {name: float((classes == name).sum()) / n_told for name in names}

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        _FILE.write(path, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: str | Path) -> Splitting:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, not a file of splits, or a newer format.
        """
        with _FILE.read(path) as content:
            found = {field.name: content[field.name] for field in fields(cls)}
            return cls(**found | {"n_tokens": int(found["n_tokens"])})


def find_splitting(pair: WidthPair, links: WidthLinks, *, alpha: float = 0.01) -> Splitting:
    """Give every specific feature its parent, and say what became of every feature.

    Args:
        pair: from `open_widths`; links: its links.
        alpha: false discovery rate accepted for absorbing children, in (0, 1).
    Raises:
        ValueError: alpha out of range; links of other dictionaries.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1; got {alpha}")
    d_narrow, d_wide = pair.narrow.shape[1], pair.wide.shape[1]
    if links.n_links and (links.general.max() >= d_narrow or links.specific.max() >= d_wide):
        raise ValueError(
            f"the links name features up to {links.general.max()} and {links.specific.max()}, the dictionaries have "
            f"{d_narrow} and {d_wide}; are these links of another pair?"
        )
    linked = [np.isin(np.arange(d), ids) for d, ids in ((d_narrow, links.general), (d_wide, links.specific))]
    links = links.select(links.containment >= MOST)
    last = _closest(links)
    children, parents = links.specific[last], np.full(d_wide, NONE, dtype=np.int64)
    parents[children] = links.general[last]
    of_child = {}
    for name, dtype in (("containment", float), ("cosine", float), ("corr", float), ("together", np.int64)):
        of_child[name] = np.zeros(d_wide, dtype=dtype)
        of_child[name][children] = getattr(links, name)[last]
    together = of_child["together"]
    copies = _copies(parents, together, of_child["corr"], pair.counts_narrow, pair.counts_wide)
    covered, clashes, with_copy = _family_counts(pair.narrow, pair.wide, parents, copies)
    absorbs = _absorbing(parents, copies, together, with_copy, pair.counts_narrow, alpha)
    sums, squares = (
        np.bincount(parents[children], weights=together[children] ** power, minlength=d_narrow) for power in (1, 2)
    )
    classes = (
        _narrow_classes(parents, copies, absorbs, linked[0], pair.eligible_narrow),
        _wide_classes(parents, copies, linked[1], pair.eligible_wide),
    )
    return Splitting(
        parents=parents,
        n_candidates=np.bincount(links.specific, minlength=d_wide),
        **of_child,
        with_copy=with_copy,
        absorbs=absorbs,
        wide_class=classes[1],
        copies=copies,
        covered=covered,
        clashes=clashes,
        expected_clashes=(sums**2 - squares) / 2 / np.maximum(pair.counts_narrow, 1),
        narrow_class=classes[0],
        counts_narrow=pair.counts_narrow,
        counts_wide=pair.counts_wide,
        n_tokens=pair.n_tokens,
    )


@dataclass(frozen=True)
class Clashes:
    """How often siblings fire together on their parent's tokens, over how often they would if independent; None where
    less than one such meeting is expected.

    Args:
        alike: siblings of one name; unlike: siblings of different names. Below 1 = they avoid each other, 0 = disjoint.
    """

    alike: float | None
    unlike: float | None


def sibling_clashes(pair: WidthPair, splitting: Splitting, names: Any) -> Clashes:
    """Are children disjoint, those that stand for different things and those that stand for the same?

    Children that tell one parent's words apart should never meet on a token. Children for the same word may: they describe
    something else about the token.

    Shapes:
        names: (d_wide,), what each feature stands for, None where it is unknown; such a feature does not count.
    Raises:
        ValueError: not one name a feature.
    """
    names = np.asarray(names, dtype=object)
    if names.shape != (splitting.d_wide,):
        raise ValueError(
            f"names must hold one name (or None) for each of {splitting.d_wide} features; got {names.shape}"
        )
    told = np.array([name is not None for name in names], dtype=bool)
    codes = np.full(splitting.d_wide, NONE)
    codes[told] = np.unique(names[told].astype(str), return_inverse=True)[1]
    parents = np.where(told, splitting.parents, NONE)
    observed = np.zeros(2, dtype=np.int64)
    _walk_clashes(*_firing(pair.narrow), *_firing(pair.wide), parents, codes, splitting.d_narrow, observed)
    members = np.flatnonzero(parents >= 0)
    every = _pairs_expected(parents[members], splitting.together[members], splitting)
    # Siblings of one name, as families of their own.
    alike = _pairs_expected(parents[members], splitting.together[members], splitting, codes[members])
    expected = (every - alike, alike)
    unlike, same = (float(n / e) if e >= 1 else None for n, e in zip(observed, expected, strict=True))
    return Clashes(same, unlike)


def _pairs_expected(
    parents: np.ndarray, together: np.ndarray, splitting: Splitting, codes: np.ndarray | None = None
) -> float:
    """Meetings of two of a group, on their parent's tokens, if they were independent; summed over groups."""
    groups = np.column_stack([parents, np.zeros_like(parents) if codes is None else codes])
    found, places = np.unique(groups, axis=0, return_inverse=True)
    sums, squares = (np.bincount(places.ravel(), weights=together.astype(float) ** power) for power in (1, 2))
    return float(((sums**2 - squares) / 2 / splitting.counts_narrow[found[:, 0]]).sum())


def _closest(links: WidthLinks) -> np.ndarray:
    """Places of the links that make the parents: for every specific feature the best correlation, then the lower id."""
    order = np.lexsort((-links.general, links.corr, links.specific))
    specific = links.specific[order]
    return order[np.append(specific[1:] != specific[:-1], True)] if links.n_links else order


def _copies(
    parents: np.ndarray, together: np.ndarray, corr: np.ndarray, counts_narrow: np.ndarray, counts_wide: np.ndarray
) -> np.ndarray:
    """Of every general feature the child that is its copy, -1 where there is none."""
    children = np.flatnonzero(parents >= 0)
    of_general = together[children] > MOST * counts_narrow[parents[children]]
    alike = children[of_general & (together[children] > MOST * counts_wide[children])]
    copies = np.full(len(counts_narrow), NONE, dtype=np.int64)
    order = alike[np.lexsort((-alike, corr[alike]))]
    copies[parents[order]] = order  # the last of every parent stays: the best correlation, then the lower id
    return copies


def _absorbing(
    parents: np.ndarray,
    copies: np.ndarray,
    together: np.ndarray,
    with_copy: np.ndarray,
    counts_narrow: np.ndarray,
    alpha: float,
) -> np.ndarray:
    absorbs = np.zeros(len(parents), dtype=bool)
    asked = np.flatnonzero(parents >= 0)
    copy = copies[parents[asked]]
    asked = asked[(copy >= 0) & (copy != asked)]
    if len(asked) == 0:
        return absorbs
    general = parents[asked]
    p_values = hypergeom.cdf(with_copy[asked], counts_narrow[general], together[copies[general]], together[asked])
    # The exact tail is in (0, 1], but rounding may reach 0 and pass 1.
    corrected = false_discovery_control(np.clip(p_values, 1e-300, 1.0), method="bh")
    absorbs[asked] = (corrected <= alpha) & (with_copy[asked] < MOST * together[asked])
    return absorbs


def _narrow_classes(
    parents: np.ndarray, copies: np.ndarray, absorbs: np.ndarray, linked: np.ndarray, told: np.ndarray
) -> np.ndarray:
    n_children = np.bincount(parents[parents >= 0], minlength=len(copies))
    absorbed = np.zeros(len(copies), dtype=bool)
    absorbed[parents[absorbs]] = True
    conditions = [~told, absorbed, copies >= 0, n_children >= 2, n_children == 1, linked]
    return np.select(conditions, [RARE, ABSORBED, KEPT, SPLIT, NARROWED, MIXED], LOST)


def _wide_classes(parents: np.ndarray, copies: np.ndarray, linked: np.ndarray, told: np.ndarray) -> np.ndarray:
    is_copy = np.zeros(len(parents), dtype=bool)
    is_copy[copies[copies >= 0]] = True
    n_children = np.bincount(parents[parents >= 0], minlength=len(copies))
    beside = (parents >= 0) & (n_children[np.maximum(parents, 0)] >= 2)
    conditions = [~told, is_copy, beside, parents >= 0, linked]
    return np.select(conditions, [RARE, KEPT, SPLIT, NARROWED, MIXED], NEW)


def _family_counts(
    narrow: Any, wide: Any, parents: np.ndarray, copies: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """covered, clashes (d_narrow,) and with_copy (d_wide,), from one walk over the tokens of both."""
    covered, clashes = (np.zeros(len(copies), dtype=np.int64) for _ in range(2))
    with_copy = np.zeros(len(parents), dtype=np.int64)
    _walk_families(*_firing(narrow), *_firing(wide), parents, copies, covered, clashes, with_copy)
    return covered, clashes, with_copy


def _firing(acts: Any) -> tuple[np.ndarray, np.ndarray]:
    """indptr and indices of checked activations, by token."""
    rows = acts.csr() if isinstance(acts, ActivationStore) else acts
    return np.asarray(rows.indptr), np.asarray(rows.indices)


@numba.njit(cache=True, nogil=True)
def _walk_families(
    ptr_narrow, ids_narrow, ptr_wide, ids_wide, parents, copies, covered, clashes, with_copy
):  # pragma: no cover (compiled)
    firing = np.full(copies.size, -1, dtype=np.int64)  # children that fire on the token; -1: the general one is silent
    heard = np.zeros(copies.size, dtype=np.bool_)  # the copy fires
    for row in range(ptr_narrow.size - 1):
        for at in range(ptr_narrow[row], ptr_narrow[row + 1]):
            firing[ids_narrow[at]] = 0
        for at in range(ptr_wide[row], ptr_wide[row + 1]):
            parent = parents[ids_wide[at]]
            if parent >= 0 and firing[parent] >= 0:
                firing[parent] += 1
                heard[parent] |= copies[parent] == ids_wide[at]
        for at in range(ptr_wide[row], ptr_wide[row + 1]):
            parent = parents[ids_wide[at]]
            if parent >= 0 and firing[parent] >= 0 and heard[parent]:
                with_copy[ids_wide[at]] += 1
        for at in range(ptr_narrow[row], ptr_narrow[row + 1]):
            general = ids_narrow[at]
            n = firing[general]
            covered[general] += n > 0
            clashes[general] += n * (n - 1) // 2
            firing[general] = -1
            heard[general] = False


@numba.njit(cache=True, nogil=True)
def _walk_clashes(ptr_narrow, ids_narrow, ptr_wide, ids_wide, parents, codes, d_narrow, observed):  # pragma: no cover
    """observed[0]: meetings of siblings of different names, observed[1]: of one name."""
    fires = np.zeros(d_narrow, dtype=np.bool_)
    for row in range(ptr_narrow.size - 1):
        for at in range(ptr_narrow[row], ptr_narrow[row + 1]):
            fires[ids_narrow[at]] = True
        for at in range(ptr_wide[row], ptr_wide[row + 1]):
            first = ids_wide[at]
            if parents[first] >= 0 and fires[parents[first]]:
                for later in range(at + 1, ptr_wide[row + 1]):
                    second = ids_wide[later]
                    if parents[second] == parents[first]:
                        observed[int(codes[first] == codes[second])] += 1
        for at in range(ptr_narrow[row], ptr_narrow[row + 1]):
            fires[ids_narrow[at]] = False
