"""Several matrices side by side, on one colour scale. A module of its own, so that other notebooks do not depend on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from helpers.reports.style import new_figure, styled

PANELS_A_ROW = 3
MARK = "*"
NOTHING = "#ECECEC"  # a cell without a number


def heatmap_panels(
    matrices: Mapping[str, Any], *, row_labels: Sequence[str], column_labels: Sequence[str], x_label: str, y_label: str,
    colour_label: str, value_range: tuple[float, float] | None = None, marked: Mapping[str, Any] | None = None,
    number_format: str = ".2f", title: str = "", panels_a_row: int = PANELS_A_ROW,
) -> Figure:  # fmt: skip
    """A panel a matrix, all with the same axes and colours, numbers written in; NaN (undefined) stays grey and empty.

    Shapes:
        every matrix: (n_rows, n_columns), as many as there are labels.
    Args:
        value_range: ends of the colour scale; values beyond have the colours of the ends. By default of all matrices.
        marked: panel -> bool matrix; a star is written behind the numbers of these cells.
        number_format: of the numbers written in. panels_a_row: at most.
    Raises:
        ValueError: no matrix, one of another shape than the labels, or not one finite value.
    """
    values = {name: np.asarray(matrix, dtype=float) for name, matrix in matrices.items()}
    shape = (len(row_labels), len(column_labels))
    stars = {name: np.asarray(matrix, dtype=bool) for name, matrix in (marked or {}).items()}
    wrong = [f"'{name}' is {m.shape}" for name, m in (*values.items(), *stars.items()) if m.shape != shape]
    if not values or wrong:
        raise ValueError(f"expected matrices of {shape}, as the labels say; got {', '.join(wrong) or 'none'}")
    finite = np.concatenate([matrix[np.isfinite(matrix)] for matrix in values.values()])
    if not finite.size:
        raise ValueError("there is no finite value to draw; leave the figure out")
    scale = Normalize(*(value_range or (float(finite.min()), float(finite.max()))))
    n_columns = min(panels_a_row, len(values))
    n_rows = -(-len(values) // n_columns)
    with styled():
        figure, panels = new_figure(
            n_rows=n_rows, n_columns=n_columns, width=1.4 + n_columns * (0.9 + 0.6 * shape[1]),
            height=0.6 + n_rows * max(1.9, 0.9 + 0.5 * shape[0]), sharex=True, sharey=True,
        )  # fmt: skip
        image = None
        for number, (axes, (name, matrix)) in enumerate(zip(panels, values.items(), strict=False)):
            image = axes.imshow(matrix, cmap="cividis", norm=scale, aspect="auto")
            _write_numbers(axes, matrix, scale, stars.get(name, np.zeros(shape, dtype=bool)), number_format)
            axes.set_title(name.replace("_", " "), fontsize=10.5)
            axes.set_facecolor(NOTHING)
            axes.grid(visible=False)
            axes.set_xticks(range(shape[1]), column_labels)
            axes.set_yticks(range(shape[0]), row_labels)
            axes.tick_params(labelbottom=True)
            axes.set(
                xlabel=x_label if number + n_columns >= len(values) else "",
                ylabel=y_label if number % n_columns == 0 else "",
            )
        for axes in panels[len(values) :]:
            axes.set_axis_off()
        assert image is not None
        figure.colorbar(image, ax=panels, label=colour_label)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12)
        return figure


def _write_numbers(axes: Axes, matrix: np.ndarray, scale: Normalize, stars: np.ndarray, number_format: str) -> None:
    for (row, column), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            text = format(value, number_format) + (MARK if stars[row, column] else "")
            colour = "white" if float(scale(value)) < 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8.5)
