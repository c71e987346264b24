"""Scores of kept families: hand-computed values, an independent reference, nulls that are nulls, and swapped sides."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from helpers.geometry import (
    FeatureForest,
    concept_agreement,
    families_kept,
    family_members,
    relations_kept,
    relatives_alike,
    words_gathered,
)
from helpers.nulls import PermutationResult
from tests.geometry.conftest import pairs_of

N = 120


@pytest.fixture(scope="module")
def two_models():
    """The same 30 families of 4 in both, half of b's features moved to another family; b's ids are shuffled."""
    rng = np.random.default_rng(0)
    families_a = np.repeat(np.arange(N // 4), 4)
    image = families_a.copy()
    moved = rng.random(N) < 0.5
    image[moved] = rng.integers(0, N // 4, moved.sum())
    families_a[:8] = -1
    ids_b = rng.permutation(N)
    families_b = np.empty(N, dtype=np.int64)
    families_b[ids_b] = image
    return families_a, families_b, pairs_of(np.arange(N), ids_b, d_sae_a=N, d_sae_b=N)


def together_by_hand(left, right):
    same = [
        (left[i] == left[j] >= 0, right[i] == right[j] >= 0) for i, j in itertools.combinations(range(len(left)), 2)
    ]
    return sum(a and b for a, b in same) / sum(a or b for a, b in same)


def test_together_is_the_share_of_two_features_that_stay_together(two_models):
    families_a, families_b, pairs = two_models
    result = families_kept(families_a, families_b, pairs, n_permutations=99)
    expected = together_by_hand(families_a[pairs.ids_a], families_b[pairs.ids_b])
    assert result.score == pytest.approx(expected, abs=1e-12)
    assert 0.1 < expected < 0.6 and result.p_value == 1 / 100 and result.z > 10


def test_together_by_hand():
    """a: {0 1 2} {3 4}; b: {0 1} {2 3 4}. Together in a: 3 + 1, in b: 1 + 3, in both: 01 and 34. 2 / (4 + 4 - 2)."""
    pairs = pairs_of(range(5), range(5), d_sae_a=5, d_sae_b=5)
    result = families_kept(np.array([0, 0, 0, 1, 1]), np.array([7, 7, 2, 2, 2]), pairs, n_permutations=1)
    assert result.score == pytest.approx(2 / 6)


def test_mutual_information_is_that_of_scikit_learn(two_models):
    families_a, families_b, pairs = two_models
    result = families_kept(families_a, families_b, pairs, measure="mutual_information", n_permutations=200)
    left, right = families_a[pairs.ids_a].copy(), families_b[pairs.ids_b]
    left[left < 0] = 1000 + np.arange((left < 0).sum())  # a feature alone is a family of its own
    assert result.score == pytest.approx(adjusted_mutual_info_score(left, right), abs=1e-10)
    # Adjusted for chance: the mean of 200 shuffles is 0 within four of its standard errors.
    assert abs(result.null_mean) < 4 * result.null_std / np.sqrt(200)


@pytest.mark.parametrize("measure", ["together", "mutual_information"])
def test_swapped_sides_give_the_same_score(two_models, measure):
    families_a, families_b, pairs = two_models
    swapped = pairs_of(pairs.ids_b, pairs.ids_a, d_sae_a=N, d_sae_b=N)
    one = families_kept(families_a, families_b, pairs, measure=measure, n_permutations=1).score
    other = families_kept(families_b, families_a, swapped, measure=measure, n_permutations=1).score
    assert one == pytest.approx(other, abs=1e-12)


def test_swapped_labels_are_refused_where_widths_differ():
    pairs = pairs_of([0, 1, 2], [3, 4, 5], d_sae_a=3, d_sae_b=6)
    families_a, families_b = np.zeros(3, dtype=int), np.zeros(6, dtype=int)
    with pytest.raises(ValueError, match="one whole number for each of 3 features.*are a and b swapped"):
        families_kept(families_b, families_a, pairs)
    with pytest.raises(ValueError, match=r"relations_a must be \(n, 2\) feature ids from 0 to 2.*swapped"):
        relations_kept(np.array([[0, 5]]), np.array([[0, 1]]), pairs)


def test_the_same_families_are_kept_whole_and_unrelated_ones_are_not():
    rng = np.random.default_rng(1)
    families = np.repeat(np.arange(30), 4)
    pairs = pairs_of(range(N), range(N), d_sae_a=N, d_sae_b=N)
    for measure in ("together", "mutual_information"):
        whole = families_kept(families, families[::1], pairs, measure=measure, n_permutations=99)
        assert whole.score == pytest.approx(1) and whole.p_value == 1 / 100
    p_values = [
        families_kept(families, rng.permutation(families), pairs, n_permutations=39, seed=seed).p_value
        for seed in range(100)
    ]
    # At 5 % a valid test rejects 5 of 100; more than 13 has probability below 0.001.
    assert np.sum(np.array(p_values) <= 0.05) <= 13


def test_families_that_follow_frequency_only_are_seen_through():
    """The trap: both models' families are bands of frequency. Any partner of like frequency keeps them as well."""
    counts = np.arange(N) // 12
    pairs = pairs_of(range(N), range(N), d_sae_a=N, d_sae_b=N)
    plain = families_kept(counts, counts, pairs, n_permutations=99)
    matched = families_kept(counts, counts, pairs, counts_b=counts, n_bins=10, n_permutations=99)
    assert plain.p_value == 1 / 100
    assert matched.p_value == 1 and matched.null_mean == pytest.approx(1)


