"""A whole step from width to width: what it holds is what its parts give."""

import numpy as np
import pytest

from helpers.features import KnownConcepts
from helpers.geometry import (
    link_thresholds,
    meaning_tests,
    open_widths,
    split_features,
    splits_by_chance,
    width_step,
    width_steps,
)


@pytest.fixture(scope="module")
def sides(planted_split):
    """Three dictionaries: the planted narrow and wide ones, and the wide one once more."""
    p = planted_split
    return {"s": p.narrow, "m": p.wide, "l": p.wide}, {"s": p.W_narrow, "m": p.W_wide, "l": p.W_wide}


@pytest.fixture(scope="module")
def step(sides):
    return width_step(("s", "m"), *sides, n_shuffles=4, quantile=0.98, seed=2)


def test_a_step_is_its_parts(step, planted_split):
    p = planted_split
    pair = open_widths(p.narrow, p.wide, p.W_narrow, p.W_wide)
    thresholds = link_thresholds(pair, quantile=0.98, seed=2)
    found = split_features(pair, thresholds)
    assert step.name == "s to m"
    assert (step.thresholds.min_containment, step.thresholds.min_cosine) == (
        thresholds.min_containment,
        thresholds.min_cosine,
    )
    np.testing.assert_array_equal(step.splitting.parents, found.parents)
    assert list(step.chance) == ["tokens", "directions"]
    for shuffle, chance in step.chance.items():
        again = splits_by_chance(pair, found, thresholds, shuffle=shuffle, n_shuffles=4, seed=2)
        np.testing.assert_array_equal(chance.children.null, again.children.null)
        assert chance.shares("wide") == again.shares_wide and chance.shares("narrow") == again.shares_narrow


def test_metrics_are_plain_numbers_under_plain_names(step, planted_split):
    metrics = step.metrics()
    assert metrics["s_to_m_wide_new"] == np.mean(planted_split.wide_class == "new")
    assert metrics["s_to_m_narrow_absorbed"] == np.mean(planted_split.narrow_class == "absorbed")
    assert metrics["s_to_m_absorbing"] == planted_split.absorbs.sum()
    assert metrics["s_to_m_children_tokens_p"] == metrics["s_to_m_children_directions_p"] == 1 / 5
    assert metrics["s_to_m_children"] == np.mean(planted_split.parents >= 0)
    assert all(" " not in name and isinstance(value, int | float) for name, value in metrics.items())


def test_steps_go_from_each_width_to_the_next(sides):
    steps = width_steps(["s", "m", "l"], *sides)
    assert [step.name for step in steps] == ["s to m", "m to l"]
    assert all(step.chance == {} for step in steps)
    # A dictionary against itself: every feature is its own copy.
    np.testing.assert_array_equal(steps[1].splitting.parents, np.arange(sides[0]["m"].shape[1]))
    assert set(steps[1].splitting.wide_class) == {"kept"}


def test_three_questions_about_meaning(step, planted_split):
    """Children named by words of their parent's concept: all three shares are 1 for the planted families."""
    parents = planted_split.parents
    words = [f"w{child}" for child in np.flatnonzero(parents >= 0)]
    tree = {f"w{child}": f"c{parents[child]}" for child in np.flatnonzero(parents >= 0)}
    known = KnownConcepts(tuple(words), tree, {}.get)
    names = {
        "s": np.array([f"c{i}" for i in range(planted_split.narrow.shape[1])], dtype=object),
        "m": np.array([f"w{i}" if parents[i] >= 0 else None for i in range(len(parents))], dtype=object),
    }
    tests = meaning_tests(step, names, known, n_permutations=99, seed=1)
    assert list(tests) == [
        "s to m: children inside the parent",
        "s to m: children narrower than the parent",
        "s to m: families of one kind",
    ]
    for result in tests.values():
        assert result.score == 1 and result.p_value == 1 / 100


def test_questions_that_nothing_can_answer_are_left_out(step, planted_split):
    known = KnownConcepts(("dog", "cat"), {"dog": "mammal", "cat": "mammal"}, {}.get)
    unknown = {side: np.full(step.splitting.counts_narrow.shape, None) for side in "s"}
    unknown["m"] = np.full(step.splitting.counts_wide.shape, None)
    assert meaning_tests(step, unknown, known) == {}
    unknown["m"][step.splitting.children(0)] = ["dog", "cat", "dog", "cat"]  # no parent has a name
    assert list(meaning_tests(step, unknown, known, n_permutations=9)) == ["s to m: families of one kind"]
