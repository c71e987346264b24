"""Shapes beside random rows, covers beside each other, and partners beside shuffled ones."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.geometry.mapper import (
    MapperSettings,
    mapper_chance,
    mapper_graph,
    partners_stay_together,
    stability_sweep,
)
from helpers.geometry.mapper.chance import NULLS
from helpers.geometry.point_clouds import point_cloud
from tests.geometry.mapper.test_graph import graph_of

SETTINGS = MapperSettings(n_cubes=8)


def chance_of(rows, settings=SETTINGS, **options):
    return mapper_chance(rows, mapper_graph(rows, settings), settings, **{"n_runs": 19, **options})


@pytest.mark.parametrize(
    ("shape", "settings", "statistic"),
    [
        ("circle", SETTINGS, "loops"),
        ("figure_eight", SETTINGS, "loops"),
        ("two_clusters", SETTINGS, "components"),
        ("tree", replace(SETTINGS, lens="l2_norm"), "branches"),
    ],
)
def test_shapes_are_more_than_chance(shape, settings, statistic):
    rows = point_cloud(shape, n_points=500, d=64, noise=0.1, seed=0).rows
    found = chance_of(rows, settings)
    assert list(found) == list(NULLS)
    # Shuffled columns keep what single columns show, and two far clusters show in one column now and then.
    for null in NULLS[:1] if shape == "two_clusters" else NULLS:
        result = found[null]
        assert result.p_value(statistic) == pytest.approx(1 / 20)
        assert result.drawn[statistic].max() < getattr(result.observed, statistic)


def test_noise_is_not_more_than_chance():
    """A loop in noise would be the mistake. (How often it is made, over many clouds: tests/benchmarks.)"""
    for seed in range(3):
        rows = point_cloud("noise", n_points=150, d=64, noise=0, seed=seed).rows
        for result in chance_of(rows, n_runs=9).values():
            assert result.p_value("loops") > 0.1 and result.p_value("components") > 0.1


def test_p_counts_ties_and_itself():
    rows = point_cloud("circle", n_points=200, d=16, noise=0.1, seed=0).rows
    result = chance_of(rows, n_runs=9)[NULLS[0]]
    drawn = result.drawn["components"]
    assert result.p_value("components") == (1 + (drawn >= result.observed.components).sum()) / 10 == 1.0


def test_rows_on_a_sphere_are_held_against_rows_on_a_sphere(monkeypatch):
    from helpers.geometry.mapper import chance

    asked = []
    real = chance.gaussian_rows
    monkeypatch.setattr(
        chance, "gaussian_rows", lambda *rows, **options: asked.append(options["keep_norms"]) or real(*rows, **options)
    )
    rows = point_cloud("circle", n_points=200, d=16, noise=0.1, seed=0).rows
    chance_of(rows, n_runs=1)
    chance_of(rows / np.linalg.norm(rows, axis=1, keepdims=True), n_runs=1)
    assert asked == [False, True]


def test_seeds_decide_what_is_drawn():
    rows = point_cloud("noise", n_points=200, d=16, noise=0, seed=0).rows
    settings = replace(SETTINGS, n_components=2)
    first, again, other = (
        chance_of(rows, settings, n_runs=6, seed=seed)[NULLS[1]].drawn["loops"] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_scores_of_a_concept_stay_with_their_places():
    cloud = point_cloud("circle", n_points=300, d=16, noise=0.1, seed=0)
    settings = replace(SETTINGS, lens="concept")
    scores = np.sin(cloud.place)
    graph = mapper_graph(cloud.rows, settings, scores=scores)
    found = mapper_chance(cloud.rows, graph, settings, scores=scores, n_runs=9)
    assert all(result.p_value("loops") == 0.1 for result in found.values())


def test_what_has_no_null_is_refused():
    rows = point_cloud("circle", n_points=200, d=16, noise=0.1, seed=0).rows
    graph = mapper_graph(rows, SETTINGS)
    with pytest.raises(ValueError, match="n_runs must be at least 1; got 0"):
        mapper_chance(rows, graph, SETTINGS, n_runs=0)
    with pytest.raises(ValueError, match="the graph was made from 200 rows; got 100"):
        mapper_chance(rows[:100], graph, SETTINGS)


def test_random_rows_that_have_no_graph_say_which():
    """Columns of a few large values: shuffled, most rows are zero and have no direction."""
    rows = np.kron(np.eye(4), np.ones((40, 1))) * 5 + 0.0
    rows[:, :2] += np.random.default_rng(0).uniform(0.1, 1, (160, 2)) * (rows[:, :2] > 0)
    settings = MapperSettings(metric="cosine", n_cubes=4, eps=0.5)
    with pytest.raises(ValueError, match=r"random rows \(shuffled columns\) have no Mapper graph .* row \d+ is zero"):
        mapper_chance(rows, graph_of([[0, 1], [1, 2]], n_rows=160), settings, n_runs=1)


def test_the_sweep_has_the_counts_of_single_graphs():
    rows = point_cloud("circle", n_points=400, d=32, noise=0.1, seed=0).rows
    sweep = stability_sweep(rows, MapperSettings(), n_cubes=[6, 10], gains=[0.3, 0.4, 0.5])
    for i, gain in enumerate(sweep.gains):
        for j, n_cubes in enumerate(sweep.n_cubes):
            found = mapper_graph(rows, MapperSettings(n_cubes=n_cubes, gain=gain)).statistics()
            for name, counts in sweep.counts.items():
                assert counts[i, j] == getattr(found, name)
    assert (sweep.counts["loops"][1:] == 1).all()  # small overlaps may tear it


def test_a_cover_without_a_graph_counts_nothing_in_the_sweep():
    rows = point_cloud("noise", n_points=200, d=64, noise=0, seed=0).rows
    sweep = stability_sweep(rows, MapperSettings(eps=0.1), n_cubes=[5], gains=[0.3])
    assert all(counts.tolist() == [[0]] for counts in sweep.counts.values())
    with pytest.raises(ValueError, match="at least one resolution and one gain"):
        stability_sweep(rows, MapperSettings(), n_cubes=[], gains=[0.3])


@pytest.fixture(scope="module")
def chain():
    """Nodes in a line: rows 0-5, 5-10, 10-15, 15-20."""
    return graph_of([range(6), range(5, 11), range(10, 16), range(15, 21)], n_rows=22)


def near(graph, i, j):
    """By hand: some node of i is some node of j, or tied to it."""
    nodes = [[n for n in range(graph.n_nodes) if row in graph.rows_of(n)] for row in (i, j)]
    return any(x == y or abs(x - y) == 1 for x in nodes[0] for y in nodes[1])  # a chain ties neighbours


def test_the_score_of_partners_by_hand(chain):
    rng = np.random.default_rng(1)
    rows_a, rows_b = rng.permutation(22)[:14], rng.permutation(22)[:14]  # row 21 is in no node
    together = [
        (p, q) for p in range(14) for q in range(p)
        if any({rows_a[p], rows_a[q]} <= set(chain.rows_of(n).tolist()) for n in range(4))
    ]  # fmt: skip
    expected = np.mean([near(chain, rows_b[p], rows_b[q]) for p, q in together])
    found = partners_stay_together(chain, chain, rows_a, rows_b, n_permutations=19)
    assert found.score == pytest.approx(expected) and 0 < expected < 1
    assert found.settings["n_asked"] == len(together)


def test_the_same_graph_keeps_all_partners_and_shuffled_ones_do_not(chain):
    rows = np.arange(21)
    found = partners_stay_together(chain, chain, rows, rows, n_permutations=99)
    assert found.score == 1.0 and found.p_value == 0.01 and found.null_mean < 0.95
    shuffled = np.random.default_rng(0).permutation(21)
    assert partners_stay_together(chain, chain, rows, shuffled, n_permutations=99).p_value > 0.05


def test_partners_of_like_frequency_do_not_make_a_finding():
    """The trap: a graph along how often features fire gives partners like places for that reason alone."""
    rng = np.random.default_rng(0)
    often = np.sort(rng.random(400))
    line = graph_of([range(i, min(i + 30, 400)) for i in range(0, 400, 20)], n_rows=400)
    in_bins = np.concatenate([rng.permutation(np.arange(i, i + 20)) for i in range(0, 400, 20)])  # like, not the same
    plain = partners_stay_together(line, line, np.arange(400), in_bins, n_permutations=99)
    matched = partners_stay_together(line, line, np.arange(400), in_bins, counts_b=often[in_bins], n_permutations=99)
    assert plain.p_value == 0.01 and plain.score > 4 * plain.null_mean
    assert matched.p_value > 0.05


def test_many_pairs_of_rows_are_sampled(chain):
    rows = np.arange(21)
    found = partners_stay_together(chain, chain, rows, rows, n_permutations=19, max_asked=12)
    assert found.settings["n_asked"] == 12 and found.score == 1.0


@pytest.mark.parametrize(
    ("rows_a", "rows_b", "message"),
    [
        ([0, 1, 2], [0, 1], "must pair up; got 3, 2"),
        ([0, 0, 1], [0, 1, 2], "rows_a must be at least two different rows from 0 to 21"),
        ([0, 1], [0, 22], "rows_b must be .* are a and b swapped"),
        ([0, 20], [0, 1], "no two matched rows share a node of a"),
    ],
)
def test_rows_that_do_not_pair_up_are_refused(chain, rows_a, rows_b, message):
    with pytest.raises(ValueError, match=message):
        partners_stay_together(chain, chain, rows_a, rows_b)