def relations_by_hand(relations_a, relations_b, pairs):
    image = dict(zip(pairs.ids_a.tolist(), pairs.ids_b.tolist(), strict=True))
    matched_b = set(pairs.ids_b.tolist())
    of_a = {(image[i], image[j]) for i, j in relations_a.tolist() if i in image and j in image}
    of_b = {(i, j) for i, j in relations_b.tolist() if i in matched_b and j in matched_b}
    return len(of_a & of_b) / len(of_a | of_b), len(of_a & of_b) / len(of_a)


def test_relations_are_counted_as_by_hand():
    rng = np.random.default_rng(0)
    pairs = pairs_of(rng.permutation(60)[:40], rng.permutation(50)[:40], d_sae_a=60, d_sae_b=50)
    relations_b = rng.integers(0, 50, (200, 2))
    back = dict(zip(pairs.ids_b.tolist(), pairs.ids_a.tolist(), strict=True))
    kept = [(back[i], back[j]) for i, j in relations_b[:80].tolist() if i in back and j in back]
    relations_a = np.concatenate([np.array(kept), rng.integers(0, 60, (60, 2))])
    either, of_a = relations_by_hand(relations_a, relations_b, pairs)
    assert 0.1 < either < of_a < 0.9
    assert relations_kept(relations_a, relations_b, pairs, n_permutations=1).score == pytest.approx(either)
    asked = relations_kept(relations_a, relations_b, pairs, share_of="a", n_permutations=99)
    assert asked.score == pytest.approx(of_a) and asked.p_value == 1 / 100
    swapped = pairs_of(pairs.ids_b, pairs.ids_a, d_sae_a=50, d_sae_b=60)
    assert relations_kept(relations_b, relations_a, swapped, n_permutations=1).score == pytest.approx(either)


def test_a_relation_has_a_direction():
    pairs = pairs_of([0, 1], [0, 1], d_sae_a=2, d_sae_b=2)
    assert relations_kept(np.array([[0, 1]]), np.array([[1, 0]]), pairs, n_permutations=1).score == 0


def test_shuffled_partners_are_relabelled_on_both_ends():
    """With three features and one edge each, 1 of the 6 orders keeps the edge: the null mean is 1/6."""
    pairs = pairs_of([0, 1, 2], [0, 1, 2], d_sae_a=3, d_sae_b=3)
    result = relations_kept(np.array([[0, 1]]), np.array([[0, 1]]), pairs, n_permutations=3000)
    assert abs(result.null_mean - 1 / 6) < 4 * np.sqrt(1 / 6 * 5 / 6 / 3000)  # four standard errors


def test_concepts_of_relatives_by_hand():
    relatives = np.array([[0, 1], [0, 2], [1, 2], [0, 3]])
    result = concept_agreement(relatives, ["x", "x", "y", None], n_permutations=1999)
    assert result.score == pytest.approx(1 / 3) and result.settings["n_relatives"] == 3
    assert result.null_mean == pytest.approx(1 / 3)  # of three features two are x, in whatever order
    families = np.array([0, 0, 1, -1, 0])
    assert family_members(families).tolist() == [[0, 1], [0, 4], [1, 4]]
    assert family_members(np.full(4, -1)).shape == (0, 2)


def test_concepts_shared_by_families_are_seen_and_random_ones_are_not():
    rng = np.random.default_rng(0)
    families = np.repeat(np.arange(20), 5)
    concepts = np.array([f"c{family % 7}" for family in families], dtype=object)
    members = family_members(families)
    assert concept_agreement(members, concepts, n_permutations=99).p_value == 1 / 100
    p_values = [
        concept_agreement(members, rng.permutation(concepts), n_permutations=39, seed=seed).p_value
        for seed in range(100)
    ]
    assert np.sum(np.array(p_values) <= 0.05) <= 13  # as above


