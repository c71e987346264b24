"""Planted hierarchies are predicted, shuffles inside the nesting are not, and the false null is a trap."""

import numpy as np
import pytest

from helpers.geometry.hierarchy import (
    fit_whitening,
    held_out_kinds,
    held_out_plane,
    held_out_projections,
    held_out_words,
    make_taxonomy,
    mean_recognition,
    planted_hierarchy,
    share_below,
    shuffled_words,
    step_test,
)

SHUFFLES = 199


def white(planted):
    return fit_whitening(planted.vocabulary).apply(planted.rows)


@pytest.fixture(scope="module")
def planted():
    return planted_hierarchy(seed=0)


@pytest.fixture(scope="module")
def rows(planted):
    return white(planted)


@pytest.fixture(scope="module")
def nest(planted):
    return planted.taxonomy.nest(planted.taxonomy.all_words)


def brute_force_words(rows, members):
    scores = []
    for left_out in np.flatnonzero(members):
        others = members.copy()
        others[left_out] = False
        projected = rows @ rows[others].mean(axis=0)
        scores.append(share_below(projected[[left_out]], projected[~members]))
    return np.mean(scores)


def test_left_out_words_by_brute_force(rows, nest):
    found = held_out_words(rows, nest, n_permutations=1)
    for place, name in enumerate(nest.names):
        # One pair of words in a thousand that rounding orders otherwise would be 1e-4.
        assert found[name].score == pytest.approx(brute_force_words(rows, nest.members[:, place]), abs=1e-4)


def test_left_out_kinds_by_brute_force(rows, nest):
    found = held_out_kinds(rows, nest, n_permutations=1)
    for name, of in found.items():
        parent = nest.place(name)
        shares, places = [], []
        for child in np.flatnonzero(nest.parents == parent):
            inside, others = nest.members[:, child], nest.members[:, parent] & ~nest.members[:, child]
            direction = rows[others].mean(axis=0)
            projected = rows @ direction
            shares.append(share_below(projected[inside], projected[~nest.members[:, parent]]))
            places.append(projected[inside].mean() / (direction @ direction))
        assert of["held_out_kinds"].score == pytest.approx(np.mean(shares), abs=1e-4)
        assert of["held_out_projection"].score == pytest.approx(np.mean(places), abs=1e-9)


def test_a_planted_hierarchy_predicts_and_a_nested_shuffle_does_not(rows, nest):
    found = held_out_words(rows, nest, n_permutations=SHUFFLES)
    assert all(result.p_value == 1 / (1 + SHUFFLES) for result in found.values())
    shuffled = shuffled_words(nest, np.random.default_rng(5))
    nothing = held_out_words(rows, shuffled, n_permutations=SHUFFLES)
    # 25 concepts: below 5 % as often as chance allows (binomial, exceeded once in 2,000).
    assert sum(result.p_value <= 0.05 for result in nothing.values()) <= 6
    assert np.mean([result.score for result in nothing.values()]) == pytest.approx(0.5, abs=0.06)


def test_kinds_are_told_from_heaps_of_concepts(rows, nest):
    """The trap: without directions of their own, parents pass the test of left-out words through their concepts."""
    assert all(
        of[measure].p_value <= 0.02
        for of in held_out_kinds(rows, nest, n_permutations=SHUFFLES).values()
        for measure in ("held_out_kinds", "held_out_projection")
    )
    heap = white(planted_hierarchy(parent=0.0, child=5.0, seed=0))
    words = held_out_words(heap, nest, n_permutations=SHUFFLES)
    kinds = held_out_kinds(heap, nest, n_permutations=SHUFFLES)
    assert all(words[name].p_value == 1 / (1 + SHUFFLES) for name in kinds)
    assert min(of["held_out_kinds"].p_value for of in kinds.values()) > 0.01
    assert all(of["held_out_projection"].score < 0.2 for of in kinds.values())


def test_false_alarms_of_left_out_kinds():
    """Twenty worlds of concepts without kinds, a hundred tests at 5 %: as many alarms as chance allows."""
    alarms = 0
    for seed in range(20):
        heap = planted_hierarchy(parent=0.0, child=5.0, n_words=5, n_others=100, d=24, seed=seed)
        sets = heap.taxonomy.nest(heap.taxonomy.all_words)
        found = held_out_kinds(white(heap), sets, n_permutations=39, seed=seed)
        alarms += sum(of["held_out_kinds"].p_value <= 0.05 for of in found.values())
    assert alarms <= 13  # 5 expected of 100; tests of one world depend on each other


def test_right_angles_prove_nothing(nest):
    """The trap of the field: words without any meaning stand at right angles when nested, and the false null "proves" it."""
    noise = np.random.default_rng(11).standard_normal((nest.n_words, 48))
    found = step_test(noise, nest, method="mean", n_permutations=SHUFFLES)
    assert found.against_unnested.p_value == 1 / (1 + SHUFFLES)
    assert found.against_nested.p_value > 0.05 and found.against_moved.p_value > 0.05
    assert np.abs(found.observed).mean() < 0.2 < found.against_unnested.null_mean
    assert found.observed.shape == found.nested.shape == found.unnested.shape == (len(nest.edges),)


