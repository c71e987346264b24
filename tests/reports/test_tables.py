from dataclasses import dataclass

import pytest

from helpers.reports.tables import PairRow, examples_table, pairs_table, table, text_block


@dataclass
class Marked:
    before: str
    token: str
    after: str


HOSTILE = "<script>alert(1)</script>"


def test_everything_from_outside_is_escaped():
    fragments = [
        table({HOSTILE: {HOSTILE: HOSTILE}}, caption=HOSTILE),
        examples_table({HOSTILE: [Marked(HOSTILE, HOSTILE, HOSTILE)]}, caption=HOSTILE),
        pairs_table(
            [PairRow(HOSTILE, 1, 2, [Marked(HOSTILE, "x", "")], [])], names=(HOSTILE, HOSTILE), caption=HOSTILE
        ),
        text_block(HOSTILE, title=HOSTILE),
    ]
    for fragment in fragments:
        assert "<script" not in fragment
        assert "&lt;script&gt;" in fragment


def test_the_firing_token_is_marked_and_not_its_neighbours():
    html = examples_table({"feature 1": [Marked("the old", " king", " slept")]})
    assert "the old <mark>king</mark> slept" in html
    assert "<mark>&nbsp;</mark>" in examples_table({"f": [Marked("a", " ", "b")]})


def test_partners_stay_on_their_sides():
    html = pairs_table([PairRow("0.9", 11, 22, [Marked("", "left", "")], [Marked("", "right", "")])], names=("a", "b"))
    assert html.index("feature of a") < html.index("its partner in b")
    body = html[html.index("<tbody>") :]
    assert body.index("11") < body.index("left") < body.index("22") < body.index("right")


def test_line_breaks_stay_visible_in_contexts():
    assert "end⏎" in examples_table({"f": [Marked("end\n", "x", "")]})


def test_numbers_are_right_aligned_and_words_are_not():
    html = table({"r": {"score": "−0.31", "note": "fine"}})
    assert '<td class="number">−0.31</td>' in html and "<td>fine</td>" in html


def test_ragged_or_empty_tables_are_refused():
    with pytest.raises(ValueError, match="row 'b' has the columns"):
        table({"a": {"x": "1"}, "b": {"y": "1"}})
    with pytest.raises(ValueError, match="at least one row"):
        table({})
