"""Links between two widths: counts against brute force, thresholds from chance, and what must not be linked."""

import numpy as np
import pytest
import scipy.sparse

from helpers.activations import ActivationStore
from helpers.geometry import link_thresholds, open_widths, random_directions, width_links


@pytest.fixture(scope="module")
def dense():
    """Firings of 6 general and 15 specific features with structure, rare, dead and constant ones among them."""
    rng = np.random.default_rng(0)
    narrow = (rng.random((3000, 6)) < 0.1) * rng.uniform(0.5, 2, (3000, 6))
    wide = (rng.random((3000, 15)) < 0.05) * rng.uniform(0.5, 2, (3000, 15))
    for child in range(6):
        wide[:, child] = narrow[:, child % 3] * (rng.random(3000) < 0.4)
    wide[:, 12] = 0
    wide[:, 13] = 1
    wide[5:, 14] = 0
    return narrow, wide, rng.normal(size=(6, 10)), rng.normal(size=(15, 10))


def brute_force(narrow, wide, W_narrow, W_wide, *, min_containment, min_cosine, min_firings):
    found = []
    for j in range(wide.shape[1]):
        for i in range(narrow.shape[1]):
            x, y = narrow[:, i] > 0, wide[:, j] > 0
            if y.sum() < min_firings or y.all() or x.sum() < min_firings or x.all():
                continue
            containment = ((x & y).sum() / y.sum() - x.mean()) / (1 - x.mean())
            cosine = W_narrow[i] @ W_wide[j] / np.linalg.norm(W_narrow[i]) / np.linalg.norm(W_wide[j])
            if containment >= min_containment and cosine >= min_cosine:
                corr = np.corrcoef(narrow[:, i], wide[:, j])[0, 1]
                found.append((i, j, (x & y).sum(), containment, cosine, corr))
    return np.array(found).T


@pytest.mark.parametrize("block_values", [1, 20, 1 << 23])
def test_links_are_those_of_brute_force(dense, block_values):
    narrow, wide, W_narrow, W_wide = dense
    settings = {"min_containment": 0.02, "min_cosine": -0.2}
    expected = brute_force(*dense, **settings, min_firings=20)
    pair = open_widths(scipy.sparse.csr_array(narrow), scipy.sparse.csr_array(wide), W_narrow, W_wide, min_firings=20)
    found = width_links(pair, **settings, block_values=block_values)
    assert found.n_links == expected.shape[1] > 5
    for name, values in zip(("general", "specific", "together"), expected[:3], strict=True):
        np.testing.assert_array_equal(getattr(found, name), values.astype(int))
    for name, values in zip(("containment", "cosine"), expected[3:5], strict=True):
        np.testing.assert_allclose(getattr(found, name), values, rtol=1e-12)
    np.testing.assert_allclose(found.corr, np.maximum(expected[5], 0), atol=1e-7)  # the engine rounds to a grid


def test_without_a_cosine_threshold_every_contained_pair_is_a_link(dense):
    expected = brute_force(*dense, min_containment=0.02, min_cosine=-1, min_firings=20)
    found = width_links(open_widths(*dense), min_containment=0.02, min_cosine=-1.0)
    assert found.n_links == expected.shape[1]
    kept = found.select(found.cosine >= 0)
    assert kept.n_links == (expected[4] >= 0).sum() < found.n_links


def test_dead_constant_and_rare_features_have_no_link(dense):
    pair = open_widths(*dense)
    found = width_links(pair, min_containment=1e-9, min_cosine=-0.999)
    assert not {12, 13, 14} & set(found.specific.tolist())
    assert pair.eligible_wide[:12].all() and not pair.eligible_wide[12:].any()


def test_a_frequent_feature_contains_nothing_by_being_frequent():
    """The trap: it fires on nine tenths of everybody's tokens."""
    rng = np.random.default_rng(1)
    narrow, wide = rng.random((20_000, 3)) < [0.9, 0.05, 0.05], rng.random((20_000, 40)) < 0.02
    pair = open_widths(narrow, wide, np.ones((3, 4)), np.ones((40, 4)))
    together = wide.T.astype(int) @ narrow.astype(int) / wide.sum(axis=0)[:, None]
    assert together[:, 0].min() > 0.85
    threshold = link_thresholds(pair).min_containment
    n_by_chance = width_links(pair, min_containment=threshold, min_cosine=0.9).n_links
    assert n_by_chance <= 2  # 1 % of 40 is expected


def test_thresholds_are_quantiles_of_the_best_by_chance(planted_split):
    pair = open_widths(planted_split.narrow, planted_split.wide, planted_split.W_narrow, planted_split.W_wide)
    thresholds = link_thresholds(pair, quantile=0.9, seed=3)
    for name in ("containment", "cosine"):
        chance = getattr(thresholds, name)
        assert 40 < len(chance) <= pair.eligible_wide.sum()
        assert getattr(thresholds, f"min_{name}") == np.quantile(chance, 0.9)
    again, other = (link_thresholds(pair, quantile=0.9, seed=seed) for seed in (3, 4))
    assert again.min_containment == thresholds.min_containment != other.min_containment
    assert again.min_cosine == thresholds.min_cosine != other.min_cosine


