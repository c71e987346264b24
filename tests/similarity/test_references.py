"""Every measure against an independent implementation, hand-computed values, and formulas known to be wrong."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import scipy.linalg
from scipy.spatial import procrustes as scipy_procrustes
from scipy.spatial.distance import cdist, pdist
from scipy.stats import kendalltau, ortho_group, pearsonr, spearmanr
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors
from statsmodels.multivariate.cancorr import CanCorr

from helpers.similarity import (
    MEASURES,
    UndefinedMeasure,
    cca,
    knn_jaccard,
    linear_cka,
    mmcs,
    mutual_knn,
    orthogonal_procrustes,
    permutation_procrustes,
    pwcca,
    rsa,
    singular_value_distance,
    svcca,
)
from helpers.similarity.chance import chance_alignment
from helpers.similarity.inputs import centred, nuclear_norm
from helpers.similarity.neighbours import nearest_neighbours

# Both sides of every comparison are float64 computations of O(1) numbers by different routes.
TOLERANCE = 1e-9


def canonical_correlations(x, y):
    return CanCorr(y, x).cancorr


def dense_cka(x, y):
    n = len(x)
    h = np.eye(n) - 1 / n
    k, l = h @ x @ x.T @ h, h @ y @ y.T @ h
    return np.trace(k @ l) / np.sqrt(np.trace(k @ k) * np.trace(l @ l))


def song_hsic(k, l):
    """Equation 5 of Song et al. 2012, term by term."""
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))
    one = np.ones(n)
    total = np.trace(k @ l) + (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2)) - 2 / (n - 2) * one @ k @ l @ one
    return total / (n * (n - 3))


def dense_debiased_cka(x, y):
    k, l = x @ x.T, y @ y.T
    return song_hsic(k, l) / np.sqrt(song_hsic(k, k) * song_hsic(l, l))


def distance_correlation(x, y, inner, outer):
    correlate = {"spearman": spearmanr, "pearson": pearsonr, "kendall": kendalltau}[outer]
    return correlate(pdist(x, inner), pdist(y, inner)).statistic


def neighbour_sets(x, k, metric):
    distances = cdist(x, x, metric)
    np.fill_diagonal(distances, np.inf)
    return [set(row[:k]) for row in np.argsort(distances, axis=1)]


def jaccard(x, y, k, metric):
    pairs = zip(neighbour_sets(x, k, metric), neighbour_sets(y, k, metric), strict=True)
    return np.mean([len(a & b) / len(a | b) for a, b in pairs])


def overlap(x, y, k, metric):
    pairs = zip(neighbour_sets(x, k, metric), neighbour_sets(y, k, metric), strict=True)
    return np.mean([len(a & b) / k for a, b in pairs])


def projection_weighted(x, y):
    """PWCCA with canonical variates from the whitened cross-covariance."""
    x, y = x - x.mean(0), y - y.mean(0)
    values_x, vectors_x = np.linalg.eigh(x.T @ x)
    values_y, vectors_y = np.linalg.eigh(y.T @ y)
    white_x = vectors_x @ np.diag(values_x**-0.5) @ vectors_x.T
    white_y = vectors_y @ np.diag(values_y**-0.5) @ vectors_y.T
    a, correlations, _ = np.linalg.svd(white_x @ x.T @ y @ white_y)
    variates = (x @ white_x @ a)[:, : len(correlations)]
    weights = np.abs(variates.T @ x).sum(axis=1)
    return weights @ correlations / weights.sum()


@pytest.fixture
def sides():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((80, 7)) + 0.5
    y = x[:, :5] @ rng.standard_normal((5, 5)) + 1.5 * rng.standard_normal((80, 5)) - 2
    return x, y


def test_cca_is_the_mean_of_statsmodels_canonical_correlations(sides):
    expected = canonical_correlations(*sides).mean()
    assert cca(*sides) == pytest.approx(expected, abs=TOLERANCE)
    # R squared, which some libraries return as "the score" of CCA, is another number.
    assert abs(cca(*sides) - (canonical_correlations(*sides) ** 2).mean()) > 0.05


def test_svcca_is_cca_of_the_leading_components(sides):
    def leading(side, variance):
        side = side - side.mean(0)
        u, s, _ = np.linalg.svd(side, full_matrices=False)
        share = np.cumsum(s**2) / np.sum(s**2)
        return (u * s)[:, : int(np.argmax(share >= variance)) + 1]

    for variance in (0.5, 0.8, 0.99):
        kept = [leading(side, variance) for side in sides]
        expected = canonical_correlations(*kept).mean()
        assert svcca(*sides, variance=variance) == pytest.approx(expected, abs=TOLERANCE)
    assert svcca(*sides, variance=1.0) == pytest.approx(cca(*sides), abs=TOLERANCE)


def test_svcca_with_one_component_is_the_correlation_of_first_principal_components(sides):
    first = [np.linalg.svd(side - side.mean(0), full_matrices=False)[0][:, 0] for side in sides]
    expected = abs(np.corrcoef(*first)[0, 1])
    assert svcca(*sides, n_components=1) == pytest.approx(expected, abs=TOLERANCE)


def test_svcca_does_not_compare_a_fraction_with_the_total(sides):
    """The published slip: cumulative fraction < 0.99 * total variance is false at once, so one component is kept."""
    x, y = (10 * side for side in sides)  # total variance far above 1
    values = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
    published = int(np.sum(np.cumsum(values) / values.sum() > 0.99 * values.sum()))  # never reached
    assert published == 0
    assert abs(svcca(x, y) - svcca(x, y, n_components=1)) > 0.05
    assert svcca(x, y) == pytest.approx(svcca(*sides), abs=TOLERANCE)


def test_svcca_keeps_exactly_enough_components():
    """Equal directions: a share of k / n_directions is met by k components, rounding or not, and more needs one more."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal((60, 2))
    for n_directions in [*range(2, 12)] * 5:
        x = rng.standard_normal((60, n_directions))
        x = np.linalg.qr(x - x.mean(0))[0] * rng.uniform(0.3, 3)
        for kept in range(1, n_directions + 1):
            for variance, expected in ((kept / n_directions, kept), (kept / n_directions - 0.01, kept)):
                details = MEASURES["svcca"].compare(x, y, variance=variance).details
                assert details["n_components_x"] == expected


