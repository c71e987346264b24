"""The linked map in Chromium: whatever is asked of one map is answered in the other."""

from __future__ import annotations

import pytest

from tests.browser.chromium import IN_BROWSER
from tests.browser.map_page import MapPage
from tests.browser.maps import NASTY

pytestmark = IN_BROWSER
BOX_AROUND_0_AND_1 = "app.select({s: 0, points: [[-0.5, -0.5], [1.5, -0.5], [1.5, 0.5], [-0.5, 0.5]]})"


def test_hovering_lights_both_partners_and_shows_both_cards(small):
    small.hover(0, 1)
    assert small.lit(0) == [1] and small.lit(1) == [1]
    own, partner = small.cards
    assert own.startswith("a feature 11 cat top words") and "the old cat slept" in own
    assert partner.startswith("b feature 21 cat") and "correlation 0.800" in partner and "concept animal" in partner
    assert "promotes ␣woof +1.2" in own and "51 of 1,000" in own
    assert small.lines() > 50
    small.page.mouse("mouseMoved", 5, 5)
    assert small.cards == [] and small.lit(0) == [] and small.lit(1) == [] and small.lines() == 0


def test_hovering_works_from_the_second_map_too(small):
    small.hover(1, 2)
    assert small.lit(0) == [2] and small.lit(1) == [2]
    assert [text.split()[0] for text in small.cards] == ["a", "b"]  # a's card stays first


def test_a_feature_with_several_partners_shows_them_all_the_strongest_first(small):
    small.hover(1, 1)
    assert small.lit(0) == [1, 3]
    assert [text.split(" top")[0] for text in small.cards] == [
        "a feature 11 cat",
        "a feature 13 dogs",
        "b feature 21 cat",
    ]


def test_a_feature_without_a_partner_says_so_and_its_texts_are_text(small):
    small.hover(0, 4)
    assert small.lit(0) == [4] and small.lit(1) == []
    assert "No partner in b is shown" in small.run("document.getElementById('card').innerText")
    (text,) = small.cards
    assert " ".join(NASTY.split()) in text
    assert small.run("document.querySelectorAll('#card img').length") == 0
    assert small.run("document.title") == "Cats & <dogs>"


def test_a_click_pins_and_escape_lets_go(small):
    small.click(0, 2)
    small.page.mouse("mouseMoved", 5, 5)
    assert small.lit(1) == [2] and "a feature 12 Monday" in small.cards[0]
    assert small.run("location.hash") == "#pin=0.12"
    small.hover(0, 1)  # another one is looked at, the pinned pair stays lit
    assert small.lit(1) == [1, 2] and "feature 11" in small.cards[0]
    small.page.mouse("mouseMoved", 5, 5)
    small.page.key("Escape")
    assert small.cards == [] and small.lit(1) == [] and small.run("location.hash") == ""


def test_a_box_selects_and_shows_where_the_partners_lie(small):
    small.press("[data-tool=box]")
    (x0, y0), (x1, y1) = small.point(0, 0), small.point(0, 1)
    small.page.drag((x0 - 20, y0 - 20), ((x0 + x1) / 2, y0), (x1 + 20, y1 + 20))
    assert small.stands_out(0) == [0, 1] and small.stands_out(1) == [0, 1]
    assert small.lines() > 100
    assert [row[2] for row in small.rows] == ["dog", "cat", "dogs"]  # 13 comes with b's 21
    small.press("#table .bar button:last-child")
    assert small.rows == [] and small.stands_out(1) == [0, 1, 2, 3, 4] and small.lines() == 0


def test_a_lasso_takes_what_its_outline_holds_and_not_its_corners(small):
    """A triangle around points 0, 1 and 3 of b, whose bounding box would hold more."""
    small.press("[data-tool=lasso]")
    (x0, y0), (x3, y3) = small.point(1, 0), small.point(1, 3)
    small.page.drag((x0 - 15, y0 + 15), (x0 - 15, y0 - 15), (x3 + 15, y3 - 12), (x3 + 15, y3 + 12), (x0, y0 + 15))
    assert small.stands_out(1) == [0, 3] and small.stands_out(0) == [0]
    assert [row[1] for row in small.rows] == ["10"]


