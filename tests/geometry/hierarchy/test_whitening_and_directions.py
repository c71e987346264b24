"""Whitening takes the arbitrary axes away; directions and simplexes are what their formulas say."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from helpers.geometry.hierarchy import (
    concept_direction,
    concept_directions,
    cosines,
    fit_whitening,
    held_out_kinds,
    held_out_projections,
    held_out_words,
    planted_hierarchy,
    shown_order,
    sibling_simplex,
    simplexes,
    step_cosines,
)

# Sums of a thousand float64 products of size 1; the compared numbers are larger than 0.01.
ROUNDING = 1e-9


@pytest.fixture(scope="module")
def planted():
    return planted_hierarchy(seed=3)


def test_the_reference_becomes_white():
    rng = np.random.default_rng(0)
    reference = rng.standard_normal((200, 8)) @ rng.standard_normal((8, 8)) + 5
    white = fit_whitening(reference).apply(reference)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=ROUNDING)
    np.testing.assert_allclose(white.T @ white / 200, np.eye(8), atol=ROUNDING)


def test_constant_columns_and_lost_dimensions_are_left_out():
    rng = np.random.default_rng(1)
    varied = rng.standard_normal((100, 5))
    reference = np.column_stack([varied, np.full(100, 7.0), varied[:, 0] + varied[:, 1]])
    whitening = fit_whitening(reference)
    assert whitening.rank == 5
    plain = fit_whitening(varied).apply(varied)
    found = whitening.apply(reference)
    np.testing.assert_allclose(found @ found.T, plain @ plain.T, atol=1e-7)  # cut at 1e-6, rounding far below


def test_an_invertible_map_of_the_vocabulary_changes_nothing(planted):
    """What whitening is for: same model, other axes. Without it the same numbers change (the trap)."""
    nest = planted.taxonomy.nest(planted.taxonomy.all_words)
    d = planted.rows.shape[1]
    mixing = np.random.default_rng(4).standard_normal((d, d)) * np.geomspace(1, 30, d)
    shift = np.linspace(0, 3, d)

    def numbers(rows, vocabulary):
        x = fit_whitening(vocabulary).apply(rows)
        directions = concept_directions(x, nest.members, method="lda")
        words = [r.score for r in held_out_words(x, nest, n_permutations=1).values()]
        kinds = [r.score for of in held_out_kinds(x, nest, n_permutations=1).values() for r in of.values()]
        placed = held_out_projections(x, nest.members[:, 1], method="lda")
        return np.concatenate([cosines(directions).ravel(), step_cosines(directions, nest), words, kinds, placed])

    before = numbers(planted.rows, planted.vocabulary)
    after = numbers(planted.rows @ mixing + shift, planted.vocabulary @ mixing + shift)
    np.testing.assert_allclose(after, before, atol=1e-5)  # the map's condition number is 1e3 to 1e4
    raw, mixed = (cosines(concept_directions(x, nest.members)) for x in (planted.rows, planted.rows @ mixing))
    assert np.abs(raw - mixed).max() > 0.1


def test_bad_references_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="20 rows that vary in 19 dimensions are all equally far apart"):
        fit_whitening(rng.standard_normal((20, 40)))
    with pytest.raises(ValueError, match="all reference rows are equal"):
        fit_whitening(np.ones((5, 3)))
    for bad in (np.ones((1, 3)), np.ones(4), np.full((3, 2), np.nan)):
        with pytest.raises(ValueError, match="finite matrix"):
            fit_whitening(bad)
    white = fit_whitening(rng.standard_normal((20, 3)))
    with pytest.raises(ValueError, match="finite rows of 3 columns"):
        white.apply(np.ones((2, 4)))


def test_as_few_rows_as_dimensions_are_equally_far_apart():
    """Why they are refused: the inner products of any such rows are those of a regular simplex."""
    rows = np.random.default_rng(2).standard_normal((6, 10)) * np.arange(1, 11)
    centred = rows - rows.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    white = centred @ (axes[:5].T * np.sqrt(6) / spread[:5])
    np.testing.assert_allclose(white @ white.T, 6 * np.eye(6) - 1, atol=ROUNDING)


def test_lda_is_the_mean_through_the_shrunk_covariance():
    rng = np.random.default_rng(0)
    words = rng.standard_normal((12, 20)) * np.linspace(0.2, 3, 20) + 1
    covariance, shrinkage = ledoit_wolf(words)
    assert 0.01 < shrinkage < 1
    mean = words.mean(axis=0)
    slope = np.linalg.solve(covariance, mean)
    expected = slope * (mean @ slope) / (slope @ slope)
    np.testing.assert_allclose(concept_direction(words, method="lda"), expected, atol=ROUNDING)
    np.testing.assert_array_equal(concept_direction(words, method="mean"), mean)
    assert np.abs(expected - mean).max() > 0.1


@pytest.mark.parametrize("method", ["mean", "lda"])
@pytest.mark.parametrize("n", [1, 2, 3, 30])
def test_own_words_project_at_one_on_average(method, n):
    words = np.random.default_rng(n).standard_normal((n, 10)) + 1
    direction = concept_direction(words, method=method)
    assert (words @ direction).mean() / (direction @ direction) == pytest.approx(1, abs=ROUNDING)


def test_degenerate_concepts():
    """Equal words have no covariance, and their mean is the answer; zero vectors have no direction."""
    same = np.tile([1.0, 2.0, 0.0], (4, 1))
    np.testing.assert_allclose(concept_direction(same, method="lda"), [1, 2, 0])
    with pytest.raises(ValueError, match="mean of length 0"):
        concept_direction(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="method must be one of mean, lda; got 'pca'"):
        concept_direction(same, method="pca")
    with pytest.raises(ValueError, match="at least one word"):
        concept_direction(np.empty((0, 3)))
    with pytest.raises(ValueError, match="one row for each of 5 words"):
        concept_directions(same, np.ones((5, 2), dtype=bool))
    assert not concept_directions(same, np.zeros((4, 1), dtype=bool)).any()
    with pytest.raises(ValueError, match="direction 1 has length 0"):
        cosines(np.array([[1.0, 0], [0, 0]]))


def test_four_words_whose_formula_says_no_shrinkage():
    """Words at the corners of a regular figure: without a floor the inverse would not exist."""
    corners = np.vstack([np.eye(4), -np.eye(4)])[:4] * 3 + 1
    assert np.isfinite(concept_direction(corners, method="lda")).all()
    pair = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, -1.0]])
    assert ledoit_wolf(pair)[1] == 0
    direction = concept_direction(pair, method="lda")
    np.testing.assert_allclose(direction, [1, 1, 0], atol=ROUNDING)


def test_means_of_nested_sets_are_orthogonal_by_identity(planted):
    """The trap in "mean" directions: weighted by size, a parent's products with its steps sum to 0, whatever the words."""
    nest = planted.taxonomy.nest(planted.taxonomy.all_words)
    noise = np.random.default_rng(8).standard_normal(planted.rows.shape)
    directions = concept_directions(noise, nest.members, method="mean")
    for parent in np.flatnonzero(nest.parents < 0):
        children = np.flatnonzero(nest.parents == parent)
        products = (directions[children] - directions[parent]) @ directions[parent]
        assert products @ nest.sizes[children] == pytest.approx(0, abs=ROUNDING)


