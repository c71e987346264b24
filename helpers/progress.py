"""One progress bar for every long step: in a terminal or JupyterLab it is drawn in place; in a batch run it is
written to the file named by FEATURE_GEOMETRY_PROGRESS, so that the terminal of the run can show it and the executed
notebook stays free of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TextIO, TypeVar

from tqdm import tqdm

T = TypeVar("T")
PROGRESS_FILE_VARIABLE = "FEATURE_GEOMETRY_PROGRESS"


def progress_bar(*, total: int, description: str, unit: str, initial: int = 0) -> tqdm:
    """A tqdm bar (`update(n)`, `set_postfix`, context manager) that goes where progress belongs.

    Args:
        total: number of `unit`s when done.
        description: what is being done, e.g. "Training SAE".
        unit: e.g. "tokens".
        initial: units already done (after a resumption).
    """
    path = os.environ.get(PROGRESS_FILE_VARIABLE)
    stream: TextIO = open(path, "a", encoding="utf-8") if path else sys.stderr  # noqa: SIM115 (lives as long as the bar)
    return tqdm(
        total=total,
        initial=initial,
        desc=description,
        unit=" " + unit,
        unit_scale=True,
        file=stream,
        mininterval=1.0 if path else 0.2,
        dynamic_ncols=not path,
        ncols=100 if path else None,
    )


def shown_when_long(
    values: Iterable[T], *, total: int, description: str, unit: str, patience: float = 2.0
) -> Iterator[T]:
    """The same values; from `patience` seconds on with a progress bar, so that quick steps stay silent."""
    started, bar = monotonic(), None
    try:
        for done, value in enumerate(values, start=1):
            yield value
            if bar is not None:
                bar.update(1)
            elif done < total and monotonic() - started > patience:
                bar = progress_bar(total=total, description=description, unit=unit, initial=done)
    finally:
        if bar is not None:
            bar.close()