def test_the_table_sorts_by_every_column_and_shows_its_rows_in_the_maps(small):
    small.run(BOX_AROUND_0_AND_1)
    assert [row[0] for row in small.rows] == ["0.900", "0.800", "0.600"]
    small.press("#table thead th:nth-child(3) button")
    assert [row[2] for row in small.rows] == ["cat", "dog", "dogs"]
    small.press("#table thead th:nth-child(3) button")
    assert [row[2] for row in small.rows] == ["dogs", "dog", "cat"]
    assert small.run("document.querySelectorAll('#table th')[2].getAttribute('aria-sort')") == "descending"
    small.press("#table tbody tr:first-child td:nth-child(3)")
    small.page.mouse("mouseMoved", 2, 2)
    assert small.run("app.pinned") == {"s": 0, "i": 3}
    small.run("window.scrollTo(0, 0)")
    assert small.lit(0) == [3] and small.lit(1) == [1]


def test_csv_is_downloaded_with_every_pair_and_quoted(small, tmp_path):
    small.run(BOX_AROUND_0_AND_1)
    small.page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    small.press("#table .bar button:nth-of-type(2)")
    lines = wait_for_file(tmp_path / "pairs.csv", small).splitlines()
    assert lines[0] == (
        "correlation,feature of a,label in a,concept in a,density in a,feature of b,label in b,concept in b,density in b"
    )
    assert [line.split(",")[1:4] for line in lines[1:]] == [
        ["10", "dog", "animal"],
        ["11", "cat", "animal"],
        ["13", "dogs", "animal"],
    ]
    # A label with quotes, a comma and markup is one cell.
    text = small.run("delimited([0], app.pairs, [{title: 'x', value: () => app.texts[0].labels[4]}], ',')")
    assert text == 'x\n"' + NASTY.replace('"', '""') + '"\n'


def wait_for_file(path, small):
    for _ in range(200):
        if path.is_file():
            return path.read_text(encoding="utf-8")
        small.run("new Promise(resolve => setTimeout(resolve, 25))")
    raise AssertionError(f"{path} was not downloaded")


def test_copying_gives_tab_separated_rows(small):
    small.page.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    small.run(BOX_AROUND_0_AND_1)
    small.press("#table .bar button:first-of-type")
    small.page.wait_for("document.querySelector('#table .bar').innerText.includes('Copied')")
    copied = small.run("navigator.clipboard.readText()")
    assert copied.splitlines()[1].split("\t")[1:3] == ["10", "dog"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("dog", [[0], [0, 3]]),  # whole words: not "dogs"; "hot dog" holds the word
        ("dog*", [[0, 3], [0, 3]]),
        ("DOG", [[0], [0, 3]]),
        ("hot dog", [[], [3]]),
        ("#21", [[], [1]]),
        ("12", [[2], []]),
        ("concept:time", [[2], [2]]),
        ("old", [[], []]),  # a neighbour of firing tokens, never a firing token
        ("قلب", [[4], []]),
        ("🦊", [[4], []]),
        ("<img", [[4], []]),
        ("", None),
    ],
)
def test_search_finds_whole_words_prefixes_ids_and_concepts(small, query, expected):
    small.run("document.getElementById('query').focus()")
    small.type(query)
    assert small.run("app.found") == expected
    if expected and any(expected):
        assert [small.stands_out(s) for s in (0, 1)] == expected
    elif expected:
        assert small.run("document.getElementById('hits').textContent") == "nothing found"


def test_enter_goes_from_hit_to_hit_zooms_and_the_whole_comes_back(small):
    small.run("document.getElementById('query').focus()")
    small.type("dog")
    seen = []
    for _ in range(3):
        small.page.key("Enter")
        seen.append(small.run("[app.pinned.s, app.pinned.i]"))
    assert seen == [[0, 0], [1, 0], [1, 3]]
    assert small.run("app.plots[1].view.zoom") > 1
    assert small.run("[app.plots[1].view.x, app.plots[1].view.y]") == small.run(
        "[app.plots[1].side.x[3], app.plots[1].side.y[3]]"
    )
    small.press("#whole")
    assert (
        small.run("app.plots.map(p => p.view.zoom)") == [1, 1]
        and small.run("document.getElementById('query').value") == ""
    )
    assert small.run("location.hash") == ""


def test_colours_follow_the_choice_in_both_maps(small):
    colour = "[0, 1].map(s => [0, 4].map(i => [...app.plots[s].colours.subarray(4 * i, 4 * i + 3)].join()))"
    by_concept = small.run(colour)
    assert by_concept[0][0] == by_concept[1][0] == "0,114,178"  # "animal", the first colour
    assert by_concept[0][1] == by_concept[1][1] == "150,155,162"  # no concept
    modes = small.run("[...document.getElementById('colour').options].map(o => o.value)")
    assert modes == ["concept", "match", "partner", "density"]  # no clusters were given
    seen = set()
    for mode in modes:
        small.run(
            f"(() => {{ const c = document.getElementById('colour'); c.value = '{mode}'; c.dispatchEvent(new Event('change')); }})()"
        )
        seen.add(str(small.run(colour)))
        assert small.run("document.getElementById('legend').innerText").strip()
    assert len(seen) == len(modes)


