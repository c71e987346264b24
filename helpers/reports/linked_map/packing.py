"""Numbers, texts and cards as a page can hold them: short, compressed, and inflated by the browser (data.js, card.js)."""

from __future__ import annotations

import base64
import gzip
import json
import math
from typing import Any

import numpy as np

from helpers.features.cards import FeatureCard, GradedContext, TokenEffect
from helpers.reports.card_numbers import activation_text, effect_text
from helpers.reports.feature_card_html import N_EFFECTS

SEPARATOR = "\x1f"  # between the tokens of a context
GRADES = 9  # steps of the highlighting
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"  # heights of a histogram's bars


def pack(value: Any) -> str:
    """JSON, compressed and in base64, so that a page can hold it; equal values give equal text."""
    raw = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(raw, compresslevel=6, mtime=0)).decode()


def unpack(text: str) -> Any:
    """Inverse of `pack`."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


def packed_numbers(values: Any, dtype: str) -> str:
    """An array as its bytes in base64; `dtype` is little-endian, e.g. "<f4"."""
    return base64.b64encode(np.asarray(values).astype(dtype).tobytes()).decode()


def packed_card(card: FeatureCard) -> list[Any]:
    """What the side panel draws of a card: [label's source, firings, tokens, strongest activation, histogram, contexts,
    promoted, suppressed]. Highlighting keeps nine steps, bars 36.
    """
    return [
        card.label.source,
        card.n_firings,
        card.n_tokens,
        activation_text(card.max_activation),
        _heights(card.histogram),
        [_context(context, card.max_activation) for context in card.contexts],
        [_effect(effect) for effect in card.promoted[:N_EFFECTS]],
        [_effect(effect) for effect in card.suppressed[:N_EFFECTS]],
    ]


def _heights(histogram: tuple[int, ...]) -> str:
    """A digit a bar: log(1 + firings), as on the other cards."""
    if not any(histogram):
        return ""
    unit = (len(DIGITS) - 1) / math.log1p(max(histogram))
    return "".join(DIGITS[math.ceil(math.log1p(count) * unit - 1e-9)] for count in histogram)


def _context(context: GradedContext, largest: float) -> str:
    """Place of the example, a grade a token, the tokens."""
    size = max(largest, *(abs(token.activation) for token in context.tokens)) or 1.0
    grades = "".join(str(math.ceil(GRADES * abs(token.activation) / size)) for token in context.tokens)
    texts = (token.text.replace(SEPARATOR, "\u241f") for token in context.tokens)
    return SEPARATOR.join([str(context.marked), grades, *texts])


def _effect(effect: TokenEffect) -> list[str]:
    return [effect.token, effect_text(effect.effect)]
