"""Pictures, page and tables of Mapper graphs show what they are given, and refuse what they cannot show."""

import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from helpers.geometry.mapper import (
    MapperChance,
    MapperGraph,
    MapperStatistics,
    NodeLabel,
    StabilitySweep,
    graph_layout,
)
from helpers.geometry.mapper.chance import NULLS
from helpers.nulls.permutation import summarise
from helpers.reports.mapper_figures import (
    NO_GROUP,
    OTHER_COLOUR,
    OTHER_GROUPS,
    counts_beside_chance,
    cover_grid,
    graph_panels,
    group_colours,
    reach_curves,
)
from helpers.reports.mapper_page import GraphSide, mapper_html, save_mapper_page
from helpers.reports.mapper_tables import chance_table, graphs_table, nodes_table, shares_table
from helpers.reports.style import GREY, PALETTE


@pytest.fixture
def graph():
    """A path of three nodes and one by itself; row 9 is in none."""
    nodes = [[0, 1, 2, 3], [3, 4], [4, 5], [6, 7, 8]]
    settings = {"n_cubes": 8, "eps": 0.5}
    return MapperGraph(
        np.concatenate(nodes), np.cumsum([len(n) for n in nodes]), np.zeros((10, 1)), np.array([0.2, 0.9]), settings
    )


@pytest.fixture
def labels():
    return [
        NodeLabel(("Monday", "Tuesday"), "weekdays", 1.0),
        NodeLabel(("a very long label", "the"), "", 0.0),
        NodeLabel((), "", 0.0),
        NodeLabel(("<b>&", "x"), "animals", 0.7),
    ]


@pytest.fixture
def side(graph, labels):
    density = np.array([0.01] * 4 + [0.0] * 6)
    correlation = np.array([0.9, 0.7, np.nan, np.nan] + [np.nan] * 6)
    members = ["Monday", "Monday", "Tuesday", "the", "", "a", "<b>&", "x", "y", "z"]
    return GraphSide("model a", graph, graph_layout(graph), labels, members, np.arange(10) * 3, density, correlation)


def chance(observed, drawn):
    counts = MapperStatistics(components=observed, loops=observed, branches=observed, n_nodes=1, n_edges=1, unused=0)
    return MapperChance(NULLS[0], counts, {name: np.array(drawn) for name in ("components", "loops", "branches")})


def test_graphs_show_every_node_tie_and_label(graph, labels):
    places = graph_layout(graph)
    figure = graph_panels([graph, graph], [places, places], [labels, labels], names=["one", "two"])
    for axes, name in zip(figure.axes, ("one", "two"), strict=True):
        ties = axes.collections[0]
        assert [segment.tolist() for segment in ties.get_segments()] == [places[edge].tolist() for edge in graph.edges]
        nodes = axes.collections[1]
        np.testing.assert_allclose(nodes.get_offsets(), places)
        assert np.argmax(nodes.get_sizes()) == 0 and len(nodes.get_sizes()) == 4
        assert axes.get_title(loc="left") == f"{name}: 4 nodes, 10 features"
        assert "Monday, Tuesday" in [text.get_text() for text in axes.texts]
    entries = [text.get_text() for text in figure.legends[0].texts]
    assert entries == ["animals", "weekdays", NO_GROUP]


def test_names_of_nodes_do_not_lie_on_each_other(labels):
    nodes = [[i, i + 1] for i in range(30)]
    graph = MapperGraph(
        np.concatenate(nodes), np.arange(2, 61, 2), np.zeros((31, 1)), np.ones(2), {"n_cubes": 8, "eps": 1.0}
    )
    near = np.column_stack([np.arange(30) * 0.3, np.zeros(30)])
    figure = graph_panels([graph], [near], [[labels[0]] * 30], names=["x"])
    figure.canvas.draw()
    boxes = sorted((box.x0, box.x1) for box in (text.get_window_extent() for text in figure.axes[0].texts))
    assert len(boxes) > 2
    for (_, end), (start, _) in itertools.pairwise(boxes):
        assert end < start


