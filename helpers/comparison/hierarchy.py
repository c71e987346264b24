"""Words as whitened rows of two models, for hierarchies and analogies (notebook 12), and whether the models agree.

Three kinds of rows stand for a word. Its row of the unembedding: what the last layer must look like for the model to say
it. Its mean in the residual stream, as the dictionary writes it. And the mean decoder row of the features that fire on
it; one row a word, since features of one word are near-copies of each other and would predict one another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from helpers.activations import ActivationStore
from helpers.comparison.feature_maps import describe_sides
from helpers.comparison.matched_sides import Read, load_sides
from helpers.comparison.matched_spaces import load_matched_spaces
from helpers.comparison.word_directions import word_directions
from helpers.corpus.tokenizer import continuation_ids
from helpers.features import FeatureIndex, FeatureTable, WordTable, build_words, listed_tokens
from helpers.geometry.family_tests import Scale
from helpers.geometry.hierarchy import Nest, Taxonomy, concept_directions, cosines, fit_whitening, moved_concepts
from helpers.matching import FeaturePairs
from helpers.models import ModelReference
from helpers.nulls import PermutationResult, correct_tests, permutation_test
from helpers.nulls.permutation import null_rng, summarise

UNEMBEDDING, RESIDUAL, FEATURES, MATCHED = "unembedding", "residual stream", "features", "matched features"

CONCEPTS, WITH_KINDS = "concepts", "concepts and kinds"
MIN_CONCEPTS = 4  # fewer have too few cosines to correlate


@dataclass(frozen=True)
class WordRows:
    """One whitened row a word.

    Shapes:
        rows: (n_words, rank).
    """

    words: tuple[str, ...]
    rows: Float[np.ndarray, "n_words rank"]

    def of(self, words: Sequence[str]) -> Float[np.ndarray, "n rank"]:
        """Rows of these words, in their order.

        Raises:
            ValueError: a word without a row.
        """
        place = {word: number for number, word in enumerate(self.words)}
        missing = [word for word in words if word not in place]
        if missing:
            raise ValueError(f"no row for {', '.join(missing[:5])}; ask for words that `words` has")
        return self.rows[[place[word] for word in words]]


def unembedding_words(model: Any, tokenizer: Any, words: Sequence[str]) -> WordRows:
    """Rows of the unembedding, whitened by those of the whole vocabulary (special tokens left out).

    Args:
        words: those that are one token, after a space, are kept.
    Raises:
        ValueError: not one word is a single token.
    """
    unembedding = model.W_U.detach().cpu().double().numpy().T
    listed = listed_tokens(tokenizer, n_vocab=len(unembedding))
    split = continuation_ids(tokenizer, [f" {word}" for word in words])
    ids = {word: found[0] for word, found in zip(words, split, strict=True) if len(found) == 1 and listed[found[0]]}
    if not ids:
        raise ValueError(f"none of {len(words)} words is a single token of this model; choose words of its vocabulary")
    whitening = fit_whitening(unembedding[listed])
    return WordRows(tuple(ids), whitening.apply(unembedding[list(ids.values())]))


def residual_words(
    store: ActivationStore,
    directions: Float[np.ndarray, "d_sae d_in"],
    table: WordTable,
    words: Sequence[str],
    *,
    min_count: int = 10,
) -> WordRows:
    """Mean of what a dictionary writes at each word, whitened by these means.

    Args:
        table: whole words of the store's rows. min_count: rows that a word needs.
    Raises:
        ValueError: as `word_directions` and `fit_whitening` (more words than dimensions are needed).
    """
    found = word_directions(store, directions, vocabulary=table.words, word_ids=table.word_ids, wanted=words)
    known = found.known(words, ignore_case=True, min_count=min_count)
    means = found.means(known, ignore_case=True)
    return WordRows(tuple(known), fit_whitening(means).apply(means))


def feature_words(
    table: FeatureTable,
    directions: Float[np.ndarray, "d_sae d_in"],
    counts: Any,
    words: Sequence[str],
    *,
    min_hits: int = 3,
    min_firings: int = 10,
) -> WordRows:
    """Mean decoder row of the features of each word, whitened by the rows of all features that fire often enough.

    Shapes:
        counts: (d_sae,), tokens on which every feature fires.
    Args:
        table: described features (notebook 03). min_hits: of a feature's 5 strongest examples, so many fire on the words.
    Raises:
        ValueError: no feature fires on any of the words, or as `fit_whitening`.
    """
    alive = np.asarray(counts) >= min_firings
    found = FeatureIndex(table).find(words, ignore_case=True, min_hits=min_hits)
    usable = alive[found.ids]
    if not usable.any():
        raise ValueError(f"no feature fires on any of {len(words)} words; lower min_hits or min_firings")
    labels = [word for word, kept in zip(found.words, usable, strict=True) if kept]
    return _mean_rows(labels, fit_whitening(directions[alive]).apply(directions[found.ids[usable]]))


def matched_feature_words(
    table: FeatureTable, pairs: FeaturePairs, sides: Sequence[tuple[np.ndarray, np.ndarray]], words: Sequence[str],
    *, min_hits: int = 3,
) -> tuple[WordRows, WordRows]:  # fmt: skip
    """The same of both models through matched features: pairs are named by the word of the first model's feature.

    Args:
        table: of the first model. pairs: those that count. sides: of each model its directions (d_sae, d_in) and which of
            them whiten (d_sae,) bool.
    Raises:
        ValueError: no pair fires on any of the words.
    """
    found = FeatureIndex(table).find(words, ignore_case=True, min_hits=min_hits)
    word_of = dict(zip(found.ids.tolist(), found.words, strict=True))
    named = np.array([int(i) in word_of for i in pairs.ids_a], dtype=bool)
    if not named.any():
        raise ValueError(f"no matched feature fires on any of {len(words)} words; lower min_corr or min_hits")
    chosen = pairs.select(named)
    labels = [word_of[int(i)] for i in chosen.ids_a]
    first, second = (
        _mean_rows(labels, fit_whitening(directions[alive]).apply(directions[ids]))
        for (directions, alive), ids in zip(sides, (chosen.ids_a, chosen.ids_b), strict=True)
    )
    return first, second


def load_word_rows(
    read: Read,
    matching: str,
    words: Sequence[str],
    *,
    device: str | torch.device = "cpu",
    min_count: int = 10,
    min_hits: int = 3,
    min_firings: int = 10,
    min_corr: float = 0.5,
) -> dict[str, tuple[WordRows, WordRows]]:
    """All kinds of rows of both models of a matching.

    Args:
        read: gives the result of a notebook's run, e.g. `stage.upstream`.
        matching: run of 04_match_features. min_corr: pairs below do not count as partners.
        others: as for the functions above.
    Returns:
        "unembedding", "residual stream", "features", "matched features" -> rows of both models.
    Raises:
        ValueError: what the functions above refuse.
    """
    sides, found = load_sides(read, matching), load_matched_spaces(read, matching)
    tables, table = describe_sides(read, matching, sides), build_words(sides.tokens, sides.tokenizer)
    both: dict[str, list[WordRows]] = {UNEMBEDDING: [], RESIDUAL: [], FEATURES: []}
    written = (found.directions_a, found.directions_b)
    stores = (sides.store_a, sides.store_b)
    for name, store, directions, features in zip(sides.names, stores, written, tables, strict=True):
        model = read("02_train_saes", name).params["model"]
        reference = ModelReference.load(read("01_language_models", model).artifact("model"))
        loaded, tokenizer = reference.load_model(device=device), reference.load_tokenizer()
        both[UNEMBEDDING].append(unembedding_words(loaded, tokenizer, words))
        both[RESIDUAL].append(residual_words(store, directions, table, words, min_count=min_count))
        options = {"min_hits": min_hits, "min_firings": min_firings}
        both[FEATURES].append(feature_words(features, directions, store.feature_counts, words, **options))
    alive = [np.asarray(store.feature_counts) >= min_firings for store in stores]
    partners = list(zip(written, alive, strict=True))
    of_pairs = matched_feature_words(tables[0], found.pairs.above(min_corr), partners, words, min_hits=min_hits)
    return {space: (first, second) for space, (first, second) in both.items()} | {MATCHED: of_pairs}


def shared_nest(taxonomy: Taxonomy, a: WordRows, b: WordRows) -> tuple[Nest, np.ndarray, np.ndarray]:
    """The taxonomy over the words that both have, and the rows of both in its order.

    Raises:
        ValueError: no word of the taxonomy is in both.
    """
    kept = taxonomy.keep(set(a.words) & set(b.words))
    return kept.nest(kept.all_words), a.of(kept.all_words), b.of(kept.all_words)


def hierarchies_agree(
    rows_a: Any, rows_b: Any, nest: Nest, *, min_words: int = 4, n_permutations: int = 999, seed: int = 0
) -> dict[str, PermutationResult]:
    """Do two models arrange the concepts alike? Correlations of their tables of cosines.

    Shapes:
        rows_a: (n_words, d_a); rows_b: (n_words, d_b), whitened, the same words.
    Args:
        min_words: concepts of fewer words are left out.
    Returns:
        "concepts": only concepts with words of their own, which share none; null: concepts of b in any order.
        "concepts and kinds": all of them. Tables of nested sets are alike by their shape, so the null moves b's concepts
        about *in* the taxonomy: its mean is what the shape alone gives.
        With fewer than four such concepts both are undefined.
    """
    own = np.bincount(nest.owners, minlength=len(nest.names))
    places = np.flatnonzero(own >= min_words)
    settings: dict[str, Any] = {"n_permutations": n_permutations, "seed": seed}
    if len(places) < MIN_CONCEPTS:
        reason = f"{len(places)} concepts of {min_words} words; at least {MIN_CONCEPTS} are needed"
        return {
            question: PermutationResult.without_score(
                Scale("nested_cosines"), null_kind="pairing", n_rows=len(places), reason=reason, settings=settings
            )
            for question in (CONCEPTS, WITH_KINDS)
        }
    own_members = nest.owners[:, None] == places
    sides = [concept_directions(rows, own_members, method="mean") for rows in (rows_a, rows_b)]
    disjoint = permutation_test(*sides, measure="rsa", inner="cosine", outer="pearson", **settings)
    kept = np.flatnonzero(nest.sizes >= min_words)
    upper = np.triu_indices(len(kept), k=1)
    table_a = cosines(concept_directions(rows_a, nest.members[:, kept], method="mean"))[upper]
    rows_b = np.asarray(rows_b, dtype=np.float64)

    def score(members: np.ndarray) -> float:
        chosen = members[:, kept]
        means = (chosen.T @ rows_b) / np.maximum(chosen.sum(axis=0), 1)[:, None]
        return float(np.corrcoef(table_a, cosines(means)[upper])[0, 1])

    rng = null_rng(seed)
    null = np.array([score(moved_concepts(nest, rng)[0].members) for _ in range(n_permutations)])
    nested = summarise(
        Scale("nested_cosines"), score(nest.members), null, len(kept), settings | {"null": "moved concepts"},
        null_kind="pairing",
    )  # fmt: skip
    return {CONCEPTS: disjoint, WITH_KINDS: nested}


def found_names(results: Mapping[str, PermutationResult], *, alpha: float = 0.05) -> list[str]:
    """Names of the tests that are above chance after the correction over all of them."""
    return [test.name for test in correct_tests(results, alpha=alpha) if test.significant]


def _mean_rows(labels: Sequence[str], rows: np.ndarray) -> WordRows:
    words, which = np.unique(labels, return_inverse=True)
    sums = np.zeros((len(words), rows.shape[1]))
    np.add.at(sums, which, rows)
    return WordRows(tuple(map(str, words)), sums / np.bincount(which)[:, None])
