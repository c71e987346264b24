"""Are families more than chance: kept by another model, and made of one concept?

Every score stands beside shuffles. Two of them answer different objections: shuffled partners ("any two lists of
families agree that much") and partners shuffled among features that fire about as often ("frequent features are parents
everywhere, whatever they mean").
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Literal, NamedTuple

import numpy as np
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

from helpers.geometry.cofiring_chance import require_one_to_one
from helpers.geometry.families import FeatureForest
from helpers.matching import FeaturePairs
from helpers.nulls.permutation import PermutationResult, null_rng, summarise


class Scale(NamedTuple):
    """What a result says about its score: a name, whether more or less is more alike, and the best possible."""

    name: str
    direction: Literal["similarity", "distance"] = "similarity"
    ideal: float = 1.0


def families_kept(
    families_a: Any,
    families_b: Any,
    pairs: FeaturePairs,
    *,
    measure: Literal["together", "mutual_information"] = "together",
    counts_b: Any = None,
    n_bins: int = 20,
    n_permutations: int = 1000,
    seed: int = 0,
) -> PermutationResult:
    """Are features of one family of a matched with features of one family of b?

    Shapes:
        families_a: (d_sae_a,) int, number of a feature's family, -1 = none; families_b: (d_sae_b,); counts_b:
        (d_sae_b,), tokens on which b's features fire.
    Args:
        pairs: one-to-one. Pairs of which neither feature has a family do not count; a feature without one, whose
            partner has one, is a family of its own.
        measure: "together": of all two pairs that are in one family in a or in b, the share that is in both.
            "mutual_information": the two partitions' adjusted mutual information.
        counts_b: with it, partners are shuffled among features of b of about the same frequency (`n_bins` bins of
            equally many pairs).
    Returns:
        A score of at most 1 = the same families; 0 = none kept (mutual_information: as chance gives). Swapping a and b
        changes nothing but the shuffles.
    Raises:
        ValueError: unknown measure; labels that do not fit the pairs; a feature in two pairs; no family at all.
    Source:
        Vinh, Epps and Bailey 2010, JMLR 11 (adjusted mutual information, arithmetic mean of the entropies).
    """
    labels_a, labels_b = (
        _partition(families, ids, d_sae, name)
        for families, ids, d_sae, name in (
            (families_a, pairs.ids_a, pairs.d_sae_a, "families_a"),
            (families_b, pairs.ids_b, pairs.d_sae_b, "families_b"),
        )
    )
    require_one_to_one(pairs)
    counted = (labels_a >= 0) | (labels_b >= 0)
    if counted.sum() < 2:
        raise ValueError("no matched feature has a family on either side; lower min_cover or match more features")
    left, right = (_alone_as_families(labels[counted]) for labels in (labels_a, labels_b))
    scorers = {"together": _together, "mutual_information": _adjusted_information}
    if measure not in scorers:
        raise ValueError(f"measure must be one of {', '.join(scorers)}; got {measure!r}")
    score = scorers[measure](left, right)
    bins = _bins(counts_b, pairs.ids_b[counted], n_bins) if counts_b is not None else None
    return order_test(f"families_{measure}", score, len(left), bins, n_permutations, seed)


def relations_kept(
    relations_a: Any,
    relations_b: Any,
    pairs: FeaturePairs,
    *,
    share_of: Literal["either", "a"] = "either",
    counts_b: Any = None,
    n_bins: int = 20,
    n_permutations: int = 1000,
    seed: int = 0,
) -> PermutationResult:
    """Do partners stand in the same relation, e.g. is the partner of my parent the parent of my partner?

    Shapes:
        relations_a: (n, 2) ids of features of a, e.g. `FeatureForest.edges` (child, parent) or `CofiringPairs.edges`
        (rarer, wider); relations_b: (m, 2). The order inside a relation matters.
    Args:
        pairs, counts_b, n_bins: as for `families_kept`. Only relations with both ends matched count: make forests of
            the matched features alone (`CofiringPairs.among`), or unmatched parents hide what there is.
        share_of: the score is the relations that both have over those that "either" has, or over those of "a".
    Returns:
        A score in [0, 1]; 1 = all are kept.
    Raises:
        ValueError: ids that do not fit the pairs; a feature in two pairs; no relation with both ends matched.
    """
    require_one_to_one(pairs)
    if share_of not in ("either", "a"):
        raise ValueError(f"share_of must be 'either' or 'a'; got {share_of!r}")
    places_a = _places(relations_a, pairs.ids_a, pairs.d_sae_a, "relations_a")
    places_b = _places(relations_b, pairs.ids_b, pairs.d_sae_b, "relations_b")
    n_either = len(places_a) + len(places_b)
    if (n_either if share_of == "either" else len(places_a)) == 0:
        raise ValueError("no relation has both ends matched; lower min_cover or match more features")
    of_b = np.sort(places_b[:, 0] * pairs.n_pairs + places_b[:, 1])

    def score(order: np.ndarray) -> float:
        asked = order[places_a[:, 0]] * pairs.n_pairs + order[places_a[:, 1]]
        at = np.minimum(np.searchsorted(of_b, asked), len(of_b) - 1)
        n_kept = int((of_b[at] == asked).sum()) if len(of_b) else 0
        return n_kept / (n_either - n_kept if share_of == "either" else len(places_a))

    bins = _bins(counts_b, pairs.ids_b, n_bins) if counts_b is not None else None
    return order_test("relations_kept", score, pairs.n_pairs, bins, n_permutations, seed, n_relations=len(places_a))


def concept_agreement(
    relatives: Any, concepts: Any, *, name: str = "same_concept", n_permutations: int = 1000, seed: int = 0
) -> PermutationResult:
    """Share of relatives that carry the same known concept, beside concepts shuffled among the same features.

    Shapes:
        relatives: (n, 2) feature ids, e.g. `FeatureForest.edges` or `family_members`; concepts: (d_sae,), a label each,
        None where it is unknown. Relatives of whom one is unknown do not count.
    Returns:
        A score in [0, 1]; 1 = relatives always share their concept.
    Raises:
        ValueError: not (n, 2) ids of features; no two relatives with known concepts.
    """
    labels = np.asarray(concepts, dtype=object)
    relatives = _relations(relatives, len(labels), "relatives")
    known = np.array([label is not None for label in labels], dtype=bool)
    relatives = relatives[known[relatives].all(axis=1)]
    if len(relatives) == 0:
        raise ValueError("no two relatives have known concepts, so there is nothing to compare")
    features, places = np.unique(relatives, return_inverse=True)
    left, right = places.reshape(relatives.shape).T
    codes = np.unique(labels[features].astype(str), return_inverse=True)[1]

    def score(order: np.ndarray) -> float:
        shuffled = codes[order]
        return float((shuffled[left] == shuffled[right]).mean())

    return order_test(name, score, len(features), None, n_permutations, seed, n_relatives=len(relatives))


def relatives_alike(
    forest: FeatureForest, groups: np.ndarray, concepts: Any, kinds: Any, *, n_permutations: int = 1000, seed: int = 0
) -> dict[str, PermutationResult]:
    """`concept_agreement` of parents and children and of the members of a group, and, where parent and child have
    different concepts, of their kinds: a parent may stand for something wider than its child.

    Shapes:
        groups: (d_sae,) int, -1 = none; concepts, kinds: (d_sae,), None where unknown.
    Returns:
        Question -> result; questions for which no two relatives are known are left out.
    """
    edges, concepts = forest.edges, np.asarray(concepts, dtype=object)
    left, right = concepts[edges].T if len(edges) else (concepts[:0], concepts[:0])
    unlike = np.array(
        [x is not None and y is not None and x != y for x, y in zip(left, right, strict=True)], dtype=bool
    )
    questions = {
        "parent and child, same concept": (edges, concepts),
        "two of a group, same concept": (family_members(groups), concepts),
        "parent and child of unlike concepts, same kind": (edges[unlike], kinds),
    }
    return {
        name: concept_agreement(relatives, labels, n_permutations=n_permutations, seed=seed)
        for name, (relatives, labels) in questions.items()
        if any(labels[i] is not None and labels[j] is not None for i, j in relatives)
    }


def words_gathered(
    forest: FeatureForest, words: Any, group: Collection[str], *, n_permutations: int = 1000, seed: int = 0
) -> PermutationResult:
    """Does one parent have children for many words of a group, e.g. for all seven weekdays?

    Shapes:
        words: (d_sae,), the word of every feature.
    Args:
        group: the words, at least one.
    Returns:
        The largest share of the group that the children of one parent stand for, in [0, 1], beside the words shuffled
        among all children; `settings["parent"]` is that parent.
    Raises:
        ValueError: empty group; not one word a feature; no feature has a parent.
    """
    words = np.asarray(words, dtype=object)
    if not group or words.shape != (forest.d_sae,):
        raise ValueError(
            f"expected a group of words and one word for each of {forest.d_sae} features; got {len(group)} and shape "
            f"{words.shape}"
        )
    if len(forest.edges) == 0:
        raise ValueError("no feature has a parent; lower min_cover")
    children, parents = forest.edges.T
    number = {word: place for place, word in enumerate(sorted(set(group)))}
    codes = np.array([number.get(word, -1) for word in words[children]])

    def gathered(order: np.ndarray) -> np.ndarray:
        """Parents, one entry for every word of the group that a child of theirs stands for."""
        found = codes[order]
        return np.unique(np.column_stack([parents, found])[found >= 0], axis=0)[:, 0]

    def score(order: np.ndarray) -> float:
        counts = np.unique(gathered(order), return_counts=True)[1]
        return int(counts.max(initial=0)) / len(number)

    best = np.bincount(gathered(np.arange(len(children))), minlength=1)
    return order_test("words_gathered", score, len(children), None, n_permutations, seed, parent=int(best.argmax()))


def family_members(families: np.ndarray) -> np.ndarray:
    """Every two features of one family, (n, 2) int64.

    Shapes:
        families: (d_sae,) int, -1 = none.
    """
    members = np.flatnonzero(families >= 0)
    order = members[np.argsort(families[members], kind="stable")]
    groups = np.split(order, np.flatnonzero(np.diff(families[order])) + 1)
    found = [np.column_stack([g[i] for i in np.triu_indices(len(g), k=1)]) for g in groups]
    return np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64)


Score = Callable[[np.ndarray], float]


def order_test(
    name: str, score: Score, n_items: int, bins: np.ndarray | None, n_permutations: int, seed: int, **settings: Any
) -> PermutationResult:
    """A score of an order of items, beside random orders (inside bins, if there are any)."""
    if n_permutations < 1:
        raise ValueError(f"n_permutations must be at least 1; got {n_permutations}")
    rng = null_rng(seed)
    groups = [np.arange(n_items)] if bins is None else [np.flatnonzero(bins == b) for b in np.unique(bins)]
    null = np.empty(n_permutations)
    for number in range(n_permutations):
        order = np.empty(n_items, dtype=np.int64)
        for group in groups:
            order[group] = rng.permutation(group)
        null[number] = score(order)
    about = {"n_permutations": n_permutations, "seed": seed, "n_bins": len(groups), **settings}
    return summarise(Scale(name), score(np.arange(n_items)), null, n_items, about, null_kind="pairing")


def _together(left: np.ndarray, right: np.ndarray) -> Score:
    n_left, n_right = _n_together(left), _n_together(right)

    def score(order: np.ndarray) -> float:
        n_both = _n_together(_crossed(left, right[order]))
        return n_both / (n_left + n_right - n_both)

    return score


def _adjusted_information(left: np.ndarray, right: np.ndarray) -> Score:
    # Shuffles keep the sizes of all families, so only the mutual information has to be computed anew.
    expected = expected_mutual_information(contingency_matrix(left, right, sparse=True), len(left))
    entropies = _entropy(left), _entropy(right)
    room = float(np.mean(entropies)) - expected
    if room <= 1e-12:  # every feature alone on both sides, or all in one family
        raise ValueError("mutual_information has no room: the families are all of one, or one of all; use 'together'")
    return lambda order: (sum(entropies) - _entropy(_crossed(left, right[order])) - expected) / room


def _crossed(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return left * (right.max() + 1) + right


def _n_together(labels: np.ndarray) -> int:
    """Pairs of items with the same label."""
    sizes = np.unique(labels, return_counts=True)[1]
    return int((sizes * (sizes - 1) // 2).sum())


def _entropy(labels: np.ndarray) -> float:
    """In nats."""
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(shares * np.log(shares)).sum())


def _partition(families: Any, ids: np.ndarray, d_sae: int, name: str) -> np.ndarray:
    families = np.asarray(families)
    if families.shape != (d_sae,) or families.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must hold one whole number for each of {d_sae} features, -1 = none; got {families.dtype} of shape "
            f"{families.shape}; are a and b swapped?"
        )
    return families[ids].astype(np.int64)


def _places(relations: Any, ids: np.ndarray, d_sae: int, name: str) -> np.ndarray:
    """The relations with both ends matched, every feature as its place in the list of pairs; each once."""
    relations = _relations(relations, d_sae, name)
    place = np.full(d_sae, -1, dtype=np.int64)
    place[ids] = np.arange(len(ids))
    places = place[relations]
    return np.unique(places[(places >= 0).all(axis=1)], axis=0)


def _relations(relations: Any, d_sae: int, name: str) -> np.ndarray:
    relations = np.asarray(relations)
    whole = relations.ndim == 2 and relations.shape[1] == 2 and relations.dtype.kind in "iu"
    if not whole or (relations.size and not (relations.min() >= 0 and relations.max() < d_sae)):
        raise ValueError(
            f"{name} must be (n, 2) feature ids from 0 to {d_sae - 1}; got {relations.dtype} of shape "
            f"{relations.shape}; are a and b swapped?"
        )
    return relations.astype(np.int64)


def _alone_as_families(labels: np.ndarray) -> np.ndarray:
    """Numbers from 0; every -1 becomes a label of its own."""
    labels = labels.copy()
    alone = labels < 0
    labels[alone] = labels.max() + 1 + np.arange(alone.sum())
    return np.unique(labels, return_inverse=True)[1]


def _bins(counts: Any, ids: np.ndarray, n_bins: int) -> np.ndarray:
    """Bin of every pair by its partner's frequency; bins hold about equally many pairs."""
    counts = np.asarray(counts)
    if counts.ndim != 1 or ids.max() >= len(counts) or n_bins < 1:
        raise ValueError(
            f"expected counts_b with one number a feature of b (ids up to {ids.max()}) and n_bins of at least 1; got "
            f"shape {counts.shape} and {n_bins}"
        )
    edges = np.unique(np.quantile(counts[ids], np.linspace(0, 1, n_bins + 1)[1:-1]))
    return np.searchsorted(edges, counts[ids], side="left")
