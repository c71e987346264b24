"""Figures show the numbers they are given, fit their labels, and refuse empty input."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from helpers.nulls import permutation_test
from helpers.reports import figures, score_figures
from helpers.reports.style import PALETTE, short_number

RNG_SEED = 0


def legend_texts(figure):
    return [text.get_text() for axes in figure.axes if axes.get_legend() for text in axes.get_legend().get_texts()]


@pytest.fixture(scope="module")
def results():
    rng = np.random.default_rng(RNG_SEED)
    x = rng.standard_normal((60, 5))
    y = x + rng.standard_normal((60, 5))
    tests = [
        permutation_test(x, y, measure=name, n_permutations=49) for name in ("rsa", "orthogonal_procrustes", "mmcs")
    ]
    return [*tests, permutation_test(x[:5], y[:5], measure="cca")]


def all_figures(results):
    rng = np.random.default_rng(RNG_SEED)
    steps = np.linspace(0, 5e6, 20)
    many = {f"a rather long name of probe {i}": (steps, rng.uniform(size=20)) for i in range(8)}
    yield figures.curves(
        many, x_label="tokens", y_label="loss", title="Loss", log_y=True, references={"chance": 0.1, "best": 0.01}
    )
    yield figures.curves({"s": ([1, 10, 100], [1, 2, 3])}, x_label="tokens", y_label="score", log_x=True, markers=True)
    yield figures.curve_panels({"precision": many, "recall": many}, x_label="tokens", y_label="share", title="Methods")
    yield figures.share_bars(
        {"a": {"weekday": 1.0, "a_rather_long_kind": 0.5}, "b": {"weekday": 0.25}}, x_label="accuracy", title="T"
    )
    yield figures.correlation_histogram(
        rng.uniform(0, 1, 50), rng.normal(0, 0.1, 70), threshold=0.5, title="Correlations"
    )
    yield figures.feature_density_histogram(
        {"a": rng.poisson(3, 100), "b": np.zeros(5)}, n_tokens=1000, title="Density"
    )
    yield score_figures.null_distributions(results, title="Nulls")
    yield score_figures.score_curves([0.1, 0.2], {"rsa": [results[0], results[0]]}, x_label="least", title="Thresholds")
    yield score_figures.score_curves(
        [1e4, 3e5], {name: [results[0]] * 2 for name in ("rsa", "cca", "orthogonal_procrustes", "svcca")},
        x_label="correlation (centre of a band)", log_x=True,
    )  # fmt: skip
    yield figures.heatmap(
        [[0.1, np.nan]],
        row_labels=["a"],
        column_labels=["b", "c"],
        x_label="x",
        y_label="y",
        colour_label="s",
        title="H",
    )


def test_no_text_is_clipped_and_no_figure_is_empty(results, tmp_path):
    for number, figure in enumerate(all_figures(results)):
        figure.savefig(tmp_path / f"{number}.png")
        width, height = figure.canvas.get_width_height()
        assert width >= 600 and min(figure.get_size_inches()) > 1.4
        renderer = figure.canvas.get_renderer()
        for axes in figure.axes:
            labels = [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]
            labels += [tick for tick in axes.get_xticklabels() + axes.get_yticklabels() if tick.get_visible()]
            labels += list(axes.get_legend().get_texts()) if axes.get_legend() else []
            for text in labels:
                if not text.get_text() or not axes.axison:
                    continue
                low_x, high_x = axes.get_xlim()
                box = text.get_window_extent(renderer)
                outside_tick = text in axes.get_xticklabels() and not low_x <= text.get_position()[0] <= high_x
                if outside_tick or text in axes.get_yticklabels():
                    continue
                assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1, text.get_text()
        pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
        assert (pixels < 250).any(axis=2).mean() > 0.005


def named_categories(ticks):
    return any(text.get_text()[:1].isalpha() for text in ticks)


def test_every_drawn_axis_is_labelled(results):
    """By a label, or by ticks that are names."""
    for figure in all_figures(results):
        shown = [axes for axes in figure.axes if axes.axison and axes.get_label() != "<colorbar>"]
        assert shown and all(axes.get_xlabel() or named_categories(axes.get_xticklabels()) for axes in shown)
        first = shown[0]
        assert first.get_ylabel() or named_categories(first.get_yticklabels())


def test_figures_leave_global_settings_alone(results):
    before = dict(mpl.rcParams)
    list(all_figures(results))
    assert dict(mpl.rcParams) == before


def test_figures_show_themselves_as_png():
    figure = figures.curves({"a": ([0, 1], [1, 0])}, x_label="x", y_label="y")
    assert isinstance(figure, Figure) and figure._repr_png_().startswith(b"\x89PNG")


def test_a_label_looks_the_same_in_every_panel():
    """Also where a panel lacks one: colours must not move up."""
    line = ([1, 2], [0.1, 0.2])
    figure = figures.curve_panels({"p": {"a": line, "b": line}, "r": {"b": line}}, x_label="noise", y_label="share")
    first, second = figure.axes
    assert second.get_lines()[0].get_color() == first.get_lines()[1].get_color() == PALETTE[1]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    assert first.get_title(loc="left") == "p" and first.get_ylabel() == "share"


def test_wide_column_labels_get_wide_cells():
    labels = {"row_labels": ["r"], "x_label": "x", "y_label": "y", "colour_label": "c"}
    narrow = figures.heatmap(np.zeros((1, 4)), column_labels=list("abcd"), value_range=(0, 1), **labels)
    wide = figures.heatmap(np.zeros((1, 4)), column_labels=["a very long label"] * 4, value_range=(0, 1), **labels)
    assert wide.get_size_inches()[0] > narrow.get_size_inches()[0] + 3


def test_histogram_legend_counts_what_lies_above_the_threshold():
    figure = figures.correlation_histogram([0.1, 0.6, 0.7, 0.9], [0.0, 0.8], threshold=0.5)
    assert legend_texts(figure) == [
        "shuffled (2)", "matched (4)", "threshold 0.5: 75.0% of matched, 50.0% of shuffled above",
    ]  # fmt: skip


def test_density_histogram_holds_every_live_feature_and_names_the_dead():
    counts = np.array([0, 0, 1, 2, 3, 10, 999, 1000])
    figure = figures.feature_density_histogram({"a": counts}, n_tokens=1000)
    assert legend_texts(figure) == ["a: 8 features, 25.0% dead"]
    outline = figure.axes[0].patches[0].get_xy()
    heights = {float(x): 0.0 for x, _ in outline}
    edges = sorted(heights)
    drawn, _ = np.histogram(counts[counts > 0] / 1000, edges)
    assert drawn.sum() == 6 and edges[0] < 0.001 and edges[-1] > 1.0


def test_null_panels_say_score_p_and_reason(results):
    figure = score_figures.null_distributions(results)
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels[0] == f"similarity {results[0].score:.3f}, p \u2264 0.02"
    assert labels[1].startswith("distance ") and "random matrices" in figure.axes[2].get_ylabel()
    assert "undefined" in figure.axes[3].texts[0].get_text()
    assert [axes.get_title(loc="left") for axes in figure.axes[:4]] == [
        result.measure.replace("_", " ") for result in results
    ]


def test_more_series_than_colours_stay_distinguishable():
    figure = figures.curves({str(i): ([0, 1], [i, i]) for i in range(12)}, x_label="x", y_label="y")
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 12 and len(PALETTE) == 6


def test_gaps_where_a_score_is_undefined():
    x = np.random.default_rng(RNG_SEED).standard_normal((20, 5))
    row = [permutation_test(x[:n], x[:n], measure="cca", n_permutations=5) for n in (20, 8, 15)]
    figure = score_figures.score_curves([0.1, 0.2, 0.3], {"cca": row}, x_label="least")
    for line in figure.axes[0].lines:
        assert np.isnan(line.get_ydata()).tolist() == [False, True, False]


def test_curves_of_many_measures_fill_several_rows(results):
    named = {name: [results[0], results[0]] for name in ("rsa", "cca", "svcca", "pwcca")}
    figure = score_figures.score_curves([10_000, 300_000], named, x_label="tokens", log_x=True)
    drawn = [axes for axes in figure.axes if axes.lines]
    assert len(drawn) == 4 and len({axes.get_position().y0 for axes in drawn}) == 2
    assert drawn[0].get_xscale() == "log" and drawn[0].get_xticks().tolist() == [10_000, 300_000]
    assert drawn[0].get_xlim()[0] < 10_000 and drawn[0].get_xlim()[1] > 300_000


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (12, "12"), (2000, "2k"), (1.5e6, "1.5M"), (3e9, "3G"), (-4e3, "-4k")]
)
def test_short_number(value, text):
    assert short_number(value) == text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: figures.curves({}, x_label="x", y_label="y"), "there are no curves to draw"),
        (lambda: figures.curves({"a": ([1, 2], [1])}, x_label="x", y_label="y"), "curve 'a' needs equally many .* 2 and 1"),
        (lambda: figures.share_bars({}, x_label="x"), "there are no values to draw"),
        (lambda: figures.correlation_histogram([], [1]), "observed must hold finite numbers to draw; got 0 values"),
        (lambda: figures.correlation_histogram([1], [np.nan, 1]), "null must hold finite numbers .* 1 of them not finite"),
        (lambda: figures.feature_density_histogram({}, n_tokens=5), "expected firing counts"),
        (lambda: figures.feature_density_histogram({"a": [1]}, n_tokens=0), "n_tokens=0"),
        (lambda: score_figures.null_distributions([]), "there are no results to draw"),
        (lambda: score_figures.score_curves([1, 2], {"cca": []}, x_label="x"), "one result for each of the 2 positions"),
        (lambda: figures.curve_panels({}, x_label="x", y_label="y"), "no panels to draw"),
        (lambda: figures.curve_panels({"p": {"a": ([1], [])}}, x_label="x", y_label="y"), "equally many x and y values"),
        (
            lambda: figures.heatmap(
                [[1]], row_labels=["a"], column_labels=[], x_label="", y_label="", colour_label=""
            ),
            "1 row and 0 column labels",
        ),
    ],
)  # fmt: skip
def test_nothing_to_draw_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()
