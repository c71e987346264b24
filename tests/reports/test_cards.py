"""Cards as HTML: what is on them, at the right place, and nothing that came from outside as markup."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from helpers.features.cards import CardLabel, FeatureCard, GradedContext, GradedToken, Partner, TokenEffect
from helpers.features.contexts import Context
from helpers.features.joint_activations import SilentWord
from helpers.features.pair_cards import PairCard, PairPoint, PairSide
from helpers.reports.card_numbers import activation_text, count_text, effect_text, share_text
from helpers.reports.cards import card_html, card_style, cards_row

HOSTILE = "</title></style><script>alert(1)</script> & \"quoted\" 'single'"


def context(*tokens, marked=1):
    return GradedContext(tuple(GradedToken(text, activation) for text, activation in tokens), marked)


CARD = FeatureCard(
    dictionary="a",
    feature=17,
    label=CardLabel("king", "top words, 5 of 5 agree"),
    n_firings=361,
    n_tokens=300_000,
    max_activation=8.0,
    histogram=(200, 100, 0, 61),
    contexts=(context(("The", 0), (" king", 8.0), (" of", 2.0)), context(("A", 0), (" king", 4.0), (" slept", 0))),
    promoted=(TokenEffect(" queen", 1.234), TokenEffect("dom", 0.5)),
    suppressed=(TokenEffect(" the", -0.0312),),
    partner=Partner("b", 2301, "kings", 0.934, "#b-2301"),
    compared=True,
)
POINTS = (
    PairPoint(8.0, 4.0, Context("The", " king", " of")),
    PairPoint(2.0, 0.0, Context("the", " duke", " of")),
    PairPoint(0.0, 1.0, Context("her", " crown", ".")),
)
PAIR = PairCard(
    side_a=PairSide("a", 17, "king"),
    side_b=PairSide("b", 2301, "kings"),
    corr=0.934,
    n_tokens=300_000,
    n_both=300,
    n_only_a=61,
    n_only_b=40,
    points=POINTS,
    only_a=(SilentWord("duke", 12, 40, 1.25),),
    only_b=(),
)


class Tree(HTMLParser):
    """Elements with their attributes and own text; complains about tags that are not closed."""

    def __init__(self, html):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append({"tag": tag, "text": "", **dict(attributes)})
        if tag != "br":
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag):
        assert self.elements[self._open.pop()]["tag"] == tag

    def handle_data(self, data):
        for place in self._open:
            self.elements[place]["text"] += data

    def all(self, tag="", css_class=""):
        return [e for e in self.elements if tag in ("", e["tag"]) and css_class in ("", *e.get("class", "").split())]

    def one(self, **wanted):
        (found,) = self.all(**wanted)
        return found


def tree(card):
    return Tree(card_html(card))


def hostile_cards():
    hostile_context = context((HOSTILE, 0), (HOSTILE, 8.0))
    feature = replace(
        CARD,
        dictionary=HOSTILE,
        label=CardLabel(HOSTILE, HOSTILE),
        contexts=(hostile_context,),
        promoted=(TokenEffect(HOSTILE, 1.0),),
        suppressed=(TokenEffect(HOSTILE, -1.0),),
        partner=Partner(HOSTILE, 1, HOSTILE, 0.5, "./x?" + HOSTILE),
    )
    pair = replace(
        PAIR,
        side_a=PairSide(HOSTILE, 1, HOSTILE),
        side_b=PairSide(HOSTILE, 2, HOSTILE),
        points=(PairPoint(1.0, 2.0, Context(HOSTILE, HOSTILE, HOSTILE)),),
        only_a=(SilentWord(HOSTILE, 1, 1, 1.0),),
        only_b=(SilentWord(HOSTILE, 1, 1, 1.0),),
    )
    return feature, pair


@pytest.mark.parametrize("card", hostile_cards(), ids=["feature", "pair"])
def test_everything_from_outside_is_escaped(card):
    found = tree(card)
    assert {element["tag"] for element in found.elements} <= {
        "article", "div", "span", "b", "bdi", "small", "br", "mark", "a", "svg", "g", "path", "text", "title",
    }  # fmt: skip
    # No handler or style but our own got in through a quote.
    names = {name for element in found.elements for name in element} - {"tag", "text"}
    assert not [name for name in names if name.startswith("on") or "quoted" in name or "single" in name]
    assert found.one(tag="article")["text"].count("<script>alert(1)</script>") > 4


def test_nothing_is_loaded_and_no_script_runs():
    html = cards_row([CARD, PAIR])
    assert not re.search(r"<script|<link|<img|url\(|@import|src=", html)
    assert [element["href"] for element in Tree(html).all(tag="a")] == ["#b-2301"]


def test_the_style_comes_once_for_a_row():
    html = cards_row([CARD, PAIR, CARD])
    assert html.count("<style>") == 1 and html.startswith(card_style())
    assert html.count("<article") == 3
    assert cards_row([]).count("<article") == 0


def test_a_card_tells_who_it_is():
    found = tree(CARD)
    assert found.one(tag="article")["aria-label"] == "feature 17 of a: king"
    text = found.one(tag="article")["text"]
    for told in ("feature 17", "king top words, 5 of 5 agree", "fires on 0.12%", "361 tokens of 300k",
                 "partner 2301 of b kings", "r = 0.93"):  # fmt: skip
        assert told in text


def test_every_token_carries_its_activation():
    found = tree(CARD)
    lines = found.all(css_class="fc-context")
    assert [line["text"] for line in lines] == ["The king of", "A king slept"]
    assert [mark["text"] for mark in found.all(tag="mark")] == ["king", "king"]
    shaded = {(e["text"], e["title"]): e["style"] for e in found.elements if "style" in e}
    strengths = {key: int(style[-2:], 16) for key, style in shaded.items()}
    # Graded: a token on which the feature fires half as strongly is half as far from the faintest shade.
    assert strengths[("king", "8.00")] > strengths[("king", "4.00")] > strengths[(" of", "2.00")] > 0
    steps = (
        strengths[("king", "8.00")] - strengths[("king", "4.00")],
        strengths[("king", "4.00")] - strengths[(" of", "2.00")],
    )
    assert steps[0] == pytest.approx(2 * steps[1], abs=2)  # 8-bit shades round
    silent = [e for e in found.elements if e.get("title") == "0"]
    assert [e["text"] for e in silent] == ["The", "A", " slept"] and not any("style" in e for e in silent)


def test_a_token_of_spaces_stays_visible():
    card = replace(CARD, contexts=(context(("a", 0), ("  ", 3.0), ("b", 0)),))
    assert tree(card).one(tag="mark")["text"] == "\u2423"


def luminance(colour):
    """WCAG 2.1 relative luminance."""
    parts = [part / 255 for part in colour]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def rgb(code):
    return [int(code[i : i + 2], 16) for i in (1, 3, 5)]


@pytest.mark.parametrize(("page", "text"), [("#ffffff", "#1d2126"), ("#14171b", "#e4e7eb"), ("#111111", "#ffffff")])
def test_text_on_the_strongest_shade_is_legible(page, text):
    style = tree(CARD).all(tag="mark")[0]["style"].removeprefix("background:")
    alpha = int(style[7:], 16) / 255
    shade = [alpha * over + (1 - alpha) * under for over, under in zip(rgb(style), rgb(page), strict=True)]
    low, high = sorted((luminance(shade), luminance(rgb(text))))
    assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG AA
    # And the shade itself shows beside the page.
    low, high = sorted((luminance(shade), luminance(rgb(page))))
    assert (high + 0.05) / (low + 0.05) >= 1.8


@pytest.mark.parametrize(("tokens", "direction"), [
    ((("كان ", 0), ("ملك", 2.0), (" هنا", 0)), "rtl"),
    ((("12. ", 0), ("ملك", 2.0)), "rtl"),
    ((("the ", 0), ("ملك", 2.0)), None),
    ((("王", 0), ("様", 2.0)), None),
    ((("1", 0), ("2", 2.0)), None),
])  # fmt: skip
def test_scripts_that_run_to_the_left_do_so(tokens, direction):
    found = tree(replace(CARD, contexts=(context(*tokens),)))
    line = found.one(css_class="fc-context")
    assert line.get("dir") == direction
    assert line["text"] == "".join(text for text, _ in tokens)


def test_the_histogram_has_a_bar_for_every_filled_bin():
    found = tree(CARD)
    bars = re.findall(r"M([\d.]+) 34v-([\d.]+)", found.one(css_class="fc-bar")["d"])
    # Bins of 33 px; heights are logarithms, the fullest bin 34 px.
    expected = [(place * 33, 34 * math.log1p(n) / math.log1p(200)) for place, n in enumerate((200, 100, 0, 61)) if n]
    found_bars = [float(number) for bar in bars for number in bar]
    assert found_bars == pytest.approx([number for bar in expected for number in bar], abs=0.05)  # one digit is written
    assert "activations from 0 to 8.00" in found.all(tag="svg")[0]["aria-label"]


def test_effects_are_signed_and_keep_their_space():
    text = tree(CARD).one(css_class="fc-list")["text"]
    assert text == "promotes\u2423queen +1.2dom +0.50suppresses\u2423the \u22120.031"
    assert not tree(replace(CARD, promoted=(), suppressed=())).all(css_class="fc-list")
    assert tree(replace(CARD, promoted=CARD.promoted * 9)).one(css_class="fc-list")["text"].count("+") == 5


def test_a_dead_feature_says_so():
    dead = replace(
        CARD, label=CardLabel("", ""), n_firings=0, max_activation=0.0, histogram=(), contexts=(), partner=None
    )
    text = tree(dead).one(tag="article")["text"]
    for told in ("no label", "never fires on these 300,000 tokens", "no partner in the other model"):
        assert told in text
    assert "nan" not in text.lower()
    # Trap: where nothing was compared, no partner is no finding.
    assert "partner" not in tree(replace(dead, compared=False)).one(tag="article")["text"]
    assert tree(dead).one(tag="article")["aria-label"] == "feature 17 of a"


def test_a_feature_that_fires_once_or_only_below_zero():
    once = replace(CARD, n_firings=1, histogram=(0, 0, 0, 1))
    assert "1 token of 300k" in tree(once).one(tag="article")["text"]
    below = replace(CARD, max_activation=-1.0, histogram=(0, 0), contexts=(context(("a", 0), ("b", -1.0)),))
    assert not tree(below).all(tag="svg")
    assert tree(below).one(tag="mark")["title"] == "\u22121.00"


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", " javascript:x"])
def test_links_that_run_code_are_refused(link):
    with pytest.raises(ValueError, match="must be a relative or web address"):
        cards_row([replace(CARD, partner=replace(CARD.partner, link=link))])
    assert not tree(replace(CARD, partner=replace(CARD.partner, link=""))).all(tag="a")


def test_points_stand_where_their_activations_are():
    found = tree(PAIR)
    points = found.all(css_class="fc-point")
    titles = ["The\u00bb king\u00ab of", "the\u00bb duke\u00ab of", "her\u00bb crown\u00ab."]
    assert [point["text"].split("\n")[0] for point in points] == titles
    places = {}
    for kind in ("fc-both", "fc-only-a", "fc-only-b"):
        drawn, _legend = found.all(tag="path", css_class=kind)
        places[kind] = tuple(map(float, re.match(r"M([\d.]+) ([\d.]+)", drawn["d"]).groups()))
    # a to the right, b upwards (smaller y): (8, 4) is the far corner, the others lie on the zero lines.
    both, only_a, only_b = (places[kind] for kind in ("fc-both", "fc-only-a", "fc-only-b"))
    assert only_b[0] < only_a[0] < both[0] and both[1] < only_b[1] < only_a[1]
    zero_x, zero_y = only_b[0], only_a[1]
    assert only_a[0] - zero_x == pytest.approx((both[0] - zero_x) / 4, abs=0.1)
    assert zero_y - only_b[1] == pytest.approx((zero_y - both[1]) / 4, abs=0.1)


def test_a_pair_card_tells_both_sides():
    found = tree(PAIR)
    text = found.one(tag="article")["text"]
    for told in ("a 17 and b 2301", "king and kings", "r = 0.934", "both fire 300", "only a 61", "only b 40",
                 "activation of 17 in a", "activation of 2301 in b", "3 of 401 tokens", "duke12 of 401.25"):  # fmt: skip
        assert told in text, told
    left, right = found.one(css_class="fc-words")["text"].split("b fires, a is silent")
    assert left.startswith("a fires, b is silent") and "duke" in left and "no readable word" in right
    assert "on no token" in tree(replace(PAIR, n_only_b=0)).one(css_class="fc-words")["text"]
    everything = replace(PAIR, n_both=1, n_only_a=1, n_only_b=1)
    assert "all 3 tokens on which either fires" in tree(everything).one(tag="article")["text"]


def test_a_dead_pair_says_so():
    dead = replace(PAIR, corr=None, points=(), n_both=0, n_only_a=0, n_only_b=0, only_a=(), only_b=())
    text = tree(dead).one(tag="article")["text"]
    assert "neither fires on these 300,000 tokens" in text and "undefined: a partner never varies" in text
    half = replace(PAIR, corr=None, points=(POINTS[1],), n_both=0, n_only_b=0)
    assert not re.search(r"nan|inf\b", card_html(half).lower())


@pytest.mark.parametrize(("value", "text"), [
    (0, "0"), (0.003, "0.0030"), (0.5, "0.50"), (1.8, "1.80"), (12.34, "12.3"), (123.4, "123"), (1234, "1.23k"),
    (-1.5, "\u22121.50"),
])  # fmt: skip
def test_activations_have_few_digits(value, text):
    assert activation_text(value) == text


def test_other_numbers():
    assert [count_text(count) for count in (7, 1234, 9999, 123_456)] == ["7", "1,234", "9,999", "123k"]
    assert [effect_text(value) for value in (1.234, 1, -0.0312, 12.3)] == ["+1.2", "+1.0", "\u22120.031", "+12"]
    assert [share_text(share) for share in (1, 0.25, 0.0034, 1.2e-5, 1e-9)] == [
        "100%", "25%", "0.34%", "0.0012%", "under 0.0001%",
    ]  # fmt: skip