def forest_of(parents):
    parents = np.asarray(parents)
    return FeatureForest(parents, np.zeros(len(parents)), np.zeros(len(parents), int), np.ones(len(parents), int))


def star(children):
    """A forest of one parent, feature 0, its children, and two features alone."""
    return forest_of([-1, *([0] * children), -1, -1])


def test_a_parent_wider_than_its_children():
    """All differ from their parent in concept and agree with it in kind."""
    forest = star(4)
    concepts = ["person", "queen", "king", "boy", None, "dog", "dog"]
    kinds = ["living", "living", "living", "living", None, "living", "x"]
    results = relatives_alike(forest, np.array([-1, 0, 0, -1, -1, 1, 1]), concepts, kinds, n_permutations=9)
    assert {name: r.score for name, r in results.items()} == {
        "parent and child, same concept": 0,
        "two of a group, same concept": 0.5,
        "parent and child of unlike concepts, same kind": 1,
    }
    nothing = relatives_alike(forest, np.full(7, -1), [None] * 7, [None] * 7, n_permutations=9)
    assert nothing == {}


DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def test_a_family_of_weekdays_is_found():
    forest = forest_of([-1] * 6 + [0] * 8 + [1, 2, 3, 4, 5] * 8)
    words = [*"pqrstu", *DAYS, "Mon", *(f"w{i}" for i in range(40))]
    result = words_gathered(forest, words, DAYS, n_permutations=199)
    assert result.score == 1 and result.settings["parent"] == 0 and result.p_value == 1 / 200
    assert words_gathered(forest, words, ["none", "such"], n_permutations=9).score == 0


def test_a_large_family_that_gathers_many_words_by_chance_is_no_finding():
    """The trap: nearly all children have one parent, which therefore has all weekdays, wherever they are."""
    forest = forest_of([-1, -1, *([0] * 45), 1, 1])
    words = ["p", "q", *DAYS, *(f"w{i}" for i in range(40))]
    result = words_gathered(forest, words, DAYS, n_permutations=199)
    assert result.score == 1 and result.p_value > 0.5


def test_results_are_those_of_every_other_test():
    pairs = pairs_of(range(4), range(4), d_sae_a=4, d_sae_b=4)
    result = families_kept(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), pairs, n_permutations=9, seed=3)
    assert isinstance(result, PermutationResult) and result.settings["seed"] == 3
    again = PermutationResult.from_dict(result.to_dict())
    assert again.score == result.score == 1 and 0 <= result.p_low <= result.p_value <= result.p_high <= 1


def test_bad_input_is_refused_with_a_remedy():
    pairs = pairs_of(range(4), range(4), d_sae_a=4, d_sae_b=4)
    families = np.array([0, 0, 1, 1])
    with pytest.raises(ValueError, match="measure must be one of together, mutual_information; got 'x'"):
        families_kept(families, families, pairs, measure="x")
    with pytest.raises(ValueError, match="got float64"):
        families_kept(families.astype(float), families, pairs)
    with pytest.raises(ValueError, match="no matched feature has a family on either side"):
        families_kept(np.full(4, -1), np.full(4, -1), pairs)
    with pytest.raises(ValueError, match="mutual_information has no room"):
        families_kept(np.zeros(4, int), np.zeros(4, int), pairs, measure="mutual_information")
    with pytest.raises(ValueError, match="in two pairs"):
        families_kept(families, families, pairs_of([0, 0], [0, 1], d_sae_a=4, d_sae_b=4))
    with pytest.raises(ValueError, match="n_permutations must be at least 1"):
        families_kept(families, families, pairs, n_permutations=0)
    with pytest.raises(ValueError, match="expected counts_b with one number a feature of b"):
        families_kept(families, families, pairs, counts_b=np.ones(2))
    with pytest.raises(ValueError, match="no relation has both ends matched"):
        relations_kept(np.empty((0, 2), int), np.empty((0, 2), int), pairs)
    with pytest.raises(ValueError, match="share_of must be 'either' or 'a'; got 'b'"):
        relations_kept(np.array([[0, 1]]), np.array([[0, 1]]), pairs, share_of="b")
    with pytest.raises(ValueError, match=r"relatives must be \(n, 2\) feature ids from 0 to 3"):
        concept_agreement(np.array([[0, 4]]), ["x"] * 4)
    with pytest.raises(ValueError, match="no two relatives have known concepts"):
        concept_agreement(np.array([[0, 1]]), ["x", None])
    with pytest.raises(ValueError, match="expected a group of words and one word for each of 5 features; got 0"):
        words_gathered(star(2), ["w"] * 5, [])
    with pytest.raises(ValueError, match="no feature has a parent; lower min_cover"):
        words_gathered(star(0), ["w"] * 3, ["w"])