def test_cca_family_is_undefined_where_it_would_be_one_for_anything():
    x, y = np.random.default_rng(0).standard_normal((50, 512)), np.random.default_rng(1).standard_normal((50, 768))
    for measure in (cca, svcca, pwcca):
        with pytest.raises(UndefinedMeasure, match=r"k_x \+ k_y > n - 1"):
            measure(x, y)
    # The edge itself: 12 + 12 dimensions of 25 rows are defined, of 24 rows they are not.
    assert cca(x[:25, :12], y[:25, :12]) < 1
    with pytest.raises(UndefinedMeasure):
        cca(x[:24, :12], y[:24, :12])


def test_pwcca_is_the_weighted_mean_over_whitened_variates(sides):
    assert pwcca(*sides) == pytest.approx(projection_weighted(*sides), abs=TOLERANCE)
    assert abs(pwcca(*sides) - cca(*sides)) > 1e-3


@pytest.mark.parametrize("width", [7, 200])
def test_linear_cka_is_the_dense_formula(width):
    """Width 200 takes the path over Gram matrices, width 7 that over the product of the data."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, width)) * np.geomspace(1, 0.05, width) + 1
    y = x[:, ::-1] * 0.3 + rng.standard_normal((60, width)) * np.geomspace(1, 0.05, width)
    assert linear_cka(x, y) == pytest.approx(dense_cka(x, y), abs=TOLERANCE)
    assert linear_cka(x, y, debiased=True) == pytest.approx(dense_debiased_cka(x, y), abs=TOLERANCE)
    assert abs(dense_debiased_cka(x, y) - dense_cka(x, y)) > 0.01


def test_linear_cka_refuses_rows_that_any_pairing_would_align():
    x, y = np.random.default_rng(0).standard_normal((2, 50, 512))
    assert dense_cka(x, y) > 0.9  # unrelated data
    with pytest.raises(UndefinedMeasure, match="effective dimensions per row"):
        linear_cka(x, y)
    with pytest.raises(UndefinedMeasure, match="effective dimensions per row"):
        orthogonal_procrustes(x, y)
    assert abs(linear_cka(x, y, debiased=True)) < 0.1


def test_chance_alignment_is_the_mean_over_pairings():
    rng = np.random.default_rng(0)
    x, y = centred(rng.standard_normal((5, 3)), name="x"), centred(rng.standard_normal((5, 4)), name="y")
    scores = [dense_cka(x, y[list(p)]) for p in permutations(range(5))]
    assert chance_alignment(x, y) == pytest.approx(np.mean(scores), abs=TOLERANCE)


@pytest.mark.parametrize("outer", ["spearman", "pearson", "kendall"])
@pytest.mark.parametrize("inner", ["correlation", "cosine", "euclidean"])
def test_rsa_is_scipy_on_condensed_distances(sides, inner, outer):
    expected = distance_correlation(*sides, inner, outer)
    assert rsa(*sides, inner=inner, outer=outer) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("outer", ["spearman", "kendall"])
def test_rsa_with_many_ties_is_scipy(outer):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 3, (40, 2)), rng.integers(0, 3, (40, 2))
    expected = distance_correlation(x.astype(float), y.astype(float), "euclidean", outer)
    assert rsa(x, y, inner="euclidean", outer=outer) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("outer", ["spearman", "kendall"])
def test_rsa_ties_are_those_of_the_mathematics_not_of_rounding(outer):
    """Copies of a row at other lengths have the same cosine distances, which rounding would rank by chance."""
    rng = np.random.default_rng(0)
    x, y = (np.repeat(side, 4, axis=0) for side in rng.standard_normal((2, 10, 6)))
    lengths = rng.uniform(0.1, 9, size=(40, 1))
    expected = rsa(x, y, inner="cosine", outer=outer)
    assert rsa(x * lengths, y / lengths, inner="cosine", outer=outer) == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "correlation"])
def test_neighbour_measures_are_the_set_formulas(sides, metric):
    assert knn_jaccard(*sides, k=7, metric=metric) == pytest.approx(jaccard(*sides, 7, metric), abs=TOLERANCE)
    assert mutual_knn(*sides, k=7, metric=metric) == pytest.approx(overlap(*sides, 7, metric), abs=TOLERANCE)


def test_neighbours_are_those_of_scikit_learn():
    points = np.random.default_rng(0).standard_normal((1200, 4))  # more than two blocks
    found = nearest_neighbours(points, k=6, metric="cosine", name="x")
    expected = NearestNeighbors(n_neighbors=6, metric="cosine").fit(points).kneighbors(return_distance=False)
    assert (np.diff(found.starts) == 6).all() and (found.weights == 1).all()
    assert (np.sort(found.ids.reshape(-1, 6), axis=1) == np.sort(expected, axis=1)).all()


def test_tied_neighbours_share_the_places():
    """Rows 1, 2, 3 are equally far from row 0, and two places are left: each gets two thirds."""
    points = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [-1.0, 0.1]])
    found = nearest_neighbours(points, k=2, metric="cosine", name="x")
    first = slice(found.starts[0], found.starts[1])
    assert found.ids[first].tolist() == [1, 2, 3]
    assert found.weights[first] == pytest.approx([2 / 3] * 3, abs=1e-12)
    totals = np.add.reduceat(found.weights, found.starts[:-1])
    assert totals == pytest.approx(np.full(5, 2.0), abs=1e-12)


@pytest.mark.parametrize("n_copies", [1, 2, 15])
def test_neighbourhoods_of_copied_rows_follow_the_definition(n_copies):
    """Independent rule: weight 1 below the k-th distance, and an equal share of what is left at it."""
    rng = np.random.default_rng(0)
    points = np.repeat(rng.standard_normal((9, 3)), n_copies, axis=0)[rng.permutation(9 * n_copies)]
    k = 6
    found = nearest_neighbours(points, k=k, metric="euclidean", name="x")
    distances = pairwise_distances(points).round(9)
    for row in range(len(points)):
        others = np.delete(np.arange(len(points)), row)
        limit = np.sort(distances[row, others])[k - 1]
        inside, at = others[distances[row, others] < limit], others[distances[row, others] == limit]
        expected = dict.fromkeys(inside.tolist(), 1.0) | dict.fromkeys(at.tolist(), (k - len(inside)) / len(at))
        part = slice(found.starts[row], found.starts[row + 1])
        assert dict(zip(found.ids[part].tolist(), found.weights[part].tolist(), strict=True)) == pytest.approx(expected)


def test_orthogonal_procrustes_is_scipy(sides):
    x, y = sides[0][:, :5], sides[1]
    x, y = (side - side.mean(0) for side in (x, y))
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    rotation, overlap = scipy.linalg.orthogonal_procrustes(y, x)
    assert orthogonal_procrustes(*sides) != orthogonal_procrustes(x, y)
    assert orthogonal_procrustes(x, y) == pytest.approx(np.linalg.norm(x - y @ rotation), abs=TOLERANCE)
    assert orthogonal_procrustes(x, y, kind="angular") == pytest.approx(np.arccos(overlap), abs=TOLERANCE)
    # scipy.spatial.procrustes lets y be rescaled as well, which leaves 1 - overlap^2.
    assert scipy_procrustes(x, y)[2] == pytest.approx(1 - np.cos(orthogonal_procrustes(x, y, kind="angular")) ** 2)


def test_procrustes_pads_the_narrower_side(sides):
    x, y = sides
    padded = np.pad(y, ((0, 0), (0, 2)))
    assert orthogonal_procrustes(x, y) == pytest.approx(orthogonal_procrustes(x, padded), abs=TOLERANCE)
    assert permutation_procrustes(x, y) == pytest.approx(permutation_procrustes(x, padded), abs=TOLERANCE)


def test_permutation_procrustes_is_the_best_of_all_column_orders():
    rng = np.random.default_rng(0)
    x, y = (centred(side, name="x") for side in rng.standard_normal((2, 12, 4)))
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    expected = min(np.linalg.norm(x - y[:, list(order)]) for order in permutations(range(4)))
    assert permutation_procrustes(x, y) == pytest.approx(expected, abs=TOLERANCE)
    assert permutation_procrustes(x, y) > orthogonal_procrustes(x, y)


def test_mmcs_is_the_mean_of_the_best_cosines_and_not_symmetric():
    x = np.array([[2.0, 0.0], [0.0, 3.0]])
    y = np.array([[5.0, 0.0], [-1.0, 0.0], [1.0, 1.0]])
    root = np.sqrt(0.5)
    assert mmcs(x, y) == pytest.approx((1 + root) / 2, abs=TOLERANCE)
    assert mmcs(y, x) == pytest.approx((1 + 0 + root) / 3, abs=TOLERANCE)
    assert mmcs(x, y, symmetric=True) == pytest.approx((mmcs(x, y) + mmcs(y, x)) / 2, abs=TOLERANCE)
    rows, columns = np.random.default_rng(0).standard_normal((2, 2100, 3))  # several blocks
    expected = (1 - pairwise_distances(rows, columns, metric="cosine")).max(axis=1).mean()
    assert mmcs(rows, columns) == pytest.approx(expected, abs=TOLERANCE)
    # The published code takes the maximum over |cosine|; an opposite direction is not the same feature.
    assert mmcs(x[:1], y[1:2]) == pytest.approx(-1, abs=TOLERANCE)
    with pytest.raises(ValueError, match="rows of 2 and 3 columns"):
        mmcs(x, np.ones((4, 3)))


def test_singular_value_distance_by_hand():
    x, y = np.diag([3.0, 4.0]), np.array([[0.0, 5.0, 0.0]])
    assert singular_value_distance(x, y) == pytest.approx(np.hypot(0.8 - 1, 0.6), abs=TOLERANCE)
    assert singular_value_distance(x, y, normalisation="sum") == pytest.approx(
        np.hypot(4 / 7 - 1, 3 / 7), abs=TOLERANCE
    )
    rotated = ortho_group.rvs(2, random_state=0) @ x @ ortho_group.rvs(2, random_state=1)
    assert singular_value_distance(x, rotated) == pytest.approx(0, abs=1e-7)
    copied = np.vstack([x, x[:1]])  # a copied row is another spectrum
    assert singular_value_distance(x, copied) > 0.05


@pytest.mark.parametrize("smallest", [1.0, 1e-3, 1e-6, 1e-12, 0.0])
def test_nuclear_norm_keeps_small_singular_values(smallest):
    u, v = ortho_group.rvs(6, random_state=0), ortho_group.rvs(8, random_state=1)[:6]
    values = np.array([1, 0.5, 0.1, smallest, smallest, smallest])
    assert nuclear_norm(u * values @ v) == pytest.approx(values.sum(), abs=1e-11)
    assert nuclear_norm((u * values @ v).T) == pytest.approx(values.sum(), abs=1e-11)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: svcca(x, x, variance=0), "variance must be a share above 0 and at most 1; got 0"),
        (lambda x: svcca(x, x, variance=99), "variance must be a share"),
        (lambda x: svcca(x, x, n_components=0), "n_components must be at least 1; got 0"),
        (
            lambda x: rsa(x, x, inner="manhattan"),
            "inner must be one of correlation, cosine, euclidean; got 'manhattan'",
        ),
        (lambda x: rsa(x, x, outer="tau"), "outer must be one of"),
        (lambda x: knn_jaccard(x, x, k=0), "k must be at least 1 neighbour; got 0"),
        (lambda x: mutual_knn(x, x, metric="hamming"), "metric must be one of"),
        (lambda x: orthogonal_procrustes(x, x, kind="squared"), "kind must be one of distance, angular"),
        (lambda x: singular_value_distance(x, x, normalisation="max"), "normalisation must be one of l2, sum"),
        (lambda x: linear_cka(scipy.sparse.csr_array(x), x), "x must be a dense matrix; got a sparse one"),
    ],
)
def test_wrong_options_are_refused(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call(np.random.default_rng(0).standard_normal((30, 4)))
    assert not isinstance(caught.value, UndefinedMeasure)


def test_rows_without_direction_are_named():
    x, y = np.random.default_rng(0).standard_normal((2, 30, 4))
    constant, zero = x.copy(), x.copy()
    constant[4], zero[[2, 5]] = 0.1, 0
    with pytest.raises(UndefinedMeasure, match=r"1 rows of x are constant \(first: 4\)"):
        rsa(constant, y)
    with pytest.raises(UndefinedMeasure, match=r"2 rows of y are zero"):
        knn_jaccard(x, zero)
    with pytest.raises(UndefinedMeasure, match="all rows of y are equal"):
        cca(x, np.full((30, 4), 0.1))
    with pytest.raises(UndefinedMeasure, match="all distances between rows of x are equal"):
        rsa(np.eye(30), y, inner="cosine")
    with pytest.raises(UndefinedMeasure, match="the rows of y are equidistant"):
        linear_cka(x, np.eye(30), debiased=True)