def test_rotation_and_order_of_words_change_nothing(planted, rows, nest):
    rng = np.random.default_rng(2)
    turn = np.linalg.qr(rng.standard_normal((rows.shape[1],) * 2))[0]
    order = rng.permutation(nest.n_words)
    moved = planted.taxonomy.nest([planted.taxonomy.all_words[i] for i in order])
    for one, other in (
        (held_out_words(rows, nest, n_permutations=1), held_out_words((rows @ turn)[order], moved, n_permutations=1)),
        (
            {name: of["held_out_kinds"] for name, of in held_out_kinds(rows, nest, n_permutations=1).items()},
            {
                name: of["held_out_kinds"]
                for name, of in held_out_kinds((rows @ turn)[order], moved, n_permutations=1).items()
            },
        ),
    ):
        assert list(one) == list(other)
        np.testing.assert_allclose([r.score for r in one.values()], [r.score for r in other.values()], atol=1e-4)


def test_projections_are_held_out(nest):
    """The trap: on noise in many dimensions, words project at 1 on directions made with them, and at 0 without."""
    noise = np.random.default_rng(3).standard_normal((nest.n_words, 400))
    members = nest.members[:, 1]
    inside = noise[members].mean(axis=0)
    assert (noise[members] @ inside).mean() / (inside @ inside) == pytest.approx(1)
    for method in ("mean", "lda"):
        placed = held_out_projections(noise, members, method=method)
        assert abs(placed[members].mean()) < 0.2 and abs(placed[~members].mean()) < 0.1


def test_planted_words_lie_at_their_places(nest):
    """Directions of length 20 beside noise of length 7 a word: what eight words leave of it takes a few percent."""
    rows = white(planted_hierarchy(parent=20.0, child=20.0, seed=0))
    members = nest.members[:, 1]
    placed = held_out_projections(rows, members)
    assert placed[members].mean() == pytest.approx(1, abs=0.3) and abs(placed[~nest.members[:, 0]].mean()) < 0.2
    plane = held_out_plane(rows, nest.members[:, 0], members)
    parent_only = nest.members[:, 0] & ~members
    np.testing.assert_allclose(plane[members].mean(axis=0), 1, atol=0.3)
    assert plane[parent_only, 0].mean() == pytest.approx(1, abs=0.3) and plane[parent_only, 1].mean() < 0.1
    assert np.abs(plane[~nest.members[:, 0]].mean(axis=0)).max() < 0.2


def test_lda_recognises_on_average_and_not_after_a_shuffle(rows, nest):
    found = mean_recognition(rows, nest, n_permutations=19)
    assert found.p_value == 1 / 20 and found.score > 0.85 and found.n_rows == len(nest.names)
    nothing = mean_recognition(rows, shuffled_words(nest, np.random.default_rng(1)), n_permutations=19)
    assert nothing.p_value > 0.05 and nothing.score == pytest.approx(0.5, abs=0.06)


def test_share_below_by_hand():
    assert share_below([2.0, 0.0], [1.0, 1.0, 2.0, 3.0]) == pytest.approx((2.5 / 4 + 0) / 2)


def test_small_concepts_are_undefined_and_say_why():
    tree = make_taxonomy(
        {"single": "top", "many": "top", "rest": None}, {"single": ["x"], "many": list("abcde"), "rest": list("fghij")}
    )
    sets = tree.nest(tree.all_words)
    rows = np.random.default_rng(0).standard_normal((11, 4))
    found = held_out_words(rows, sets, n_permutations=9)
    assert found["single"].score is None and "1 of 11 words; at least 4 are needed" in found["single"].undefined
    assert found["many"].score is not None
    with pytest.raises(ValueError, match="no parent has two children of at least 4 words"):
        held_out_kinds(rows, sets)


def test_bad_input_is_refused(rows, nest):
    with pytest.raises(ValueError, match="one finite row for each of 160 words"):
        held_out_words(rows[:5], nest)
    zero = rows.copy()
    zero[7] = 0
    with pytest.raises(ValueError, match="row 7 has length 0"):
        held_out_words(zero, nest)
    with pytest.raises(ValueError, match="min_words must be at least 2"):
        held_out_words(rows, nest, min_words=1)
    single = np.zeros(nest.n_words, dtype=bool)
    single[0] = True
    with pytest.raises(ValueError, match="a single word predicts nothing"):
        held_out_projections(rows, single)
    with pytest.raises(ValueError, match="must be some of the parent's"):
        held_out_plane(rows, nest.members[:, 1], nest.members[:, 0])
    flat = make_taxonomy({"a": None, "b": None}, {"a": ["x", "y"], "b": ["z", "w"]})
    with pytest.raises(ValueError, match="there is no step"):
        step_test(np.eye(4), flat.nest(flat.all_words))
    with pytest.raises(ValueError, match="at least two of everything"):
        planted_hierarchy(n_words=1)
