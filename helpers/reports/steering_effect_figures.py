"""Pictures of what steering does: its spread over layers, what carries it, what answers rest on, and partners ablated in two models.

A module of its own, so that other notebooks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.reports.style import BLUE, GREEN, GREY, ORANGE, PALETTE, VERMILION, new_figure, styled

if TYPE_CHECKING:  # these modules load torch
    from helpers.nulls import PermutationResult
    from helpers.steering.effects import (
        CircleMovement,
        DownstreamEffect,
        FeatureEffects,
        FunctionalSimilarity,
        RestoredEffect,
    )
    from helpers.steering.effects.attribution import Ranking

Namer = Callable[[str, int], str]
CELL_INCHES = 0.62
MARKS = {"appears": "+ ", "vanishes": "− "}  # before the name of a feature
SHORT = 11  # letters of a name that fit into a cell


def downstream_spread(effect: DownstreamEffect, *, n_features: int = 10, name: Namer | None = None) -> Figure:
    """A row a layer: on the left how far the stream moved, on the right the features that change most, coloured by how much.

    Args:
        n_features: cells a row.
        name: (hook_name, feature_id) -> text of a feature; None writes its id.
    Raises:
        ValueError: n_features below 1.
    """
    if n_features < 1:
        raise ValueError(f"n_features is at least 1; got {n_features}; raise it")
    layers = effect.layers[::-1]  # the lowest at the bottom, as the stream goes up
    with styled():
        figure, (left, right) = new_figure(
            n_columns=2, width=10.5, height=1.4 + CELL_INCHES * len(layers), width_ratios=[1, 4.2]
        )
        places = np.arange(len(layers))
        left.barh(places, [layer.relative_norm for layer in layers], height=0.6, color=BLUE)
        left.set_yticks(places, [_short_hook(layer.hook_name) for layer in layers])
        left.invert_yaxis()
        left.grid(visible=False, axis="y")
        left.set(xlabel="moved, in mean\nlengths of the stream", title="stream")
        _draw_cells(right, effect, n_features, name or (lambda _, feature_id: str(feature_id)))
        right.set_ylim(left.get_ylim())
        right.set_title("features that change most (+ appears, − vanishes)")
        return figure


def restored_shares(restored: RestoredEffect, *, names: Sequence[str]) -> Figure:
    """A bar a restored part, features above and singular directions below; grey spans hold 95 % of its random directions.

    Args:
        names: text of every restored feature.
    Raises:
        ValueError: not one name a feature.
    """
    features, directions = restored.features, restored.directions
    if len(names) != len(features.ids):
        raise ValueError(f"expected a name for each of {len(features.ids)} features; got {len(names)}")
    labels = [*names, *(f"direction {place + 1}" for place in range(len(directions.ids)))]
    shares = np.concatenate([features.shares, directions.shares])
    low, high = np.quantile(np.concatenate([features.random, directions.random]), [0.025, 0.975], axis=1)
    colours = [BLUE] * len(features.ids) + [ORANGE] * len(directions.ids)
    with styled():
        figure, (axes,) = new_figure(height=1.5 + 0.28 * len(labels))
        places = np.arange(len(labels))
        axes.barh(places, shares, height=0.55, color=colours)
        axes.hlines(places, low, high, color=GREY, linewidth=4, label="random directions as long, 95 %", zorder=3)
        lines = (
            ("all these features", restored.features_together, "--"),
            ("whole dictionary", restored.dictionary, ":"),
        )
        for label, share, style in lines:
            axes.axvline(share, color=VERMILION, linestyle=style, label=f"{label} restored")
        axes.set_yticks(places, labels)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("share of the effect that is lost when restored (1 = all)")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3)
        return figure


def effects_by_ranking(effects: FeatureEffects) -> Figure:
    """Every candidate's measured effect over its attribution, and over its activation."""
    titles: dict[Ranking, str] = {"attribution": "attribution (logits, mean size)", "activation": "mean activation"}
    with styled():
        figure, panels = new_figure(n_columns=2, sharey=True)
        for axes, (ranking, title), colour in zip(panels, titles.items(), (BLUE, ORANGE), strict=True):
            axes.plot(effects.ranked_by(ranking), effects.sizes, "o", color=colour, markersize=5, alpha=0.75)
            agreement = effects.agreement(ranking)
            told = "not defined" if agreement is None else f"{agreement:.2f}"
            axes.set(xlabel=title, title=f"rank correlation {told}")
        panels[0].set_ylabel("measured effect (logits, mean size)")
        return figure


