"""A dictionary with one circular feature hidden among ordinary ones: what the search must find first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse


@dataclass(frozen=True)
class PlantedCircle:
    """Firings and directions with a circle, and an exclusive pair that must not be taken for one.

    Shapes:
        acts: (n_tokens, d_sae) CSR; directions: (d_sae, d); circle: ids of the features that draw the circle, in
        order; mixture: ids of two features that never fire together; angles: (n_tokens,), the place on the circle of
        every token that is on it, NaN elsewhere.
    """

    acts: scipy.sparse.csr_array
    directions: np.ndarray
    circle: np.ndarray
    mixture: np.ndarray
    angles: np.ndarray


def planted_circle(
    *,
    n_tokens: int = 20_000,
    n_features: int = 1000,
    n_circle: int = 8,
    d: int = 64,
    share: float = 0.06,
    noise: float = 0.05,
    rates: tuple[float, float] = (0.002, 0.05),
    with_circle: bool = True,
    seed: int = 0,
) -> PlantedCircle:
    """Draw one.

    On the share `share` of the tokens something goes round a circle. Each of `n_circle` features points to its place on
    it, and a token between two of them is written by both: together they draw the rim. All other features are
    ordinary: each has a random direction and fires by itself. Two more share a direction
    half and half and never fire together, which is a mixture.

    Args:
        n_features: ordinary ones; those of the circle and the mixture come first.
        n_circle: features on the circle, at least 4.
        noise: of activations, as a share of their size.
        rates: least and most shares of the tokens on which an ordinary feature fires.
        with_circle: False makes the circle's features ordinary as well: nothing is to be found.
    Raises:
        ValueError: too few features or dimensions, or a share not in (0, 1).
    """
    if n_circle < 4 or n_features < 1 or d < 4 or not 0 < share < 1:
        raise ValueError(
            f"expected at least 4 features on the circle, 1 beside it, 4 dimensions and a share in (0, 1); got {n_circle}, "
            f"{n_features}, {d} and {share}"
        )
    rng = np.random.default_rng(seed)
    n_planted = n_circle + 2
    directions = rng.standard_normal((n_planted + n_features, d))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    first, second = n_circle, n_circle + 1
    directions[second] = 0.6 * directions[first] + 0.8 * directions[second]
    shares = np.exp(rng.uniform(np.log(rates[0]), np.log(rates[1]), n_planted + n_features))
    columns = [_fires(np.flatnonzero(rng.random(n_tokens) < rate), rng) for rate in shares]
    angles = np.full(n_tokens, np.nan)
    if with_circle:
        on = np.flatnonzero(rng.random(n_tokens) < share)
        angles[on] = rng.uniform(0, 2 * np.pi, len(on))
        plane = np.linalg.qr(rng.standard_normal((d, 2)))[0]
        places = 2 * np.pi * np.arange(n_circle) / n_circle
        directions[:n_circle] = np.column_stack([np.cos(places), np.sin(places)]) @ plane.T
        columns[:n_circle] = _around(on, angles[on], n_circle)
    chance = rng.random(n_tokens)
    columns[first] = _fires(np.flatnonzero(chance < share / 2), rng)
    columns[second] = _fires(np.flatnonzero(chance > 1 - share / 2), rng)
    acts = _assembled(columns, n_tokens)
    acts.data = np.abs(acts.data * (1 + noise * rng.standard_normal(len(acts.data))))
    return PlantedCircle(acts, directions, np.arange(n_circle), np.array([first, second]), angles)


Column = tuple[np.ndarray, np.ndarray]  # tokens, activations


def _fires(tokens: np.ndarray, rng: np.random.Generator) -> Column:
    return tokens, rng.uniform(0.5, 1.5, len(tokens))


def _around(tokens: np.ndarray, angles: np.ndarray, n: int) -> list[Column]:
    """What each feature adds so that every token is on the rim of radius 1: it lies between two neighbours."""
    step = 2 * np.pi / n
    below = np.minimum((angles / step).astype(np.int64), n - 1)
    inside = angles - below * step
    low, high = np.sin(step - inside) / np.sin(step), np.sin(inside) / np.sin(step)
    columns = []
    for k in range(n):
        mine, after = below == k, (below + 1) % n == k
        columns.append((np.append(tokens[mine], tokens[after]), np.append(low[mine], high[after])))
    return columns


def _assembled(columns: list[Column], n_tokens: int) -> scipy.sparse.csr_array:
    rows = np.concatenate([tokens for tokens, _ in columns])
    values = np.concatenate([activations for _, activations in columns])
    ids = np.repeat(np.arange(len(columns)), [len(tokens) for tokens, _ in columns])
    return scipy.sparse.csr_array((values, (rows, ids)), shape=(n_tokens, len(columns)))
