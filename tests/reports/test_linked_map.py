"""The linked map as data and as a page: what is packed is what was given (tests/browser drives the page itself)."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import numpy as np
import pytest

from helpers.reports.card_numbers import activation_text
from helpers.reports.linked_map import LinkedMap, embedded_map, linked_map_html, save_linked_map
from helpers.reports.linked_map.packing import SEPARATOR, unpack
from tests.browser.maps import NASTY, card, side, small_map


@pytest.fixture
def content() -> LinkedMap:
    return small_map()


def numbers(text: str, dtype: str) -> np.ndarray:
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
    page = linked_map_html(content).replace("http://www.w3.org/2000/svg", "")  # a name, not an address
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
        ({"words": [["x"]]}, "words of 'a' must have one entry a point"),
        ({"density": [0.1]}, "density of 'a' must have one entry a point"),
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


def test_an_empty_side_is_refused_and_no_pairs_are_not(content):
    with pytest.raises(ValueError, match="at least one; got .* and 0 ids"):
        side("a", np.empty((0, 2)), 0, [], [])
    none = np.empty(0, dtype=np.int64)
    empty = replace(content, ids_a=none, ids_b=none, corr=none.astype(np.float32))
    assert empty.places.shape == (0, 3) and "linkedMap" in linked_map_html(empty)


def test_a_card_is_packed_with_its_numbers(content):
    packed = unpack(content.texts())[0]["cards"][0]
    source, n_firings, n_tokens, largest, heights, contexts, promoted, suppressed = packed
    assert (source, n_firings, n_tokens, largest) == ("top words, 5 of 5 agree", 51, 1000, activation_text(8.0))
    # The tallest bar is z; log(1 + 3) / log(1 + 30) of 35 steps is 14.1, rounded up.
    assert heights[0] == "z" and heights[3] == "f"
    assert contexts == [SEPARATOR.join(["2", "0093", "the", " old", " dog", " slept"])]  # 2 of 8 is 2.25 of 9 grades
    assert promoted == [[" woof", "+1.2"]] and suppressed[0][0] == NASTY


def test_a_separator_inside_a_token_does_not_split_it(content):
    odd = replace(content.a, cards={10: card("a", 10, f"x{SEPARATOR}y")})
    (context,) = unpack(replace(content, a=odd).texts())[0]["cards"][0][5]
    assert context.count(SEPARATOR) == 5 and "x\u241fy" in context


def test_a_feature_may_lack_a_card(content):
    packed = unpack(replace(content, a=replace(content.a, cards={})).texts())
    assert packed[0]["cards"] == [None] * 5


def test_a_title_that_looks_like_a_place_of_the_page_is_only_a_title(content):
    page = linked_map_html(replace(content, title="{{texts}} {{script}}"))
    assert "<title>{{texts}} {{script}}</title>" in page and page.count("linkedMap = unpack") == 1


def test_the_frame_holds_the_whole_page_escaped(content):
    frame = embedded_map(content, height=500)
    assert frame.count("<") == 4 and "height: 500px" in frame and "&lt;!DOCTYPE html&gt;" in frame