def test_legends_hide_groups_in_both_maps_and_hidden_points_are_not_found_by_the_pointer(small):
    small.press("#legend button")
    assert small.run("app.plots.map(p => [...p.visible])") == [[0, 0, 1, 0, 1], [0, 0, 1, 1, 1]]
    assert small.run("document.querySelector('#legend button').getAttribute('aria-pressed')") == "false"
    small.hover(0, 1)
    assert small.cards == []
    small.press("#legend button")
    small.hover(0, 1)
    assert small.lit(1) == [1]
    small.run("document.querySelectorAll('#legend button')[2].dispatchEvent(new MouseEvent('dblclick'))")
    assert small.run("app.plots.map(p => [...p.visible])") == [[0, 0, 1, 0, 0], [0, 0, 1, 0, 0]]  # "time" alone


def test_the_address_brings_everything_back(small):
    small.run("app.setMode('match'); app.setQuery('dog'); app.pin({s: 1, i: 3});" + BOX_AROUND_0_AND_1)
    small.run("app.plots[1].zoomAt(100, 120, 3); app.toggleGroup(-1); app.draw()")
    state = "JSON.stringify([app.modeName, app.query, app.pinned, app.found, [...app.hidden], app.picked.map(s => [...s].sort()), app.plots[1].view.zoom])"
    address, before, lit = small.run("location.href"), small.run(state), [small.lit(0), small.lit(1)]
    other = MapPage(small.page, address)
    assert other.run(state) == before
    assert [other.lit(0), other.lit(1)] == lit
    assert other.run("document.getElementById('query').value") == "dog" and len(other.rows) == 3
    assert other.run("document.getElementById('colour').value") == "match"


@pytest.mark.parametrize(
    "hash_", ["#pin=0.999", "#pin=7.1", "#colour=nothing", "#q=%E0%A4%A", "#sel=0:1,2;x", "#view0=a,b,c", "#&&=&x"]
)
def test_a_broken_address_opens_the_whole_map(small, hash_):
    other = MapPage(small.page, small.address + hash_)
    assert other.stands_out(0) == [0, 1, 2, 3, 4] and other.run("app.plots[0].view.zoom") == 1


def test_the_keyboard_is_enough(small):
    page = small.page
    small.run("app.plots[0].top.focus(); app.setHover({s: 0, i: 0})")
    page.key("ArrowRight")
    assert small.lit(0) == [1] and small.lit(1) == [1]
    page.key("Enter")
    assert small.run("app.pinned") == {"s": 0, "i": 1}
    page.key("+")
    assert small.run("app.plots[0].view.zoom") == pytest.approx(1.3)
    page.key("0")
    assert small.run("app.plots[0].view.zoom") == 1 and small.run("app.pinned") is None
    page.key("l")
    assert small.run("document.querySelector('[data-tool=lasso]').getAttribute('aria-pressed')") == "true"
    page.key("/")
    assert small.run("document.activeElement.id") == "query"


def test_everything_that_can_be_clicked_can_be_reached_by_tab(small):
    small.run(BOX_AROUND_0_AND_1)
    assert small.run(
        "[...document.querySelectorAll('button, input, select, .top, #table tr[tabindex]')].every(n => n.tabIndex === 0)"
    )
    small.run("document.querySelector('#table tbody tr:nth-child(2)').focus()")
    small.page.key("Enter")
    assert small.run("app.pinned") == {"s": 0, "i": 1}


def test_the_theme_is_that_of_the_reader_and_can_be_changed(small):
    def background() -> str:
        return small.run("getComputedStyle(document.body).backgroundColor")

    assert background() == "rgb(255, 255, 255)"
    small.press("#theme")
    assert background() == "rgb(20, 23, 27)"
    small.hover(0, 1)
    assert small.lit(1) == [1]
    small.page.prefer("dark")
    other = MapPage(small.page, small.address)
    assert other.run("document.documentElement.dataset.theme") == "dark"
    small.page.prefer("light")


def test_dragging_moves_the_map_and_the_wheel_zooms_where_the_pointer_is(small):
    x, y = small.point(0, 1)
    small.page.drag((x - 60, y + 40), (x - 100, y + 10), (x - 160, y))
    assert small.point(0, 1) == pytest.approx((x - 100, y - 40), abs=1)
    x, y = small.point(0, 1)
    small.page.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-400)
    small.page.wait_for("app.plots[0].view.zoom > 1.5")
    assert small.point(0, 1) == pytest.approx((x, y), abs=1)
    assert "view0=" in small.run("location.hash")