def test_step_cosines_by_hand(planted):
    nest = planted.taxonomy.nest(planted.taxonomy.all_words[:16])  # two concepts of one kind
    assert nest.edges.tolist() == [[1, 0], [2, 0]]
    directions = np.zeros((len(nest.names), 2))
    directions[:3] = [[1, 0], [1, 1], [2, 1]]
    np.testing.assert_allclose(step_cosines(directions, nest), [0, np.sqrt(0.5)])
    directions[1] = directions[0]
    with pytest.raises(ValueError, match="'kind 0, concept 0' and its parent have the same direction"):
        step_cosines(directions, nest)


def test_a_regular_simplex_is_one_and_a_line_is_none():
    regular = sibling_simplex(np.eye(4) + 3)
    assert regular.cosine == pytest.approx(regular.regular_cosine) and regular.regular_cosine == pytest.approx(-1 / 3)
    assert regular.spread == pytest.approx(0, abs=1e-7) and regular.flatness == pytest.approx(1)
    line = sibling_simplex(np.array([[0.0, 0], [1, 0], [5, 0]]))
    assert line.flatness == pytest.approx(0, abs=1e-7) and line.spread > 0.5
    with pytest.raises(ValueError, match="at least 3 siblings"):
        sibling_simplex(np.eye(2))


def test_simplexes_and_order_follow_the_taxonomy(planted):
    nest = planted.taxonomy.nest(planted.taxonomy.all_words)
    found = simplexes(concept_directions(planted.rows, nest.members), nest)
    assert list(found) == [f"kind {i}" for i in range(5)] and {s.n for s in found.values()} == {4}
    assert [nest.names[i] for i in shown_order(nest, ["kind 1"])] == [
        "kind 1",
        *(f"kind 1, concept {j}" for j in range(4)),
    ]
    assert len(shown_order(nest, [])) == len(nest.names)
