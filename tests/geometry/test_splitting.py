"""Planted splits, copies, absorbed, new and lost features come out as planted; counts equal those made one by one."""

import numpy as np
import pytest
import scipy.sparse
from scipy.stats import hypergeom

from helpers.geometry import (
    Splitting,
    find_splitting,
    link_thresholds,
    open_widths,
    planted_splitting,
    sibling_clashes,
    width_links,
)


def split(narrow, wide, W_narrow, W_wide, *, alpha=0.01, **thresholds):
    pair = open_widths(narrow, wide, W_narrow, W_wide)
    if not thresholds:
        found = link_thresholds(pair)
        thresholds = {"min_containment": found.min_containment, "min_cosine": found.min_cosine}
    return find_splitting(pair, width_links(pair, **thresholds), alpha=alpha)


def split_planted(planted, **options):
    return split(planted.narrow, planted.wide, planted.W_narrow, planted.W_wide, **options)


def assert_as_planted(found, planted):
    np.testing.assert_array_equal(found.parents, planted.parents)
    np.testing.assert_array_equal(found.wide_class, planted.wide_class)
    np.testing.assert_array_equal(found.narrow_class, planted.narrow_class)
    np.testing.assert_array_equal(found.absorbs, planted.absorbs)


@pytest.mark.parametrize("reliability", [1.0, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_every_planted_fate_is_found(seed, reliability):
    planted = planted_splitting(seed=seed, reliability=reliability)
    assert_as_planted(split_planted(planted), planted)


def test_reordering_features_reorders_the_result(planted_split):
    """The trap: places in a filtered array taken for ids."""
    rng = np.random.default_rng(1)
    to_narrow, to_wide = (rng.permutation(n) for n in (planted_split.narrow.shape[1], planted_split.wide.shape[1]))
    p = planted_split
    plain = split_planted(p)
    moved = split(p.narrow[:, to_narrow], p.wide[:, to_wide], p.W_narrow[to_narrow], p.W_wide[to_wide])
    place = np.argsort(to_narrow)
    np.testing.assert_array_equal(
        moved.parents, np.where(plain.parents[to_wide] >= 0, place[plain.parents[to_wide]], -1)
    )
    np.testing.assert_array_equal(moved.wide_class, plain.wide_class[to_wide])
    np.testing.assert_array_equal(moved.narrow_class, plain.narrow_class[to_narrow])
    np.testing.assert_array_equal(moved.covered, plain.covered[to_narrow])


def test_dead_features_before_the_others_move_nothing(planted_split):
    p = planted_split
    dead = scipy.sparse.csr_array((p.wide.shape[0], 3))
    rng = np.random.default_rng(0)
    found = split(
        scipy.sparse.hstack([dead, p.narrow]), scipy.sparse.hstack([dead, p.wide]),
        np.vstack([rng.normal(size=(3, 64)), p.W_narrow]), np.vstack([rng.normal(size=(3, 64)), p.W_wide]),
    )  # fmt: skip
    np.testing.assert_array_equal(found.parents[3:], np.where(p.parents >= 0, p.parents + 3, -1))
    np.testing.assert_array_equal(found.parents[:3], -1)
    assert set(found.wide_class[:3]) == set(found.narrow_class[:3]) == {"rare"}


def test_counts_of_families_equal_those_made_token_by_token(planted_split):
    p = planted_split
    found = split_planted(p)
    narrow, wide = p.narrow.toarray() > 0, p.wide.toarray() > 0
    for general in range(found.d_narrow):
        mine = narrow[:, general]
        children = np.flatnonzero(found.parents == general)
        firing = wide[mine][:, children].sum(axis=1)
        assert found.covered[general] == (firing > 0).sum()
        assert found.clashes[general] == (firing * (firing - 1) // 2).sum()
        shares = [wide[mine, child].mean() for child in children]
        expected = sum(x * y for i, x in enumerate(shares) for y in shares[:i]) * mine.sum()
        assert found.expected_clashes[general] == pytest.approx(expected, rel=1e-9, abs=1e-9)
        by_chance = 1 - np.prod([1 - wide[:, child].mean() for child in children])
        assert found.coverage_by_chance[general] == pytest.approx(by_chance, abs=1e-12)
        for child in children:
            both = mine & wide[:, child]
            assert found.together[child] == both.sum()
            copy = found.copies[general]
            assert found.with_copy[child] == ((both & wide[:, copy]).sum() if copy >= 0 else 0)


def test_disjoint_children_clash_less_than_independent_ones():
    """Four children on disjoint parts never clash; four that fire at random on the parent's tokens do as expected."""
    rng = np.random.default_rng(0)
    n = 40_000
    narrow = rng.random((n, 2)) < 0.1
    quarter = rng.integers(0, 4, n)
    disjoint = narrow[:, [0]] & (quarter[:, None] == np.arange(4))
    independent = narrow[:, [1]] & (rng.random((n, 4)) < 0.25)
    W_narrow = np.eye(6)[:2]
    W_wide = np.repeat(W_narrow, 4, axis=0)
    found = split(narrow, np.hstack([disjoint, independent]), W_narrow, W_wide, min_containment=0.5, min_cosine=0.5)
    assert found.clashes[0] == 0 < found.expected_clashes[0]
    # 1,500 clashes are expected; 5 standard deviations of a Poisson count are 13 % of it.
    assert found.clashes[1] / found.expected_clashes[1] == pytest.approx(1, abs=0.13)
    assert found.expected_clashes[1] == pytest.approx(0.1 * n * 6 / 16, rel=0.1)
    np.testing.assert_allclose(found.coverage, [1, 1 - 0.75**4], atol=0.03)


def test_a_child_with_two_possible_parents_gets_the_one_that_fires_more_like_it():
    """Both contain it wholly and have the right direction; the wider of them less exclusively."""
    rng = np.random.default_rng(0)
    near = rng.random(20_000) < 0.1
    far = near | (rng.random(20_000) < 0.2)
    child = near & (rng.random(20_000) < 0.4)
    W = np.ones((3, 4))
    found = split(
        np.column_stack([far, near]), np.column_stack([child, rng.random(20_000) < 0.05]), W[:2], W[:2],
        min_containment=0.5, min_cosine=0.5,
    )  # fmt: skip
    assert found.n_candidates[0] == 2 and found.parents.tolist() == [1, -1]
    assert found.narrow_class.tolist() == ["mixed", "narrowed"]


def test_of_two_equal_parents_the_lower_id_is_taken():
    rng = np.random.default_rng(0)
    fires = rng.random(5000) < 0.1
    twins = np.column_stack([rng.random(5000) < 0.1, fires, fires])
    found = split(twins, twins, np.ones((3, 2)), np.ones((3, 2)), min_containment=0.5, min_cosine=0.5)
    assert found.parents.tolist() == [0, 1, 1]
    assert found.copies.tolist() == [0, 1, -1]  # of two equal copies one is the copy, the other a sibling
    assert found.wide_class.tolist() == ["kept", "kept", "split"]
    assert found.narrow_class.tolist() == ["kept", "kept", "mixed"]


def test_a_feature_whose_tokens_are_spread_over_others_is_mixed():
    """Each of four general features fires on a quarter of its tokens: far more than chance, and nobody's child."""
    rng = np.random.default_rng(0)
    owner = rng.integers(0, 20, 20_000)
    narrow = owner[:, None] == np.arange(4)
    spread = narrow.any(axis=1)
    found = split(
        narrow, np.column_stack([spread, spread, spread, spread]), np.ones((4, 2)), np.ones((4, 2)),
        min_containment=0.1, min_cosine=0.5,
    )  # fmt: skip
    assert set(found.wide_class) == {"mixed"} == set(found.narrow_class)
    assert (found.parents == -1).all() and (found.n_candidates == 0).all()


def test_clashes_of_siblings_by_name_equal_those_counted_token_by_token():
    rng = np.random.default_rng(0)
    narrow = rng.random((5000, 2)) < 0.2
    wide = np.repeat(narrow, 4, axis=1) & (rng.random((5000, 8)) < 0.4)
    wide[:, 1] = wide[:, 0] & (rng.random(5000) < 0.5)  # meets the child of its own name
    wide[:, 2] &= ~wide[:, 0]  # never meets a child of another
    names = np.array(["x", "x", "y", None, "x", "y", "z", "z"], dtype=object)
    pair = open_widths(narrow, wide, np.eye(2), np.repeat(np.eye(2), 4, axis=0))
    found = find_splitting(pair, width_links(pair, min_containment=0.5, min_cosine=0.5))
    assert found.parents.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    counted = {True: [0.0, 0.0], False: [0.0, 0.0]}
    for first in range(8):
        for second in range(first):
            general = found.parents[first]
            if general != found.parents[second] or names[first] is None or names[second] is None:
                continue
            mine = narrow[:, general]
            tally = counted[names[first] == names[second]]
            tally[0] += (mine & wide[:, first] & wide[:, second]).sum()
            tally[1] += (mine & wide[:, first]).sum() * (mine & wide[:, second]).sum() / mine.sum()
    clashes = sibling_clashes(pair, found, names)
    assert clashes.alike == pytest.approx(counted[True][0] / counted[True][1], rel=1e-9)
    assert clashes.unlike == pytest.approx(counted[False][0] / counted[False][1], rel=1e-9)
    assert clashes.alike > 1.3 and clashes.unlike < 0.9
    alone = sibling_clashes(pair, found, np.array(["x", None, None, None, "x", None, None, None], dtype=object))
    assert alone.alike is None and alone.unlike is None
    with pytest.raises(ValueError, match="one name .* for each of 8 features"):
        sibling_clashes(pair, found, names[:3])


def test_firing_together_is_not_enough_and_neither_is_the_direction():
    rng = np.random.default_rng(0)
    general = rng.random(20_000) < 0.1
    inside = general & (rng.random(20_000) < 0.5)
    elsewhere = rng.random(20_000) < 0.05
    W_narrow, W_wide = np.array([[1.0, 0, 0]]), np.array([[0, 1.0, 0], [1.0, 0, 0], [0.9, 0, 0.1]])
    found = split(
        general[:, None], np.column_stack([inside, elsewhere, inside]), W_narrow, W_wide,
        min_containment=0.5, min_cosine=0.5,
    )  # fmt: skip
    assert found.parents.tolist() == [-1, -1, 0]
    assert found.wide_class.tolist() == ["new", "new", "narrowed"]


@pytest.mark.parametrize("silent_with_child, absorbed", [(1.0, True), (0.8, True), (0.3, False), (0.05, False)])
def test_absorption_is_a_copy_that_falls_silent_where_a_child_fires(silent_with_child, absorbed):
    """Elsewhere the copy is silent on 5 % of its tokens. 0.3: clearly more, but it still fires on most of them."""
    rng = np.random.default_rng(0)
    general = rng.random(40_000) < 0.1
    child = general & (rng.random(40_000) < 0.2)
    copy = general & (rng.random(40_000) > np.where(child, silent_with_child, 0.05))
    found = split(
        general[:, None], np.column_stack([child, copy]), np.ones((1, 2)), np.ones((2, 2)),
        min_containment=0.5, min_cosine=0.5,
    )  # fmt: skip
    assert found.copies.tolist() == [1]
    assert found.absorbs.tolist() == [absorbed, False]
    assert found.narrow_class.tolist() == ["absorbed" if absorbed else "kept"]
    assert found.wide_class.tolist() == ["split", "kept"]
    taken = int((child & ~copy).sum())
    assert found.absorbed.tolist() == [taken if absorbed else 0]


def test_absorption_is_corrected_for_the_number_of_children():
    """A silence that is significant for one child alone is not, among many that show nothing."""
    rng = np.random.default_rng(0)
    n, n_families = 4000, 60
    general = np.zeros((n, n_families), dtype=bool)
    for family in range(n_families):
        general[family * 60 : family * 60 + 60, family] = True
    wide, owners = [], []
    for family in range(n_families):
        mine = np.flatnonzero(general[:, family])
        copy, child = np.zeros((2, n), dtype=bool)
        child[mine[:20]] = True
        # The first copy is silent on 11 of the child's 20 tokens and on 9 of the other 40, the others at random.
        silent = np.r_[mine[:11], mine[20:29]] if family == 0 else rng.choice(mine, 20, replace=False)
        copy[np.setdiff1d(mine, silent)] = True
        wide += [copy, child]
        owners += [family, family]
    W = rng.normal(size=(n_families, 200))
    p_value = hypergeom.cdf(9, 60, 40, 20)
    assert 0.01 / n_families < p_value < 0.05
    alone = split(
        general[:, :1], np.column_stack(wide[:2]), W[:1], W[[0, 0]], alpha=0.05, min_containment=0.5, min_cosine=0.9
    )
    assert alone.absorbs.tolist() == [False, True]
    among = split(general, np.column_stack(wide), W, W[owners], alpha=0.05, min_containment=0.5, min_cosine=0.9)
    assert (among.copies >= 0).all() and not among.absorbs.any()


def test_density_matched_chance_pairs_are_no_family():
    """The trap: a narrow and a wide dictionary that share nothing but how often their features fire."""
    planted = planted_splitting(seed=5)
    order = np.random.default_rng(9).permutation(planted.wide.shape[0])
    found = split(planted.narrow, planted.wide[order], planted.W_narrow, planted.W_wide)
    assert (found.parents >= 0).sum() <= 2 and (found.copies >= 0).sum() == 0
    assert found.shares("wide")["new"] > 0.98 and found.shares("narrow")["lost"] > 0.9


def test_shares_add_up_and_leave_rare_features_out(planted_split):
    p = planted_split
    rare = scipy.sparse.csr_array((np.ones(5), (np.arange(5), np.zeros(5, int))), shape=(p.wide.shape[0], 1))
    found = split(p.narrow, scipy.sparse.hstack([p.wide, rare]), p.W_narrow, np.vstack([p.W_wide, np.ones((1, 64))]))
    assert found.wide_class[-1] == "rare"
    for side, classes in (("narrow", p.narrow_class), ("wide", p.wide_class)):
        shares = found.shares(side)
        assert sum(shares.values()) == pytest.approx(1)
        for name, share in shares.items():
            assert share == np.mean(classes == name)


def test_no_links_no_families(planted_split):
    p = planted_split
    found = split_planted(p, min_containment=1.0, min_cosine=1.0)
    assert (found.parents == -1).all() and len(found.families) == 0
    assert set(found.wide_class) == {"new"} and set(found.narrow_class) == {"lost"}
    np.testing.assert_array_equal(found.coverage, 0)
    np.testing.assert_array_equal(found.coverage_by_chance, 0)


def test_children_come_by_the_tokens_that_they_share(planted_split):
    found = split_planted(planted_split)
    absorbed = int(np.flatnonzero(found.narrow_class == "absorbed")[0])
    children = found.children(absorbed)
    assert children[0] == found.copies[absorbed] and found.absorbs[children[1]]
    assert set(found.families) == set(np.flatnonzero(found.n_children >= 2))
    assert (np.diff(found.n_children[found.families]) <= 0).all()


def test_saved_splits_come_back(planted_split, tmp_path):
    found = split_planted(planted_split)
    found.save(tmp_path / "split.npz")
    again = Splitting.load(tmp_path / "split.npz")
    for name, value in vars(found).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    assert isinstance(again.n_tokens, int)


def test_bad_files_and_arguments_are_refused(planted_split, tmp_path):
    with pytest.raises(ValueError, match="found no such file; run 08_feature_splitting again"):
        Splitting.load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no")
    with pytest.raises(ValueError, match="cannot be read as split features"):
        Splitting.load(tmp_path / "text.npz")
    np.savez(tmp_path / "newer.npz", format_version=99)
    with pytest.raises(ValueError, match="format 99 is newer"):
        Splitting.load(tmp_path / "newer.npz")
    p = planted_split
    pair = open_widths(p.narrow, p.wide, p.W_narrow, p.W_wide)
    links = width_links(pair, min_containment=0.5, min_cosine=0.5)
    with pytest.raises(ValueError, match="alpha must be between 0 and 1; got 0"):
        find_splitting(pair, links, alpha=0)
    other = open_widths(p.narrow[:, :3], p.wide, p.W_narrow[:3], p.W_wide)
    with pytest.raises(ValueError, match="are these links of another pair"):
        find_splitting(other, links)
    with pytest.raises(ValueError, match="expected n_each and n_new of at least 1, two children and a reliability"):
        planted_splitting(n_children=1)
