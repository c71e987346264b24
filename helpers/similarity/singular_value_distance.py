"""Distance between the normalised spectra of two matrices."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import scipy.linalg

from helpers.similarity.inputs import as_matrix, require_choice
from helpers.similarity.measure import ROTATION, Comparison, Measure, UndefinedMeasure

NORMALISATIONS = ("l2", "sum")


def min_rows(d_x: int, d_y: int, *, normalisation: str = "l2") -> int:  # noqa: ARG001
    """A single row has a spectrum."""
    return 1


def normalised_spectrum(matrix: np.ndarray, *, normalisation: str, name: str) -> np.ndarray:
    """Singular values, largest first, divided by their sum or their L2 norm."""
    values = scipy.linalg.svdvals(matrix, check_finite=False)
    if values[0] == 0:
        raise UndefinedMeasure(f"{name} is zero everywhere and has no spectrum to normalise")
    return values / (values.sum() if normalisation == "sum" else np.linalg.norm(values))


def _distance(x: np.ndarray, y: np.ndarray) -> float:
    length = max(len(x), len(y))
    return float(np.linalg.norm(np.pad(x, (0, length - len(x))) - np.pad(y, (0, length - len(y)))))


def prepare(x: Any, y: Any, *, normalisation: str = "l2") -> Comparison:
    """Take both spectra."""
    require_choice(normalisation, NORMALISATIONS, name="normalisation")
    side_x, side_y = as_matrix(x, name="x"), as_matrix(y, name="y")
    spectrum_x = normalised_spectrum(side_x, normalisation=normalisation, name="x")
    spectrum_y = normalised_spectrum(side_y, normalisation=normalisation, name="y")
    shape = side_y.shape

    def evaluate_random(rng: np.random.Generator) -> float:
        random = normalised_spectrum(rng.standard_normal(shape), normalisation=normalisation, name="random")
        return _distance(spectrum_x, random)

    # Singular values do not depend on the order of rows.
    return Comparison(len(side_y), lambda _: _distance(spectrum_x, spectrum_y), evaluate_random)


def singular_value_distance(x: Any, y: Any, *, normalisation: str = "l2") -> float:
    """Euclidean distance between the normalised singular values of x and y; a shorter spectrum is padded with zeros.

    Shapes:
        x: (n_x, d_x); y: (n_y, d_y); any shapes.
    Args:
        normalisation: divide each spectrum by its L2 norm ("l2") or by its sum ("sum").
    Returns:
        Distance in [0, sqrt(2)]; 0 = equal spectra, which does not mean aligned features.
    Raises:
        UndefinedMeasure: a side is zero everywhere.
        ValueError: entries are not finite, or `normalisation` is unknown.
    Notes:
        Ignores the pairing altogether; its null is a Gaussian matrix. Copies of rows change a spectrum.
    Source:
        Distance between spectra of decoder matrices as in arXiv:2410.06981's code; L2 form: Mirsky 1960.
    """
    return prepare(x, y, normalisation=normalisation).score()


SINGULAR_VALUE_DISTANCE = Measure(
    name="singular_value_distance",
    function=singular_value_distance,
    prepare=prepare,
    direction="distance",
    ideal=0.0,
    range=(0.0, sqrt(2)),
    symmetric=True,
    invariances=ROTATION | {"row_permutation_single"},
    null="random_matrix",
    min_rows=min_rows,
    description="distance between the normalised singular values",
    source="Mirsky 1960",
)
