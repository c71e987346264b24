"""Mapper graphs to point at: drawings whose nodes tell their members, with a choice of colours, and no script at all.

A node's text is the tooltip that every browser shows for an SVG element, and colours are switched by radio buttons and
style rules alone. So the page works from a plain file, in JupyterLab, in Colab and in the rendered report.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex

from helpers.geometry.mapper import MapperGraph, NodeLabel
from helpers.reports.mapper_figures import NO_GROUP, NO_GROUP_COLOUR, OTHER_COLOUR, OTHER_GROUPS, group_colours
from helpers.storage import atomic_file

SCALE, LARGEST, SMALLEST = 42.0, 17.0, 4.0  # pixels: length of a tie, radius of the fullest and of the emptiest node
SHOWN_MEMBERS = 14
UNKNOWN = "#FFFFFF"
DENSITY = "firing density"
STYLE = """
.mg {font: 14px/1.4 system-ui, sans-serif; color: inherit}
.mg figure {margin: 0.6em 0 1em; overflow-x: auto}
.mg figcaption {font-weight: 600; margin-bottom: 0.3em}
.mg svg {display: block; max-width: 100%; height: auto}
.mg line {stroke: #9AA0A6; stroke-opacity: 0.8}
.mg circle {stroke: #777; stroke-width: 0.6; cursor: help}
.mg circle:hover, .mg circle:focus {stroke: currentColor; stroke-width: 3; outline: none}
.mg label {margin-right: 1.2em; cursor: pointer}
.mg .key {display: none; margin: 0.4em 0}
.mg .key span {display: inline-block; margin-right: 1em; white-space: nowrap}
.mg .key i {display: inline-block; width: 0.9em; height: 0.9em; border-radius: 50%; border: 1px solid #777;
  margin-right: 0.35em; vertical-align: -0.1em}
.mg .key b {display: inline-block; width: 9em; height: 0.8em; margin: 0 0.5em; border: 1px solid #777; vertical-align: -0.1em}
"""


@dataclass(frozen=True, eq=False)
class GraphSide:
    """One graph of the page.

    Shapes:
        positions: (n_nodes, 2); density, correlation: (n_rows,), of every feature: share of tokens on which it fires, in
        [0, 1], and correlation with its partner, NaN without one.
    Args:
        name: of the dictionary.
        labels: one a node; members: a name of every row, "" for none.
        ids: feature of every row.
    """

    name: str
    graph: MapperGraph
    positions: np.ndarray
    labels: Sequence[NodeLabel]
    members: Sequence[str]
    ids: np.ndarray
    density: np.ndarray
    correlation: np.ndarray


def mapper_html(sides: Sequence[GraphSide], *, title: str) -> str:
    """The graphs one below the other, as a piece of HTML that carries its own style.

    Raises:
        ValueError: no graph, or positions, labels, members or values that do not fit one.
    """
    if not sides:
        raise ValueError("expected at least one graph; got none")
    for side in sides:
        _check(side)
    colours = group_colours([side.labels for side in sides])
    values = [(_log_density(side), side.graph.node_values(side.correlation)) for side in sides]
    scales = _scale([side for side, _ in values], DENSITY), _scale([side for _, side in values], "correlation")
    drawn = [_drawing(side, found, colours, scales) for side, found in zip(sides, values, strict=True)]
    name = "mg" + hashlib.sha256("".join(drawn).encode()).hexdigest()[:10]
    kinds = {"group": "group of words", "density": "how often features fire", "partner": "correlation with the partner"}
    buttons, rules, keys = [], [], [_group_key(colours), *(scale.key() for scale in scales)]
    for number, (kind, text) in enumerate(kinds.items()):
        checked = " checked" if number == 0 else ""
        button = f'<input type="radio" name="{name}" id="{name}-{kind}" class="{kind}"{checked}>'
        buttons.append(f"<label>{button} {text}</label>")
        on = f"#{name}:has(.{kind}:checked)"
        rules.append(f"{on} circle {{fill: var(--{kind})}} {on} .key.{kind} {{display: block}}")
    shown_keys = "".join(f'<div class="key {kind}">{key}</div>' for kind, key in zip(kinds, keys, strict=True))
    return (
        f'<div class="mg" id="{name}"><style>{STYLE}{" ".join(rules)}</style><div><strong>{escape(title)}</strong></div>'
        f"<div>Colour: {''.join(buttons)}</div>{shown_keys}{''.join(drawn)}</div>"
    )


def save_mapper_page(sides: Sequence[GraphSide], path: str | Path, *, title: str) -> None:
    """The same as a page of its own, written atomically."""
    body = mapper_html(sides, title=title)
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    page = f'<!DOCTYPE html><html lang="en">{head}<title>{escape(title)}</title><body>{body}</body></html>'
    with atomic_file(path) as partial:
        partial.write_text(page, encoding="utf-8")


@dataclass(frozen=True)
class _Scale:
    """Values to colours, from low to high; what is unknown is white."""

    low: float
    high: float
    name: str

    def colour(self, value: float) -> str:
        if not np.isfinite(value):
            return UNKNOWN
        return to_hex(mpl.colormaps["cividis"]((value - self.low) / max(self.high - self.low, 1e-12)))

    def key(self) -> str:
        ramp = ", ".join(to_hex(mpl.colormaps["cividis"](share)) for share in np.linspace(0, 1, 6))
        low, high = (f"{10**v:.2%}" if self.name == DENSITY else f"{v:.2f}" for v in (self.low, self.high))
        unknown = "never fires" if self.name == DENSITY else "no member with a partner"
        return (
            f'<span>mean {self.name}: {low}<b style="background: linear-gradient(90deg, {ramp})"></b>{high}</span>'
            f'<span><i style="background: {UNKNOWN}"></i>{unknown}</span>'
        )


def _scale(values: Sequence[np.ndarray], name: str) -> _Scale:
    known = np.concatenate([side[np.isfinite(side)] for side in values])
    return _Scale(float(known.min()), float(known.max()), name) if known.size else _Scale(0.0, 1.0, name)


def _group_key(colours: dict[str, str]) -> str:
    entries = [(name.replace("_", " "), c) for name, c in colours.items() if name and c != OTHER_COLOUR]
    entries += [(OTHER_GROUPS, OTHER_COLOUR)] * (OTHER_COLOUR in colours.values()) + [(NO_GROUP, NO_GROUP_COLOUR)]
    return "".join(f'<span><i style="background: {c}"></i>{escape(name)}</span>' for name, c in entries)


def _log_density(side: GraphSide) -> np.ndarray:
    """Mean over the members of the logarithm to base 10; features that never fire do not count."""
    known = np.asarray(side.density, dtype=np.float64)
    return side.graph.node_values(np.log10(known, out=np.full(known.shape, np.nan), where=known > 0))


def _drawing(
    side: GraphSide, values: tuple[np.ndarray, np.ndarray], colours: dict[str, str], scales: tuple[_Scale, _Scale]
) -> str:
    places = (side.positions - side.positions.min(axis=0)) * SCALE + LARGEST + 3
    width, height = places.max(axis=0) + LARGEST + 3
    places[:, 1] = height - places[:, 1]
    graph = side.graph
    lines = "".join(
        f'<line x1="{places[i, 0]:.1f}" y1="{places[i, 1]:.1f}" x2="{places[j, 0]:.1f}" y2="{places[j, 1]:.1f}" '
        f'stroke-width="{1 + 4 * shared / max(1, graph.nerve.shared.max()):.1f}"/>'
        for (i, j), shared in zip(graph.edges, graph.nerve.shared, strict=True)
    )
    radii = np.maximum(SMALLEST, LARGEST * np.sqrt(graph.sizes / graph.sizes.max()))
    circles = []
    for node in np.argsort(-graph.sizes, kind="stable"):
        fills = (colours[side.labels[node].group], scales[0].colour(values[0][node]), scales[1].colour(values[1][node]))
        variables = ";".join(
            f"--{kind}:{fill}" for kind, fill in zip(("group", "density", "partner"), fills, strict=True)
        )
        circles.append(
            f'<circle cx="{places[node, 0]:.1f}" cy="{places[node, 1]:.1f}" r="{radii[node]:.1f}" tabindex="0" '
            f'style="{variables}"><title>{escape(_node_text(side, int(node), values))}</title></circle>'
        )
    caption = f"{side.name}: {graph.n_nodes} nodes of {graph.n_rows:,} features"
    return (
        f'<figure><figcaption>{escape(caption)}</figcaption><svg viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" role="img" aria-label="{escape(caption)}">{lines}{"".join(circles)}</svg></figure>'
    )


def _node_text(side: GraphSide, node: int, values: tuple[np.ndarray, np.ndarray]) -> str:
    rows, label = side.graph.rows_of(node), side.labels[node]
    group = f"; {label.group_share:.0%} {label.group.replace('_', ' ')}" if label.group else ""
    lines = [f"node {node}: {len(rows)} features{group}"]
    lines += [f"  {side.members[row] or '(no label)'} ({side.ids[row]})" for row in rows[:SHOWN_MEMBERS]]
    lines += [f"  and {len(rows) - SHOWN_MEMBERS} more"] * (len(rows) > SHOWN_MEMBERS)
    density, correlation = values[0][node], values[1][node]
    if np.isfinite(density):
        lines.append(f"fire on {10**density:.2%} of the tokens (geometric mean)")
    partner = f"{correlation:.2f}, mean" if np.isfinite(correlation) else "none of them has a partner"
    return "\n".join([*lines, f"correlation with the partner: {partner}"])


def _check(side: GraphSide) -> None:
    graph = side.graph
    of_nodes = {"positions": len(side.positions), "labels": len(side.labels)}
    of_rows = {name: len(getattr(side, name)) for name in ("members", "ids", "density", "correlation")}
    if set(of_nodes.values()) != {graph.n_nodes} or set(of_rows.values()) != {graph.n_rows}:
        raise ValueError(
            f"{side.name}: expected {graph.n_nodes} positions and labels and {graph.n_rows} members, ids and values; got "
            f"{of_nodes | of_rows}"
        )