def test_the_chance_of_a_direction_is_that_of_the_features_which_fire_along(planted_split):
    """The trap: the best cosine among all general features would be asked for, most of which never meet the feature."""
    p = planted_split
    pair = open_widths(p.narrow, p.wide, p.W_narrow, p.W_wide)
    thresholds = link_thresholds(pair)
    drawn = random_directions(pair.rows_wide[pair.eligible_wide], n=int(pair.eligible_wide.sum()), seed=0)
    best_of_all = np.quantile((pair.rows_narrow @ drawn.T).max(axis=0), 0.99)
    assert thresholds.min_cosine < best_of_all


def test_without_any_containing_feature_no_cosine_is_enough():
    fires = np.arange(3000) % 10
    pair = open_widths(fires[:, None] == 0, np.column_stack([fires == 1, fires == 2]), np.ones((1, 3)), np.ones((2, 3)))
    assert link_thresholds(pair, quantile=0.5).min_cosine == 1.0


def test_random_directions_crowd_where_the_rows_crowd():
    """A narrow cone: directions drawn on the whole sphere would have cosine 0 with it."""
    rng = np.random.default_rng(0)
    rows = np.array([3.0, 0, 0]) + rng.normal(size=(5000, 3)) * [0.1, 1, 0.1]
    drawn = random_directions(rows / np.linalg.norm(rows, axis=1, keepdims=True), n=5000, seed=0)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1, rtol=1e-12)
    assert drawn[:, 0].mean() > 0.9
    assert drawn[:, 1].std() > 4 * drawn[:, 2].std()


def test_dictionaries_that_cannot_be_compared_are_refused(dense):
    narrow, wide, W_narrow, W_wide = dense
    with pytest.raises(ValueError, match="expected the narrow dictionary first; got 15 and 6 features; swap them"):
        open_widths(wide, narrow, W_wide, W_narrow)
    with pytest.raises(ValueError, match="same tokens; got 3000 and 2999 rows"):
        open_widths(narrow, wide[1:], W_narrow, W_wide)
    with pytest.raises(ValueError, match="decoder rows must share d_in; got 10 and 9"):
        open_widths(narrow, wide, W_narrow, W_wide[:, :9])
    with pytest.raises(ValueError, match=r"W_wide must hold one row for each of 15 features.*filtered or transposed"):
        open_widths(narrow, wide, W_narrow, W_wide[:14])
    with pytest.raises(ValueError, match="W_narrow has 1 NaN or infinite values"):
        open_widths(narrow, wide, np.where(np.arange(60).reshape(6, 10) == 7, np.nan, W_narrow), W_wide)
    with pytest.raises(ValueError, match="none of 15 features of the wide dictionary fires on at least 20 of 3000"):
        open_widths(narrow, np.zeros_like(wide), W_narrow, W_wide)
    with pytest.raises(ValueError, match="none of 6 features of the narrow dictionary fires"):
        open_widths(np.zeros_like(narrow), wide, W_narrow, W_wide)
    with pytest.raises(ValueError, match=r"both at least 1; got \(3000, 0\)"):
        open_widths(narrow[:, :0], wide, W_narrow[:0], W_wide)
    with pytest.raises(ValueError, match="negative or NaN values"):
        open_widths(-narrow, wide, W_narrow, W_wide)
    with pytest.raises(ValueError, match="min_firings must be at least 1"):
        open_widths(narrow, wide, W_narrow, W_wide, min_firings=0)
    pair = open_widths(narrow, wide, W_narrow, W_wide)
    with pytest.raises(ValueError, match="expected min_containment in"):
        width_links(pair, min_containment=0, min_cosine=0.5)
    with pytest.raises(ValueError, match="quantile must be at least 0 and below 1"):
        link_thresholds(pair, quantile=1)


def store(folder, acts, *, hook_name="blocks.1.hook_resid_post", model="m", tokens="t"):
    n = acts.shape[0]
    with ActivationStore.create(
        folder, d_sae=acts.shape[1], dtype="float32", tokens_fingerprint=tokens,
        source={"hook_name": hook_name, "model_fingerprint": model},
    ) as writer:  # fmt: skip
        rows = {name: np.arange(n, dtype=np.int32) for name in ("token_ids", "documents", "positions")}
        writer.append(scipy.sparse.csr_array(acts.astype(np.float32)), **rows)
    return ActivationStore.open(folder)


def test_stores_give_what_arrays_give_and_must_be_of_one_hook(dense, tmp_path):
    narrow, wide, W_narrow, W_wide = dense
    a, b = store(tmp_path / "a", narrow), store(tmp_path / "b", wide)
    settings = {"min_containment": 0.02, "min_cosine": -0.2}
    from_stores = width_links(open_widths(a, b, W_narrow, W_wide), **settings)
    from_arrays = width_links(open_widths(narrow, wide, W_narrow, W_wide), **settings)
    for name in ("general", "specific", "together", "containment"):
        np.testing.assert_array_equal(getattr(from_stores, name), getattr(from_arrays, name))
    for name, other in (
        ("hook", {"hook_name": "blocks.2.hook_resid_post"}),
        ("model", {"model": "other"}),
    ):
        different = store(tmp_path / name, wide, **other)
        with pytest.raises(ValueError, match="must read one hook of one model"):
            open_widths(a, different, W_narrow, W_wide)
    shuffled = store(tmp_path / "tokens", wide, tokens="other")
    with pytest.raises(ValueError, match="different token batches"):
        open_widths(a, shuffled, W_narrow, W_wide)
