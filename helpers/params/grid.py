"""A grid in a study file: one line stands for many runs.

    grid:
      layer_a: [0, 1, 2]
      layer_b: [0, 1]
    notebooks:
      02_train_saes:
        runs:
          "a{layer_a}": {model: a, hook_name: "blocks.{layer_a}.hook_resid_post"}    # three runs: a0, a1, a2
      03_save_activations:
        runs:
          main: {dictionaries: ["a{layer_a}", "b{layer_b}"]}                         # a0, a1, a2, b0, b1
      16_layer_pairs:
        runs:
          "a{layer_a}_b{layer_b}": {layer_a: "{layer_a}", ...}                       # six runs

A run's name with `{axis}` stands for one run a value of the axis (two axes: a run a combination), and the same
`{axis}` in its values is that value; a value that is nothing but `{axis}` keeps its type, so a number stays a number.
In a list, an item with an axis that the run's name does not fix stands for one item a value. Without `grid`, braces
mean nothing.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_AXIS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Report = Callable[[str, str], None]  # (place, what is wrong)
Axes = Mapping[str, list[Any]]


def check_axes(grid: Any, *, report: Report) -> dict[str, list[Any]]:
    """The axes that are well formed; the others are reported.

    Args:
        grid: what the study file says under `grid`.
        report: takes (place, what is wrong).
    """
    if not isinstance(grid, Mapping) or not grid:
        report("grid", f"expected axes with lists of values, e.g. layer: [0, 1], got {grid!r:.80}")
        return {}
    axes = {}
    for name, values in grid.items():
        place = f"grid.{name}"
        if not isinstance(name, str) or not _AXIS.fullmatch(name):
            report(place, f"expected a name of letters, digits and '_', got {name!r}")
        elif not isinstance(values, list) or not values or not all(_is_value(value) for value in values):
            report(place, f"expected a list of whole numbers or texts, got {values!r:.80}")
        elif len({str(value) for value in values}) != len(values):
            report(place, f"expected different values, got {values!r:.80}")
        else:
            axes[name] = list(values)
    return axes


def expand_runs(runs: Mapping[Any, Any], axes: Axes, *, place: str, report: Report) -> dict[Any, Any]:
    """The runs of one notebook with every template written out, in order.

    Args:
        runs: run name or template -> its parameters, as the file has them.
        axes: name -> values.
        place: of `runs`, for messages.
        report: takes (place, what is wrong).
    """
    expanded: dict[Any, Any] = {}
    for template, overrides in runs.items():
        template_place = f"{place}.{template}"
        if not isinstance(template, str) or not _known(template, axes, template_place, report):
            expanded[template] = overrides
            continue
        for fixed in _combinations(_axes_in(template), axes):
            name = str(_filled(template, fixed, as_text=True))
            if name in expanded:
                report(template_place, f"its run '{name}' is there twice; rename one of them")
            expanded[name] = expand_value(overrides, axes, fixed, place=template_place, report=report)
    return expanded


def expand_value(value: Any, axes: Axes, fixed: Mapping[str, Any], *, place: str, report: Report) -> Any:
    """`value` with every `{axis}` replaced; list items with axes that are not in `fixed` are multiplied."""
    if isinstance(value, str):
        if not _known(value, axes, place, report):
            return value
        loose = [name for name in _axes_in(value) if name not in fixed]
        if loose:
            report(
                place,
                f"'{value}': the run's name does not say which {loose[0]}; "
                f"put {{{loose[0]}}} into the name, or the value into a list",
            )
            return value
        return _filled(value, fixed)
    if isinstance(value, Mapping):
        return {key: expand_value(item, axes, fixed, place=place, report=report) for key, item in value.items()}
    if isinstance(value, list):
        return [item for entry in value for item in _expand_item(entry, axes, fixed, place=place, report=report)]
    return value


def placeholders(value: Any) -> list[str]:
    """The names in braces in the texts of a value."""
    if isinstance(value, str):
        return _axes_in(value)
    parts = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else []
    return list(dict.fromkeys(name for part in parts for name in placeholders(part)))


def _expand_item(entry: Any, axes: Axes, fixed: Mapping[str, Any], *, place: str, report: Report) -> Iterator[Any]:
    loose = [name for name in _axes_in(entry) if name in axes and name not in fixed] if isinstance(entry, str) else []
    for added in _combinations(loose, axes):
        yield expand_value(entry, axes, {**fixed, **added}, place=place, report=report)


def _combinations(names: list[str], axes: Axes) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*(axes[name] for name in names)):
        yield dict(zip(names, values, strict=True))


def _axes_in(text: str) -> list[str]:
    return list(dict.fromkeys(_PLACEHOLDER.findall(text)))


def _known(text: str, axes: Axes, place: str, report: Report) -> bool:
    """Whether every placeholder is an axis; each that is not is reported."""
    unknown = [name for name in _axes_in(text) if name not in axes]
    for name in unknown:
        near = difflib.get_close_matches(name, axes, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(axes)}"
        report(place, f"'{text}': the grid has no axis '{name}'; {hint}")
    return not unknown


def _filled(text: str, fixed: Mapping[str, Any], *, as_text: bool = False) -> Any:
    whole = _PLACEHOLDER.fullmatch(text)
    if whole and not as_text:
        return fixed[whole[1]]
    return _PLACEHOLDER.sub(lambda match: str(fixed[match[1]]), text)


def _is_value(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)
