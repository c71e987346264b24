"""Firings with families that are known: every tool of this folder must find them, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse


@dataclass(frozen=True)
class PlantedFamilies:
    """Features that fire as a forest, among others that fire by themselves.

    Shapes:
        firings: (n_tokens, d_sae) CSR of ones; parents: (d_sae,) int64, -1 where there is none.
    """

    firings: scipy.sparse.csr_array
    parents: np.ndarray


def planted_families(
    *,
    n_tokens: int = 20_000,
    n_families: int = 6,
    n_children: int = 5,
    n_background: int = 120,
    reliability: float = 0.95,
    seed: int = 0,
) -> PlantedFamilies:
    """Three levels (a parent, its children, and three children of the first child) beside independent features.

    A token is about one family or none. The parent fires, one of its children with it, and with the first child one of
    that child's three; a child fires without its parent on the share 1 - `reliability` of its tokens. Background features
    fire independently, on 0.3 to 10 % of the tokens.

    Args:
        n_families: families; the features of the first come first, each as parent, children, grandchildren.
        reliability: in (0, 1].
    Raises:
        ValueError: fewer than two children, no family, or a reliability out of range.
    """
    if n_families < 1 or n_children < 2 or not 0 < reliability <= 1:
        raise ValueError(
            f"expected at least one family, two children and a reliability in (0, 1]; got {n_families}, {n_children} and "
            f"{reliability}"
        )
    rng = np.random.default_rng(seed)
    size = 1 + n_children + 3
    about = rng.integers(0, 2 * n_families, n_tokens)  # the upper half: about nothing
    child = rng.integers(0, n_children, n_tokens)
    grandchild = rng.integers(0, 3, n_tokens)
    heard = rng.random((3, n_tokens)) < reliability
    member = about < n_families
    first = about * size
    eldest = member & (child == 0)
    fires = [
        (np.flatnonzero(member & heard[0]), first),
        (np.flatnonzero(member & (heard[1] | (child > 0))), first + 1 + child),
        (np.flatnonzero(eldest & heard[2]), first + 1 + n_children + grandchild),
    ]
    rows = np.concatenate([at for at, _ in fires])
    columns = np.concatenate([feature[at] for at, feature in fires])
    rates = np.exp(rng.uniform(np.log(0.003), np.log(0.1), n_background))
    background = scipy.sparse.csr_array(rng.random((n_tokens, n_background)) < rates, dtype=np.float32)
    shape = (n_tokens, n_families * size)
    planted = scipy.sparse.csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    parents = np.full(shape[1] + n_background, -1, dtype=np.int64)
    for root in range(0, shape[1], size):
        parents[root + 1 : root + 1 + n_children] = root
        parents[root + 1 + n_children : root + size] = root + 1
    return PlantedFamilies(scipy.sparse.hstack([planted, background], format="csr"), parents)
