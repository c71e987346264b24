"""Feature cards and pair cards in a page: small enough to stand side by side, complete enough to judge a feature by.

Cards need no script and no network, carry their own style, use the page's own text colour, and so read alike in
JupyterLab, in Colab and in the rendered report, light or dark. Everything that comes from outside is escaped. A page
with many takes `card_style` once and `card_html` for each. The linked map holds tens of thousands, so it draws the same
card in the browser from packed data, with the same style (templates/linked_map/card.js).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from helpers.features.cards import FeatureCard
from helpers.features.pair_cards import PairCard
from helpers.reports.feature_card_html import feature_card_html
from helpers.reports.pair_card_html import pair_card_html

_STYLE_FILE = Path(__file__).parent / "templates" / "cards.css"


def cards_row(cards: Sequence[FeatureCard | PairCard]) -> str:
    """Cards side by side, wrapping where the page ends; HTML with its style.

    Raises:
        ValueError: a partner's link is no relative or web address.
    """
    return f'{card_style()}<div class="fc-row">{"".join(map(card_html, cards))}</div>'


@cache
def card_style() -> str:
    """The style of all cards, needed once on a page."""
    return f"<style>\n{_STYLE_FILE.read_text(encoding='utf-8')}</style>"


def card_html(card: FeatureCard | PairCard) -> str:
    """One card without its style.

    Raises:
        ValueError: the partner's link is no relative or web address.
    """
    return pair_card_html(card) if isinstance(card, PairCard) else feature_card_html(card)
