"""Groups of features matched inside the group: right ids, nobody from outside, one pair a word."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from helpers.comparison.subspaces import FeatureGroup, GroupPairs, correlate_groups, one_pair_a_word
from helpers.matching import match_features

N_TOKENS = 600
MONTHS = FeatureGroup("months", np.array([11, 3, 17]), ("May", "June", "May"))
DAYS = FeatureGroup("days", np.array([5, 8]), ("Monday", "Friday"))


def activations(seed: int, *, d_sae: int = 20) -> np.ndarray:
    """Sparse and non-negative; feature 8 fires on three tokens only."""
    rng = np.random.default_rng(seed)
    acts = np.maximum(rng.standard_normal((N_TOKENS, d_sae)) - 0.8, 0.0)
    acts[:, 8] = 0.0
    acts[:3, 8] = 1.0
    return acts


@pytest.fixture(scope="module")
def sides():
    """b is a with its features moved by two places, plus noise: feature i of a is feature i + 2 of b."""
    a = activations(0)
    noise = np.maximum(np.random.default_rng(1).standard_normal(a.shape) - 1.0, 0.0)
    return a, np.roll(a, 2, axis=1) + 0.2 * noise


def groups_of_b() -> tuple[FeatureGroup, FeatureGroup]:
    return (
        FeatureGroup("months", np.array([19, 13, 5]), ("May", "May", "June")),
        FeatureGroup("days", np.array([7, 10, 0]), ("Monday", "Friday", "Sunday")),
    )


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, np.asarray])
def test_ids_are_those_of_the_dictionaries_and_not_of_the_group(sides, form):
    """The trap: the matching counts inside the group, and 0, 1, 2 are features of the dictionary as well."""
    a, b = (form(side) for side in sides)
    months, days = groups_of_b()
    correlations = correlate_groups(a, b, [MONTHS, DAYS], [months, days], min_firings=1)
    found = correlations.match(MONTHS, months)
    assert sorted(zip(found.pairs.ids_a.tolist(), found.pairs.ids_b.tolist(), strict=True)) == [
        (3, 5),
        (11, 13),
        (17, 19),
    ]
    words = dict(zip(found.pairs.ids_a.tolist(), zip(found.words_a, found.words_b, strict=True), strict=True))
    assert words == {3: ("June", "June"), 11: ("May", "May"), 17: ("May", "May")}
    assert found.same_word_share == 1.0 and found.name == "months"


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, np.asarray])
def test_pairs_and_correlations_are_those_of_matching_the_columns_alone(sides, form):
    rng = np.random.default_rng(5)
    ids_a, ids_b = rng.permutation(20)[:9], rng.permutation(20)[:8]
    group_a, group_b = (FeatureGroup("g", ids, ("w",) * len(ids)) for ids in (ids_a, ids_b))
    others = [FeatureGroup("h", np.arange(20), ("w",) * 20)]  # the union is larger than the group
    found = correlate_groups(form(sides[0]), form(sides[1]), [group_a, *others], [group_b, *others], min_firings=1)
    pairs = found.match(group_a, group_b).pairs
    alone = match_features(form(sides[0][:, ids_a]), form(sides[1][:, ids_b]), method="one_to_one", min_firings=1)
    expected = {(int(ids_a[i]), int(ids_b[j])): c for i, j, c in zip(alone.ids_a, alone.ids_b, alone.corr, strict=True)}
    assert {(int(i), int(j)): c for i, j, c in zip(pairs.ids_a, pairs.ids_b, pairs.corr, strict=True)} == expected
    assert (np.diff(pairs.corr) <= 0).all() and (pairs.d_sae_a, pairs.d_sae_b) == (20, 20)


def test_partners_come_from_the_group_even_if_the_best_one_does_not(sides):
    months, _ = groups_of_b()
    without_best = FeatureGroup("months", months.ids[:2], months.words[:2])  # 5, the partner of 3, is left out
    found = correlate_groups(*sides, [MONTHS], [without_best], min_firings=1).match(MONTHS, without_best)
    assert set(found.pairs.ids_b) <= {19, 13}
    everyone = match_features(*sides, method="one_to_one", min_firings=1)
    assert dict(zip(everyone.ids_a.tolist(), everyone.ids_b.tolist(), strict=True))[3] == 5


def test_rare_features_are_left_out_and_counted(sides):
    _, days = groups_of_b()
    found = correlate_groups(*sides, [DAYS], [days], min_firings=10).match(DAYS, days)
    assert 8 not in found.pairs.ids_a
    assert (found.n_features_a, found.n_features_b) == (1, 3)  # 8 of a fires on three tokens


def test_weak_pairs_are_dropped_and_groups_may_be_mismatched(sides):
    months, days = groups_of_b()
    correlations = correlate_groups(*sides, [MONTHS, DAYS], [months, days], min_firings=1)
    # Independent features of 600 tokens correlate by about 0.04; the true pairs above 0.9.
    assert correlations.match(MONTHS, days, min_corr=0.3).n_pairs == 0
    weak = correlations.match(MONTHS, days)
    assert weak.name == "months × days" and weak.same_word_share == 0.0
    assert correlations.match(MONTHS, months, min_corr=0.9).n_pairs == 3


def test_a_group_without_features_has_no_pairs(sides):
    nobody = FeatureGroup("nobody", np.array([], dtype=np.int64), ())
    correlations = correlate_groups(*sides, [MONTHS, nobody], [nobody], min_firings=1)
    found = correlations.match(MONTHS, nobody)
    assert (found.n_pairs, found.n_features_a, found.n_features_b, found.same_word_share) == (0, 3, 0, 0.0)


def test_one_pair_a_word_keeps_the_strongest_of_each():
    words_a = ["May", "May", "June", "July", "June"]
    words_b = ["May", "June", "June", "May", "March"]
    # May-May first; May is taken; June-June; July's partner was found by May, which is taken; June is taken.
    assert one_pair_a_word(words_a, words_b).tolist() == [True, False, True, False, False]
    assert one_pair_a_word([], []).tolist() == []


def test_a_selection_keeps_words_beside_their_pairs(sides):
    months, _ = groups_of_b()
    found = correlate_groups(*sides, [MONTHS], [months], min_firings=1).match(MONTHS, months)
    kept = found.select(np.array([False, True, True]))
    assert isinstance(kept, GroupPairs)
    assert kept.words_a == found.words_a[1:] and np.array_equal(kept.pairs.ids_a, found.pairs.ids_a[1:])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: FeatureGroup("g", np.array([1, 2]), ("May",)), "the word that found each of 2 features; got 1 words"),
        (lambda _: FeatureGroup("g", np.array([1, 1]), ("May", "June")), "feature ids must be distinct whole numbers"),
        (lambda _: FeatureGroup("g", np.array([-1]), ("May",)), "feature ids must be distinct whole numbers from 0"),
        (
            lambda s: correlate_groups(*s, [FeatureGroup("g", np.array([20]), ("May",))], [MONTHS]),
            "group 'g' names feature 20 of a, which has 20 features; search the words in the dictionary",
        ),
        (
            lambda s: correlate_groups(*s, [MONTHS], [MONTHS]).match(MONTHS, MONTHS, min_corr=1.0),
            r"min_corr must be in \[-1, 1\); got 1.0",
        ),
        (lambda s: correlate_groups(s[0], s[1][:9], [MONTHS], [MONTHS]), "a and b must have the same rows"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(sides, make, message):
    with pytest.raises(ValueError, match=message):
        make(sides)
