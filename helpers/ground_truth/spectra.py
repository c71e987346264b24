"""Singular-value spectra of dictionaries, model weights and Gaussian matrices, under both normalisations.

A spectrum says how a matrix spreads over its dimensions. It says nothing about where they point: two matrices may have
the same spectrum and no direction in common. And it counts rows, so copies of rows change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from helpers.similarity.inputs import as_matrix
from helpers.similarity.singular_value_distance import NORMALISATIONS, normalised_spectrum, singular_value_distance


@dataclass(frozen=True)
class GaussianComparison:
    """One matrix beside Gaussian matrices of its shape.

    Args:
        spectrum: singular values, largest first, normalised; gaussian_spectrum: their mean over the Gaussian matrices.
        distance: mean distance of the matrix to a Gaussian one; gaussian_distance: of two Gaussian ones to each other.
        p_value: (1 + Gaussian matrices at least as far from the other Gaussians as this matrix is) / (1 + n_gaussian).
    """

    normalisation: str
    shape: tuple[int, int]
    spectrum: np.ndarray
    gaussian_spectrum: np.ndarray
    distance: float
    gaussian_distance: float
    p_value: float


def compare_with_gaussian(matrix: Any, *, normalisation: str, n_gaussian: int, seed: int) -> GaussianComparison:
    """Is the spectrum of a matrix that of a Gaussian matrix of equal shape?

    Shapes:
        matrix: any (n_rows, n_columns).
    Args:
        normalisation: "l2" or "sum".
        n_gaussian: Gaussian matrices, at least 2.
    Raises:
        ValueError: an unknown normalisation, n_gaussian below 2, or a matrix that is not finite or zero everywhere.
    """
    if normalisation not in NORMALISATIONS:
        raise ValueError(f"normalisation must be one of {', '.join(NORMALISATIONS)}; got {normalisation!r}")
    if n_gaussian < 2:
        raise ValueError(f"n_gaussian must be at least 2, to compare Gaussian matrices too; got {n_gaussian}")
    values = as_matrix(matrix, name="matrix")
    spectrum = normalised_spectrum(values, normalisation=normalisation, name="matrix")
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(5,)))
    gaussian = np.stack(
        [
            normalised_spectrum(rng.standard_normal(values.shape), normalisation=normalisation, name="Gaussian")
            for _ in range(n_gaussian)
        ]
    )
    distances = np.linalg.norm(gaussian[:, None] - gaussian[None], axis=2).sum(axis=1) / (n_gaussian - 1)
    distance = float(np.linalg.norm(gaussian - spectrum, axis=1).mean())
    hits = int((distances >= distance).sum())
    return GaussianComparison(
        normalisation,
        (values.shape[0], values.shape[1]),
        spectrum,
        gaussian.mean(axis=0),
        distance,
        float(distances.mean()),
        (1 + hits) / (1 + n_gaussian),
    )


def spectrum_distances(matrices: Mapping[str, Any], *, normalisation: str) -> np.ndarray:
    """Distances between the spectra of all matrices, in their order, (n, n) symmetric."""
    names = list(matrices)
    distances = np.zeros((len(names), len(names)))
    for row, first in enumerate(names):
        for column in range(row + 1, len(names)):
            value = singular_value_distance(matrices[first], matrices[names[column]], normalisation=normalisation)
            distances[row, column] = distances[column, row] = value
    return distances


def same_spectrum_elsewhere(matrix: Any, *, seed: int) -> np.ndarray:
    """A matrix with exactly the same singular values and random directions: the control for reading spectra."""
    values = as_matrix(matrix, name="matrix")
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(6,)))
    left, right = (np.linalg.qr(rng.standard_normal((size, size)))[0] for size in values.shape)
    return left @ values @ right


def spectra_table(matrices: Mapping[str, Any], *, n_gaussian: int, seed: int) -> dict[str, dict[str, str]]:
    """Matrix -> column -> text: distances to Gaussian matrices under both normalisations."""
    rows = {}
    for name, matrix in matrices.items():
        row = {"shape": " x ".join(str(size) for size in np.shape(matrix))}
        for normalisation, label in (("l2", "by L2 norm"), ("sum", "by sum")):
            found = compare_with_gaussian(matrix, normalisation=normalisation, n_gaussian=n_gaussian, seed=seed)
            row |= {
                f"{label}: to Gaussian": f"{found.distance:.4f}",
                f"{label}: among Gaussian": f"{found.gaussian_distance:.4f}",
                f"{label}: p": f"{found.p_value:.2g}",
            }
        rows[name] = row
    return rows


def spectrum_lines(matrices: Mapping[str, Any]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Matrix -> (place from 0 = largest to 1 = smallest, singular value over the mean), comparable across sizes."""
    lines = {}
    for name, matrix in matrices.items():
        values = normalised_spectrum(as_matrix(matrix, name=name), normalisation="sum", name=name)
        lines[name] = (np.linspace(0, 1, len(values)), values * len(values))
    return lines
