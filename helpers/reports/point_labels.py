"""Names beside points, moved apart until they can be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from adjustText import adjust_text
from matplotlib.axes import Axes

from helpers.reports.style import GREY

_STEPS = 300  # a limit of steps and not of time: the same picture on every machine


def label_points(axes: Axes, names: Sequence[str], places: np.ndarray, *, size: float = 8.5) -> None:
    """Write names near their points, away from each other and from the points; a thin line leads where one had to go far.

    The figure's layout is to be settled before: call `figure.canvas.draw()`.

    Shapes:
        places: (n, 2), in data coordinates.
    Args:
        size: of the letters, in points.
    Raises:
        ValueError: a name without a place, or the reverse.
    """
    texts = [axes.text(x, y, name, fontsize=size, zorder=3) for name, (x, y) in zip(names, places, strict=True)]
    if not texts:
        return
    adjust_text(
        texts,
        x=np.asarray(places)[:, 0],
        y=np.asarray(places)[:, 1],
        ax=axes,
        iter_lim=_STEPS,
        expand=(1.25, 1.5),
        force_text=(0.6, 1.0),
        force_static=(0.3, 0.5),
        force_pull=(0.005, 0.005),
        arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6},
    )
