"""A pair card as HTML: two partners' activations as a scatter, and the words on which they disagree.

The text of a point stands in its `title`, its token and values above the plot while the pointer is on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from matplotlib.ticker import MaxNLocator

from helpers.features.joint_activations import SilentWord
from helpers.features.pair_cards import PairCard, PairPoint, PairSide
from helpers.reports.card_numbers import MINUS, activation_text, count_text
from helpers.reports.style import short_number

_WIDTH, _HEIGHT = 334, 226
_LEFT, _RIGHT, _TOP, _BOTTOM = 42, 8, 18, 34
_SHAPES = {
    "fc-both": "M{x:.1f} {y:.1f}m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",
    "fc-only-a": "M{x:.1f} {y:.1f}m0-4l4 7h-8z",
    "fc-only-b": "M{x:.1f} {y:.1f}m0-4l4 4l-4 4l-4-4z",
}


def pair_card_html(card: PairCard) -> str:
    """One pair card without its style (`cards_row` adds it)."""
    a, b = card.side_a, card.side_b
    corr = "undefined: a partner never varies" if card.corr is None else f"{card.corr:.3f}".replace("-", MINUS)
    title = " and ".join(f"<bdi>{escape(side.label or _name(side))}</bdi>" for side in (a, b))
    return (
        f'<article class="fc" aria-label="{escape(f"pair: {_name(a)} and {_name(b)}")}">'
        f'<div class="fc-head"><span class="fc-clip fc-soft">{escape(_name(a))} and {escape(_name(b))}</span>'
        f'<span class="fc-number">r = {corr}</span></div><div class="fc-title">{title}</div>'
        f"{_scatter(card)}{_legend(card)}"
        f'<div class="fc-words">{_words(a, b, card.n_only_a, card.only_a)}{_words(b, a, card.n_only_b, card.only_b)}</div>'
        "</article>"
    )


def _scatter(card: PairCard) -> str:
    if not card.points:
        return f"<div>neither fires on these {card.n_tokens:,} tokens</div>"
    x_range, y_range = _range(point.a for point in card.points), _range(point.b for point in card.points)
    n_all = card.n_both + card.n_only_a + card.n_only_b
    if n_all > len(card.points):
        note = f"{len(card.points):,} of {n_all:,} tokens: strongest, one-sided, random rest"
    else:
        note = f"all {n_all:,} tokens on which either fires"
    points = "".join(_point(point, x_range, y_range) for point in card.points)
    told = f"scatter of the activations of {_name(card.side_a)} and {_name(card.side_b)}"
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(told)}">'
        f'<text class="fc-note fc-soft" x="{_LEFT - 2}" y="11">{note}</text>'
        f"{_axes(card, x_range, y_range)}{points}</svg>"
    )


def _point(point: PairPoint, x_range: tuple[float, float], y_range: tuple[float, float]) -> str:
    kind = "fc-only-a" if point.b == 0 else "fc-only-b" if point.a == 0 else "fc-both"
    path = _SHAPES[kind].format(x=_x(point.a, x_range), y=_y(point.b, y_range))
    values = f"{activation_text(point.a)}, {activation_text(point.b)}"
    text = point.context
    context = f"{text.before}\u00bb{text.token}\u00ab{text.after}"
    return (
        f'<g class="fc-point"><title>{escape(context)}\n{values}</title><path class="{kind}" d="{path}"/>'
        f'<text class="fc-tip" x="{_LEFT}" y="11">{escape(text.token.strip() or text.token)}: {values}</text></g>'
    )


def _axes(card: PairCard, x_range: tuple[float, float], y_range: tuple[float, float]) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    lines = [f"M{_LEFT} {_TOP}V{bottom}H{right}"]
    texts = []
    for value in _ticks(x_range):
        at = _x(value, x_range)
        lines.append(f"M{at:.1f} {bottom}v3")
        texts.append(f'<text x="{at:.1f}" y="{bottom + 13}" text-anchor="middle">{_tick_text(value)}</text>')
    for value in _ticks(y_range):
        at = _y(value, y_range)
        lines.append(f"M{_LEFT - 3} {at:.1f}h3")
        texts.append(f'<text x="{_LEFT - 6}" y="{at + 3.5:.1f}" text-anchor="end">{_tick_text(value)}</text>')
    middle = (_TOP + bottom) / 2
    texts.append(
        f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 5}" text-anchor="middle">{_axis_label(card.side_a)}</text>'
    )
    texts.append(
        f'<text transform="translate(9 {middle}) rotate(-90)" text-anchor="middle">{_axis_label(card.side_b)}</text>'
    )
    return f'<path class="fc-axis" d="{"".join(lines)}"/><g class="fc-soft">{"".join(texts)}</g>'


def _axis_label(side: PairSide) -> str:
    name = side.dictionary if len(side.dictionary) <= 16 else f"{side.dictionary[:15]}\u2026"
    return escape(f"activation of {side.feature} in {name}")


def _legend(card: PairCard) -> str:
    items = (
        ("fc-both", "both fire", card.n_both),
        ("fc-only-a", f"only {card.side_a.dictionary}", card.n_only_a),
        ("fc-only-b", f"only {card.side_b.dictionary}", card.n_only_b),
    )
    drawn = "".join(
        f'<span><svg width="10" height="10" aria-hidden="true"><path class="{kind}" d="{_SHAPES[kind].format(x=5, y=5)}"/>'
        f'</svg> {escape(name)} <b class="fc-number">{count:,}</b></span>'
        for kind, name, count in items
    )
    return f'<div class="fc-legend">{drawn}</div>'


def _words(side: PairSide, other: PairSide, n_tokens: int, words: Sequence[SilentWord]) -> str:
    head = f"<div><b>{escape(side.dictionary)} fires, {escape(other.dictionary)} is silent</b></div>"
    if not words:
        return f'<div>{head}<div class="fc-soft">{"no readable word" if n_tokens else "on no token"}</div></div>'
    columns = '<div class="fc-word fc-soft"><span>word</span><span>tokens</span><span>mean</span></div>'
    lines = "".join(
        f'<div class="fc-word"><bdi class="fc-clip" title="{escape(word.word)}">{escape(word.word)}</bdi>'
        f'<span class="fc-number">{count_text(word.count)}<span class="fc-soft"> of {count_text(word.n_firings)}</span></span>'
        f'<span class="fc-number">{activation_text(word.mean)}</span></div>'
        for word in words
    )
    return f"<div>{head}{columns}{lines}</div>"


def _name(side: PairSide) -> str:
    return f"{side.dictionary} {side.feature}"


def _range(values: object) -> tuple[float, float]:
    found = np.fromiter(values, dtype=float)  # type: ignore[call-overload]
    return min(0.0, float(found.min())), max(0.0, float(found.max())) or 1.0


def _ticks(span: tuple[float, float]) -> list[float]:
    ticks = MaxNLocator(4).tick_values(*span)
    return [float(tick) for tick in ticks if span[0] <= tick <= span[1]]


def _tick_text(value: float) -> str:
    return short_number(value).replace("-", MINUS)


def _x(value: float, span: tuple[float, float]) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * _place(value, span)


def _y(value: float, span: tuple[float, float]) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * _place(value, span)


def _place(value: float, span: tuple[float, float]) -> float:
    """In [0.03, 0.97]: points that lie on zero or at the end stay clear of the frame."""
    return 0.03 + 0.94 * (value - span[0]) / (span[1] - span[0])