def test_long_names_are_cut(graph, labels):
    apart = graph_layout(graph) * 10
    (axes,) = graph_panels([graph], [apart], [labels], names=["x"]).axes
    assert "a very long…, the" in [text.get_text() for text in axes.texts]


def test_only_the_commonest_groups_have_colours_of_their_own():
    many = [NodeLabel((), f"g{i}", 1.0) for i in range(8) for _ in range(8 - i)]
    colours = group_colours([many])
    assert list(colours)[:6] == [f"g{i}" for i in range(6)] and list(colours.values())[:6] == list(PALETTE)
    assert colours["g6"] == colours["g7"] == OTHER_COLOUR and list(colours)[-1] == ""


def test_what_does_not_belong_together_is_not_drawn(graph, labels):
    with pytest.raises(
        ValueError, match=r"a label for every node .* graphs of \[4\] nodes, \[4\] positions, \[3\] labels"
    ):
        graph_panels([graph], [graph_layout(graph)], [labels[:3]], names=["x"])
    with pytest.raises(ValueError, match="expected results with 1 or 2 nulls; got 0"):
        counts_beside_chance({})
    with pytest.raises(ValueError, match="no curves to draw"):
        reach_curves({}, y_label="distance")


def test_counts_stand_beside_the_range_of_the_copies():
    figure = counts_beside_chance({"a": {NULLS[0]: chance(7, [1, 2, 4]), NULLS[1]: chance(7, [0, 3, 3])}})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["components", "loops", "branches"]
    for axes in figure.axes:
        bars = {tuple(line.get_xdata()): line.get_color() for line in axes.lines}
        assert set(bars) == {(1, 4), (0, 3), (7,)} and bars[1, 4] == GREY
    assert [text.get_text() for text in figure.legends[0].texts] == [*NULLS, "the graph itself"]


def test_the_grid_writes_every_count_and_frames_what_is_drawn():
    counts = {name: np.arange(6).reshape(2, 3) + 10 * i for i, name in enumerate(("components", "loops", "branches"))}
    figure = cover_grid(StabilitySweep((8, 10, 12), (0.3, 0.4), counts), n_cubes=12, gain=0.3)
    for axes, table in zip(figure.axes, counts.values(), strict=True):
        written = {text.get_position(): text.get_text() for text in axes.texts}
        assert written == {(j, i): str(table[i, j]) for i in range(2) for j in range(3)}
        assert [patch.get_xy() for patch in axes.patches] == [(1.5, -0.5)]
    outside = cover_grid(
        StabilitySweep((8,), (0.3,), {name: t[:1, :1] for name, t in counts.items()}), n_cubes=9, gain=0.3
    )
    assert not any(axes.patches for axes in outside.axes)


def test_the_curve_marks_the_reach():
    (axes,) = reach_curves({"one": (np.array([0.1, 0.2, 0.6, 0.9]), 0.6)}, y_label="distance").axes
    curve, dot = axes.lines
    np.testing.assert_allclose(curve.get_xdata(), [0.25, 0.5, 0.75, 1.0])
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0.75, 0.6)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("input", "meta"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(html):
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    return tags.found


def test_the_page_tells_the_members_of_every_node_without_a_script(side):
    html = mapper_html([side, side], title="Graphs <of> two")
    tags = parsed(html)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in tags} and "http" not in html
    assert sum(tag == "circle" for tag, _ in tags) == 8 and sum(tag == "line" for tag, _ in tags) == 4
    texts = re.findall(r"<title>(.*?)</title>", html, flags=re.DOTALL)
    monday = next(text for text in texts if text.startswith("node 0:"))
    assert monday.splitlines() == [
        "node 0: 4 features; 100% weekdays", "  Monday (0)", "  Monday (3)", "  Tuesday (6)", "  the (9)",
        "fire on 1.00% of the tokens (geometric mean)", "correlation with the partner: 0.80, mean",
    ]  # fmt: skip
    assert any("&lt;b&gt;&amp;" in text and "none of them has a partner" in text for text in texts)
    assert "Graphs &lt;of&gt; two" in html and "<b>&" not in html


