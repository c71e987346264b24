"""Pictures of circles: words in a plane, the order's frequencies, every layer beside chance, and candidates' planes.

A module of its own, so that other notebooks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.geometry.circles import WordOrder
from helpers.reports.circle_tables import Ordered
from helpers.reports.point_labels import label_points
from helpers.reports.style import BLUE, GREY, PALETTE, VERMILION, new_figure, styled

N_WORDS = 5  # named in a candidate's plane
SHORT = 9  # letters of a word beside its point


@dataclass(frozen=True)
class WordPanel:
    """One panel of `word_planes`.

    Shapes:
        places: (n_words, 2), e.g. of `held_out_places`.
    Args:
        cyclic: join the last word to the first.
    """

    title: str
    words: Sequence[str]
    places: np.ndarray
    cyclic: bool


@dataclass(frozen=True)
class CandidatePanel:
    """One panel of `candidate_planes`.

    Shapes:
        points: (n, 2); words: (n,), the word of every point, "" where there is none.
    """

    title: str
    points: np.ndarray
    words: Sequence[str]


def word_planes(panels: Sequence[WordPanel], *, n_columns: int = 2) -> Figure:
    """Words in their planes, each joined to the next in the known order; colours follow the order.

    Raises:
        ValueError: no panel.
    """
    _require(panels)
    with styled():
        n_rows = -(-len(panels) // n_columns)
        figure, axes_list = new_figure(n_rows=n_rows, n_columns=n_columns, width=4.2 * n_columns, height=3.9 * n_rows)
        for axes, panel in zip(axes_list, panels, strict=False):
            _draw_words(axes, panel)
        for axes in axes_list[len(panels) :]:
            axes.set_axis_off()
        figure.canvas.draw()  # the layout, on which places of labels depend
        for axes, panel in zip(axes_list, panels, strict=False):
            label_points(axes, [word[:SHORT] for word in panel.words], panel.places)
        return figure


def _draw_words(axes: Axes, panel: WordPanel) -> None:
    places, n = panel.places, len(panel.words)
    way = np.vstack([places, places[:1]]) if panel.cyclic else places
    axes.plot(way[:, 0], way[:, 1], color=GREY, linewidth=1.0, zorder=1)
    # Cyclic colours for cyclic words; both maps read alike with every kind of colour vision.
    colours = mpl.colormaps["twilight" if panel.cyclic else "viridis"](np.linspace(0.08, 0.92, n))
    axes.scatter(places[:, 0], places[:, 1], c=colours, s=46, edgecolors="black", linewidths=0.6, zorder=2)
    reach = np.abs(places).max() or 1.0
    axes.set(title=panel.title, xlim=(-1.35 * reach, 1.35 * reach), ylim=(-1.35 * reach, 1.35 * reach), aspect="equal")
    axes.axhline(0, color="#BBBBBB", linewidth=0.8, zorder=0)
    axes.axvline(0, color="#BBBBBB", linewidth=0.8, zorder=0)
    axes.set(xlabel="first direction of the plane", ylabel="second direction")
    axes.tick_params(labelbottom=False, labelleft=False, length=0)
    axes.grid(visible=False)


def order_frequencies(orders: Mapping[str, WordOrder], *, n_columns: int = 2) -> Figure:
    """A panel a group and model: share of the words' variance at every frequency of their order, beside chance.

    Raises:
        ValueError: no order.
    """
    _require(orders)
    with styled():
        n_rows = -(-len(orders) // n_columns)
        figure, axes_list = new_figure(n_rows=n_rows, n_columns=n_columns, width=8.4, height=2.3 * n_rows)
        for axes, (title, order) in zip(axes_list, orders.items(), strict=False):
            n, shares = len(order.words), order.spectrum
            frequencies = np.arange(1, len(shares) + 1)
            axes.bar(frequencies, shares, color=[VERMILION, *[BLUE] * (len(shares) - 1)], width=0.7)
            chance = np.where((2 * frequencies == n), 1, 2) / (n - 1)
            axes.step(np.append(frequencies - 0.5, len(shares) + 0.5), np.append(chance, chance[-1]), where="post", color="black", linestyle="--", linewidth=1.2, label="shuffled words, mean")  # fmt: skip
            high = float(np.quantile(order.tests["circle"].null, 0.95))
            axes.plot([0.5, 1.5], [high, high], color=GREY, linewidth=2, label="shuffled words, 95 %")
            axes.set(title=title, xticks=frequencies, ylim=(0, None))
            axes.grid(visible=False, axis="x")
        for axes in axes_list[len(orders) :]:
            axes.set_axis_off()
        for axes in axes_list[::n_columns]:
            axes.set_ylabel("share of variance")
        for axes in axes_list[-n_columns:]:
            axes.set_xlabel("turns on the way through the order")
        figure.legend(*axes_list[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
        return figure


#: Question -> what its score is, for an axis.
SCORES = {
    "circle": "share of variance on the circle",
    "held out": "held-out words: mean cosine",
    "angle": "correlation of angle and order",
    "line": "share of variance along the line",
}


def order_by_layer(
    found: Ordered, *, position: str, questions: Mapping[str, str], controls: Sequence[str] = ()
) -> Figure:
    """A panel a group: the score of its question at every layer, of every model.

    Args:
        found: orders at (model, hook, position, group), layers in their order; filled marks are significant.
        questions: group -> question; a panel each.
        controls: models that are drawn broken.
    Raises:
        ValueError: nothing at this position.
    """
    places = [place for place in found.orders if place[2] == position]
    _require(places)
    groups = [group for group in questions if any(place[3] == group for place in places)]
    models = list(dict.fromkeys(place[0] for place in places))
    with styled():
        figure, axes_list = new_figure(n_columns=len(groups), width=3.3 * len(groups), height=3.4)
        for axes, group in zip(axes_list, groups, strict=True):
            question = questions[group]
            for number, model in enumerate(models):
                chosen = [place for place in places if place[0] == model and place[3] == group]
                colour = (BLUE, VERMILION)[number % 2]
                shares = [found.orders[place].tests[question].score or 0.0 for place in chosen]
                clear = [bool(found.tests[place][question].significant) for place in chosen]
                axes.plot(
                    shares, ":" if model in controls else "-", color=colour, label=f"model {model}", linewidth=1.6
                )
                faces = [colour if filled else "white" for filled in clear]
                axes.scatter(range(len(shares)), shares, c=faces, edgecolors=colour, s=34, zorder=3)
            chance = [found.orders[place].tests[question].null_mean or 0.0 for place in places if place[3] == group]
            axes.axhline(
                float(np.mean(chance)), color="black", linestyle="--", linewidth=1.1, label="shuffled words, mean"
            )
            longest = max(sum(p[0] == model and p[3] == group for p in places) for model in models)
            axes.set(title=group, xticks=range(longest), xlabel="layer (0 = embedding)", ylabel=SCORES[question])
        figure.legend(*axes_list[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        return figure


def candidate_planes(panels: Sequence[CandidatePanel]) -> Figure:
    """The planes of clusters, a point a token, coloured by the words that are most frequent there.

    Raises:
        ValueError: no panel.
    """
    _require(panels)
    with styled():
        figure, axes_list = new_figure(n_columns=len(panels), width=3.2 * len(panels), height=3.9)
        for axes, panel in zip(axes_list, panels, strict=True):
            words = np.asarray(panel.words, dtype=object)
            found, counts = np.unique(words[words != ""].astype(str), return_counts=True)
            named = found[np.argsort(-counts, kind="stable")[:N_WORDS]]
            other = ~np.isin(words.astype(str), named)
            axes.plot(*panel.points[other].T, ".", color="#C9C9C9", markersize=3, label="others")
            for colour, word in zip(PALETTE, named, strict=False):
                axes.plot(
                    *panel.points[words == word].T, ".", color=colour, markersize=4, label=word.replace("\n", "⏎")
                )
            axes.set(title=panel.title, xlabel="first direction of the plane")
            axes.tick_params(labelbottom=False, labelleft=False)
            axes.legend(
                loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, markerscale=2.5, fontsize=8.5, columnspacing=0.8,
                handletextpad=0.2,
            )  # fmt: skip
        axes_list[0].set_ylabel("second direction")
        return figure


def _require(content: Sequence[object] | Mapping[str, object]) -> None:
    if not content:
        raise ValueError("expected at least one panel; got none")
