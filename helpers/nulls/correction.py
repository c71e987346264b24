"""Correction of many p-values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import false_discovery_control


def benjamini_hochberg(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """p-values adjusted so that calling those <= q significant keeps the false discovery rate at q.

    Args:
        p_values: in (0, 1]; None (an undefined test) stays None and does not count as a test.
    Raises:
        ValueError: a p-value outside (0, 1], or NaN.
    Source:
        Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    defined = [value for value in p_values if value is not None]
    array = np.asarray(defined, dtype=np.float64)
    if array.ndim != 1 or not ((array > 0) & (array <= 1)).all():
        raise ValueError(f"p-values must lie above 0 and not above 1; got {defined}; use p = (1 + hits) / (1 + runs)")
    adjusted = iter(false_discovery_control(array, method="bh")) if defined else iter(())
    return tuple(None if value is None else float(next(adjusted)) for value in p_values)
