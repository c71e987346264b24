"""Figures and tables of concept hierarchies show what they were given, and refuse what cannot be shown."""

import numpy as np
import pytest

from helpers.geometry.hierarchy import (
    concept_directions,
    cosines,
    held_out_kinds,
    held_out_plane,
    held_out_words,
    make_taxonomy,
    planted_hierarchy,
    shown_order,
    shuffled_words,
    simplexes,
    step_test,
)
from helpers.reports.hierarchy_figures import (
    Plane,
    beside_nulls,
    concept_planes,
    cosine_heatmaps,
    ranked_beside_nulls,
    step_histograms,
)
from helpers.reports.hierarchy_tables import kinds_table, recognition_table, simplex_table, steps_table, tests_table

tests_table.__test__ = False  # a table of tests, not a test


@pytest.fixture(scope="module")
def planted():
    return planted_hierarchy(n_parents=3, n_children=3, seed=0)


@pytest.fixture(scope="module")
def nest(planted):
    return planted.taxonomy.nest(planted.taxonomy.all_words)


def test_heatmaps_are_in_the_order_of_the_taxonomy_and_indented(planted, nest):
    places = shown_order(nest, ["kind 1", "kind 0"])
    table = cosines(concept_directions(planted.rows, nest.members[:, places]))
    figure = cosine_heatmaps({"model a": table, "shuffled": table / 2}, nest, places)
    first, second = figure.axes[:2]
    labels = [label.get_text() for label in first.get_yticklabels()]
    assert labels[0] == "kind 0" and labels[1] == "    kind 0, concept 0" and labels[4] == "kind 1"
    np.testing.assert_array_equal(first.images[0].get_array(), table)
    assert first.images[0].get_clim() == second.images[0].get_clim()
    with pytest.raises(ValueError, match="expected tables of 8 by 8 concepts, at least one; wrong: x"):
        cosine_heatmaps({"x": table[:2]}, nest, places)


def test_scores_stand_beside_their_shuffles(planted, nest):
    results = {name: of["held_out_kinds"] for name, of in held_out_kinds(planted.rows, nest, n_permutations=19).items()}
    figure = beside_nulls(
        {"model a": results, "model b": results}, {"model a": ["kind 0"], "model b": []}, x_label="x", chance=0.5
    )
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == sorted(
        results, key=lambda name: -results[name].score
    )
    dots = {
        line.get_xdata()[0]: line.get_markerfacecolor()
        for line in figure.axes[0].lines
        if line.get_marker() == "o" and len(line.get_xdata())
    }
    assert dots[results["kind 0"].score] != "white" and dots[results["kind 1"].score] == "white"
    with pytest.raises(ValueError, match="at least one result"):
        beside_nulls({"model a": {}}, {}, x_label="x", chance=0.5)


def test_ranked_concepts_leave_undefined_ones_out(planted, nest):
    results = held_out_words(planted.rows, nest, n_permutations=19)
    small = make_taxonomy({"a": None, "b": None}, {"a": ["x"], "b": ["y", "z"]})
    undefined = held_out_words(np.eye(3), small.nest(small.all_words), n_permutations=1)
    figure = ranked_beside_nulls({"model a": results | undefined}, y_label="y")
    dots = figure.axes[0].lines[0].get_ydata()
    assert len(dots) == len(results) and list(dots) == sorted(dots)
    with pytest.raises(ValueError, match="no concept of model b has a score"):
        ranked_beside_nulls({"model b": undefined}, y_label="y")
    text = recognition_table({"all": results, "small": undefined})
    assert f'<td class="number">{len(results)}</td>' in text and "nan" not in text.lower()


def test_steps_and_simplexes_stand_beside_random_words(planted, nest):
    steps = step_test(planted.rows, nest, n_permutations=19)
    figure = step_histograms({"model a": steps, "model b": steps})
    assert len(figure.axes) == 2
    assert "a false null" in figure.legends[0].get_texts()[2].get_text()
    text = steps_table({"model a": steps})
    assert f"{steps.observed.__abs__().mean():.3f}" in text and "not nested: a false null" in text
    shuffled = shuffled_words(nest, np.random.default_rng(0))
    found, random = (simplexes(concept_directions(planted.rows, sets.members), sets) for sets in (nest, shuffled))
    text = simplex_table({"model a": found}, {"model a": random}, names=["kind 1"])
    assert "kind 1, model a" in text and "kind 0" not in text and "-0.50" in text
    with pytest.raises(ValueError, match="at least one row"):
        simplex_table({"model a": found}, {"model a": random}, names=["kind 9"])


def test_planes_name_words(planted, nest):
    parent, child = nest.members[:, 0], nest.members[:, 1]
    plane = Plane(
        "kind 0", "concept 0", planted.taxonomy.all_words, held_out_plane(planted.rows, parent, child), parent, child
    )
    figure = concept_planes({"model a": [plane], "model b": [plane]})
    assert [axes.get_title(loc="left") for axes in figure.axes] == [f"model {x}: kind 0, concept 0" for x in "ab"]
    named = [text.get_text() for text in figure.axes[0].texts]
    assert named and set(named) <= set(np.array(planted.taxonomy.all_words)[parent])
    drawn = sum(len(points.get_offsets()) for points in figure.axes[0].collections)
    assert drawn == nest.n_words + 3  # and the three ideal places
    with pytest.raises(ValueError, match="at least one view"):
        concept_planes({"model a": [], "model b": []})


def test_tables_tell_verdicts(planted, nest):
    kinds = {"model a": held_out_kinds(planted.rows, nest, n_permutations=99)}
    text = kinds_table(kinds)
    assert text.count("<tr><th>kind") == 3 and "kind 0, model a" in text
    results = {name: of["held_out_kinds"] for name, of in kinds["model a"].items()}
    assert "chance" in tests_table(results, rows="children", caption="kinds")
