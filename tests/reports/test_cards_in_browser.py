"""Cards in a real browser: they keep to their size, and nothing of them is cut or overlaps, at desk and phone width."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from html import unescape

import pytest

from helpers.features.cards import TokenEffect
from helpers.features.contexts import Context
from helpers.features.joint_activations import SilentWord
from helpers.features.pair_cards import PairPoint
from helpers.reports.cards import cards_row
from helpers.reports.html import stylesheet
from tests.reports.test_cards import CARD, PAIR, context
from tests.reports.test_pages_in_browser import CHROMIUM, QUIET, overflow

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]

LONG = "Donaudampfschifffahrtsgesellschaftskapitän" * 3
NEIGHBOURS = [(" neighbouring", 0), (" words", 1.0)] * 4
FULL = replace(
    CARD,
    contexts=(context(*NEIGHBOURS, (" king", 8.0), *NEIGHBOURS, marked=8),) * 5,
    promoted=tuple(TokenEffect(f" promoted{i}", i / 7) for i in range(10)),
    suppressed=tuple(TokenEffect(f" suppressed{i}", -i / 7) for i in range(10)),
)
LONG_CARD = replace(
    CARD,
    dictionary=LONG,
    label=replace(CARD.label, text=LONG),
    contexts=(context((LONG, 0), (LONG, 8.0), (LONG, 0)), context(("كان ", 0), ("ملك", 8.0), (" هنا", 0))),
    promoted=(TokenEffect(LONG, 1.0),) * 5,
    partner=replace(CARD.partner, dictionary=LONG, label=LONG),
)
LONG_PAIR = replace(
    PAIR,
    side_a=replace(PAIR.side_a, dictionary=LONG, label=LONG),
    points=(PairPoint(8.0, 4.0, Context(LONG, LONG, LONG)),) * 400,
    only_a=(SilentWord(LONG, 123_456, 234_567, 1234.5),) * 6,
    only_b=(SilentWord("word", 1, 1, 0.001),) * 6,
)
PROBE = """<script>addEventListener('load', () => {
  if (FOCUS) document.querySelector('.fc-contexts').focus();
  const boxes = selector => [...document.querySelectorAll(selector)].map(e => {
    const r = e.getBoundingClientRect();
    return [r.left, r.top, r.right, r.bottom].map(Math.round);
  });
  document.title = JSON.stringify({
    cards: boxes('.fc'), marks: boxes('.fc-context mark'), before: boxes('.fc-before'), after: boxes('.fc-after'),
    parts: boxes('.fc > *, .fc-legend > *, .fc-word > *'),
    cut: [...document.querySelectorAll('.fc-before, .fc-after')].map(e => e.scrollWidth - e.clientWidth),
    clipped: [...document.querySelectorAll('.fc, .fc-words > div')].map(e => e.scrollWidth - e.clientWidth),
  });
})</script>"""


def page(folder, cards):
    path = folder / "cards.html"
    html = f"<head><meta charset=utf-8><style>{stylesheet()}</style></head><body><main>{cards_row(cards)}</main></body>"
    path.write_text(f"<!DOCTYPE html><html>{html}</html>", encoding="utf-8")
    return path


def boxes(path, folder, *, focus=False):
    """Left, top, right, bottom of parts of the page, in pixels; with `focus` the first contexts have the focus."""
    probe = PROBE.replace("FOCUS", "true" if focus else "false")
    path.write_text(path.read_text(encoding="utf-8").replace("</body>", probe + "</body>"), encoding="utf-8")
    size = "--window-size=1280,900"
    command = [CHROMIUM, *QUIET, size, f"--user-data-dir={folder / 'profile'}", "--dump-dom", path.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.search(r"<title>(\{.*?\})</title>", dom)
    assert found, dom[:500]
    return json.loads(unescape(found[1]))


@pytest.mark.parametrize("width", [1280, 400])
def test_cards_do_not_stick_out_sideways(width, tmp_path):
    assert overflow(page(tmp_path, [FULL, LONG_CARD, PAIR, LONG_PAIR]), width, tmp_path) <= 0


def test_cards_are_compact_and_stand_side_by_side(tmp_path):
    found = boxes(page(tmp_path, [FULL, FULL, PAIR]), tmp_path)
    (left, top, right, bottom), second, (_, pair_top, _, pair_bottom) = found["cards"]
    assert right - left == 360 and bottom - top <= 345
    assert second[1] == top and second[0] > right
    assert pair_bottom - pair_top <= 480


def test_examples_stand_under_each_other_and_cover_nothing(tmp_path):
    found = boxes(page(tmp_path, [FULL, LONG_CARD]), tmp_path)
    assert len({mark[0] for mark in found["marks"][:5]}) == 1
    for mark, before, after in list(zip(found["marks"], found["before"], found["after"], strict=True))[:6]:
        assert before[2] <= mark[0] + 1 and mark[2] <= after[0] + 1
    # The last line runs to the left: what comes before stands at the right of the example.
    assert found["before"][6][0] >= found["marks"][6][2] - 1 and found["after"][6][2] <= found["marks"][6][0] + 1


def test_nothing_leaves_its_card(tmp_path):
    found = boxes(page(tmp_path, [LONG_CARD, LONG_PAIR]), tmp_path)
    assert not any(found["clipped"])
    for left, top, right, bottom in found["parts"]:
        assert any(
            left >= card[0] and top >= card[1] and right <= card[2] and bottom <= card[3] for card in found["cards"]
        )


def test_contexts_show_whole_while_they_have_the_focus(tmp_path):
    path = page(tmp_path, [FULL])
    text = path.read_text(encoding="utf-8")
    (short,) = boxes(path, tmp_path)["cards"]
    path.write_text(text, encoding="utf-8")
    found = boxes(path, tmp_path, focus=True)
    assert found["cards"][0][3] > short[3] + 50  # five contexts of two lines
    assert not any(found["cut"]) and not any(found["clipped"])
