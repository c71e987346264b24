"""How alike two unrelated sides look to measures that do not correct for the number of dimensions.

For a random pairing the mean of ||Xc' Yc||^2 is tr(Kx) tr(Ky) / (n - 1), so biased CKA of unrelated rows averages
tr(Kx) tr(Ky) / ((n - 1) ||Kx|| ||Ky||): the number of effective dimensions (geometric mean of both sides) per row. Near
1 means that any pairing looks alike, and the measure cannot tell.
"""

from __future__ import annotations

import numpy as np

from helpers.similarity.measure import UndefinedMeasure

#: Above this chance level a score says nothing that the chance level does not say.
HIGHEST_CHANCE = 0.75


def chance_alignment(x: np.ndarray, y: np.ndarray) -> float:
    """Mean biased linear CKA of the centred matrices x and y over all pairings of their rows, in (0, 1]."""

    def effective_dimensions(data: np.ndarray) -> float:
        gram = data @ data.T if data.shape[0] <= data.shape[1] else data.T @ data
        return float(np.trace(gram) ** 2 / np.sum(gram**2))

    return float(np.sqrt(effective_dimensions(x) * effective_dimensions(y))) / (len(x) - 1)


def require_low_chance(x: np.ndarray, y: np.ndarray, *, measure: str) -> float:
    """The chance level; UndefinedMeasure if it is above HIGHEST_CHANCE."""
    chance = chance_alignment(x, y)
    if chance > HIGHEST_CHANCE:
        raise UndefinedMeasure(
            f"{measure} of unrelated rows would be near 1 here: the sides have {chance:.2f} effective dimensions per row "
            f"(limit {HIGHEST_CHANCE}); use more than {len(x)} rows, rsa or debiased linear_cka"
        )
    return chance
