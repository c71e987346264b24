"""Splits by meaning are told from splits by chance; trees over widths are put together rightly."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.features import KnownConcepts
from helpers.geometry import children_inside, families_of_one_kind, first_ids, routes_agree, splitting_forest
from helpers.geometry.splitting import Splitting

WORDS = {"mammal": ("dog", "cat", "cow"), "bird": ("owl", "hen", "emu"), "month": ("May", "June"), "day": ("Monday",)}
PARENTS = {word: concept for concept, words in WORDS.items() for word in words}
KNOWN = KnownConcepts(
    tuple(PARENTS), PARENTS | {"mammal": "animal", "bird": "animal", "month": "time", "day": "time"}, {}.get
)


def splitting(parents, d_narrow, *, kept=(), counts_narrow=None, counts_wide=None):
    """A result in which only parents and copies matter."""
    parents = np.array(parents)
    d_wide = len(parents)
    wide_class = np.where(parents >= 0, "split", "new").astype("<U8")
    wide_class[list(kept)] = "kept"
    of_wide, of_narrow = np.zeros(d_wide, dtype=np.int64), np.zeros(d_narrow, dtype=np.int64)
    return Splitting(
        parents=parents, n_candidates=of_wide + (parents >= 0), containment=np.where(parents >= 0, 0.5, 0.0), cosine=of_wide,
        corr=of_wide, together=of_wide, with_copy=of_wide, absorbs=of_wide.astype(bool), wide_class=wide_class,
        copies=of_narrow - 1, covered=of_narrow, clashes=of_narrow, expected_clashes=of_narrow,
        narrow_class=np.full(d_narrow, "split"),
        counts_narrow=np.arange(d_narrow) + 50 if counts_narrow is None else np.array(counts_narrow),
        counts_wide=np.arange(d_wide) + 10 if counts_wide is None else np.array(counts_wide), n_tokens=1000,
    )  # fmt: skip


def names(*values):
    return np.array(values, dtype=object)


def test_relations_to_the_parent_by_hand():
    found = splitting([0, 0, 1, 1, 2, 2, 3, -1], 4, kept=[2])
    named = names("mammal", "bird", "dog", None), names("dog", "owl", "hen", "bird", "mammal", None, "cat", "cow")
    inside, result = (children_inside(found, *named, KNOWN, strictly=strictly) for strictly in (False, True))
    assert inside.score == 2 / 4
    # dog < mammal; owl is another; hen is the copy of bird and does not count; bird = bird; mammal > dog; the others
    # have no name, no named parent or no parent.
    assert result.score == 1 / 4 and result.n_rows == 4
    assert [result.settings[key] for key in ("narrower", "the_same", "wider", "another")] == [1, 1, 1, 1]


def test_splits_down_the_tree_are_far_from_chance():
    concepts = list(WORDS)
    words = [word for concept in concepts for word in WORDS[concept]]
    found = splitting([concepts.index(PARENTS[word]) for word in words], 4)
    result = children_inside(found, names(*concepts), names(*words), KNOWN, strictly=True, n_permutations=999)
    # By chance a child falls under its concept on 3/9, 3/9, 2/9 or 1/9: (3*3 + 3*3 + 2*2 + 1) / 81.
    assert result.score == 1 and result.p_value < 0.01
    # 999 shuffles of 9 children: the standard error of the mean is below 0.005.
    assert result.null_mean == pytest.approx(23 / 81, abs=0.02)


def test_families_of_one_kind_by_hand():
    parents = [0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 6, 6]
    children = names(
        "dog", "cat", "May", "dog", "dog", "dog", "owl", "May", "Monday", "dog", "owl", None, "owl", "dog", "May"
    )
    result = families_of_one_kind(splitting(parents, 7), children, KNOWN, n_permutations=19)
    # 0: two mammals of three; 1: one word twice, so it is not split; 2: a mammal and a bird, both animals; 3: two of three
    # are time; 4 and 5 have one named child; 6: an animal and a month.
    assert result.settings["n_families"] == 4
    assert result.settings["kinds"] == {"0": "mammal", "2": "animal", "3": "time"}
    assert result.score == 3 / 4


def test_children_named_by_a_kind_count_below_wider_ones_only():
    found = splitting([0, 0, 1, 1], 2)
    result = families_of_one_kind(found, names("mammal", "bird", "mammal", "mammal"), KNOWN, n_permutations=19)
    assert result.settings["kinds"] == {"0": "animal"}


def test_families_of_words_that_have_nothing_in_common_are_as_shuffled():
    rng = np.random.default_rng(0)
    words = rng.permutation(np.repeat(list(PARENTS), 20)).astype(object)
    found = splitting(np.repeat(np.arange(45), 4), 45)
    random = families_of_one_kind(found, words, KNOWN, n_permutations=199)
    assert random.p_value > 0.05
    with pytest.raises(ValueError, match="no family has children with two different known names"):
        families_of_one_kind(found, np.sort(words.astype(str)).astype(object), KNOWN)  # a family is all of one word
    by_concept = names(*(word for concept in WORDS for word in list(WORDS[concept]) * 20))
    assert families_of_one_kind(found, by_concept, KNOWN, n_permutations=199).p_value == 1 / 200


def test_a_forest_of_three_widths_by_hand():
    first = splitting([1, 0, -1], 2, counts_narrow=[40, 50], counts_wide=[20, 30, 25])
    second = splitting([2, 0, 0, -1], 3, counts_narrow=[20, 30, 25], counts_wide=[9, 8, 7, 6])
    forest = splitting_forest([first, second])
    assert first_ids([first, second]) == [0, 2, 5]
    assert forest.parents.tolist() == [-1, -1, 1, 0, -1, 4, 2, 2, -1]
    assert forest.counts.tolist() == [40, 50, 20, 30, 25, 9, 8, 7, 6]
    assert forest.depths.tolist() == [0, 0, 1, 1, 0, 1, 2, 2, 0]
    assert forest.children(2).tolist() == [6, 7]
    np.testing.assert_array_equal(forest.cover, [0, 0, 0.5, 0.5, 0, 0.5, 0.5, 0.5, 0])


def test_routes_by_hand():
    first = splitting([1, 0, -1], 2, counts_wide=[20, 30, 25])
    second = splitting([0, 0, 1, 2, -1], 3, counts_narrow=[20, 30, 25], counts_wide=[9, 8, 7, 6, 5])
    direct = splitting([1, 0, 0, 1, 1], 2, counts_wide=[9, 8, 7, 6, 5])
    # Through the middle: 1, 1, 0, none, none; directly 1, 0, 0: two of three.
    result = routes_agree(first, second, direct, n_permutations=99)
    assert result.score == 2 / 3 and result.n_rows == 3


def test_what_does_not_go_together_is_refused():
    first = splitting([1, 0, -1], 2)
    with pytest.raises(ValueError, match="expected one step from width to width at least; got none"):
        splitting_forest([])
    with pytest.raises(ValueError, match="a step must start where the one before it ends"):
        splitting_forest([first, first])
    second = splitting([0, 1], 3, counts_narrow=first.counts_wide)
    with pytest.raises(ValueError, match="direct must lead from the first step's narrow dictionary"):
        routes_agree(first, second, splitting([0, 1, 1], 2))
    alone = replace(second, parents=np.array([2, 2]))
    with pytest.raises(ValueError, match="no feature has a parent both directly and through the middle width"):
        routes_agree(first, alone, splitting([0, 1], 2))
    with pytest.raises(ValueError, match="names_wide must hold one name .* for each of 3 features"):
        families_of_one_kind(first, names("dog"), KNOWN)
    with pytest.raises(ValueError, match="names_narrow must hold one name .* for each of 2 features"):
        children_inside(first, names("dog"), names("dog", "cat", "owl"), KNOWN)
    with pytest.raises(ValueError, match="no child has a known name and a parent with one"):
        children_inside(first, names(None, None), names("dog", "cat", "owl"), KNOWN)
    with pytest.raises(ValueError, match="no family has children with two different known names"):
        families_of_one_kind(first, names("dog", "cat", "owl"), KNOWN)
