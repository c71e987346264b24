"""One look for all figures: Okabe-Ito colours, readable sizes, light background, crisp PNGs.

Figures are made without pyplot, so that nothing is kept alive or drawn twice, and show themselves in a notebook.
"""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

#: Okabe and Ito 2008: distinguishable with every common kind of colour vision.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442",
)  # fmt: skip
GREY = "#8A8A8A"
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
LINE_STYLES = ("-", "--", "-.", ":")

STYLE: dict[Any, Any] = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "font.family": ["DejaVu Sans"],
    "font.size": 10.5,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.9,
    "axes.prop_cycle": cycler(color=PALETTE),
}
DOTS_PER_INCH = 160
_POWER_OF_TEN = r"$\mathdefault{"  # what matplotlib writes at logarithmic axes


class ReportFigure(Figure):
    """A matplotlib figure that displays itself as a PNG in a notebook."""

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        """Save it. Labels are words of somebody's texts: two dollar signs in them are no formula."""
        for text in self.findobj(Text):
            if "$" in text.get_text() and not text.get_text().startswith(_POWER_OF_TEN):
                text.set_parse_math(False)
        super().savefig(*args, **kwargs)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def new_figure(
    *, n_rows: int = 1, n_columns: int = 1, width: float = 8.0, height: float = 3.4, **options: Any
) -> tuple[ReportFigure, list[Axes]]:
    """A figure in the suite's style and its axes, row by row.

    Args:
        width, height: inches.
        options: for `Figure.subplots`, e.g. sharex=True.
    """
    figure = ReportFigure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(n_rows, n_columns, squeeze=False, **options)
    return figure, list(axes.ravel())


def styled() -> Any:
    """Context manager: matplotlib settings of the suite, restored afterwards."""
    return mpl.rc_context(STYLE)


def draw_legend(axes: Axes, *, above: bool = False) -> None:
    """Inside where there is room; above the axes for distributions, which leave none."""
    if above:
        title_height = 0.09 if axes.get_title(loc="left") else 0.0
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0 + title_height), borderaxespad=0.2, ncols=1)
    else:
        axes.legend(loc="best")


def short_number(value: float) -> str:
    """1500000 -> 1.5M, 2000 -> 2k."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


MANY = FuncFormatter(lambda value, _: short_number(value))