def functional_beside_match(result: FunctionalSimilarity, tests: Mapping[str, PermutationResult]) -> Figure:
    """On the left every pair's functional similarity over its match correlation; on the right the mean beside its nulls.

    Args:
        tests: name of the null -> result.
    Raises:
        ValueError: no null.
    """
    if not tests:
        raise ValueError("expected at least one null to stand beside; got none")
    with styled():
        figure, (left, right) = new_figure(n_columns=2, width=9.0, width_ratios=[1.5, 1])
        left.plot(result.corr, result.matched, "o", color=BLUE, markersize=4, alpha=0.6)
        left.axhline(0, color=GREY, linewidth=1)
        left.set(xlabel="match correlation", ylabel="functional similarity", title=f"{result.n_pairs:,} pairs")
        for place, (colour, test) in enumerate(zip((ORANGE, GREEN, *PALETTE), tests.values(), strict=False)):
            low, high = np.quantile(test.null, [0.025, 0.975])
            right.vlines(place + 1, low, high, color=colour, linewidth=8)
            right.plot(place + 1, float(test.null.mean()), "_", color="black", markersize=14)
        scores = [test.score for test in tests.values() if test.score is not None]
        right.plot(0, scores[0], "o", color=BLUE, markersize=9)
        right.set_xticks(range(len(tests) + 1), ["partners", *tests], rotation=20, ha="right")
        right.set_xlim(-0.6, len(tests) + 0.6)
        right.set(ylabel="mean functional similarity", title="beside chance")
        right.set_ylim(bottom=min(0.0, right.get_ylim()[0]))
        return figure


def circle_moves(movement: CircleMovement) -> Figure:
    """A bar a shift: the share of answers that move as far as the word was turned; random planes in grey."""
    with styled():
        figure, (axes,) = new_figure(width=6.5)
        axes.bar(movement.shifts, movement.as_expected, width=0.6, color=BLUE, label="in the circle's plane")
        low, high = np.quantile(movement.random_as_expected, [0.025, 0.975], axis=0)
        axes.vlines(movement.shifts, low, high, color=GREY, linewidth=5, label="random planes, 95 %", zorder=3)
        axes.axhline(1 / movement.n_words, color=VERMILION, linestyle=":", label="one word in all")
        axes.set_xticks(movement.shifts)
        axes.set(xlabel="words turned along the circle", ylabel="answers that move as far", ylim=(0, 1.02))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3)
        return figure


def _draw_cells(axes: Axes, effect: DownstreamEffect, n_features: int, name: Namer) -> None:
    layers = effect.layers[::-1]
    cells = np.full((len(layers), n_features), np.nan)
    for row, layer in enumerate(layers):
        if layer.features is None:
            axes.text(0, row, "no dictionary", color=GREY, ha="left", va="center", fontsize=9)
            continue
        top = layer.features.top(n_features)
        cells[row, : len(top)] = layer.features.written[top]
        kinds = {int(feature): mark for kind, mark in MARKS.items() for feature in layer.features.of_kind(kind)}  # type: ignore[arg-type]
        if not len(top):
            axes.text(0, row, "nothing changes", color=GREY, ha="left", va="center", fontsize=9)
        for column, feature in enumerate(top.tolist()):
            text = name(layer.hook_name, feature)
            text = text if len(text) <= SHORT else text[: SHORT - 1] + "…"
            axes.text(column, row, kinds.get(feature, "") + text, ha="center", va="center", fontsize=7.5)
    largest = float(np.nanmax(np.abs(cells))) if np.isfinite(cells).any() else 1.0
    image = axes.imshow(
        cells, cmap="PuOr_r", vmin=-1.6 * largest, vmax=1.6 * largest, aspect="auto"
    )  # pale: text is on it
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.set_xlim(-0.5, n_features - 0.5)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.9, pad=0.01)
    bar.set_label("mean change of what it writes")
    bar.ax.set_ylim(-largest, largest)


def _short_hook(hook_name: str) -> str:
    """blocks.1.hook_resid_post -> layer 1; other hooks keep their name."""
    parts = hook_name.split(".")
    if parts[0] == "blocks" and parts[-1] == "hook_resid_post":
        return f"layer {parts[1]}"
    return f"layer {parts[1]}, {parts[-1].removeprefix('hook_')}" if parts[0] == "blocks" else hook_name
