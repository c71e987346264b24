"""A feature card as HTML: contexts with graded highlighting, histogram, tokens promoted and suppressed, partner."""

from __future__ import annotations

import unicodedata
from html import escape

import numpy as np

from helpers.features.cards import FeatureCard, GradedContext, GradedToken, Partner, TokenEffect
from helpers.reports.card_numbers import activation_text, effect_text, share_text
from helpers.reports.style import short_number

SPACE = "\u2423"
# One hue at growing strength; text on the strongest keeps a contrast above 4.5 on white and on dark pages.
_HUE = "#3a8fc9"
_FAINTEST, _STRONGEST = 0.10, 0.62
_HISTOGRAM_WIDTH, _HISTOGRAM_HEIGHT = 132, 34
N_EFFECTS = 5
_LINKS = ("http://", "https://", "#", "./", "../", "/")


def feature_card_html(card: FeatureCard) -> str:
    """One feature card without its style (`cards_row` adds it).

    Raises:
        ValueError: the partner's link is no relative or web address.
    """
    name = f"feature {card.feature} of {card.dictionary}"
    label = card.label.text
    head = (
        f'<div class="fc-head fc-soft"><span class="fc-clip">{escape(card.dictionary)}</span>'
        f'<span class="fc-number">feature {card.feature}</span></div>'
    )
    parts = [
        f'<article class="fc" aria-label="{escape(f"{name}: {label}" if label else name)}">',
        head,
        _title(card),
        _facts(card),
        _contexts(card),
        _effects(card),
        _partner(card.partner) if card.compared else "",
        "</article>",
    ]
    return "".join(parts)


def _title(card: FeatureCard) -> str:
    if not card.label.text:
        return '<div class="fc-title"><small>no label</small></div>'
    text, source = escape(card.label.text), escape(card.label.source)
    return f'<div class="fc-title" title="{text}"><bdi>{text}</bdi> <small>{source}</small></div>'


def _facts(card: FeatureCard) -> str:
    if not card.n_firings:
        return f'<div class="fc-facts"><span>never fires on these {card.n_tokens:,} tokens</span></div>'
    tokens = "token" if card.n_firings == 1 else "tokens"
    facts = (
        f'<span class="fc-number">fires on {share_text(card.density)}<br>'
        f'<span class="fc-soft">{card.n_firings:,} {tokens} of {short_number(card.n_tokens)}</span></span>'
    )
    return f'<div class="fc-facts">{facts}{_histogram(card) if any(card.histogram) else ""}</div>'


def _histogram(card: FeatureCard) -> str:
    """Bars of log(1 + firings), so that the few strong ones show beside the many weak ones."""
    heights = np.log1p(card.histogram) / np.log1p(max(card.histogram))
    step = _HISTOGRAM_WIDTH / len(heights)
    bars = "".join(
        f"M{place * step:.1f} {_HISTOGRAM_HEIGHT}v{-height * _HISTOGRAM_HEIGHT:.1f}h{step - 1:.1f}v{height * _HISTOGRAM_HEIGHT:.1f}z"
        for place, height in enumerate(heights)
        if height
    )
    told = f"activations from 0 to {activation_text(card.max_activation)}, height: logarithm of the number of tokens"
    return (
        f'<svg width="{_HISTOGRAM_WIDTH}" height="{_HISTOGRAM_HEIGHT + 13}" role="img" aria-label="{told}" '
        f'viewBox="0 0 {_HISTOGRAM_WIDTH} {_HISTOGRAM_HEIGHT + 13}"><title>{told}</title><path class="fc-bar" d="{bars}"/>'
        f'<path class="fc-axis" d="M0 {_HISTOGRAM_HEIGHT + 0.5}h{_HISTOGRAM_WIDTH}"/>'
        f'<g class="fc-soft"><text x="0" y="{_HISTOGRAM_HEIGHT + 12}">0</text>'
        f'<text x="{_HISTOGRAM_WIDTH / 2}" y="{_HISTOGRAM_HEIGHT + 12}" text-anchor="middle">activation</text>'
        f'<text x="{_HISTOGRAM_WIDTH}" y="{_HISTOGRAM_HEIGHT + 12}" text-anchor="end">{activation_text(card.max_activation)}</text></g></svg>'
    )


