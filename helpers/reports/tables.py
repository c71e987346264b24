"""HTML tables for notebooks: matched pairs with the texts that fire them. Everything that is text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Protocol

NEWLINE = "\u23ce"
STYLE = """<style>
.pairs { border-collapse: collapse; width: 100%; font-size: 13.5px; line-height: 1.45; }
.pairs th, .pairs td { text-align: left !important; vertical-align: top; padding: 7px 10px; border-bottom: 1px solid #8885; }
.pairs .group td { font-weight: 650; border-bottom: 2px solid #8888; padding-top: 16px; }
.pairs .context { white-space: pre-wrap; overflow-wrap: anywhere; }
.pairs mark { background: #ffe08a; color: #1d2126; border-radius: 3px; padding: 0 1px; }
.pairs .value { white-space: nowrap; font-variant-numeric: tabular-nums; }
.pairs .id { opacity: 0.7; font-size: 12px; }
@media (max-width: 600px) {
  .pairs, .pairs tbody, .pairs tr, .pairs td { display: block; } .pairs thead { display: none; }
  .pairs td { border: 0; padding: 3px 6px; } .pairs tr { border-bottom: 1px solid #8885; padding: 6px 0; }
  .pairs td[data-label]::before { content: attr(data-label) ": "; opacity: 0.7; font-size: 12px; }
}
@media (prefers-color-scheme: dark) { .pairs mark { background: #6b5200; color: #fff4cf; } }
</style>"""


class TokenInContext(Protocol):
    """A firing token between what comes before and after it."""

    @property
    def before(self) -> str: ...
    @property
    def token(self) -> str: ...
    @property
    def after(self) -> str: ...


@dataclass(frozen=True)
class PairRow:
    """One matched pair for `context_table`.

    Args:
        name_a, name_b: the features, e.g. "a 117".
        contexts_a, contexts_b: where each fires most; None entries (no further example) are left out.
        values: label -> text, e.g. {"correlation": "0.93"}; the same labels in all rows.
        group: heading under which the row stands, e.g. "best pairs"; rows of a group come together.
    """

    name_a: str
    name_b: str
    contexts_a: Sequence[TokenInContext | None]
    contexts_b: Sequence[TokenInContext | None]
    values: Mapping[str, str] = field(default_factory=dict)
    group: str = ""


def highlighted(context: TokenInContext) -> str:
    """A context as HTML with its firing token marked."""
    before, token, after = (text.replace("\n", NEWLINE) for text in (context.before, context.token, context.after))
    word = token.lstrip(" ")
    space = token[: len(token) - len(word)]  # a token's own space stands before the mark, so that lines break there
    return f'<div class="context">{escape(before)}{space}<mark>{escape(word) or "&nbsp;"}</mark>{escape(after)}</div>'


def context_table(rows: Sequence[PairRow], *, heading_a: str = "model a", heading_b: str = "model b") -> str:
    """HTML of matched pairs side by side, each feature with its top contexts; for `IPython.display.HTML`.

    Raises:
        ValueError: no rows, or rows with different value labels.
    """
    if not rows:
        raise ValueError("there are no pairs to show; lower the threshold or pass other rows")
    labels = list(rows[0].values)
    if any(list(row.values) != labels for row in rows):
        raise ValueError(f"all rows must have the same values; expected {labels}")
    head = "".join(f"<th>{escape(text)}</th>" for text in [*labels, heading_a, heading_b])
    body, group = [], ""
    for row in rows:
        if row.group != group:
            group = row.group
            body.append(f'<tr class="group"><td colspan="{len(labels) + 2}">{escape(group)}</td></tr>')
        cells = [
            f'<td class="value" data-label="{escape(label)}">{escape(text)}</td>' for label, text in row.values.items()
        ]
        cells += [
            _feature(row.name_a, row.contexts_a, heading=heading_a),
            _feature(row.name_b, row.contexts_b, heading=heading_b),
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return f'{STYLE}<table class="pairs"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'


def _feature(name: str, contexts: Sequence[TokenInContext | None], *, heading: str) -> str:
    shown = "".join(highlighted(context) for context in contexts if context is not None)
    return f'<td data-label="{escape(heading)}"><div class="id">{escape(name)}</div>{shown}</td>'


def results_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A plain HTML table of equal-keyed rows; None shows as a dash, floats with three significant digits.

    Raises:
        ValueError: no rows, or rows with different keys.
    """
    if not rows:
        raise ValueError("there are no rows to show")
    keys = list(rows[0])
    if any(list(row) != keys for row in rows):
        raise ValueError(f"all rows must have the same keys; expected {keys}")
    head = "".join(f"<th>{escape(str(key))}</th>" for key in keys)
    body = "".join("<tr>" + "".join(f"<td>{escape(_text(row[key]))}</td>" for key in keys) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: Any) -> str:
    if value is None:
        return "\u2013"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
