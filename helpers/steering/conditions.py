"""Condition: which rows of a layer are steered, as a linear test of the row itself.

A direction that is added to every row changes answers that have nothing to do with it. One that is added only to rows which
look like those of the side that it leads away from leaves the others as they are, whatever the strength.

Source: conditional activation steering, Lee et al. 2024 (arXiv:2409.05907). Theirs thresholds a cosine; here the test is the
linear discriminant of the prompts' rows against rows of ordinary text (Fisher 1936) with the covariance shrunk as by Ledoit
and Wolf 2004 (doi:10.1016/S0047-259X(03)00096-4), so that there is no threshold to tune.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from helpers.array_file import ArrayFile

_FILE = ArrayFile("a steering condition", remedy="run 13_steering again")


@dataclass(frozen=True, eq=False)
class Condition:
    """Holds for a row x if x . weights + offset is above 0.

    Shapes:
        weights: (d,) float64.
    Args:
        hook_name: the hook whose rows it tests.
    Raises:
        ValueError: weights that are not one-dimensional, not finite or all zero.
    """

    weights: Float[np.ndarray, " d"]
    offset: float
    hook_name: str

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights, dtype=np.float64)
        if weights.ndim != 1 or not (np.isfinite(weights).all() and np.isfinite(self.offset)) or not weights.any():
            raise ValueError(
                f"a condition has finite weights, (d,), not all zero; got {weights.shape}, offset {self.offset}"
            )
        object.__setattr__(self, "weights", weights)

    def holds(self, rows: Float[Tensor, "n_rows d"]) -> Bool[Tensor, " n_rows"]:
        """Which rows it is true of."""
        return rows.float() @ self._weights.to(rows.device) + self.offset > 0

    def share(self, rows: Float[np.ndarray, "n_rows d"]) -> float:
        """Share of rows that it is true of, in [0, 1]."""
        return float(self.holds(torch.from_numpy(np.asarray(rows, np.float32))).double().mean())

    def save(self, path: str | Path) -> None:
        """Write one .npz file, atomically."""
        _FILE.write(path, weights=self.weights, offset=np.float64(self.offset), hook_name=np.array(self.hook_name))

    @classmethod
    def load(cls, path: str | Path) -> Condition:
        """Read what `save` wrote.

        Raises:
            ValueError: no such file, not a condition, or a newer format.
        """
        with _FILE.read(path) as content:
            return cls(content["weights"], float(content["offset"]), str(content["hook_name"]))

    @cached_property
    def _weights(self) -> Tensor:
        return torch.from_numpy(self.weights).float()


def fit_condition(
    present: Float[np.ndarray, "n_present d"], text: Float[np.ndarray, "n_text d"], *, hook_name: str
) -> Condition:
    """The test that tells some rows best from those of ordinary text, as if both were equally frequent.

    Args:
        present: rows of which it is to be true, e.g. at the last tokens of the prompts that a vector leads away from.
        text: rows of text (`text_rows`). That a few of them are of the other kind does no harm.
    Raises:
        ValueError: fewer than two rows on a side, other widths, rows that are not finite, or sides with the same mean.
    """
    present, text = (np.asarray(rows, dtype=np.float64) for rows in (present, text))
    if min(len(present), len(text)) < 2 or present.shape[1:] != text.shape[1:]:
        raise ValueError(
            f"a condition needs two rows or more on both sides, of one width; got {present.shape} and {text.shape}"
        )
    if not (np.isfinite(present).all() and np.isfinite(text).all()):
        raise ValueError("rows are finite; got NaN or infinity; look at the activations")
    means = [rows.mean(axis=0) for rows in (present, text)]
    covariance = (_shrunk_covariance(present) + _shrunk_covariance(text)) / 2
    weights = _solve(covariance, means[0] - means[1])
    return Condition(weights, float(-weights @ (means[0] + means[1]) / 2), hook_name)


def _shrunk_covariance(rows: Float[np.ndarray, "n_rows d"]) -> Float[np.ndarray, "d d"]:
    """Ledoit and Wolf's, of columns with variance 1, and back: one loud dimension does not set the shrinkage of all."""
    from sklearn.covariance import ledoit_wolf  # late: seconds

    spread = rows.std(axis=0)
    spread[spread == 0] = 1.0
    return ledoit_wolf((rows - rows.mean(axis=0)) / spread)[0] * np.outer(spread, spread)


def _solve(covariance: Float[np.ndarray, "d d"], difference: Float[np.ndarray, " d"]) -> Float[np.ndarray, " d"]:
    """By Cholesky, which takes a hundredth of the time of least squares at the widths of real models."""
    try:
        return scipy.linalg.solve(covariance, difference, assume_a="pos")
    except np.linalg.LinAlgError:  # nothing was shrunk, and a dimension is constant
        return np.linalg.lstsq(covariance, difference, rcond=None)[0]