def _contexts(card: FeatureCard) -> str:
    if not card.contexts:
        return ""
    size = max(abs(token.activation) for context in card.contexts for token in context.tokens)
    size = max(size, card.max_activation)
    lines = "".join(_context(context, size) for context in card.contexts)
    return f'<div class="fc-contexts" role="list" tabindex="0" aria-label="strongest contexts">{lines}</div>'


def _context(context: GradedContext, size: float) -> str:
    """Three columns with the example in the middle, so that examples stand under each other.

    What the columns cut off shows while the list has the focus (a click, or the tab key).
    """
    before, example, after = (
        context.tokens[: context.marked],
        context.tokens[context.marked],
        context.tokens[context.marked + 1 :],
    )
    bare = example.text.lstrip(" ")
    space = " " * (len(example.text) - len(bare)) if bare else ""
    marked = GradedToken(bare or SPACE, example.activation)
    direction = ' dir="rtl"' if _right_to_left(context) else ""
    return (
        f'<div class="fc-context" role="listitem"{direction}><span class="fc-before"><span>'
        f"{''.join(_graded(token, size) for token in before)}{space}</span></span>"
        f"<mark{_shade(marked, size)}>{escape(marked.text)}</mark>"
        f'<span class="fc-after">{"".join(_graded(token, size) for token in after)}</span></div>'
    )


def _graded(token: GradedToken, size: float) -> str:
    return f"<span{_shade(token, size)}>{escape(token.text)}</span>"


def _shade(token: GradedToken, size: float) -> str:
    title = f' title="{activation_text(token.activation)}"'
    if token.activation == 0:
        return title
    strength = _FAINTEST + (_STRONGEST - _FAINTEST) * min(1.0, abs(token.activation) / size)
    return f'{title} style="background:{_HUE}{round(255 * strength):02x}"'


def _right_to_left(context: GradedContext) -> bool:
    for character in "".join(token.text for token in context.tokens):
        kind = unicodedata.bidirectional(character)
        if kind in ("L", "R", "AL"):
            return kind != "L"
    return False


def _effects(card: FeatureCard) -> str:
    if not card.promoted and not card.suppressed:
        return ""
    explained = "change of the logit, less its mean over all tokens, per unit of activation at norm scale 1"
    rows = "".join(
        f'<span class="fc-soft" title="{explained}">{name}</span>'
        f'<span class="fc-items">{"".join(map(_effect, effects[:N_EFFECTS]))}</span>'
        for name, effects in (("promotes", card.promoted), ("suppresses", card.suppressed))
    )
    return f'<div class="fc-list">{rows}</div>'


def _effect(effect: TokenEffect) -> str:
    text = effect.token.removeprefix(" ")
    space = f'<span class="fc-soft">{SPACE}</span>' if text != effect.token else ""
    return f'<span>{space}<b><bdi>{escape(text)}</bdi></b> <span class="fc-number fc-soft">{effect_text(effect.effect)}</span></span>'


def _partner(partner: Partner | None) -> str:
    if partner is None:
        return '<div class="fc-partner fc-soft">no partner in the other model</div>'
    name = f"{partner.feature} of {partner.dictionary}"
    told = escape(name)
    if partner.link:
        if not partner.link.startswith(_LINKS):
            raise ValueError(
                f"a partner's link must be a relative or web address ({', '.join(_LINKS)}...); got '{partner.link}'"
            )
        told = f'<a href="{escape(partner.link)}">{told}</a>'
    label = f" <b><bdi>{escape(partner.label)}</bdi></b>" if partner.label else ""
    return (
        f'<div class="fc-partner"><span class="fc-clip"><span class="fc-soft">partner</span> {told}{label}</span>'
        f'<span class="fc-number">r = {partner.corr:.2f}</span></div>'
    )
