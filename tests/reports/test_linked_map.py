"""The linked map: what is packed is what was given, and in a browser both partners light up."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from helpers.features import Context
from helpers.reports.linked_map import LinkedMap, MapSide, embedded_map, linked_map_html, save_linked_map
from helpers.reports.linked_map.content import unpack
from tests.browser import CHROMIUM, open_browser

in_browser = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]
NASTY = '<img src=x onerror="document.title=1"> & "quoted", café قلب'


def side(name: str, places: list[tuple[float, float]], first_id: int, labels: list[str], groups: list[str]) -> MapSide:
    n = len(places)
    contexts = [[Context("the old ", f" {label}", " slept")] for label in labels]
    return MapSide(
        name, np.array(places), first_id + np.arange(n), np.linspace(0.001, 0.2, n), labels, groups, contexts=contexts
    )


@pytest.fixture
def content() -> LinkedMap:
    """Five points a side on a cross; a's features 10..14, b's 20..24; 14 has no partner, 21 has two."""
    cross = [(0.0, 0.0), (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)]
    turned = [(y, x) for x, y in cross]
    return LinkedMap(
        side("a", cross, 10, ["dog", "cat", "Monday", "dogs", NASTY], ["animal", "animal", "time", "animal", ""]),
        side("b", turned, 20, ["dog", "cat", "Monday", "hot dog", "kin"], ["animal", "animal", "time", "food", ""]),
        ids_a=np.array([10, 11, 12, 13, 99]),
        ids_b=np.array([20, 21, 22, 21, 20]),
        corr=np.array([0.9, 0.8, 0.7, 0.6, 0.5], dtype=np.float32),
        title="Cats & <dogs>",
        faithfulness=["a: the map keeps 30% of each feature's 15 nearest."],
    )


def numbers(text: str, dtype: str) -> np.ndarray:
    import base64

    return np.frombuffer(base64.b64decode(text), dtype=dtype)


def test_pairs_go_by_feature_ids_and_not_by_rows(content):
    """The planted trap: ids 10..14 are not places, and pair rows are not ids."""
    np.testing.assert_array_equal(content.places, [[0, 0, 0], [1, 1, 1], [2, 2, 2], [3, 1, 3]])
    assert content.n_without_point == 1
    packed = unpack(content.first_paint())
    np.testing.assert_array_equal(numbers(packed["pairs"]["a"], "<u4"), [0, 1, 2, 3])
    np.testing.assert_array_equal(numbers(packed["pairs"]["b"], "<u4"), [0, 1, 2, 1])
    np.testing.assert_array_equal(numbers(packed["sides"][1]["ids"], "<u4"), [20, 21, 22, 23, 24])
    assert packed["sides"][0]["groupNames"] == ["animal", "time"]
    np.testing.assert_array_equal(numbers(packed["sides"][0]["groups"], "<i4"), [0, 0, 1, 0, -1])


def test_maps_are_centred_and_keep_their_proportions():
    one = side("a", [(100.0, 5.0), (104.0, 5.0), (102.0, 6.0)], 0, ["x"] * 3, [""] * 3)
    packed = unpack(LinkedMap(one, one, np.array([0]), np.array([1]), np.array([0.5], np.float32)).first_paint())
    x, y = (numbers(packed["sides"][0][axis], "<f4") for axis in "xy")
    np.testing.assert_allclose(x, [-1, 1, 0])
    np.testing.assert_allclose(y, [-0.25, -0.25, 0.25])


def test_texts_are_inside_compressed_and_not_as_markup(content):
    page = linked_map_html(content)
    assert NASTY not in page and "onerror" not in page
    assert unpack(content.texts())[0]["labels"][4] == NASTY
    assert "<title>Cats &amp; &lt;dogs&gt;</title>" in page


def test_the_page_fetches_nothing(content):
    page = linked_map_html(content)
    assert not re.findall(
        r"https?://|//cdn|@import|src=[\"'](?!$)", re.sub(r"<script type=.*?</script>", "", page, flags=re.DOTALL)
    )


def test_equal_content_gives_an_equal_page(content, tmp_path):
    save_linked_map(content, tmp_path / "map.html")
    assert (tmp_path / "map.html").read_text(encoding="utf-8") == linked_map_html(content)
    assert linked_map_html(content) == linked_map_html(replace(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": np.zeros((4, 2))}, r"points of 'a' must be \(n_points, 2\)"),
        ({"points": np.full((5, 2), np.nan)}, "must be finite"),
        ({"ids": np.array([1, 1, 2, 3, 4])}, "some id of 'a' is there twice"),
        ({"labels": ["x"]}, "labels of 'a' must have one entry a point; got 1 for 5"),
        ({"groups": ["x"]}, "groups of 'a' must have one entry a point"),
        ({"notes": {"promotes": ["x"]}}, "promotes of 'a' must have one entry a point"),
    ],
)
def test_what_does_not_fit_is_refused(content, change, message):
    with pytest.raises(ValueError, match=message):
        replace(content.a, **change)


def test_pairs_that_do_not_fit_are_refused(content):
    with pytest.raises(ValueError, match="equally many ids and values; got 5, 5, 1"):
        replace(content, corr=np.array([1.0], np.float32))
    with pytest.raises(ValueError, match="must be a finite number"):
        replace(content, corr=np.full(5, np.nan, np.float32))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with open_browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def opened(page, content, tmp_path):
    """The map in a browser, ready."""
    path = tmp_path / "map.html"
    save_linked_map(content, path)
    page.open(path.as_uri())
    page.wait_for("document.documentElement.dataset.ready === 'yes'")
    page.run("linkedMap.then(app => { window.app = app; })")
    page.address = path.as_uri()
    return page


def point(page, s: int, i: int) -> tuple[float, float]:
    """Where a point is in the window."""
    script = f"(() => {{ const p = app.plots[{s}], b = p.top.getBoundingClientRect(); const [x, y] = p.toScreen(p.side.x[{i}], p.side.y[{i}]); return [b.left + x, b.top + y]; }})()"
    return tuple(page.run(script))


def cards(page) -> str:
    return page.run("document.getElementById('card').innerText")


def lit(page, s: int, i: int) -> bool:
    """Whether a ring is drawn around a point: ink on the upper canvas nine pixels above it."""
    script = f"(() => {{ const p = app.plots[{s}], [x, y] = p.toScreen(p.side.x[{i}], p.side.y[{i}]); const d = p.top.getContext('2d').getImageData(Math.round((x - 9) * p.ratio), Math.round(y * p.ratio), 1, 1).data; return d[3] > 0; }})()"
    return page.run(script)


class TestInBrowser:
    pytestmark = in_browser

    def test_hovering_lights_both_partners_and_shows_both_labels(self, opened):
        opened.mouse("mouseMoved", *point(opened, 0, 1))
        text = cards(opened)
        assert "a 11: cat" in text and "b 21: cat" in text and "0.800" in text and "the old cat slept" in text
        assert lit(opened, 0, 1) and lit(opened, 1, 1) and not lit(opened, 1, 2)
        opened.mouse("mouseMoved", 5, 5)
        assert cards(opened) == "" and not lit(opened, 0, 1)
        assert opened.errors == []

    def test_a_feature_with_several_partners_shows_them_all_the_strongest_first(self, opened):
        opened.mouse("mouseMoved", *point(opened, 1, 1))
        text = cards(opened)
        assert text.index("a 11: cat") < text.index("a 13: dogs")
        assert lit(opened, 0, 1) and lit(opened, 0, 3)

    def test_a_feature_without_a_partner_says_so_and_its_texts_are_text(self, opened):
        opened.mouse("mouseMoved", *point(opened, 0, 4))
        text = cards(opened)
        assert "No partner in b is shown" in text and NASTY in text
        assert opened.run("document.querySelectorAll('#card img').length") == 0
        assert opened.run("document.title") == "Cats & <dogs>"

    def test_a_click_pins_and_escape_lets_go(self, opened):
        x, y = point(opened, 0, 2)
        opened.mouse("mousePressed", x, y)
        opened.mouse("mouseReleased", x, y)
        opened.mouse("mouseMoved", 5, 5)
        assert "a 12: Monday" in cards(opened)
        assert opened.run("location.hash") == "#pin=0.12"
        opened.key("Escape")
        assert cards(opened) == "" and opened.run("location.hash") == ""

    def test_a_box_selects_shows_partners_and_a_table_that_sorts(self, opened):
        opened.run("app.setTool('box')")
        (x0, y0), (x1, y1) = point(opened, 0, 0), point(opened, 0, 1)
        opened.mouse("mousePressed", x0 - 20, y0 - 20)
        opened.mouse("mouseMoved", (x0 + x1) / 2, y0, pressed=True)
        opened.mouse("mouseMoved", x1 + 20, y1 + 20, pressed=True)
        opened.mouse("mouseReleased", x1 + 20, y1 + 20)
        assert opened.run("app.picked.map(s => [...s].sort())") == [[0, 1], [0, 1]]
        rows = "[...document.querySelectorAll('#table tbody tr')].map(r => r.cells[2].innerText)"
        assert opened.run(rows) == ["dog", "cat", "dogs"]  # 13 comes with b's 21; by correlation
        opened.run("document.querySelectorAll('#table thead button')[2].click()")
        assert opened.run(rows) == ["cat", "dog", "dogs"]
        csv = opened.run(
            "(() => { const c = pairColumns(app.sides, app.texts, app.valueName); return delimited(pairsOfPicked(app.pairs, app.picked), app.pairs, c, ','); })()"
        ).splitlines()
        assert csv[0].startswith("correlation,feature of a,label in a,concept in a,density in a,feature of b")
        assert len(csv) == 4 and any(",10,dog,animal," in line for line in csv)

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("dog", [[0], [0, 3]]),  # whole words: not "dogs"; "hot dog" holds the word
            ("dog*", [[0, 3], [0, 3]]),
            ("DOG", [[0], [0, 3]]),
            ("hot dog", [[], [3]]),
            ("#21", [[], [1]]),
            ("concept:time", [[2], [2]]),
            ("old", [[], []]),  # a neighbour of firing tokens, never a firing token
            ("قلب", [[4], []]),
            ("", None),
        ],
    )
    def test_search_finds_whole_words_prefixes_ids_and_concepts(self, opened, query, expected):
        opened.run(f"app.setQuery({query!r})")
        assert opened.run("app.found") == expected

    def test_the_address_brings_everything_back(self, opened):
        opened.run(
            "app.setMode('match'); app.setQuery('dog'); app.pin({s: 1, i: 3}); app.select({s: 0, points: [[-0.5, -0.5], [1.5, -0.5], [1.5, 0.5], [-0.5, 0.5]]})"
        )
        address, picked = opened.run("location.href"), opened.run("app.picked.map(s => [...s].sort())")
        opened.open("about:blank")
        opened.open(address)
        opened.wait_for("document.documentElement.dataset.ready === 'yes'")
        opened.run("linkedMap.then(app => { window.app = app; })")
        assert opened.run("app.picked.map(s => [...s].sort())") == picked
        assert opened.run("[app.modeName, app.query, app.pinned, app.found]") == [
            "match",
            "dog",
            {"s": 1, "i": 3},
            [[0], [0, 3]],
        ]

    def test_the_keyboard_is_enough(self, opened):
        opened.run("app.plots[0].top.focus(); app.setHover({s: 0, i: 0})")
        opened.key("ArrowRight")
        assert opened.run("app.hover.i") == 1
        opened.key("Enter")
        assert opened.run("app.pinned") == {"s": 0, "i": 1}
        opened.key("/")
        assert opened.run("document.activeElement.id") == "query"

    def test_legends_hide_groups_and_hidden_points_are_not_found_by_the_pointer(self, opened):
        opened.run("app.toggleGroup(0)")
        assert opened.run("[...app.plots[0].visible]") == [0, 0, 1, 0, 1]
        opened.mouse("mouseMoved", *point(opened, 0, 1))
        assert cards(opened) == ""

    def test_nothing_is_fetched_and_nothing_goes_wrong(self, opened):
        assert opened.errors == []
        assert [address for address in opened.requests if not address.startswith(("file:", "blob:", "data:"))] == []

    def test_in_a_frame_of_a_notebook_it_works_too(self, page, content, tmp_path):
        (tmp_path / "notebook.html").write_text(
            f"<!DOCTYPE html><body>{embedded_map(content)}</body>", encoding="utf-8"
        )
        page.open((tmp_path / "notebook.html").as_uri())
        page.wait_for("(document.querySelector('iframe')?.contentDocument?.documentElement.dataset.ready) === 'yes'")
        page.run("frames[0].linkedMap.then(app => app.pin({s: 0, i: 1}))")
        assert "b 21: cat" in page.run("frames[0].document.getElementById('card').innerText")
        assert page.errors == []
