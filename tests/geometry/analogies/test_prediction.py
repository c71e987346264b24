"""Planted analogies are found, wrong partners are not, and every map is what its name says."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import Ridge

from helpers.geometry.analogies import MAP_METHODS, held_out_partners, planted_analogy


def ranked(predicted, options, right):
    cosine = options @ predicted / np.linalg.norm(options, axis=1)
    others = np.delete(cosine, right)
    return np.mean(others < cosine[right])


def brute_force(x, y, predict):
    scores = []
    for left_out in range(len(x)):
        kept = np.arange(len(x)) != left_out
        mx, my = x[kept].mean(axis=0), y[kept].mean(axis=0)
        scores.append(ranked(predict(x[kept] - mx, y[kept] - my, x[left_out] - mx), y - my, left_out))
    return np.mean(scores)


def by_ridge(sources, targets, query):
    penalty = np.trace(sources @ sources.T) / len(sources)
    return Ridge(alpha=penalty, fit_intercept=False).fit(sources, targets).predict(query[None])[0]


def by_rotation(sources, targets, query):
    """A rotation is undetermined off the sources' span, where the prediction is 0 here."""
    axes = np.linalg.svd(sources, full_matrices=False)[2][: len(sources) - 1]
    joint = (sources @ axes.T).T @ targets
    left, _, right = np.linalg.svd(joint, full_matrices=False)
    return axes @ query @ left @ right


@pytest.mark.parametrize(
    ("method", "predict"),
    [("ridge", by_ridge), ("procrustes", by_rotation), ("offset", lambda _s, _t, query: query)],
)
def test_maps_by_brute_force(method, predict):
    planted = planted_analogy(noise=0.6, seed=1)
    found = held_out_partners(planted.x, planted.y, method=method, n_permutations=1)
    assert found.score == pytest.approx(brute_force(planted.x, planted.y, predict))


def test_the_rotation_is_the_known_one():
    """With more pairs than dimensions there is one best rotation, which scipy finds, too."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 5))
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    y = x @ turn + 0.5 * rng.standard_normal((30, 5))
    found = held_out_partners(x, y, method="procrustes", n_permutations=1)
    assert found.score == pytest.approx(brute_force(x, y, lambda s, t, q: q @ orthogonal_procrustes(s, t)[0]))


@pytest.mark.parametrize("method", MAP_METHODS)
def test_planted_maps_are_found_and_wrong_partners_are_not(method):
    planted = planted_analogy(rotated=method != "offset", seed=0)
    found = held_out_partners(planted.x, planted.y, method=method)
    assert found.p_value == 1 / 200 and found.score > 0.85 and 0 < found.settings["first"] <= 1
    assert found.null_mean == pytest.approx(0.5, abs=0.06)
    p_values = []
    for seed in range(20):
        wrong = np.random.default_rng(seed).permutation(len(planted.y))
        p_values.append(held_out_partners(planted.x, planted.y[wrong], method=method, n_permutations=39).p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.2  # 5 % expected of 20


def test_a_rotated_domain_is_no_parallelogram():
    planted = planted_analogy(rotated=True, seed=0)
    assert held_out_partners(planted.x, planted.y, method="offset").p_value > 0.05


def test_fitting_is_no_evidence():
    """The trap: in more dimensions than pairs a map of noise fits every pair it has seen, and predicts none."""
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((2, 10, 64))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    fitted = x @ (np.linalg.pinv(x) @ y)
    assert np.mean([ranked(fitted[i], y, i) for i in range(10)]) == 1
    assert held_out_partners(x, y, method="ridge").p_value > 0.05


@pytest.mark.parametrize("method", MAP_METHODS)
def test_rotations_shifts_and_order_change_nothing(method):
    planted = planted_analogy(rotated=False, noise=0.5, seed=4)
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((32, 32)))[0]
    other = turn if method == "offset" else np.linalg.qr(rng.standard_normal((32, 32)))[0]
    order = rng.permutation(len(planted.x))
    before = held_out_partners(planted.x, planted.y, method=method, n_permutations=1).score
    after = held_out_partners(
        planted.x[order] @ turn + 3, planted.y[order] @ other - 1, method=method, n_permutations=1
    )
    assert after.score == pytest.approx(before)


def test_what_groups_share_is_no_map_of_roles():
    """The trap: partners of two groups, with nothing else in common, beat any shuffle but that inside the groups."""
    groups = np.repeat([0, 1], 9)
    among_all, inside = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        centre = rng.standard_normal((2, 2, 24)) * 3
        x, y = (centre[side][groups] + rng.standard_normal((18, 24)) for side in (0, 1))
        among_all.append(held_out_partners(x, y, method="ridge", n_permutations=99).p_value)
        inside.append(held_out_partners(x, y, method="ridge", groups=groups, n_permutations=99).p_value)
    assert max(among_all) <= 0.05
    assert np.sum(np.array(inside) <= 0.05) <= 4  # one expected of twenty


def test_candidates_of_another_space_are_ranked():
    planted = planted_analogy(seed=0)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((32, 32)))[0]
    plain = held_out_partners(planted.x, planted.y, n_permutations=1)
    carried = held_out_partners(planted.x, planted.y @ turn, candidates=planted.y @ turn + 2, n_permutations=1)
    assert carried.score == pytest.approx(plain.score)


def test_bad_input_is_refused():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 6, 4))
    for arguments, options, message in (
        ((x, y), {"method": "linear"}, "method must be one of offset"),
        ((x[:5], y), {}, "a row for every pair"),
        ((x, np.full((6, 4), np.nan)), {}, "a row for every pair"),
        ((x, y[:, :3]), {"method": "offset"}, "must have the columns of y"),
        ((x, y), {"candidates": y[:, :3]}, "must have the columns of y"),
        ((x, y), {"candidates": y, "method": "cca"}, "no prediction in another space"),
        ((x[:4], y[:4]), {}, "at least 5 pairs"),
        ((np.ones((6, 4)), y), {}, "all rows of x are equal"),
        ((x, np.zeros((6, 4))), {}, "all rows of y are equal"),
        ((x, y), {"groups": np.arange(6)}, "every pair is a group by itself"),
    ):
        with pytest.raises(ValueError, match=message):
            held_out_partners(*arguments, **options)
    with pytest.raises(ValueError, match="at most half of d"):
        planted_analogy(d=4)