def test_colours_are_switched_by_buttons_and_style_alone(side):
    html = mapper_html([side], title="t")
    tags = parsed(html)
    buttons = [attrs for tag, attrs in tags if tag == "input"]
    assert [button["class"] for button in buttons] == ["group", "density", "partner"]
    assert len({button["name"] for button in buttons}) == 1 and ["checked" in button for button in buttons] == [
        True,
        False,
        False,
    ]
    (name,) = {button["name"] for button in buttons}
    for kind in ("group", "density", "partner"):
        assert f"#{name}:has(.{kind}:checked) circle {{fill: var(--{kind})}}" in html
    styles = [attrs["style"] for tag, attrs in tags if tag == "circle"]
    assert all(re.fullmatch(r"--group:#\w{6};--density:#\w{6};--partner:#\w{6}", style) for style in styles)
    assert any("--partner:#FFFFFF" in style for style in styles)  # nodes whose members have no partner
    assert mapper_html([side], title="t") == html


def test_two_pages_in_one_notebook_do_not_share_buttons(side, graph, labels):
    other = GraphSide("b", graph, side.positions, labels, side.members, side.ids, side.density, side.correlation)
    names = [re.search(r'name="(\w+)"', mapper_html([one], title="t"))[1] for one in (side, other)]
    assert names[0] != names[1]


def test_a_graph_without_any_partner_or_group_is_drawn(graph, side):
    plain = [NodeLabel((), "", 0.0)] * 4
    nothing = np.full(10, np.nan)
    alone = GraphSide("b", graph, side.positions, plain, [""] * 10, np.arange(10), np.zeros(10), nothing)
    html = mapper_html([alone], title="t")
    assert "nan" not in html.lower() and "(no label)" in html and OTHER_GROUPS not in html


def test_the_page_is_a_file_of_its_own(side, tmp_path):
    save_mapper_page([side], tmp_path / "mapper.html", title="Graphs")
    page = (tmp_path / "mapper.html").read_text(encoding="utf-8")
    assert (
        page.startswith("<!DOCTYPE html>")
        and "<title>Graphs</title>" in page
        and mapper_html([side], title="Graphs") in page
    )


def test_what_does_not_fit_is_refused(graph, labels, side):
    with pytest.raises(ValueError, match="expected at least one graph; got none"):
        mapper_html([], title="t")
    wrong = GraphSide("b", graph, side.positions, labels[:2], side.members, side.ids, side.density, side.correlation)
    with pytest.raises(ValueError, match="b: expected 4 positions and labels and 10 members"):
        mapper_html([wrong], title="t")


def test_tables_say_what_was_counted(graph, labels):
    html = chance_table({"a": {NULLS[0]: chance(7, [1, 2, 3]), NULLS[1]: chance(7, [7, 0, 8])}})
    assert "2.0 (1 to 3)" in html and "5.0 (0 to 8)" in html and ">0.25<" in html and ">0.75<" in html
    assert "a, loops" in html and html.count("<tr>") == 4
    about = graphs_table({"one": graph})
    assert ">10%<" in about and ">0.500<" in about and ">8<" in about
    nodes = nodes_table(graph, labels, n=2)
    assert nodes.index("node 0") < nodes.index("node 3") and "node 1" not in nodes
    assert "weekdays" in nodes and "&lt;b&gt;" in nodes


def test_tests_are_told_as_times_chance():
    class Scale:
        name, direction, ideal = "together", "similarity", 1.0

    found = summarise(Scale, 0.3, np.array([0.1, 0.1, 0.1]), 9, {}, null_kind="pairing")
    never = summarise(Scale, 0.3, np.zeros(3), 9, {}, null_kind="pairing")
    html = shares_table({"firing": {"shuffled": found, "other": never}})
    assert "30.0%" in html and ">3.0<" in html and "only there" in html and ">0.25<" in html
