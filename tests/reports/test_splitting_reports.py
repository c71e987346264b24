"""The map of widths and the tables of split features show what they are given, and refuse what they cannot show."""

import numpy as np
import pytest

from helpers.geometry import Clashes, Embedding, planted_splitting, width_step
from helpers.reports.splitting_figures import Marked, fate_bars, width_map
from helpers.reports.splitting_tables import (
    absorption_table,
    corrected_table,
    coverage_table,
    links_table,
    splitting_table,
)


@pytest.fixture(scope="module")
def planted_split():
    return planted_splitting(seed=0)


@pytest.fixture(scope="module")
def step(planted_split):
    p = planted_split
    return width_step(("s", "m"), {"s": p.narrow, "m": p.wide}, {"s": p.W_narrow, "m": p.W_wide}, n_shuffles=2)


@pytest.fixture(scope="module")
def names(step):
    return [f"<g{i}>" for i in range(step.splitting.d_narrow)], [f"s{i}" for i in range(step.splitting.d_wide)]


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    return {
        name: Embedding(rng.normal(size=(n, 2)).astype(np.float32), np.arange(n) * 2, {})
        for name, n in (("small", 5), ("middle", 9), ("wide", 20))
    }


def test_narrow_dictionaries_are_larger_and_beneath(maps):
    figure = width_map(maps)
    (axes,) = figure.axes
    small, middle, wide = axes.collections
    assert small.get_sizes()[0] > middle.get_sizes()[0] > wide.get_sizes()[0]
    assert small.get_zorder() < middle.get_zorder() < wide.get_zorder()
    for drawn, each in zip((small, middle, wide), maps.values(), strict=True):
        np.testing.assert_allclose(drawn.get_offsets(), each.points)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["small (5 features)", "middle (9 features)", "wide (20 features)"]


def test_marked_families_are_looked_up_by_id_and_not_by_place(maps):
    """The trap: ids are 0, 2, 4, ...; place 4 is feature 8."""
    figure = width_map(maps, marked=[Marked("season", ("small", 4), [("middle", 8), ("wide", 2)])])
    (axes,) = figure.axes
    start, first, second = maps["small"].points[2], maps["middle"].points[4], maps["wide"].points[1]
    for line, end in zip(axes.lines, (first, second), strict=True):
        np.testing.assert_allclose(line.get_xydata(), np.array([start, end]), rtol=1e-6)
    assert [text.get_text() for text in axes.texts] == ["season"]


def test_maps_that_cannot_be_drawn_are_refused(maps):
    with pytest.raises(ValueError, match="expected one to 3 maps of two dimensions"):
        width_map({})
    with pytest.raises(ValueError, match="expected one to 3 maps of two dimensions"):
        width_map(maps | {"more": maps["wide"]})
    with pytest.raises(ValueError, match="two dimensions"):
        width_map({"solid": Embedding(np.zeros((3, 3), np.float32), np.arange(3), {})})
    with pytest.raises(ValueError, match="marked features must be on the map; small/3, middle/99 are not"):
        width_map(maps, marked=[Marked("x", ("small", 3), [("middle", 99)])])


def test_bars_stand_beside_the_shuffled_ones(step, planted_split):
    (axes,) = fate_bars([step], side="wide").axes
    observed, shuffled = axes.containers
    widths = [bar.get_width() for bar in observed]
    classes = ("kept", "split", "narrowed", "mixed", "new")
    assert widths == [np.mean(planted_split.wide_class == name) for name in classes]
    assert [bar.get_width() for bar in shuffled] == list(step.chance["tokens"].shares_wide.values())
    assert axes.get_xlabel() == "share of the wider dictionary's features"


def test_families_are_told_with_their_marks_and_escaped(step, names, planted_split):
    absorbed = int(np.flatnonzero(planted_split.narrow_class == "absorbed")[0])
    split = int(np.flatnonzero(planted_split.narrow_class == "split")[0])
    html = splitting_table(step.splitting, [absorbed, split], *names, caption="families")
    copy, child = step.splitting.children(absorbed)
    assert f"&lt;g{absorbed}&gt; ({absorbed})" in html and "<g" not in html
    assert f"s{copy}* (" in html and f"s{child}! (" in html
    inside = step.splitting.together[child] / step.splitting.counts_wide[child]
    assert f"s{child}! ({inside:.0%}, {step.splitting.cosine[child]:.2f})" in html
    assert f"{step.splitting.coverage[split]:.0%}" in html
    with pytest.raises(ValueError, match="there are no families to show"):
        splitting_table(step.splitting, [], *names)


def test_long_families_are_cut_and_say_so(planted_split):
    planted = planted_splitting(n_tokens=40_000, n_each=1, n_children=11, seed=1)
    sides = {"s": planted.narrow, "m": planted.wide}, {"s": planted.W_narrow, "m": planted.W_wide}
    found = width_step(("s", "m"), *sides).splitting
    html = splitting_table(found, found.families[:1], [""] * found.d_narrow, [""] * found.d_wide)
    assert "and 3 more" in html and html.count("no label") == 9


def test_absorption_by_hand(step, names):
    found = step.splitting
    html = absorption_table(found, *names, n=2, caption="absorbed")
    assert html.count("<tr>") == 1 + 2
    children = np.flatnonzero(found.absorbs)
    child = int(children[np.argmax((found.together - found.with_copy)[children])])
    general = found.parents[child]
    copy = found.copies[general]
    assert f"s{child} ({child})" in html and f"&lt;g{general}&gt; ({general})" in html and f"s{copy} ({copy})" in html
    assert f"{found.together[child]:,}" in html
    assert "100%" in html  # the planted copy never fires with the absorbing child
    elsewhere = found.counts_narrow[general] - found.together[child]
    assert f"{1 - found.together[copy] / elsewhere:.0%}" in html


def test_nothing_absorbed_is_said(planted_split):
    p = planted_split
    found = width_step(("m", "l"), {"m": p.wide, "l": p.wide}, {"m": p.W_wide, "l": p.W_wide}).splitting
    assert "nothing is absorbed" in absorption_table(found, ["x"] * found.d_narrow, ["x"] * found.d_wide)


def test_numbers_of_steps(step):
    html = links_table([step], caption="links")
    assert f"{step.thresholds.min_containment:.2f}" in html and f"{len(step.splitting.families):,}" in html
    html = coverage_table([step], {"s to m": Clashes(1.5, None)})
    assert "1.50" in html and "not known" in html
    assert coverage_table([step], {}).count("not known") == 2
    html = corrected_table({"x": step.chance["tokens"].children}, columns=("score", "chance", "p"))
    assert f"{step.chance['tokens'].children.score:.3f}" in html and "verdict" not in html
