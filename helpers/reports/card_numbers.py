"""Numbers on cards: two or three digits, a true minus sign."""

from __future__ import annotations

from helpers.reports.style import short_number

MINUS = "\u2212"


def activation_text(value: float) -> str:
    """0 -> 0, 0.003 -> 0.0030, 1.8 -> 1.80, 12.34 -> 12.3, 1234 -> 1.23k."""
    size = abs(value)
    if size >= 1000:
        text = short_number(value)
    elif size >= 100:
        text = f"{value:.0f}"
    elif size >= 1:
        text = f"{value:.{2 if size < 10 else 1}f}"
    else:
        text = f"{value:#.2g}" if value else "0"
    return text.replace("-", MINUS)


def count_text(count: int) -> str:
    """Whole up to 9,999, then short: 1234 -> 1,234, 123456 -> 123k."""
    return f"{count:,}" if count < 10_000 else short_number(count)


def effect_text(value: float) -> str:
    """Two digits and always a sign: 1.234 -> +1.2, 1 -> +1.0, -0.0312 -> \u22120.031."""
    return f"{value:+#.2g}".rstrip(".").replace("-", MINUS)


def share_text(share: float) -> str:
    """A share as a percentage of two digits or more: 0.25 -> 25%, 0.0034 -> 0.34%, 0.000012 -> 0.0012%."""
    percent = 100 * share
    return f"{percent:.0f}%" if percent >= 10 else f"{percent:.2g}%" if percent >= 1e-4 else "under 0.0001%"
