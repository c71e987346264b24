"""Analogies in two models: is the map of one the map of the other?

Two questions. Do the steps from source to target differ among the pairs in the same way in both models (no axes in
common are needed)? And does the first model's map, carried over by the words that have no part in it, find the partners
in the second?

The first has a trap. Words of two models are arranged alike, so differences between *any* words are, too. The null must
pair the roles wrongly in both models in the same way, and ask whether the right steps are more alike than wrong ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import pdist
from scipy.stats import rankdata

from helpers.comparison.hierarchy import WordRows
from helpers.geometry.analogies import MAP_METHODS, Analogy, MapMethod, held_out_partners
from helpers.geometry.family_tests import Scale
from helpers.nulls import PermutationResult, correct_tests
from helpers.nulls.permutation import null_rng, summarise

STEPS, CARRIED = "steps alike", "map carried over"


@dataclass(frozen=True)
class AnalogyTests:
    """All tests of one analogy in one kind of rows.

    Args:
        analogy: with the words that both models know.
        inside: model -> method -> partners left out, beside shuffled partners.
        within: model -> method -> the same beside partners shuffled among like roles; empty if none are stated.
        across: question -> the models compared.
    """

    analogy: Analogy
    inside: dict[str, dict[MapMethod, PermutationResult]]
    within: dict[str, dict[MapMethod, PermutationResult]]
    across: dict[str, PermutationResult]


def carrying_map(
    rows_a: Float[np.ndarray, "n d_a"], rows_b: Float[np.ndarray, "n d_b"], *, ridge: float = 1.0
) -> Float[np.ndarray, "d_a d_b"]:
    """Linear map from rows of a to rows of b of the same words, by least squares with a small penalty.

    Args:
        ridge: penalty, in units of the mean variance of a word (rows are whitened: 1 a dimension).
    Raises:
        ValueError: rows of different words.
    """
    if len(rows_a) != len(rows_b):
        raise ValueError(f"expected rows of the same words; got {len(rows_a)} and {len(rows_b)}")
    square = rows_a.T @ rows_a
    penalty = ridge * np.trace(square) / len(rows_a)
    return np.linalg.solve(square + penalty * np.eye(len(square)), rows_a.T @ rows_b)


def steps_alike(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], *, n_permutations: int = 199, seed: int = 0
) -> PermutationResult:
    """Are the steps from source to target arranged alike in two models, more than steps to wrong partners?

    Shapes:
        a: x (n, d_a) and y (n, d_a); b: x (n, d_b) and y (n, d_b); row i is the same pair everywhere.
    Returns:
        RSA (Spearman of cosine distances, as whitened rows may be turned) of the steps, in [-1, 1]; null: partners
        exchanged, in both models alike.
    Raises:
        ValueError: rows of different numbers, fewer than four pairs, or rows that are all equal.
    """
    (x_a, y_a), (x_b, y_b) = a, b
    rows = (x_a, y_a, x_b, y_b)
    if len({len(side) for side in rows}) > 1 or len(x_a) < 4 or any(np.ptp(side, axis=0).max() == 0 for side in rows):
        raise ValueError(
            f"expected at least four pairs, the same in both models, that differ; got {[side.shape for side in rows]}"
        )

    def score(order: np.ndarray) -> float:
        ranks = [rankdata(pdist(steps, "cosine")) for steps in (y_a[order] - x_a, y_b[order] - x_b)]
        return float(np.corrcoef(ranks)[0, 1])

    rng = null_rng(seed)
    null = np.array([score(rng.permutation(len(x_a))) for _ in range(n_permutations)])
    settings = {"n_permutations": n_permutations, "seed": seed, "null": "wrong partners, alike in both models"}
    return summarise(Scale("steps_rsa"), score(np.arange(len(x_a))), null, len(x_a), settings, null_kind="pairing")


def analogy_tests(
    a: WordRows,
    b: WordRows,
    analogy: Analogy,
    *,
    names: tuple[str, str] = ("a", "b"),
    methods: Sequence[MapMethod] = MAP_METHODS,
    n_permutations: int = 199,
    seed: int = 0,
) -> AnalogyTests:
    """Test one analogy in both models, and across them.

    Args:
        names: of the models.
    Raises:
        ValueError: fewer than five pairs whose words both models know.
    """
    known = analogy.keep(set(a.words) & set(b.words))
    others = sorted((set(a.words) & set(b.words)) - set(known.sources) - set(known.targets))
    options: dict[str, Any] = {"n_permutations": n_permutations, "seed": seed}
    (x_a, y_a), (x_b, y_b) = ((side.of(known.sources), side.of(known.targets)) for side in (a, b))
    inside = {
        name: {method: held_out_partners(x, y, method=method, **options) for method in methods}
        for name, x, y in zip(names, (x_a, x_b), (y_a, y_b), strict=True)
    }
    within = {
        name: {method: held_out_partners(x, y, method=method, groups=known.groups, **options) for method in methods}
        for name, x, y in zip(names, (x_a, x_b), (y_a, y_b), strict=True)
        if known.alike
    }
    carry = carrying_map(a.of(others), b.of(others))
    across = {
        STEPS: steps_alike((x_a, y_a), (x_b, y_b), **options),
        CARRIED: held_out_partners(x_a, y_a @ carry, candidates=y_b, method="ridge", **options),
    }
    return AnalogyTests(known, inside, within, across)


@dataclass(frozen=True)
class MethodGrid:
    """Scores of all analogies by all methods in one model and kind of rows.

    Shapes:
        scores, found: (n_analogies, n_methods); found: above chance after the correction over all grids.
    """

    scores: np.ndarray
    found: np.ndarray


def method_grids(tests: Mapping[str, Sequence[AnalogyTests]], *, alpha: float = 0.05) -> dict[str, MethodGrid]:
    """Arrange the tests inside the models, corrected together.

    Args:
        tests: kind of rows -> analogies, the same in every kind.
    Returns:
        "model, kind" -> grid; rows are analogies, columns methods, in their order.
    """
    flat = {
        (f"{model}, {space}", number, method): result
        for space, found in tests.items()
        for number, of_analogy in enumerate(found)
        for model, by_method in of_analogy.inside.items()
        for method, result in by_method.items()
    }
    corrected = correct_tests({str(key): result for key, result in flat.items()}, alpha=alpha)
    grids: dict[str, MethodGrid] = {}
    for panel in dict.fromkeys(panel for panel, _, _ in flat):
        chosen = [test for (name, _, _), test in zip(flat, corrected, strict=True) if name == panel]
        shape = (len({number for name, number, _ in flat if name == panel}), -1)
        scores = np.array([test.score for test in chosen], dtype=float).reshape(shape)
        grids[panel] = MethodGrid(scores, np.array([bool(test.significant) for test in chosen]).reshape(shape))
    return grids


def within_groups(tests: Mapping[str, Sequence[AnalogyTests]], method: MapMethod) -> dict[str, PermutationResult]:
    """Row of a table -> partners shuffled among like roles only, for the analogies that state some."""
    return {
        f"{found.analogy.name}, {model}, {space}": by_method[method]
        for space, of_space in tests.items()
        for found in of_space
        for model, by_method in found.within.items()
    }


def across_models(tests: Mapping[str, Sequence[AnalogyTests]]) -> dict[str, PermutationResult]:
    """Row of a table -> one model's map in the other."""
    return {
        f"{found.analogy.name}, {space}: {question}": result
        for space, of_space in tests.items()
        for found in of_space
        for question, result in found.across.items()
    }
